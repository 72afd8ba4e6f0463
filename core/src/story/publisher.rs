//! The publisher's side of the story: how far a request got is told from the code that ended it.

use super::event::{Code, Field, Value};
use super::{Story, code};
use crate::need::{Kind, Need};
use crate::policy::Policy;
use crate::refusal::{is_behind_identity, is_of_payment, is_of_replay};
use crate::time::UnixMillis;
use crate::verdict::Grant;
use crate::visitor::Visitor;
use crate::{Claims, Error, Proof, Purpose, Visit};

/// How a fetch went, for the story.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// What was asked for.
    pub need: Need<'a>,
    /// When `verify` asked.
    pub asked: UnixMillis,
    /// When the answer was supplied.
    pub answered: UnixMillis,
    /// How many bytes came, or why none did.
    pub found: Result<usize, Missing>,
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// [`crate::Answer::NotThere`]
    NotThere,
    /// [`crate::Answer::Unreachable`]
    Unreachable,
}

/// What a publisher knows of one request when it has answered.
#[derive(Clone, Copy, Debug)]
pub struct Visited<'a> {
    /// The request.
    pub visit: &'a Visit<'a>,
    /// What the agent said; none if the text was refused or there were no headers.
    pub claims: Option<&'a Claims<'a>>,
    /// The policy that judged it.
    pub policy: Policy<'a>,
    /// The documents that were fetched for it, in order.
    pub fetches: &'a [Fetch<'a>],
    /// The verdict.
    pub verdict: Result<&'a Grant<'a>, Error>,
    /// When the request was received.
    pub received: UnixMillis,
    /// When the verdict fell.
    pub judged: UnixMillis,
}

impl<'a> Story<'a> {
    /// The publisher's side: accepted, or refused at any stage.
    #[must_use]
    pub fn publisher(visited: &Visited<'a>) -> Self {
        let mut story = Self::default();
        let Visit { method, scheme, authority, target, .. } = *visited.visit;
        let parts = [("method", method), ("scheme", scheme), ("authority", authority), ("target", target)];
        story.tell(visited.received, Code::Received, &parts.map(|(name, part)| (name, Value::Url(part))));
        match visited.claims {
            Some(claims) => story.tell_agent(visited, claims),
            None => story.tell_visitor(visited),
        }
        story.tell_answer(visited);
        story
    }

    /// A visitor without headers, or one whose headers could not be read.
    fn tell_visitor(&mut self, visited: &Visited<'a>) {
        match visited.verdict {
            Ok(_) | Err(Error::VisitorRefused | Error::IdentityRequired) => {
                let strategy = Value::Word(visited.policy.strategy().name());
                self.tell(visited.received, Code::NoHeaders, &[("strategy", strategy)]);
            }
            Err(error) => self.tell(visited.judged, Code::TextRefused, &[code(error)]),
        }
    }

    /// A signed request, stage by stage, as far as it got.
    fn tell_agent(&mut self, visited: &Visited<'a>, claims: &Claims<'a>) {
        let agent_id = ("agent_id", Value::AgentId(claims.agent_id));
        let purpose = ("purpose", Value::Word(claims.purpose.name()));
        self.tell(visited.received, Code::Claimed, &[agent_id, purpose]);
        let stage = Stage::of(visited);
        match stage {
            Stage::Text(error) => return self.tell(visited.judged, Code::TextRefused, &[code(error)]),
            Stage::Signature(error) => {
                self.tell_manifest(visited, agent_id);
                let ambiguous = error == Error::SignatureInvalid && !visited.visit.headers.credential().is_empty();
                let event = if ambiguous { Code::TokenInvalid } else { Code::SignatureInvalid };
                return self.tell(visited.judged, event, &[code(error)]);
            }
            Stage::Identity(error) => {
                self.tell_manifest(visited, agent_id);
                return self.tell_stranger(visited.judged, agent_id, error);
            }
            Stage::Policy | Stage::Payment(_) | Stage::Replay(_) | Stage::Done => {}
        }
        self.tell_manifest(visited, agent_id);
        self.tell_identity(visited, agent_id);
        self.tell_policy(visited, stage, claims.purpose);
        match stage {
            Stage::Payment(error) => self.tell(visited.judged, Code::PaymentRefused, &[code(error)]),
            Stage::Replay(error) => self.tell(visited.judged, Code::Repeated, &[code(error)]),
            _ => {}
        }
    }

    /// The manifest, if it was fetched; a good signature is what earned the fetch (threats.md ORD-10).
    fn tell_manifest(&mut self, visited: &Visited<'a>, agent_id: Field<'a>) {
        let Some(fetch) = visited.fetches.iter().find(|fetch| fetch.need.kind == Kind::Manifest) else { return };
        self.tell(fetch.asked, Code::SignatureValid, &[]);
        self.tell(fetch.asked, Code::ManifestAsked, &[agent_id]);
        self.tell_found(fetch, Code::ManifestReceived, Code::ManifestMissing);
    }

    fn tell_found(&mut self, fetch: &Fetch<'a>, found: Code, missing: Code) {
        match fetch.found {
            Ok(len) => {
                let bytes = i64::try_from(len).unwrap_or(i64::MAX);
                self.tell(fetch.answered, found, &[("bytes", Value::Number(bytes))]);
            }
            Err(why) => {
                let why = if why == Missing::NotThere { "not there" } else { "no answer" };
                self.tell(fetch.answered, missing, &[("why", Value::Word(why))]);
            }
        }
    }

    fn tell_stranger(&mut self, at: UnixMillis, agent_id: Field<'a>, error: Error) {
        match error {
            Error::KeyMismatch | Error::KeyRevoked => self.tell(at, Code::Fake, &[agent_id, code(error)]),
            _ => self.tell(at, Code::NotConfirmed, &[code(error)]),
        }
    }

    fn tell_identity(&mut self, visited: &Visited<'a>, agent_id: Field<'a>) {
        let at = visited.fetches.iter().find(|fetch| fetch.need.kind == Kind::Jwks).map_or(visited.judged, |f| f.asked);
        if !visited.fetches.iter().any(|fetch| fetch.need.kind == Kind::Manifest) {
            self.tell(at, Code::SignatureValid, &[]);
        }
        match visited.verdict {
            Ok(Grant { visitor: Visitor::VerifiedAgent, key: Some(key), .. }) => {
                self.tell(at, Code::Confirmed, &[agent_id, ("key", Value::Key(key))]);
            }
            Err(_) if visited.policy.requires_identity() => {
                self.tell(at, Code::Confirmed, &[agent_id, ("key", Value::Word("that signed"))]);
            }
            _ => self.tell(at, Code::Unbound, &[agent_id]),
        }
    }

    /// The purpose, and what was paid.
    fn tell_policy(&mut self, visited: &Visited<'a>, stage: Stage, purpose: Purpose) {
        let fetch = visited.fetches.iter().find(|fetch| fetch.need.kind == Kind::Jwks);
        let at = fetch.map_or(visited.judged, |fetch| fetch.asked);
        let event = if let Stage::Policy = stage { Code::PolicyFailed } else { Code::PolicyPassed };
        self.tell(at, event, &[("purpose", Value::Word(purpose.name()))]);
        for fetch in visited.fetches.iter().filter(|fetch| fetch.need.kind == Kind::Jwks) {
            self.tell(fetch.asked, Code::KeySetAsked, &[("url", Value::Url(fetch.need.url))]);
            self.tell_found(fetch, Code::KeySetReceived, Code::KeySetMissing);
        }
        let Ok(grant) = visited.verdict else { return };
        match (grant.proof, &grant.visa) {
            (Proof::None, _) => {}
            (Proof::Visa, Some(visa)) => {
                let (issuer, amount) = (("issuer", Value::Url(visa.issuer)), ("amount", Value::Money(visa.amount)));
                self.tell(visited.judged, Code::Paid, &[issuer, amount]);
            }
            (proof, _) => self.tell(visited.judged, Code::Excused, &[("proof", Value::Word(proof.name()))]),
        }
    }

    /// The last line: granted, or blocked.
    fn tell_answer(&mut self, visited: &Visited<'a>) {
        match visited.verdict {
            Ok(grant) => {
                let words =
                    [("visitor", grant.visitor.name()), ("proof", grant.proof.name()), ("bound", grant.bound.name())];
                self.tell(visited.judged, Code::Granted, &words.map(|(name, word)| (name, Value::Word(word))));
            }
            Err(error) => {
                let status = ("status", Value::Number(error.status().into()));
                self.tell(visited.judged, Code::Blocked, &[status, code(error)]);
            }
        }
    }
}

/// How far a signed request got (threats.md section 5).
#[derive(Clone, Copy)]
enum Stage {
    Text(Error),
    Signature(Error),
    Identity(Error),
    Policy,
    Payment(Error),
    Replay(Error),
    Done,
}

impl Stage {
    fn of(visited: &Visited<'_>) -> Self {
        match visited.verdict {
            Ok(_) => Self::Done,
            Err(error @ (Error::SignatureInvalid | Error::KeyInvalid)) => Self::Signature(error),
            Err(Error::PurposeRefused) => Self::Policy,
            Err(error) if is_of_payment(error) => Self::Payment(error),
            Err(error) if is_of_replay(error) => Self::Replay(error),
            Err(error) if is_behind_identity(error) || is_of_identity(error) => Self::Identity(error),
            Err(error) => Self::Text(error),
        }
    }
}

const fn is_of_identity(error: Error) -> bool {
    matches!(error.public(), Error::IdentityUnverified) || matches!(error, Error::IdentityPending)
}
