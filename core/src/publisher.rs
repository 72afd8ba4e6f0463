//! The publisher's side: a request is parsed, verified and admitted. The checks stand here in their order
//! (threats.md section 5): cheap before dear, and nothing is fetched for, or remembered of, one that did not sign.

use crate::claims::Payload;
use crate::headers::{Headers, Name};
use crate::identity::{self, Identity};
use crate::key::{Kid, PublicKey};
use crate::key_cache::Keys;
use crate::need::Need;
use crate::payment::{self, Paid, Proof};
use crate::policy::{Policy, ResourceBinding};
use crate::signed::{Bounds, Signed};
use crate::time::{self, UnixMillis};
use crate::url::{self, Bound};
use crate::verdict::{Grant, Verified};
use crate::visitor::{Visitor, vouched};
use crate::{Claims, Error, spec};

/// A request as the host received it, raw as on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// `GET`; for the records: the protocol does not sign it.
    pub method: &'a str,
    /// `https` or `http`, as the client used it.
    pub scheme: &'a str,
    /// The `Host` or `:authority` that this site answers for. Behind a CDN: the public one, from configuration. A host
    /// that answers any name must compare it with its own names first, or a request signed for another site passes, and
    /// under a policy for `development` whoever writes `Host: localhost` is judged by it.
    pub authority: &'a str,
    /// Path and query as received, before any rewriting: `/a?b=c`.
    pub target: &'a str,
    /// What the host vouches for: bits of [`vouched`].
    pub vouched: u32,
    /// Every header of the request, taken in with [`Headers::add`].
    pub headers: Headers<'a>,
}

/// A request whose text is good. Nothing of it is proven.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    visit: Visit<'a>,
    signed: Option<Signed<'a>>,
}

/// What `verify` says: go on, or fetch something first.
#[must_use]
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the ordinary one, and there is no heap")]
pub enum Step<'r> {
    /// Fetch this document, [`crate::KeyCache::supply`] the answer, and call `verify` again with the same arguments.
    Need(Need<'r>),
    /// Every check holds but one: that it is the first time. [`Verified::admit`] makes it.
    Verified(Verified<'r>),
}

impl<'a> Request<'a> {
    /// Scratch that every request fits, bytes: the payload, its unescaped texts, a URL.
    pub const SCRATCH: usize = Bounds::HOSTED.scratch();

    /// Reads a request: its headers and the text of its payload. No cryptography.
    ///
    /// # Errors
    /// Every 400 and 431 of docs/checks.md, `HEADERS_PARTIAL`, and `BUFFER_TOO_SMALL` when `scratch` is short.
    pub fn parse(visit: &Visit<'a>, scratch: &'a mut [u8]) -> Result<Self, Error> {
        Self::parse_within(visit, &Bounds::HOSTED, scratch)
    }

    /// The same within other bounds, for verifiers with little memory: [`Bounds::scratch`] bytes suffice.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_within(visit: &Visit<'a>, bounds: &Bounds, scratch: &'a mut [u8]) -> Result<Self, Error> {
        if visit.vouched & !vouched::ALL != 0 {
            return Err(Error::AbiArgument);
        }
        let signed = if visit.headers.signed()? { Some(Signed::parse(&visit.headers, bounds, scratch)?) } else { None };
        Ok(Self { visit: *visit, signed })
    }

    /// What the agent says, unproven, for logs; none for a visitor without headers.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims<'a>> {
        self.payload().map(|payload| &payload.claims)
    }

    /// The request's nonce, unproven.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a str> {
        self.payload().map(|payload| payload.nonce)
    }

    /// The request's time, unproven.
    #[must_use]
    pub fn ts(&self) -> Option<UnixMillis> {
        self.payload().map(|payload| payload.ts)
    }

    /// The key that came with the request, unproven; none if it is none.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        self.signed.as_ref().and_then(|signed| signed.public_key().ok())
    }

    /// The payload JSON as received.
    #[must_use]
    pub fn payload_json(&self) -> Option<&'a str> {
        self.signed.as_ref().map(|signed| signed.json())
    }

    fn payload(&self) -> Option<&Payload<'a>> {
        self.signed.as_ref().and_then(|signed| signed.reading().payload.as_ref().ok())
    }

    /// Judges the request against a policy and the keys at hand. It only reads: call it again after
    /// [`crate::KeyCache::supply`], with the same arguments, for as long as it answers [`Step::Need`] (at most three times).
    ///
    /// # Errors
    /// Every refusal of docs/checks.md but those of `parse` and `admit`.
    pub fn verify<'r>(&'r self, policy: &Policy<'r>, keys: &Keys<'_>, now: UnixMillis) -> Result<Step<'r>, Error> {
        if now.ms() <= 0 {
            return Err(Error::ClockUnknown);
        }
        let Some(signed) = &self.signed else { return self.verify_visitor(policy) };
        let policy = &policy.at(self.visit.authority);

        let (payload, bound) = self.check_text(signed, policy, now)?;
        let key = signed.public_key()?;
        let token = if policy.requires_payment() { self.visit.headers.credential() } else { &[] };
        let identity = match identity::check(signed, payload, &key, token, policy, keys, now)? {
            identity::Step::Need(need) => return Ok(Step::Need(need)),
            identity::Step::Known(identity) => identity,
        };
        if !policy.admits(payload.claims.purpose) {
            return Err(Error::PurposeRefused);
        }
        let paid = match payment::check(&self.visit.headers, self.visit.vouched, payload, &identity, policy, keys, now)?
        {
            payment::Step::Need(need) => return Ok(Step::Need(need)),
            payment::Step::Paid(paid) => paid,
        };
        Ok(Step::Verified(verified(payload, key, bound, identity, paid, policy)))
    }

    /// A visitor without headers: the strategy decides, and there is nothing to remember.
    fn verify_visitor(&self, policy: &Policy<'_>) -> Result<Step<'_>, Error> {
        let visitor = self.visit.headers.signals().judge(policy.strategy(), self.visit.vouched)?;
        Ok(Step::Verified(Verified::visitor(visitor)))
    }

    /// ORD-5 and ORD-6: the fields, the informational headers, freshness, the resource. All of it is text.
    fn check_text<'r>(
        &self,
        signed: &'r Signed<'a>,
        policy: &Policy<'_>,
        now: UnixMillis,
    ) -> Result<(&'r Payload<'a>, Bound), Error> {
        let binding = policy.resource_binding();
        let payload = signed.reading().resolve(binding == ResourceBinding::Off, policy.is_development())?;
        self.check_informational(payload)?;
        time::fresh(now, payload.ts, policy.window_ms(), policy.skew_ms())?;
        let Visit { scheme, authority, target, .. } = self.visit;
        let bound = url::bind(payload.claims.resource, scheme, authority, target, binding)?;
        Ok((payload, bound))
    }

    /// Headers that repeat the payload must agree with it (protocol.md section 2).
    fn check_informational(&self, payload: &Payload<'_>) -> Result<(), Error> {
        let agree =
            [(Name::AgentId, payload.claims.agent_id), (Name::Timestamp, payload.ts_text), (Name::Alg, spec::ALG)];
        let disagrees = |(name, value): &(Name, &str)| {
            let header = self.visit.headers.get(*name);
            !header.is_empty() && header != value.as_bytes()
        };
        if agree.iter().any(disagrees) { Err(Error::HeadersContradict) } else { Ok(()) }
    }
}

/// Everything that was found, in one piece.
fn verified<'r>(
    payload: &'r Payload<'r>,
    key: PublicKey,
    bound: Bound,
    identity: Identity<'r>,
    paid: Paid<'r>,
    policy: &Policy<'_>,
) -> Verified<'r> {
    let token = paid.token;
    let grant = Grant {
        visitor: identity.visitor,
        claims: Some(&payload.claims),
        key: Some(key),
        manifest: identity.manifest,
        bound,
        proof: paid.proof,
        refresh: identity.refresh.or(token.and_then(|token| token.refresh)),
        visa: token,
        prepare: identity.prepare,
        clock_stepped_back: false,
    };
    let single_use = policy.visa_single_use() && paid.proof == Proof::Visa;
    let proven = identity.visitor == Visitor::VerifiedAgent;
    let owner = (!proven).then(|| Kid::from_thumbprint(&identity.thumbprint));
    Verified { grant, payload: Some(payload), window_ms: policy.window_ms(), single_use, owner }
}
