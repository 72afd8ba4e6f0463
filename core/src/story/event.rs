//! Events: what may happen, in the table below, and how it is told.

use crate::codec::hex;
use crate::codec::writer::Writer;
use crate::host::{self, Mode};
use crate::key::{PublicKey, sha256};
use crate::money;
use crate::policy::Micros;
use crate::time::UnixMillis;
use crate::{Error, spec};

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

impl Event<'_> {
    /// `HH:MM:SS.mmm | MODULE | text`
    pub(super) fn write_line(&self, writer: &mut Writer<'_>) {
        let mut ts = [0; UnixMillis::TEXT_LEN];
        let ts = self.at.write(&mut ts).ok().and_then(|ts| ts.get(11..23));
        writer.text(ts.unwrap_or("--:--:--.---"));
        writer.text(" | ");
        writer.text(self.code.module().name());
        writer.text(" | ");
        self.write_text(writer);
    }

    /// A JSON object.
    pub(super) fn write_json(&self, writer: &mut Writer<'_>) {
        let mut ts = [0; UnixMillis::TEXT_LEN];
        writer.text("{\"at\":");
        match self.at.write(&mut ts) {
            Ok(ts) => writer.string(ts),
            Err(_) => writer.text("null"),
        }
        writer.text(",\"module\":");
        writer.string(self.code.module().name());
        writer.text(",\"event\":");
        writer.string(self.code.name());
        for (name, value) in &self.fields {
            writer.text(",\"");
            writer.text(name);
            writer.text("\":");
            value.write_json(writer);
        }
        writer.text("}");
    }

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
            Self::Code(name) => Error::ALL.iter().map(|error| error.name()).find(|known| known.as_bytes() == *name),
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
