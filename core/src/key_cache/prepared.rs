//! Keys with tables: who gets one, and signatures verified with it.

use super::{KeyCache, KeyId, Keys, agents, seconds, tables};
use crate::curve;
use crate::inverted::Inverted;
use crate::key::{Digest, PublicKey, checks};
use crate::time::UnixMillis;
use crate::{Error, spec};

impl KeyCache<'_> {
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

    /// A key that had a table before its slot was rewritten has it still.
    pub(super) fn link_tables(&mut self, slot: usize) {
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
}

impl<'m> Keys<'m> {
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
}
