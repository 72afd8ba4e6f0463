//! The public keys that a verifier knows: of agents by domain, of issuers by `kid`, some of them with a table.
//!
//! The cache is words in the caller's memory, without addresses: a copy of the words is a clone. Nobody writes it while
//! another reads it: give each worker its own, or clone, [`KeyCache::supply`], and swap (docs/design.md, sharing).

mod agents;
mod issuers;
mod layout;
mod record;
mod refused;
mod tables;

use sha2::{Digest as _, Sha256};

use crate::curve;
use crate::inverted::Inverted;
use crate::key::{Digest, PublicKey, checks, sha256};
use crate::manifest;
use crate::need::{Answer, Kind, Need};
use crate::time::UnixMillis;
use crate::{Error, spec};

pub(crate) use agents::Agent;
pub(crate) use issuers::Issuer;
pub use layout::Sizes;
use layout::{Layout, Region, header};
use record::{Record, lives, write_digest};

/// The first 16 bytes of SHA-256 over the cache's seed, a domain byte and a name: where a name lies, unknown to those
/// who choose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag(u64, u64);

/// Which names a tag is of.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Domain {
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

/// One key in the cache: a hint to [`KeyCache::prepare`]. It goes stale without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u64);

impl KeyId {
    fn agent(slot: u32, index: usize, point: &[u64; 8]) -> Self {
        Self::new(0, slot, index, point)
    }

    fn issuer(slot: u32, index: usize, point: &[u64; 8]) -> Self {
        Self::new(1, slot, index, point)
    }

    /// Region (1 bit), index (7), slot (32), and 24 bits of the point, by which a stale id is known.
    fn new(region: u64, slot: u32, index: usize, point: &[u64; 8]) -> Self {
        let index = u64::try_from(index).unwrap_or_default() & 0x7F;
        Self(region << 63 | index << 56 | u64::from(slot) << 24 | point[0] & 0xFF_FFFF)
    }

    /// The id as a number, for the C ABI; never zero for a key that exists.
    #[must_use]
    pub const fn to_number(self) -> u64 {
        self.0
    }

    /// The id of a number. Any number is safe.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    fn is_issuer(self) -> bool {
        self.0 >> 63 == 1
    }

    fn index(self) -> usize {
        usize::try_from(self.0 >> 56 & 0x7F).unwrap_or_default()
    }

    fn slot(self) -> usize {
        usize::try_from(self.0 >> 24 & 0xFFFF_FFFF).unwrap_or_default()
    }

    fn matches(self, point: &[u64; 8]) -> bool {
        self.0 & 0xFF_FFFF == point[0] & 0xFF_FFFF
    }
}

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

    fn supply_manifest(&mut self, agent_id: &str, answer: Answer<'_>, now_s: u64) {
        let tag = self.read().tag(Domain::Agent, agent_id);
        let (keys, body, max_age_s) = match answer {
            Answer::Found { body, max_age_s } => (manifest::read(body, agent_id), body, max_age_s),
            Answer::NotThere => (Err(Error::ManifestUnavailable), &[][..], None),
            Answer::Unreachable => return self.unreachable_manifest(tag, now_s),
        };
        match keys {
            Ok(keys) => {
                self.forget(self.layout.refused, tag);
                let slot = self.agent_slot(tag, now_s);
                if let Some(slot) = self.slot_mut(self.layout.agents, slot) {
                    agents::write(slot, tag, &keys, &sha256(body), max_age_s, now_s);
                }
                self.link_tables(slot);
            }
            Err(error) => {
                self.forget(self.layout.agents, tag);
                self.refuse(tag, error, false, now_s);
            }
        }
    }

    /// A network failure teaches nothing: what is known stays good for a day, for the same keys.
    fn unreachable_manifest(&mut self, tag: Tag, now_s: u64) {
        let slot = self.read().find(self.layout.agents, tag);
        if let Some(words) = slot.and_then(|slot| self.slot_mut(self.layout.agents, slot)) {
            lives::write_failure(words, Error::ManifestUnavailable, now_s);
            if Record(words).lives().usable(now_s) {
                return;
            }
        }
        self.refuse(tag, Error::ManifestUnavailable, true, now_s);
    }

    fn refuse(&mut self, tag: Tag, error: Error, unreachable: bool, now_s: u64) {
        let slot = self.refused_slot(tag);
        if let Some(slot) = self.slot_mut(self.layout.refused, slot) {
            refused::write(slot, tag, error, unreachable, now_s);
        }
    }

    /// The agent's own slot, an empty one, or the one whose knowledge ends first; among equals one never refreshed.
    fn agent_slot(&self, tag: Tag, now_s: u64) -> usize {
        let keys = self.read();
        let bucket = self.layout.agents.bucket(tag);
        keys.find(self.layout.agents, tag).unwrap_or_else(|| {
            let rank = |slot: &usize| {
                let lives = Record(keys.slot(self.layout.agents, *slot)).lives();
                (lives.usable(now_s), lives.fresh_s, lives.refreshed)
            };
            bucket.clone().min_by_key(rank).unwrap_or(bucket.start)
        })
    }

    /// The name's own slot, or the one whose refusal ends first.
    fn refused_slot(&self, tag: Tag) -> usize {
        let keys = self.read();
        let bucket = self.layout.refused.bucket(tag);
        let until = |slot: &usize| {
            refused::Refused::read(keys.slot(self.layout.refused, *slot)).map_or(0, |refused| refused.until_s)
        };
        let own = keys.find(self.layout.refused, tag);
        own.unwrap_or_else(|| bucket.clone().min_by_key(until).unwrap_or(bucket.start))
    }

    /// A key that had a table before its slot was rewritten has it still.
    fn link_tables(&mut self, slot: usize) {
        let mut links = tables::Links(0);
        for index in 0..=spec::document::MANIFEST_KEYS_MAX {
            let words = self.read().slot(self.layout.agents, slot);
            let Some(point) = agents::point(words, index) else { continue };
            if let Some(table) = tables::find(self.words, &self.layout, &point.to_words()) {
                links = links.set(index, table);
            }
        }
        if let Some(word) = self.slot_mut(self.layout.agents, slot).and_then(|slot| slot.get_mut(agents::LINKS)) {
            *word = links.0;
        }
    }

    fn supply_jwks(&mut self, url: &str, answer: Answer<'_>, now_s: u64) {
        let keys = self.read();
        let tag = keys.tag(Domain::Issuer, url);
        let slot = self.issuer_slot(tag);
        let mut set = issuers::KeySet::default();
        let read = match answer {
            Answer::Found { body, max_age_s } => {
                issuers::read(body, |kid| keys.tag(Domain::Kid, kid), &mut set).map(|()| (sha256(body), max_age_s))
            }
            Answer::NotThere | Answer::Unreachable => Err(Error::JwksUnavailable),
        };
        let known = Record(self.read().slot(self.layout.issuers, slot));
        match read {
            // No issuer ends by a set of nothing: more likely its server is half up.
            Ok(_) if set.keys.is_empty() && known.is(tag) && known.count() > 0 => {
                self.keep_issuer(slot, tag, Error::JwksInvalid, now_s);
            }
            Ok((digest, max_age_s)) => self.write_issuer(slot, tag, &set, &digest, max_age_s, now_s),
            Err(error) => self.keep_issuer(slot, tag, error, now_s),
        }
        if let (true, Answer::Found { body, .. }) = (set.private_exposed, answer) {
            self.strike_exposed(slot, body, now_s);
        }
    }

    /// A key whose private half is public goes out of the slot, whether this set listed it or the one that was kept.
    fn strike_exposed(&mut self, slot: usize, body: &[u8], now_s: u64) {
        let seed = self.read().seed();
        issuers::each_exposed(
            body,
            |kid| tag(&seed, Domain::Kid, kid),
            |exposed| {
                if let issuers::Exposed::Key(point) = exposed {
                    tables::unpin(self.words, &self.layout, point, now_s);
                }
                if let Some(words) = self.slot_mut(self.layout.issuers, slot) {
                    issuers::strike(words, exposed);
                }
            },
        );
        if let Some(words) = self.slot_mut(self.layout.issuers, slot) {
            lives::raise_alarm(words);
        }
    }

    /// The last good set is kept (threats.md 4.5).
    fn keep_issuer(&mut self, slot: usize, tag: Tag, error: Error, now_s: u64) {
        let known = Record(self.read().slot(self.layout.issuers, slot)).is(tag);
        if !known {
            self.unpin_issuer(slot, &[], now_s);
        }
        if let Some(words) = self.slot_mut(self.layout.issuers, slot) {
            if !known {
                words.fill(0);
                lives::write_found(words, tag, 0, false, 0, 0);
            }
            lives::write_failure(words, error, now_s);
        }
    }

    fn write_issuer(
        &mut self,
        slot: usize,
        tag: Tag,
        set: &issuers::KeySet,
        digest: &Digest,
        max_age_s: Option<u32>,
        now_s: u64,
    ) {
        self.unpin_issuer(slot, &set.keys, now_s);
        let (shortest, longest) = spec::cache::JWKS_TTL_RANGE_S;
        let ttl = max_age_s.map_or(spec::cache::JWKS_TTL_S, |age| age.clamp(shortest, longest));
        let mut links = [0_u64; spec::document::JWKS_KEYS_MAX];
        for (link, (_, key)) in links.iter_mut().zip(&set.keys).take(spec::cache::ISSUER_TABLES) {
            let table = tables::lease(self.words, &self.layout, key.point(), tables::PINNED, now_s);
            *link = table.and_then(|table| u64::try_from(table.saturating_add(1)).ok()).unwrap_or_default();
        }
        let Some(words) = self.slot_mut(self.layout.issuers, slot) else { return };
        let refreshed = Record(words).is(tag);
        words.fill(0);
        lives::write_found(words, tag, set.keys.len(), refreshed, ttl, now_s);
        write_digest(words, issuers::DIGEST, digest);
        for (index, ((kid, key), link)) in set.keys.iter().zip(links).enumerate() {
            let start = issuers::KEYS.saturating_add(index.saturating_mul(issuers::KEY_WORDS));
            let entry = [kid.0, kid.1].into_iter().chain(key.point().to_words()).chain([link]);
            for (place, word) in words.iter_mut().skip(start).zip(entry) {
                *place = word;
            }
        }
    }

    /// Tables of keys that are no longer used are free again.
    fn unpin_issuer(&mut self, slot: usize, kept: &[(Tag, PublicKey)], now_s: u64) {
        for index in 0..spec::document::JWKS_KEYS_MAX {
            let words = self.read().slot(self.layout.issuers, slot);
            let Some([_, _, point @ .., _]) = issuers::key_words(words, index) else { return };
            let Some(point) = point.first_chunk::<8>().copied() else { return };
            if kept.iter().all(|(_, key)| key.point().to_words() != point) {
                tables::unpin(self.words, &self.layout, &point, now_s);
            }
        }
    }

    /// The issuer's own slot, an empty one, or the one whose set ends first.
    fn issuer_slot(&self, tag: Tag) -> usize {
        let keys = self.read();
        let all = 0..self.layout.issuers.slots;
        let end = |slot: &usize| Record(keys.slot(self.layout.issuers, *slot)).lives().fresh_s;
        let own = all.clone().find(|slot| Record(keys.slot(self.layout.issuers, *slot)).is(tag));
        own.or_else(|| all.min_by_key(end)).unwrap_or_default()
    }

    /// Gives a key a table, or more time with the one it has. Call it after answering the visitor: a table of 64 KB
    /// costs some 15 verifications with it. False if the id is stale or every lease is alive.
    ///
    /// # Errors
    /// `CLOCK_UNKNOWN`
    pub fn prepare(&mut self, id: KeyId, now: UnixMillis) -> Result<bool, Error> {
        let now_s = seconds(now)?;
        if id.is_issuer() {
            return Ok(false);
        }
        let slot = self.read().slot(self.layout.agents, id.slot());
        let Some(point) = agents::point(slot, id.index()).filter(|point| id.matches(&point.to_words())) else {
            return Ok(false);
        };
        let lease_s = now_s.saturating_add(spec::cache::TABLE_LEASE_S.into());
        let Some(table) = tables::lease(self.words, &self.layout, &point, lease_s, now_s) else {
            return Ok(false);
        };
        let links = self.slot_mut(self.layout.agents, id.slot()).and_then(|slot| slot.get_mut(agents::LINKS));
        if let Some(word) = links {
            *word = tables::Links(*word).set(id.index(), table).0;
        }
        Ok(true)
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

/// What the cache knows of an agent.
pub(crate) enum Known<'m> {
    /// Nothing: fetch its manifest.
    Nothing,
    /// Its manifest was not to be had, or was wrong, a moment ago. An older one may be known: what it revokes is revoked.
    Refused(Error, Option<Agent<'m>>),
    /// Its keys.
    Agent(Agent<'m>),
}

impl<'m> Keys<'m> {
    /// Opens a cache, or a copy of one, for reading.
    ///
    /// # Errors
    /// `ABI_STATE`: these words are not one, or not all of it.
    pub fn attach(memory: &'m [u64]) -> Result<Self, Error> {
        Ok(Self { words: memory, layout: Layout::read(memory)? })
    }

    /// Whether the last key set of this URL held a private key: its owner must replace it (threats.md 4.5).
    #[must_use]
    pub fn exposes_private_key(&self, jwks_url: &str) -> bool {
        self.issuer(jwks_url).is_some_and(|issuer| issuer.exposes_private_key())
    }

    /// `fresh` takes no manifest that is past its time.
    pub(crate) fn agent(&self, agent_id: &str, fresh: bool, now_s: u64) -> Known<'m> {
        let tag = self.tag(Domain::Agent, agent_id);
        let slot = self.find(self.layout.agents, tag);
        let agent =
            slot.map(|slot| Agent::new(u32::try_from(slot).unwrap_or(u32::MAX), self.slot(self.layout.agents, slot)));
        if let Some(agent) = agent {
            let lives = agent.lives();
            match lives.usable(now_s) {
                true if !fresh || lives.is_fresh(now_s) => return Known::Agent(agent),
                true if !lives.may_retry(now_s) => {
                    return Known::Refused(lives.failure().unwrap_or(Error::ManifestUnavailable), Some(agent));
                }
                _ => {}
            }
        }
        let refused = self.find(self.layout.refused, tag).map(|slot| self.slot(self.layout.refused, slot));
        match refused.and_then(refused::Refused::read).and_then(|refused| refused.error(now_s)) {
            Some(error) => Known::Refused(error, agent),
            None => Known::Nothing,
        }
    }

    pub(crate) fn issuer(&self, jwks_url: &str) -> Option<Issuer<'m>> {
        let tag = self.tag(Domain::Issuer, jwks_url);
        let all = 0..self.layout.issuers.slots;
        let slot = all.into_iter().find(|slot| Record(self.slot(self.layout.issuers, *slot)).is(tag))?;
        Some(Issuer::new(u32::try_from(slot).ok()?, self.slot(self.layout.issuers, slot)))
    }

    /// How many issuers' key sets it holds.
    pub(crate) fn issuer_slots(&self) -> usize {
        self.layout.issuers.slots
    }

    pub(crate) fn kid_tag(&self, kid: &str) -> Tag {
        self.tag(Domain::Kid, kid)
    }

    /// One signature check: with the key's table, if it has one and it is the key's own.
    pub(crate) fn verify(
        &self,
        key: &PublicKey,
        table: Option<usize>,
        digest: &Digest,
        signature: &Inverted,
    ) -> Result<(), Error> {
        let Some(table) = table.and_then(|table| self.table(table, key)) else {
            return key.verify_inverted(digest, signature);
        };
        let signature = signature.get().ok_or(Error::SignatureInvalid)?;
        checks::count();
        if curve::verify_prepared_inverted(table, self.layout.shape, digest, signature) {
            Ok(())
        } else {
            Err(Error::SignatureInvalid)
        }
    }

    fn table(&self, table: usize, key: &PublicKey) -> Option<&'m [u64]> {
        let (point, _) = tables::owner(self.words, &self.layout, table)?;
        let start = self.layout.tables.at(table).filter(|_| point == key.point().to_words())?;
        self.words.get(start..start.checked_add(self.layout.tables.stride)?)
    }

    /// Whether a busy key should be prepared: it has no table of its own, or its lease is half over.
    pub(crate) fn wants_table(&self, key: &PublicKey, table: Option<usize>, now_s: u64) -> bool {
        let half = u64::from(spec::cache::TABLE_LEASE_S) / 2;
        let owner = table.and_then(|table| tables::owner(self.words, &self.layout, table));
        match owner.filter(|(point, _)| *point == key.point().to_words()) {
            Some((_, lease_s)) => now_s.saturating_add(half) > lease_s,
            None => self.layout.tables.slots.saturating_mul(self.layout.tables.stride) > 0,
        }
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

fn tag(seed: &[u64; 4], domain: Domain, name: &str) -> Tag {
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

/// The clock in whole seconds.
fn seconds(now: UnixMillis) -> Result<u64, Error> {
    u64::try_from(now.s()).ok().filter(|s| *s > 0).ok_or(Error::ClockUnknown)
}
