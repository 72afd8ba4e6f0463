//! The agents whose manifests are known: their keys, and how fresh the knowledge is (threats.md section 8).

use crate::curve::Point;
use crate::key::{Digest, PublicKey};
use crate::manifest::{AgentKey, AgentKeys, Revoked};
use crate::{Error, spec};

use super::Tag;
use super::record::{Lives, Record, lives, write_digest};
use super::tables::Links;

/// Words of a slot: tag, lives, five keys, their tables, the manifest's SHA-256, sixteen revocations: thirteen lines of
/// 64 bytes.
pub(super) const WORDS: usize = REVOKED + spec::document::REVOKED_MAX;
const _: () = assert!(WORDS.is_multiple_of(8));
const KEYS: usize = Lives::END;
/// Words of a key: point, from, until, revoked, thumbprint.
const KEY_WORDS: usize = THUMBPRINT + 4;
const THUMBPRINT: usize = 11;
const KEYS_MAX: usize = 1 + spec::document::MANIFEST_KEYS_MAX;
pub(super) const LINKS: usize = KEYS + KEYS_MAX * KEY_WORDS;
const DIGEST: usize = LINKS + 1;
/// A word each: the first four bytes of the thumbprint, and since when (0 is none).
const REVOKED: usize = DIGEST + 4;

/// An agent's slot, read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agent<'m> {
    slot: u32,
    record: Record<'m>,
}

/// A key of the agent that matched the request's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    pub(crate) id: super::KeyId,
    pub(crate) key: AgentKey,
    /// Its thumbprint, made when the manifest was read.
    pub(crate) thumbprint: Digest,
}

impl<'m> Agent<'m> {
    pub(super) fn new(slot: u32, words: &'m [u64]) -> Self {
        Self { slot, record: Record(words) }
    }

    pub(crate) fn lives(&self) -> Lives {
        self.record.lives()
    }

    /// The SHA-256 of the manifest.
    pub(crate) fn digest(&self) -> Digest {
        self.record.digest(DIGEST)
    }

    /// The entry of the manifest for this key. The comparison is by its coordinates' words: no arithmetic.
    pub(crate) fn find(&self, key: &PublicKey) -> Option<Match> {
        let point = key.point().to_words();
        (0..KEYS_MAX.min(self.record.count())).find_map(|index| {
            let words = key_words(self.record.0, index)?;
            let [stored @ .., from_s, until_s, revoked_s] = words.first_chunk::<THUMBPRINT>()?;
            (*stored == point).then(|| Match {
                id: super::KeyId::agent(self.slot, index, &point),
                key: AgentKey { key: *key, from_s: *from_s, until_s: *until_s, revoked_s: *revoked_s },
                thumbprint: self.record.digest(start(index).saturating_add(THUMBPRINT)),
            })
        })
    }

    /// Whether the manifest has revoked this key, listed or not. Of one that is not, four bytes of the name decide: another
    /// key that shares them is not the agent's either way.
    pub(crate) fn has_revoked(&self, key: &PublicKey, now_s: u64) -> bool {
        if let Some(listed) = self.find(key) {
            return listed.key.check(now_s) == Err(Error::KeyRevoked);
        }
        let [name, ..] = key.kid().to_words();
        let mut entries = self.record.0.iter().skip(REVOKED).take(spec::document::REVOKED_MAX);
        entries.any(|entry| same_half(*entry, name) && (1..=now_s).contains(&(entry >> 32)))
    }

    /// The table of one of its keys, if it has one.
    pub(crate) fn table(&self, id: super::KeyId) -> Option<usize> {
        Links(self.record.word(LINKS)).get(id.index())
    }
}

fn key_words(slot: &[u64], index: usize) -> Option<&[u64; KEY_WORDS]> {
    slot.get(start(index)..)?.first_chunk()
}

fn start(index: usize) -> usize {
    KEYS.saturating_add(index.saturating_mul(KEY_WORDS))
}

/// The point of one of a slot's keys.
pub(super) fn point(slot: &[u64], index: usize) -> Option<Point> {
    Point::from_words(key_words(slot, index)?.first_chunk()?)
}

/// Fills a slot with what a manifest said.
pub(super) fn write(slot: &mut [u64], tag: Tag, keys: &AgentKeys, digest: &Digest, max_age_s: Option<u32>, now_s: u64) {
    let (shortest, longest) = spec::cache::MANIFEST_TTL_RANGE_S;
    let ttl = max_age_s.map_or(spec::cache::MANIFEST_TTL_S, |age| age.clamp(shortest, longest));
    let refreshed = Record(slot).is(tag);
    slot.fill(0);
    lives::write_found(slot, tag, keys.iter().len(), refreshed, ttl, now_s);
    for (index, key) in keys.iter().enumerate() {
        let times = [key.from_s, key.until_s, key.revoked_s];
        let words = key.key.point().to_words().into_iter().chain(times).chain(key.key.kid().to_words());
        for (place, word) in slot.iter_mut().skip(start(index)).zip(words) {
            *place = word;
        }
    }
    write_digest(slot, DIGEST, digest);
    for (place, revoked) in slot.iter_mut().skip(REVOKED).zip(keys.revoked()) {
        *place = revocation(revoked);
    }
}

/// A revocation of the first second counts from the next; one beyond 2106 from then.
fn revocation(revoked: &Revoked) -> u64 {
    let [name, ..] = revoked.kid.to_words();
    revoked.at_s.clamp(1, u32::MAX.into()) << 32 | name & HALF
}

const HALF: u64 = 0xFFFF_FFFF;

fn same_half(one: u64, other: u64) -> bool {
    one & HALF == other & HALF
}

/// What a request meets whose agent is in the part of the refused.
pub(super) fn refusal(number: i32) -> Error {
    Error::from_number(number).unwrap_or(Error::ManifestUnavailable)
}
