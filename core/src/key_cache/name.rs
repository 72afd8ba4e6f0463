//! Where a name lies: a keyed hash of it, so that those who choose names cannot choose places.

use sha2::{Digest as _, Sha256};

use crate::key::Digest;

/// The first 16 bytes of SHA-256 over the cache's seed, a domain byte and a name: where a name lies, unknown to those
/// who choose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag(pub(super) u64, pub(super) u64);

/// Which names a tag is of.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Domain {
    Agent = 1,
    Issuer = 2,
    Kid = 3,
}

impl Domain {
    #[expect(clippy::as_conversions, reason = "the discriminant")]
    fn number(self) -> u8 {
        self as u8
    }
}

pub(super) fn tag(seed: &[u64; 4], domain: Domain, name: &str) -> Tag {
    let mut hash = Sha256::new();
    for word in seed {
        hash.update(word.to_le_bytes());
    }
    hash.update([domain.number()]);
    hash.update(name.as_bytes());
    let digest: Digest = hash.finalize().into();
    let mut words = digest.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
    let mut next = || words.next().unwrap_or_default();
    // Never the tag of an empty slot.
    Tag(next(), next() | 1)
}
