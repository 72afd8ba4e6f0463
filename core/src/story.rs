//! The story: what happened to one request, told line by line (protocol.md section 8).
//!
//! A story is made from a verdict and from the times at which the host called; there is no clock here. Each event is a
//! code and a few fields: [`Story::line`] tells it to people, [`Story::json`] to machines. Only values that passed their
//! grammar are shown; anything else appears as its SHA-256, so that nobody writes into a log but its owner.

use crate::codec::hex;
use crate::codec::writer::{Writer, write_whole};
use crate::feedback::{Judgement, Outcome};
use crate::host::{self, Mode};
use crate::key::{PublicKey, sha256};
use crate::money;
use crate::need::{Kind, Need};
use crate::policy::{Micros, Policy};
use crate::publisher::Visit;
use crate::refusal::{is_behind_identity, is_of_payment, is_of_replay};
use crate::time::UnixMillis;
use crate::verdict::Grant;
use crate::visitor::Visitor;
use crate::{Claims, Error, Proof, Purpose, spec};

macro_rules! events {
    ($($event:ident $name:literal $module:ident $text:literal)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $name, "`: ", $text)] $event,)*
        }

        impl Code {
            /// The name in JSON lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$event => $name,)* }
            }

            /// Whose step it was.
            #[must_use]
            pub const fn module(self) -> Module {
                match self { $(Self::$event => Module::$module,)* }
            }

            /// The text, with fields in braces.
            const fn text(self) -> &'static str {
                match self { $(Self::$event => $text,)* }
            }
        }
    };
}

events! {
    Received "RECEIVED" Discovery "Request: {method} {scheme}://{authority}{target}"
    NoHeaders "NO_HEADERS" Discovery "No IMAGXP headers: strategy {strategy} decides"
    Claimed "CLAIMED" Identity "Claimed ID: {agent_id}, for {purpose}"
    TextRefused "TEXT_REFUSED" Identity "FAILED: {code}, before any signature was checked"
    ManifestAsked "MANIFEST_ASKED" Dns "Manifest of {agent_id} wanted: the signature earned a look"
    ManifestReceived "MANIFEST_RECEIVED" Dns "Manifest received: {bytes} bytes"
    ManifestMissing "MANIFEST_MISSING" Dns "No manifest: {why}"
    SignatureValid "SIGNATURE_VALID" Crypto "CHECK: ECDSA P-256 signature VALID"
    SignatureInvalid "SIGNATURE_INVALID" Crypto "CHECK: ECDSA P-256 signature INVALID ({code})"
    TokenInvalid "TOKEN_INVALID" Crypto "CHECK: ECDSA P-256 signature INVALID, of the request or of its visa ({code})"
    Confirmed "CONFIRMED" Dns "Identity CONFIRMED: {agent_id} publishes the key {key}"
    Unbound "UNBOUND" Dns "Identity not confirmed: {agent_id} is a name only; the policy lets it pass"
    Fake "FAKE" Dns "Identity FAKE: {agent_id} does not publish this key ({code})"
    NotConfirmed "NOT_CONFIRMED" Dns "Identity NOT CONFIRMED: {code}"
    PolicyPassed "POLICY_PASSED" Policy "PASSED: {purpose} is admitted"
    PolicyFailed "POLICY_FAILED" Policy "FAILED: {purpose} is not admitted"
    KeySetAsked "KEY_SET_ASKED" Broker "Key set wanted: {url}"
    KeySetReceived "KEY_SET_RECEIVED" Broker "Key set received: {bytes} bytes"
    KeySetMissing "KEY_SET_MISSING" Broker "No key set: {why}"
    Paid "PAID" Broker "Payment ACCEPTED: visa of {issuer} for {amount}"
    Excused "EXCUSED" Broker "Payment ACCEPTED: {proof}"
    PaymentRefused "PAYMENT_REFUSED" Broker "Payment REFUSED: {code}"
    Repeated "REPEATED" Identity "FAILED: {code}, though everything else holds"
    Granted "GRANTED" Access "GRANTED: {visitor}, proof {proof}, resource bound: {bound}"
    Blocked "BLOCKED" Access "ACTION: BLOCKED with {status} {code}"
    FeedbackReceived "FEEDBACK_RECEIVED" Governance "Feedback of {agent_id} on {url}: {reason}, score {score}"
    FeedbackRefused "FEEDBACK_REFUSED" Governance "Feedback of {agent_id} REFUSED: {code}"
    Settled "SETTLED" Broker "Payment {outcome}, as the feedback says"
    Signing "SIGNING" Identity "Signing as {agent_id}, for {purpose}"
    Signed "SIGNED" Crypto "Signed {resource} with the key {key}"
    Sent "SENT" Access "Sent"
    Admitted "ADMITTED" Access "Answer: {status}, GRANTED"
    Answered "ANSWERED" Access "Answer: {status} {code}"
    VisaAsked "VISA_ASKED" Broker "Visa wanted: {agent_id} for {audience}, {amount}"
    VisaIssued "VISA_ISSUED" Broker "Payment RELEASED: visa {jti} issued"
    VisaRefused "VISA_REFUSED" Broker "Payment REFUSED: {code}"
}

/// Whose step an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// What came, and from where.
    Discovery,
    /// Who says it is.
    Identity,
    /// Signatures.
    Crypto,
    /// What the agent's domain says.
    Dns,
    /// What the site admits.
    Policy,
    /// The door.
    Access,
    /// Disputes.
    Governance,
    /// Money.
    Broker,
}

impl Module {
    /// The name as the lines show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "DISCOVERY",
            Self::Identity => "IDENTITY",
            Self::Crypto => "CRYPTO",
            Self::Dns => "IMAGXP DNS",
            Self::Policy => "POLICY",
            Self::Access => "ACCESS",
            Self::Governance => "GOVERNANCE",
            Self::Broker => "BROKER",
        }
    }
}

/// A value of an event, with the grammar that it must pass to be shown.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A word of the protocol's own.
    Word(&'static str),
    /// A name, shown if it is an `agent_id`.
    AgentId(&'a str),
    /// A URL or a part of one, shown if it is printable ASCII of at most 2,048 bytes.
    Url(&'a str),
    /// Any bytes, shown if they are the name of a code.
    Code(&'a [u8]),
    /// A whole number.
    Number(i64),
    /// An amount.
    Money(Micros),
    /// A key, shown as its thumbprint.
    Key(&'a PublicKey),
}

/// A field: its name, and its value.
pub type Field<'a> = (&'static str, Value<'a>);

/// One event of a story.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When the host called.
    pub at: UnixMillis,
    /// What happened.
    pub code: Code,
    /// The values that the text names.
    pub fields: heapless::Vec<Field<'a>, 4>,
}

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

/// What an agent knows of one request.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// What it said.
    pub claims: &'a Claims<'a>,
    /// The key that signed.
    pub key: &'a PublicKey,
    /// When it was signed.
    pub signed: UnixMillis,
    /// When it was sent; none if it was not.
    pub sent: Option<UnixMillis>,
    /// When the answer came, its status, and the `error` of its body (empty if there is none).
    pub answer: Option<(UnixMillis, u16, &'a [u8])>,
}

/// What a broker knows of one sale.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// Who buys.
    pub agent_id: &'a str,
    /// For which publisher.
    pub audience: &'a str,
    /// What it costs.
    pub amount: Micros,
    /// When it was asked for.
    pub asked: UnixMillis,
    /// When it was answered.
    pub answered: UnixMillis,
    /// The visa's `jti` (empty if it has none), or why there is no visa.
    pub outcome: Result<&'a str, Error>,
}

/// The events of one request, in their order.
#[derive(Clone, Debug, Default)]
pub struct Story<'a> {
    events: heapless::Vec<Event<'a>, 16>,
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

    /// The agent's side: signed, sent, answered.
    #[must_use]
    pub fn agent(sent: &Sent<'a>) -> Self {
        let mut story = Self::default();
        let purpose = ("purpose", Value::Word(sent.claims.purpose.name()));
        story.tell(sent.signed, Code::Signing, &[("agent_id", Value::AgentId(sent.claims.agent_id)), purpose]);
        let resource = ("resource", Value::Url(sent.claims.resource));
        story.tell(sent.signed, Code::Signed, &[resource, ("key", Value::Key(sent.key))]);
        if let Some(at) = sent.sent {
            story.tell(at, Code::Sent, &[]);
        }
        match sent.answer {
            Some((at, status, [])) => story.tell(at, Code::Admitted, &[("status", Value::Number(status.into()))]),
            Some((at, status, code)) => {
                story.tell(at, Code::Answered, &[("status", Value::Number(status.into())), ("code", Value::Code(code))]);
            }
            None => {}
        }
        story
    }

    /// The broker's side: a visa sold, or not.
    #[must_use]
    pub fn broker(sale: &Sale<'a>) -> Self {
        let mut story = Self::default();
        let buyer = ("agent_id", Value::AgentId(sale.agent_id));
        let (audience, amount) = (("audience", Value::Url(sale.audience)), ("amount", Value::Money(sale.amount)));
        story.tell(sale.asked, Code::VisaAsked, &[buyer, audience, amount]);
        match sale.outcome {
            Ok(jti) => story.tell(sale.answered, Code::VisaIssued, &[("jti", Value::Url(jti))]),
            Err(error) => story.tell(sale.answered, Code::VisaRefused, &[("code", Value::Word(error.name()))]),
        }
        story
    }

    /// Feedback, on either side that receives it, and what it does to the payment.
    #[must_use]
    pub fn feedback(agent_id: &'a str, judgement: Result<&Judgement<'a>, Error>, at: UnixMillis) -> Self {
        let mut story = Self::default();
        let agent_id = ("agent_id", Value::AgentId(agent_id));
        let judgement = match judgement {
            Ok(judgement) => judgement,
            Err(error) => {
                story.tell(at, Code::FeedbackRefused, &[agent_id, ("code", Value::Word(error.name()))]);
                return story;
            }
        };
        let reason = judgement.reasons().next().map_or("no reason", crate::feedback::Reason::name);
        let (url, score) = (("url", Value::Url(judgement.url)), ("score", Value::Money(judgement.score.into())));
        story.tell(at, Code::FeedbackReceived, &[agent_id, url, ("reason", Value::Word(reason)), score]);
        let outcome = match judgement.outcome {
            Outcome::Release => "RELEASED",
            Outcome::Withhold => "WITHHELD",
            Outcome::Unchanged => "UNCHANGED",
        };
        story.tell(at, Code::Settled, &[("outcome", Value::Word(outcome))]);
        story
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event<'a>] {
        &self.events
    }

    /// How many lines it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing happened; never, for the stories made here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Writes line `index`, `HH:MM:SS.mmm | MODULE | text`, without a newline. 2,800 bytes suffice for every one.
    ///
    /// # Errors
    /// `ABI_ARGUMENT`: there is no such line. `BUFFER_TOO_SMALL`: nothing is written.
    pub fn line<'o>(&self, index: usize, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let event = self.events.get(index).ok_or(Error::AbiArgument)?;
        write_whole(out, |writer| {
            let mut ts = [0; UnixMillis::TEXT_LEN];
            let ts = event.at.write(&mut ts).ok().and_then(|ts| ts.get(11..23));
            writer.text(ts.unwrap_or("--:--:--.---"));
            writer.text(" | ");
            writer.text(event.code.module().name());
            writer.text(" | ");
            event.write_text(writer);
            Ok(())
        })
    }

    /// Writes event `index` as a JSON object on one line, without a newline: `at`, `module`, `event`, and its fields.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn json<'o>(&self, index: usize, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let event = self.events.get(index).ok_or(Error::AbiArgument)?;
        write_whole(out, |writer| {
            let mut ts = [0; UnixMillis::TEXT_LEN];
            writer.text("{\"at\":");
            match event.at.write(&mut ts) {
                Ok(ts) => writer.string(ts),
                Err(_) => writer.text("null"),
            }
            writer.text(",\"module\":");
            writer.string(event.code.module().name());
            writer.text(",\"event\":");
            writer.string(event.code.name());
            for (name, value) in &event.fields {
                writer.text(",\"");
                writer.text(name);
                writer.text("\":");
                value.write_json(writer);
            }
            writer.text("}");
            Ok(())
        })
    }

    fn tell(&mut self, at: UnixMillis, code: Code, fields: &[Field<'a>]) {
        // The longest story has 13 events, and no event more than four fields.
        let _ = self.events.push(Event { at, code, fields: fields.iter().copied().collect() });
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
                let words = [
                    ("visitor", grant.visitor.name()),
                    ("proof", grant.proof.name()),
                    ("bound", grant.bound.name()),
                ];
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

fn code(error: Error) -> Field<'static> {
    ("code", Value::Word(error.name()))
}

impl Event<'_> {
    /// The text, its braces filled.
    fn write_text(&self, writer: &mut Writer<'_>) {
        let mut rest = self.code.text();
        while let Some((before, after)) = rest.split_once('{') {
            writer.text(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some((_, value)) = self.fields.iter().find(|(known, _)| *known == name) {
                value.write(writer);
            }
            rest = after;
        }
        writer.text(rest);
    }
}

impl Value<'_> {
    /// The text that may be shown, if it is one.
    fn shown(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::AgentId(name) => host::check_agent_id(name, Mode::Development).is_ok().then_some(name),
            Self::Url(text) => is_url(text).then_some(text),
            Self::Code(name) => {
                Error::ALL.iter().map(|error| error.name()).find(|known| known.as_bytes() == *name)
            }
            Self::Number(_) | Self::Money(_) | Self::Key(_) => None,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match (self, self.shown()) {
            (_, Some(text)) => writer.text(text),
            (Self::Number(number), _) => writer.integer(*number),
            (Self::Money(amount), _) => writer.text(&money::decimal(*amount)),
            (Self::Key(key), _) => writer.text(key.kid().as_str()),
            (Self::AgentId(text) | Self::Url(text), _) => write_hash(text.as_bytes(), writer),
            (Self::Code(bytes), _) => write_hash(bytes, writer),
            (Self::Word(_), None) => {}
        }
    }

    fn write_json(&self, writer: &mut Writer<'_>) {
        match (self, self.shown()) {
            (_, Some(text)) => writer.string(text),
            (Self::Number(_) | Self::Money(_), _) => self.write(writer),
            // A thumbprint and a hash need no escapes.
            _ => {
                writer.text("\"");
                self.write(writer);
                writer.text("\"");
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    text.len() <= spec::field::RESOURCE_MAX && text.bytes().all(|byte| spec::request::BYTES.contains(&byte))
}

fn write_hash(bytes: &[u8], writer: &mut Writer<'_>) {
    let mut text = [0; 64];
    writer.text("sha256:");
    writer.text(hex::encode(&sha256(bytes), &mut text).unwrap_or_default());
}
