//! What verification found, and the one small write that turns it into an admission.

use crate::claims::Payload;
use crate::key::{Digest, Kid, PublicKey};
use crate::key_cache::KeyId;
use crate::need::Need;
use crate::payment::Proof;
use crate::replay_cache::{Entry, ReplayCache, Tag, VisaUse, jti_tag, nonce_tag};
use crate::time::UnixMillis;
use crate::url::Bound;
use crate::visa::Token;
use crate::visitor::Visitor;
use crate::{Claims, Error};

/// A request for which every check holds but one: that it is the first time.
#[must_use = "a verified request is not yet admitted"]
#[derive(Clone, Debug)]
pub struct Verified<'r> {
    pub(crate) grant: Grant<'r>,
    pub(crate) payload: Option<&'r Payload<'r>>,
    pub(crate) window_ms: u32,
    pub(crate) single_use: bool,
    /// Who pays for the entry where the name is not proven: the key, so that nobody uses up another's nonces (REP-3).
    pub(crate) owner: Option<Kid>,
}

/// An admission: who, what for, and what was proven.
#[derive(Clone, Debug)]
pub struct Grant<'r> {
    /// Who came.
    pub visitor: Visitor,
    /// What the agent said; none for a visitor without headers. Proven if the visitor is a verified agent.
    pub claims: Option<&'r Claims<'r>>,
    /// The key that signed.
    pub key: Option<PublicKey>,
    /// The SHA-256 of the manifest that lists the key, for the evidence; none for an agent that is not verified.
    pub manifest: Option<Digest>,
    /// What of the request the signature binds.
    pub bound: Bound,
    /// What it was paid with.
    pub proof: Proof,
    /// The visa or ad proof, if it was one.
    pub visa: Option<Token<'r>>,
    /// A hint: this document is past its time. Fetch and supply it after answering; one fetch for all who see it.
    pub refresh: Option<Need<'r>>,
    /// A hint: the agent is busy and its key worth a table. `KeyCache::prepare` it after answering.
    pub prepare: Option<KeyId>,
    /// The host's clock was set back by more than two seconds: look at it.
    pub clock_stepped_back: bool,
}

impl<'r> Verified<'r> {
    pub(crate) fn visitor(visitor: Visitor) -> Self {
        let grant = Grant {
            visitor,
            claims: None,
            key: None,
            manifest: None,
            bound: Bound::Nothing,
            proof: Proof::None,
            visa: None,
            refresh: None,
            prepare: None,
            clock_stepped_back: false,
        };
        Self { grant, payload: None, window_ms: 0, single_use: false, owner: None }
    }

    /// What will be granted, if it is the first time.
    #[must_use]
    pub fn grant(&self) -> &Grant<'r> {
        &self.grant
    }

    /// Writes the nonce, and the `jti` of a single-use visa, into the replay cache: the only step under a lock.
    /// A visitor without headers writes nothing.
    ///
    /// # Errors
    /// `REPLAY_DETECTED`, `RESTART_GUARD`, `REPLAY_CACHE_FULL`, `AGENT_QUOTA`, `VISA_USED`, `TIMESTAMP_STALE` when the
    /// clock has moved on.
    pub fn admit(self, replay: &mut ReplayCache<'_>, now: UnixMillis) -> Result<Grant<'r>, Error> {
        let Some(entry) = self.entry() else { return Ok(self.grant) };
        let admitted = replay.admit(&entry, now)?;
        let mut grant = self.grant;
        grant.prepare = grant.prepare.filter(|_| admitted.busy);
        grant.clock_stepped_back = admitted.clock_stepped_back;
        Ok(grant)
    }

    /// What [`Self::admit`] writes down; none for a visitor without headers. For hosts that admit from a copy.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        self.payload.map(|payload| Entry {
            agent_id: self.owner.as_ref().map_or(payload.claims.agent_id, Kid::as_str),
            nonce: payload.nonce,
            ts: payload.ts,
            window_ms: self.window_ms,
            visa: self.visa_use(),
        })
    }

    /// The tags to write into a store elsewhere, the nonce's and that of a single-use visa, for `SET tag 1 NX PX …`:
    /// both must be new. All nodes share the secret (threats.md section 7).
    #[must_use]
    pub fn tags(&self, secret: &[u8; 32]) -> [Option<Tag>; 2] {
        let nonce = self.entry().map(|entry| nonce_tag(secret, entry.agent_id, entry.nonce, entry.ts, entry.window_ms));
        let visa = self.visa_use().map(|visa| jti_tag(secret, visa.issuer, visa.jti, visa.exp_s));
        [nonce, visa]
    }

    /// The admission, after a store elsewhere took every one of [`Self::tags`].
    #[must_use]
    pub fn admitted(self) -> Grant<'r> {
        self.grant
    }

    fn visa_use(&self) -> Option<VisaUse<'_>> {
        let token = self.grant.visa.as_ref().filter(|_| self.single_use)?;
        let jti = token.jti.as_ref()?;
        Some(VisaUse { issuer: token.issuer, jti: jti.as_str(), exp_s: token.exp_s })
    }
}
