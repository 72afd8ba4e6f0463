//! What a reader asks of the cache: what is known of an agent, of an issuer.

use super::name::{Domain, Tag};
use super::record::Record;
use super::{Agent, Issuer, Keys, refused};
use crate::Error;

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
}
