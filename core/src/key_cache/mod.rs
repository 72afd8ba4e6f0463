//! The public keys that a verifier knows: of agents by domain, of issuers by `kid`, some of them with a table.
//!
//! The cache is words in the caller's memory, without addresses: a copy of the words is a clone. Nobody writes it while
//! another reads it: give each worker its own, or clone, [`KeyCache::supply`], and swap (docs/design.md, sharing).

mod agents;
mod issuers;
mod key_id;
mod key_sets;
mod known;
mod layout;
mod manifests;
mod name;
mod prepared;
mod record;
mod refused;
mod tables;

use crate::Error;
use crate::need::{Answer, Kind, Need};
use crate::time::UnixMillis;

pub(crate) use agents::Agent;
pub(crate) use issuers::Issuer;
pub use key_id::KeyId;
pub(crate) use known::Known;
pub use layout::Sizes;
use layout::{Layout, Region, header};
use name::{Domain, Tag, tag};
use record::Record;

/// A key cache that may be written.
#[derive(Debug)]
pub struct KeyCache<'m> {
    words: &'m mut [u64],
    layout: Layout,
}

/// A key cache that is read. Any number of readers may hold one.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'m> {
    words: &'m [u64],
    layout: Layout,
}

impl<'m> KeyCache<'m> {
    /// How many words a cache of these sizes takes; 0 if it cannot be.
    #[must_use]
    pub fn words(sizes: &Sizes) -> usize {
        Layout::new(sizes).map_or(0, |layout| layout.words)
    }

    /// An empty cache in `memory`. `seed` is 32 random bytes, the cache's own.
    ///
    /// # Errors
    /// `ABI_STORAGE`: fewer words than [`Self::words`]. `ABI_ARGUMENT`: impossible sizes.
    pub fn new(memory: &'m mut [u64], sizes: &Sizes, seed: &[u8; 32]) -> Result<Self, Error> {
        let layout = Layout::new(sizes).ok_or(Error::AbiArgument)?;
        let words = memory.get_mut(..layout.words).ok_or(Error::AbiStorage)?;
        words.fill(0);
        let head = [
            layout::MAGIC,
            u64::try_from(layout.words).map_err(|_| Error::AbiArgument)?,
            u64::from(sizes.names) | u64::from(sizes.issuers) << 32,
            u64::from(sizes.tables) | u64::from(layout::shape_number(sizes.shape)) << 32,
        ];
        let seed = seed.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
        for (place, word) in words.iter_mut().zip(head.into_iter().chain(seed)) {
            *place = word;
        }
        Ok(Self { words, layout })
    }

    /// Reopens a cache, or a copy of one.
    ///
    /// # Errors
    /// `ABI_STATE`: these words are not one, or not all of it.
    pub fn attach(memory: &'m mut [u64]) -> Result<Self, Error> {
        let layout = Layout::read(memory)?;
        let words = memory.get_mut(..layout.words).ok_or(Error::AbiState)?;
        Ok(Self { words, layout })
    }

    /// The cache for reading.
    #[must_use]
    pub fn read(&self) -> Keys<'_> {
        Keys { words: self.words, layout: self.layout }
    }

    /// Takes what came of a fetch. It answers `Ok` whatever the document said: the refusal comes from the next
    /// `verify`, so that a bad document is judged at one place and the loop has one exit.
    ///
    /// # Errors
    /// `CLOCK_UNKNOWN`
    pub fn supply(&mut self, need: &Need<'_>, answer: Answer<'_>, now: UnixMillis) -> Result<(), Error> {
        let now_s = seconds(now)?;
        match need.kind {
            Kind::Manifest => self.supply_manifest(need.host, answer, now_s),
            Kind::Jwks => self.supply_jwks(need.url, answer, now_s),
        }
        Ok(())
    }

    fn forget(&mut self, region: Region, tag: Tag) {
        let slot = self.read().find(region, tag);
        if let Some(slot) = slot.and_then(|slot| self.slot_mut(region, slot)) {
            slot.fill(0);
        }
    }

    fn slot_mut(&mut self, region: Region, slot: usize) -> Option<&mut [u64]> {
        let start = region.at(slot)?;
        self.words.get_mut(start..start.checked_add(region.stride)?)
    }
}

impl<'m> Keys<'m> {
    /// Opens a cache, or a copy of one, for reading.
    ///
    /// # Errors
    /// `ABI_STATE`: these words are not one, or not all of it.
    pub fn attach(memory: &'m [u64]) -> Result<Self, Error> {
        Ok(Self { words: memory, layout: Layout::read(memory)? })
    }

    fn find(&self, region: Region, tag: Tag) -> Option<usize> {
        region.bucket(tag).find(|slot| Record(self.slot(region, *slot)).is(tag))
    }

    fn slot(&self, region: Region, slot: usize) -> &'m [u64] {
        region.at(slot).and_then(|start| self.words.get(start..start.checked_add(region.stride)?)).unwrap_or_default()
    }

    fn tag(&self, domain: Domain, name: &str) -> Tag {
        tag(&self.seed(), domain, name)
    }

    fn seed(&self) -> [u64; 4] {
        let mut seed = [0; 4];
        seed.iter_mut().zip(self.words.iter().skip(header::SEED)).for_each(|(place, word)| *place = *word);
        seed
    }
}

/// The clock in whole seconds.
fn seconds(now: UnixMillis) -> Result<u64, Error> {
    u64::try_from(now.s()).ok().filter(|s| *s > 0).ok_or(Error::ClockUnknown)
}
