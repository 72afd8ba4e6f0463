//! Writes text into a buffer that the caller gave, and gives back the view of what was written.

use super::jcs::{Sink, character, unicode_escape};
use crate::Error;

/// A buffer being filled. Once something did not fit nothing more is written, but the need is still counted.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut [u8],
    needed: usize,
}

impl<'o> Writer<'o> {
    /// Writes from the start of `out`.
    #[must_use]
    pub fn new(out: &'o mut [u8]) -> Self {
        Self { out, needed: 0 }
    }

    /// How many bytes everything takes.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// What was written so far.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn written(&self) -> Result<&str, Error> {
        let text = self.out.get(..self.needed).ok_or(Error::BufferTooSmall)?;
        core::str::from_utf8(text).map_err(|_| Error::JsonUtf8)
    }

    /// The text and what is left of the buffer behind it.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn finish(self) -> Result<(&'o str, &'o mut [u8]), Error> {
        let (text, rest) = self.out.split_at_mut_checked(self.needed).ok_or(Error::BufferTooSmall)?;
        let text = core::str::from_utf8(text).map_err(|_| Error::JsonUtf8)?;
        Ok((text, rest))
    }

    /// As [`Writer::finish`], for a text that holds secrets. It is ASCII.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn finish_secret(self) -> Result<&'o str, Error> {
        ascii(self.out.get_mut(..self.needed).ok_or(Error::BufferTooSmall)?)
    }

    /// Plain text.
    pub fn text(&mut self, text: &str) {
        let _ = self.put(text.as_bytes());
    }

    /// A whole number.
    pub fn integer(&mut self, value: i64) {
        let mut digits = [0_u8; 20];
        let mut rest = value.unsigned_abs();
        let mut len = 0_usize;
        for place in digits.iter_mut().rev() {
            *place = u8::try_from(rest.wrapping_rem(10)).unwrap_or_default() | b'0';
            rest = rest.wrapping_div(10);
            len = len.saturating_add(1);
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            self.text("-");
        }
        let digits = digits.get(digits.len().saturating_sub(len)..).unwrap_or_default();
        self.text(core::str::from_utf8(digits).unwrap_or_default());
    }

    /// A JSON string with its quotes, as RFC 8785 writes it.
    pub fn string(&mut self, text: &str) {
        self.text("\"");
        for c in text.chars() {
            let _ = character(c, self);
        }
        self.text("\"");
    }

    /// A JSON string in pure ASCII: everything above U+007E as `\uXXXX` (protocol.md section 2).
    pub fn ascii_string(&mut self, text: &str) {
        self.text("\"");
        for c in text.chars() {
            if c <= '\u{7E}' {
                let _ = character(c, self);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = unicode_escape(u32::from(*unit), self);
                }
            }
        }
        self.text("\"");
    }
}

/// Writes into the front of `out` what `write` writes; if that does not fit, nothing at all. `write` runs twice: first
/// to count.
///
/// # Errors
/// `BUFFER_TOO_SMALL`, and those of `write`.
pub fn write_whole(out: &mut [u8], write: impl Fn(&mut Writer<'_>) -> Result<(), Error>) -> Result<&str, Error> {
    let mut counter = Writer::new(&mut []);
    write(&mut counter)?;
    let out = out.get_mut(..counter.needed()).ok_or(Error::BufferTooSmall)?;
    let mut writer = Writer::new(out);
    write(&mut writer)?;
    Ok(writer.finish()?.0)
}

impl Sink for Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(place) = self.out.get_mut(self.needed..).and_then(|free| free.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
        self.needed = self.needed.saturating_add(bytes.len());
        Ok(())
    }
}

/// The text in `bytes`, which is ASCII; it may be a secret. All that is looked at is bit 7 of each byte: with those
/// cleared, where the optimiser cannot see that they were clear before, nothing that is looked at comes from the secret.
pub(super) fn ascii(bytes: &mut [u8]) -> Result<&str, Error> {
    let bytes = core::hint::black_box(bytes);
    bytes.iter_mut().for_each(|byte| *byte &= 0x7F);
    core::str::from_utf8(bytes).map_err(|_| Error::JsonUtf8)
}
