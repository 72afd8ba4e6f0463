//! A key's name.

use core::fmt;

use super::Digest;
use crate::codec::base64;

/// A key's name: its RFC 7638 thumbprint, 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kid([u8; Kid::LEN]);

impl Kid {
    /// Characters of a thumbprint.
    pub const LEN: usize = 43;

    pub(crate) fn from_thumbprint(thumbprint: &Digest) -> Self {
        let mut kid = Self([b'A'; Self::LEN]);
        // The length is a constant of the format: it always fits.
        let _ = base64::url_encode(thumbprint, &mut kid.0);
        kid
    }

    /// A thumbprint that was written as text before; none if it is not 43 characters of strict base64url.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut thumbprint = [0; 32];
        let is_whole = base64::url_decode(text.as_bytes(), &mut thumbprint).ok()?.len() == thumbprint.len();
        is_whole.then(|| Self::from_thumbprint(&thumbprint))
    }

    /// The thumbprint as words, for caller memory.
    pub(crate) fn to_words(self) -> [u64; 4] {
        let mut thumbprint = [0; 32];
        // The text was made from 32 bytes.
        let _ = base64::url_decode(&self.0, &mut thumbprint);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(thumbprint.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        words
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
