//! What an issuer's fetched key set, or one that was not to be had, makes of the cache.

use super::name::{Domain, Tag, tag};
use super::record::{Record, lives, write_digest};
use super::{KeyCache, issuers, tables};
use crate::key::{Digest, PublicKey, sha256};
use crate::need::Answer;
use crate::{Error, spec};

impl KeyCache<'_> {
    pub(super) fn supply_jwks(&mut self, url: &str, answer: Answer<'_>, now_s: u64) {
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
}
