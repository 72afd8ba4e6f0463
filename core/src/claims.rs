//! What an agent says about one request, and its encoded form, the payload.

use crate::codec::json::{Document, Kind, Value};
use crate::codec::writer::Writer;
use crate::host::{self, Mode};
use crate::time::UnixMillis;
use crate::{Error, spec};

/// What the agent wants the content for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Purpose {
    /// To train a model.
    CrawlTraining = 1,
    /// To answer a question with retrieved text.
    RagRetrieval = 2,
    /// To summarise.
    Summary = 3,
    /// To quote.
    Quotation = 4,
    /// To compute embeddings.
    Embedding = 5,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] =
        [Self::CrawlTraining, Self::RagRetrieval, Self::Summary, Self::Quotation, Self::Embedding];

    /// The name as the wire shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrawlTraining => "CRAWL_TRAINING",
            Self::RagRetrieval => "RAG_RETRIEVAL",
            Self::Summary => "SUMMARY",
            Self::Quotation => "QUOTATION",
            Self::Embedding => "EMBEDDING",
        }
    }

    /// The purpose of this name.
    ///
    /// # Errors
    /// `PURPOSE_UNKNOWN`
    pub fn from_name(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name).ok_or(Error::PurposeUnknown)
    }

    /// The number, the same in every language.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminant")]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The purpose of this number.
    ///
    /// # Errors
    /// `PURPOSE_UNKNOWN`
    pub fn from_number(number: i32) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number).ok_or(Error::PurposeUnknown)
    }
}

/// What an agent says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The agent's domain: `bot.example.com`.
    pub agent_id: &'a str,
    /// The absolute URL that is asked for; empty when the payload names none.
    pub resource: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Whether the agent shows ads beside the content (`context.ads_displayed`).
    pub ads_displayed: bool,
}

/// The payload as received: claims, and what makes it one of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) claims: Claims<'a>,
    pub(crate) nonce: &'a str,
    pub(crate) ts: UnixMillis,
    pub(crate) ts_text: &'a str,
}

/// A payload whose last word belongs to the policy: a missing `resource` is good under `resource_binding: off`,
/// a localhost name in development. Each doubt ranks before the fault that stands behind it (threats.md ORD-5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) payload: Result<Payload<'a>, Error>,
    pub(crate) resource_missing: bool,
    pub(crate) development_name: bool,
}

impl<'a> Reading<'a> {
    /// The payload, if the policy forgives what was in doubt.
    pub(crate) fn resolve(&self, resource_optional: bool, development: bool) -> Result<&Payload<'a>, Error> {
        if self.resource_missing && !resource_optional {
            return Err(Error::FieldMissing);
        }
        match &self.payload {
            Ok(_) | Err(Error::NonceInvalid | Error::TimestampInvalid) if self.development_name && !development => {
                Err(Error::AgentIdInvalid)
            }
            Ok(payload) => Ok(payload),
            Err(error) => Err(*error),
        }
    }
}

/// Reads a payload; texts with escapes are unescaped into `memory`.
///
/// # Errors
/// The first broken rule of threats.md ORD-5 that no policy can forgive.
pub(crate) fn read<'a>(document: &Document<'a, '_>, memory: &'a mut [u8]) -> Result<Reading<'a>, Error> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::JsonSyntax);
    }
    let members = root.members(NAMES);
    let [v, ts, nonce, agent_id, purpose, resource, _] = &members;
    if [v, ts, nonce, agent_id, purpose].into_iter().any(Option::is_none) {
        return Err(Error::FieldMissing);
    }
    let resource_missing = resource.is_none();
    let mut development_name = false;
    match read_fields(&members, memory, &mut development_name) {
        Err(error) if !resource_missing && !development_name => Err(error),
        payload => Ok(Reading { payload, resource_missing, development_name }),
    }
}

/// The members that mean something; the last two may be missing, here or as far as the policy has it so.
const NAMES: [&str; 7] = ["v", "ts", "nonce", "agent_id", "purpose", "resource", "context"];

/// Types first, then values, each in the order of threats.md ORD-5.
fn read_fields<'a>(
    members: &[Option<Value<'a, '_>>; NAMES.len()],
    memory: &'a mut [u8],
    development_name: &mut bool,
) -> Result<Payload<'a>, Error> {
    let text = |value: &Option<Value<'a, '_>>| match value {
        Some(value) => value.as_text().map(Some).ok_or(Error::FieldType),
        None => Ok(None),
    };
    let [v, ts, nonce, agent_id, purpose, resource, context] = members;
    let (v, ts, nonce, agent_id) = (text(v)?, text(ts)?, text(nonce)?, text(agent_id)?);
    let (resource, purpose) = (text(resource)?, text(purpose)?);
    let ads_displayed = context.as_ref().map_or(Ok(false), read_context)?;

    let mut unescape = Unescape { memory };
    if unescape.text(v)? != spec::VERSION {
        return Err(Error::VersionUnsupported);
    }
    let purpose = Purpose::from_name(unescape.text(purpose)?)?;
    let agent_id = unescape.text(agent_id)?;
    *development_name = read_agent_id(agent_id)?;
    let nonce = unescape.text(nonce)?;
    check_nonce(nonce)?;
    let ts_text = unescape.text(ts)?;
    let ts = UnixMillis::parse(ts_text.as_bytes())?;
    let resource = unescape.text(resource)?;
    Ok(Payload { claims: Claims { agent_id, resource, purpose, ads_displayed }, nonce, ts, ts_text })
}

/// Whether the name is one of development's.
fn read_agent_id(name: &str) -> Result<bool, Error> {
    match host::check_agent_id(name, Mode::Production) {
        Ok(()) => Ok(false),
        Err(_) => host::check_agent_id(name, Mode::Development).map(|()| true),
    }
}

/// `context`, when present, is an object; its `ads_displayed`, when present, a boolean (protocol.md section 2).
fn read_context(context: &Value<'_, '_>) -> Result<bool, Error> {
    if context.kind() != Kind::Object {
        return Err(Error::FieldType);
    }
    context.get("ads_displayed").map_or(Ok(false), |ads| ads.as_bool().ok_or(Error::FieldType))
}

/// The grammar of threats.md 4.3.
///
/// # Errors
/// `NONCE_INVALID`
pub fn check_nonce(nonce: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if spec::field::NONCE_LEN.contains(&nonce.len()) && nonce.bytes().all(good) {
        Ok(())
    } else {
        Err(Error::NonceInvalid)
    }
}

/// Hands out memory for texts that hold escapes.
struct Unescape<'a> {
    memory: &'a mut [u8],
}

impl<'a> Unescape<'a> {
    fn text(&mut self, text: Option<crate::codec::json_text::Text<'a>>) -> Result<&'a str, Error> {
        let Some(text) = text else { return Ok("") };
        let (text, rest) = text.unescape(core::mem::take(&mut self.memory))?;
        self.memory = rest;
        Ok(text)
    }
}

/// Writes the payload JSON, pure ASCII, members in the order of protocol.md section 2.
///
/// # Errors
/// What a verifier would refuse: `AGENT_ID_INVALID`, `NONCE_INVALID`, `RESOURCE_INVALID`.
pub(crate) fn write(payload: &Payload<'_>, writer: &mut Writer<'_>) -> Result<(), Error> {
    let Payload { claims, nonce, ts_text, .. } = payload;
    host::check_agent_id(claims.agent_id, Mode::Development)?;
    check_nonce(nonce)?;
    if claims.resource.len() > spec::field::RESOURCE_MAX {
        return Err(Error::ResourceInvalid);
    }
    writer.text("{\"v\":\"1.1\"");
    let members = [
        (",\"ts\":", *ts_text),
        (",\"nonce\":", *nonce),
        (",\"agent_id\":", claims.agent_id),
        (",\"resource\":", claims.resource),
        (",\"purpose\":", claims.purpose.name()),
    ];
    for (name, value) in members {
        writer.text(name);
        writer.ascii_string(value);
    }
    writer.text(",\"context\":{\"ads_displayed\":");
    writer.text(if claims.ads_displayed { "true}}" } else { "false}}" });
    Ok(())
}
