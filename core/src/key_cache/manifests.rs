//! What a fetched manifest, or one that was not to be had, makes of the cache.

use super::name::{Domain, Tag};
use super::record::{Record, lives};
use super::{KeyCache, agents, refused};
use crate::Error;
use crate::key::sha256;
use crate::manifest;
use crate::need::Answer;

impl KeyCache<'_> {
    pub(super) fn supply_manifest(&mut self, agent_id: &str, answer: Answer<'_>, now_s: u64) {
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
}
