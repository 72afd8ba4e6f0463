//! What every signature of the protocol is made over: the SHA-256 of a document's canonical form (protocol.md section 2).

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::codec::jcs;
use crate::codec::json::{Document, Limits, Node};
use crate::key::Digest;

/// The digest of a payload's text.
///
/// # Errors
/// `JSON_*`
pub(crate) fn digest_of_text(json: &[u8]) -> Result<Digest, Error> {
    let mut nodes = [Node::default(); Limits::PAYLOAD.nodes];
    digest(&Document::parse(json, &Limits::PAYLOAD, &mut nodes)?)
}

/// The digest of a document that was read before.
///
/// # Errors
/// None in practice: a hash takes any number of bytes.
pub(crate) fn digest(document: &Document<'_, '_>) -> Result<Digest, Error> {
    let mut hash = Hash { sha: Sha256::new(), block: [0; 256], used: 0 };
    jcs::write(&document.root(), &mut hash)?;
    Ok(hash.finish())
}

/// A hash that is fed whole blocks: canonical JSON comes in crumbs.
struct Hash {
    sha: Sha256,
    block: [u8; 256],
    used: usize,
}

impl Hash {
    fn flush(&mut self) {
        self.sha.update(self.block.get(..self.used).unwrap_or_default());
        self.used = 0;
    }

    /// What has no room: into the next block, or past it.
    #[inline(never)]
    fn put_behind(&mut self, bytes: &[u8]) {
        self.flush();
        match self.block.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used = bytes.len();
            }
            None => self.sha.update(bytes),
        }
    }

    fn finish(mut self) -> Digest {
        self.flush();
        self.sha.finalize().into()
    }
}

impl jcs::Sink for Hash {
    #[inline] // most crumbs are constants of one byte
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.block.get_mut(self.used..).and_then(|free| free.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used = self.used.saturating_add(bytes.len());
            }
            None => self.put_behind(bytes),
        }
        Ok(())
    }
}
