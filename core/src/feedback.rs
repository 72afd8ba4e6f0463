//! Feedback: an agent's signed word on the quality of what it got, and what it does to the payment (protocol.md section 5).
//!
//! Two forms are read: the compact JWS that is written here, and the reference's object. Whatever is wrong with either
//! is one code, `FEEDBACK_INVALID`, and a text costs at most one signature check.

use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::codec::json_text::Text;
use crate::codec::writer::Writer;
use crate::codec::{base64, decimal, hex, jcs};
use crate::host::{self, Mode};
use crate::jose::jws::{self, Place};
use crate::key::{Digest, KeyPair, PublicKey, Signing, sha256};
use crate::money;
use crate::time::UnixMillis;
use crate::{Error, spec};

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Reason {
    /// Made for search engines.
    SeoSpam = 1,
    /// Wrong.
    Inaccurate = 2,
    /// Hateful.
    HateSpeech = 3,
    /// Good.
    HighQuality = 4,
    /// Poor.
    LowQualitySpam = 5,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::SeoSpam, Self::Inaccurate, Self::HateSpeech, Self::HighQuality, Self::LowQualitySpam];

    /// The name as the wire shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeoSpam => "SEO_SPAM",
            Self::Inaccurate => "INACCURATE",
            Self::HateSpeech => "HATE_SPEECH",
            Self::HighQuality => "HIGH_QUALITY",
            Self::LowQualitySpam => "LOW_QUALITY_SPAM",
        }
    }

    /// The reason of this number, for the C ABI.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }

    fn from_text(text: &Text<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *text == *reason.name())
    }
}

/// What the score does to the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Outcome {
    /// Above 0.5: the publisher gets it.
    Release = 1,
    /// Below 0.5: it does not.
    Withhold = 2,
    /// Exactly 0.5.
    Unchanged = 3,
}

impl Outcome {
    /// The name as the story shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "RELEASE",
            Self::Withhold => "WITHHOLD",
            Self::Unchanged => "UNCHANGED",
        }
    }
}

/// What an agent has to say.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// Who says it.
    pub agent_id: &'a str,
    /// What was fetched, at most 2,048 bytes.
    pub url: &'a str,
    /// How good it was, in millionths: 0 to 1,000,000.
    pub score: u32,
    /// Why.
    pub reason: Reason,
    /// Whom it is for: the broker, or the publisher.
    pub audience: &'a str,
    /// Its own name, 1 to 128 bytes: by it a broker knows a repetition.
    pub jti: &'a str,
    /// The SHA-256 of the payload JSON of the request that is judged.
    pub request: Option<&'a Digest>,
    /// The `jti` of the visa that paid for it.
    pub visa: Option<&'a str>,
}

/// Signs feedback: a compact JWS for `x-imagxp-feedback` or `POST /feedback`, at most 2,048 characters.
///
/// # Errors
/// `BUFFER_TOO_SMALL`, `CLOCK_UNKNOWN`, `SIGN_FAULT` with [`Signing::check`]; `FEEDBACK_INVALID` for what a verifier
/// would refuse, a text above 2,048 characters included.
pub fn sign<'o>(
    key: &KeyPair,
    feedback: &Feedback<'_>,
    now: UnixMillis,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<&'o str, Error> {
    sign_at(key, feedback, now, signing, jws::front(out))
}

/// As [`sign`], into a place that is asked for once the length is known.
///
/// # Errors
/// As [`sign`], and those of `place`.
pub fn sign_at<'o>(
    key: &KeyPair,
    feedback: &Feedback<'_>,
    now: UnixMillis,
    signing: Signing<'_>,
    place: impl Place<'o>,
) -> Result<&'o str, Error> {
    if now.ms() <= 0 || now > UnixMillis::LAST {
        return Err(Error::ClockUnknown);
    }
    let short = |text: &str| (1..=spec::jwt::JTI_MAX).contains(&text.len());
    let good = host::check_agent_id(feedback.agent_id, Mode::Development).is_ok()
        && feedback.url.len() <= spec::field::RESOURCE_MAX
        && feedback.score <= spec::feedback::SCORE_MAX
        && (1..=spec::jwt::AUDIENCE_MAX).contains(&feedback.audience.len())
        && short(feedback.jti)
        && feedback.visa.is_none_or(short);
    if !good {
        return Err(Error::FeedbackInvalid);
    }
    let (mut header, mut claims) = ([0; spec::jwt::HEADER_MAX], [0; spec::request::FEEDBACK_MAX]);
    let header = write_header(key, &mut header).map_err(|_| Error::FeedbackInvalid)?;
    let claims = write_claims(feedback, now, &mut claims).map_err(|_| Error::FeedbackInvalid)?;
    let parts = [base64::url_encoded_len(header.len()), base64::url_encoded_len(claims.len())];
    let len = parts.iter().fold(spec::jwt::SIGNATURE_LEN.saturating_add(2), |sum, part| sum.saturating_add(*part));
    if len > spec::request::FEEDBACK_MAX {
        return Err(Error::FeedbackInvalid);
    }
    jws::sign_at(key, header, claims, signing, place)
}

fn write_header<'o>(key: &KeyPair, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let mut writer = Writer::new(out);
    writer.text("{\"alg\":\"ES256\",\"kid\":");
    writer.string(key.public().kid().as_str());
    writer.text(",\"typ\":");
    writer.string(spec::jwt::TYPE_FEEDBACK);
    writer.text("}");
    Ok(writer.finish()?.0)
}

fn write_claims<'o>(feedback: &Feedback<'_>, now: UnixMillis, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let (mut ts, mut request) = ([0; UnixMillis::TEXT_LEN], [0; 64]);
    let ts = now.write(&mut ts)?;
    let request = feedback.request.map(|digest| hex::encode(digest, &mut request)).transpose()?;
    let mut writer = Writer::new(out);
    writer.text("{\"agent_id\":");
    writer.string(feedback.agent_id);
    writer.text(",\"url\":");
    writer.string(feedback.url);
    writer.text(",\"quality_score\":");
    writer.text(&money::decimal(feedback.score.into()));
    let members = [
        (",\"reason\":", Some(feedback.reason.name())),
        (",\"timestamp\":", Some(ts)),
        (",\"iss\":", Some(feedback.agent_id)),
        (",\"aud\":", Some(feedback.audience)),
        (",\"jti\":", Some(feedback.jti)),
        (",\"req\":", request),
        (",\"visa\":", feedback.visa),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            writer.text(name);
            writer.string(value);
        }
    }
    writer.text(",\"iat\":");
    writer.integer(now.s());
    writer.text("}");
    Ok(writer.finish()?.0)
}

/// Verified feedback: what this agent's key signed. The texts lie in the caller's memory.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'m> {
    /// What was fetched. Any text: [`crate::story`] shows how to print it.
    pub url: &'m str,
    /// How good it was, in millionths, rounded down.
    pub score: u32,
    /// What that does to the payment: the exact score decides, not the rounded one.
    pub outcome: Outcome,
    /// Why: bit `n` stands for the reason of number `n`.
    pub reasons: u8,
    /// When it was written.
    pub ts: UnixMillis,
    /// Its own name; none in the reference's form.
    pub jti: Option<&'m str>,
    /// The SHA-256 of the payload JSON that is judged.
    pub request: Option<Digest>,
    /// The `jti` of the visa that paid for it: the payment that the outcome is about.
    pub visa: Option<&'m str>,
}

impl Judgement<'_> {
    /// Memory that the texts of every feedback fit, bytes.
    pub const MEMORY: usize = 2 * spec::request::FEEDBACK_MAX;

    /// The reasons.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + use<> {
        let reasons = self.reasons;
        Reason::ALL.into_iter().filter(move |reason| reasons & bit(*reason) != 0)
    }
}

/// Who must have signed, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The verified agent.
    pub agent_id: &'a str,
    /// Its verified key.
    pub key: &'a PublicKey,
    /// The names of the reader, one of which `aud` must be; empty: any. The reference's form names nobody.
    pub audiences: &'a [&'a str],
}

/// Verifies feedback in either form. Call it after the agent's identity is verified, never before (threats.md 4.1).
/// `memory` takes the texts ([`Judgement::MEMORY`]).
///
/// # Errors
/// `FEEDBACK_INVALID` for everything that is wrong with it; `BUFFER_TOO_SMALL` for a short `memory`; `CLOCK_UNKNOWN`.
pub fn verify<'m>(
    text: &[u8],
    signer: &Signer<'_>,
    now: UnixMillis,
    memory: &'m mut [u8],
) -> Result<Judgement<'m>, Error> {
    if now.ms() <= 0 {
        return Err(Error::ClockUnknown);
    }
    if memory.len() < Judgement::MEMORY {
        return Err(Error::BufferTooSmall);
    }
    if text.len() > spec::request::FEEDBACK_MAX {
        return Err(Error::FeedbackInvalid);
    }
    let (json, texts) = memory.split_at_mut_checked(spec::request::FEEDBACK_MAX).ok_or(Error::BufferTooSmall)?;
    let judgement = if text.starts_with(b"{") {
        verify_object(text, signer, now, texts)
    } else {
        verify_token(text, signer, now, json, texts)
    };
    judgement.ok_or(Error::FeedbackInvalid)
}

/// The compact JWS: text first, then the signature.
fn verify_token<'m>(
    text: &[u8],
    signer: &Signer<'_>,
    now: UnixMillis,
    json: &mut [u8],
    texts: &'m mut [u8],
) -> Option<Judgement<'m>> {
    let token = jws::Token::parse(text).ok()?;
    let mut kid = [0; spec::jwt::KID_MAX];
    let header = token.header(&[spec::jwt::TYPE_FEEDBACK], &mut kid).ok()?;
    let (first, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b'.')?)?;
    if !has_type(first)? || header.kid.is_some_and(|kid| kid != signer.key.kid().as_str()) {
        return None;
    }
    let claims = rest.get(1..)?.split(|byte| *byte == b'.').next()?;
    let json = base64::url_decode(claims, json).ok()?;
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(json, &Limits::PAYLOAD, &mut nodes).ok()?;
    let judgement = read_claims(&document.root(), signer, now, texts)?;
    signer.key.verify(&token.digest(), token.signature()).ok()?;
    Some(judgement)
}

/// `typ` must be there: it is what tells feedback from every other token of the same key.
fn has_type(header: &[u8]) -> Option<bool> {
    let mut json = [0; spec::jwt::HEADER_MAX];
    let json = base64::url_decode(header, &mut json).ok()?;
    let mut nodes = [Node::default(); 40];
    let document = Document::parse(json, &Limits::JWT_HEADER, &mut nodes).ok()?;
    document.root().get("typ").map(|_| true)
}

fn read_claims<'m>(
    root: &Value<'_, '_>,
    signer: &Signer<'_>,
    now: UnixMillis,
    texts: &'m mut [u8],
) -> Option<Judgement<'m>> {
    let text = |name: &str| root.get(name)?.as_text();
    if text("agent_id")? != *signer.agent_id || text("iss")? != *signer.agent_id || !is_for(&text("aud")?, signer) {
        return None;
    }
    let (score, outcome) = read_score(&root.get("quality_score")?)?;
    let reasons = bit(Reason::from_text(&text("reason")?)?);
    let ts = read_ts(&text("timestamp")?, now)?;
    let (iat, _) = decimal::scaled(root.get("iat")?.as_number()?, 0)?;
    if iat > now.s().saturating_add(spec::time::TOKEN_TOLERANCE_S) {
        return None;
    }
    let request = root.get("req").map(|req| read_digest(&req)).map_or(Some(None), |digest| digest.map(Some))?;
    let mut texts = Texts { memory: texts };
    let url = texts.copy(&text("url")?, 0..=spec::field::RESOURCE_MAX)?;
    let jti = texts.copy(&text("jti")?, 1..=spec::jwt::JTI_MAX)?;
    let visa = match root.get("visa") {
        None => None,
        Some(visa) => Some(texts.copy(&visa.as_text()?, 1..=spec::jwt::JTI_MAX)?),
    };
    Some(Judgement { url, score, outcome, reasons, ts, jti: Some(jti), request, visa })
}

/// `nytimes.com` and `https://nytimes.com` are the same audience, as in visas.
fn is_for(aud: &Text<'_>, signer: &Signer<'_>) -> bool {
    let mut memory = [0; spec::jwt::AUDIENCE_MAX];
    let Some(aud) = jws::copy(*aud, &mut memory) else { return false };
    signer.audiences.is_empty() || signer.audiences.iter().any(|ours| crate::visa::same_audience(ours, aud))
}

/// The reference's object: `{"signal":{…},"signature":hex}`, signed over the JSON of `signal` in the order of its writing.
fn verify_object<'m>(text: &[u8], signer: &Signer<'_>, now: UnixMillis, texts: &'m mut [u8]) -> Option<Judgement<'m>> {
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(text, &Limits::PAYLOAD, &mut nodes).ok()?;
    let root = document.root();
    let (signal, signature) = (root.get("signal")?, root.get("signature")?.as_text()?.plain()?);
    if root.count() != 2 || signal.count() != SIGNAL.len() {
        return None;
    }
    let judgement = read_signal(&signal, signer, now, texts)?;
    let signature = hex::decode_array(signature.as_bytes()).ok()?;
    signer.key.verify(&signal_digest(&signal)?, &signature).ok()?;
    Some(judgement)
}

/// The members that the reference writes. No other is read: its order within could not be known.
const SIGNAL: [&str; 5] = ["target_resource", "agent_id", "quality_score", "flags", "timestamp"];

fn read_signal<'m>(
    signal: &Value<'_, '_>,
    signer: &Signer<'_>,
    now: UnixMillis,
    texts: &'m mut [u8],
) -> Option<Judgement<'m>> {
    let text = |name: &str| signal.get(name)?.as_text();
    let [resource, agent_id, score, flags, timestamp] = SIGNAL;
    if text(agent_id)? != *signer.agent_id {
        return None;
    }
    let (score, outcome) = read_score(&signal.get(score)?)?;
    let reasons = read_flags(&signal.get(flags)?)?;
    let ts = read_ts(&text(timestamp)?, now)?;
    let url = Texts { memory: texts }.copy(&text(resource)?, 0..=spec::field::RESOURCE_MAX)?;
    Some(Judgement { url, score, outcome, reasons, ts, jti: None, request: None, visa: None })
}

fn read_flags(flags: &Value<'_, '_>) -> Option<u8> {
    if flags.kind() != Kind::Array || flags.count() > spec::feedback::FLAGS_MAX {
        return None;
    }
    flags.children().try_fold(0, |reasons, flag| Some(reasons | bit(Reason::from_text(&flag.as_text()?)?)))
}

/// The SHA-256 of what `JSON.stringify(signal)` gave to the signer.
fn signal_digest(signal: &Value<'_, '_>) -> Option<Digest> {
    // Canonical texts are no longer than those received, but for one number.
    let mut text = [0; spec::request::FEEDBACK_MAX + 64];
    let mut writer = Writer::new(&mut text);
    for (index, member) in signal.as_written().enumerate() {
        writer.text(if index == 0 { "{\"" } else { ",\"" });
        writer.text(member.name().plain()?);
        writer.text("\":");
        jcs::write(&member, &mut writer).ok()?;
    }
    writer.text("}");
    Some(sha256(writer.finish().ok()?.0.as_bytes()))
}

/// 0 to 1, exactly: no floating point decides about money. The score in millionths, and what it does.
fn read_score(score: &Value<'_, '_>) -> Option<(u32, Outcome)> {
    let text = score.as_number()?;
    let (tenths, exact) = decimal::scaled(text, 1)?;
    if tenths > spec::feedback::SCORE_MAX_TENTHS || tenths == spec::feedback::SCORE_MAX_TENTHS && !exact {
        return None;
    }
    let (millionths, _) = decimal::scaled(text, 6)?;
    let outcome = match tenths.cmp(&spec::feedback::NEUTRAL_TENTHS) {
        core::cmp::Ordering::Less => Outcome::Withhold,
        core::cmp::Ordering::Equal if exact => Outcome::Unchanged,
        _ => Outcome::Release,
    };
    Some((u32::try_from(millionths).ok()?, outcome))
}

/// A time that is not in the future, but for the tolerance of tokens.
fn read_ts(text: &Text<'_>, now: UnixMillis) -> Option<UnixMillis> {
    let ts = UnixMillis::parse(text.plain()?.as_bytes()).ok()?;
    let latest = now.saturating_add(spec::time::TOKEN_TOLERANCE_S.saturating_mul(1_000));
    (ts <= latest).then_some(ts)
}

fn read_digest(value: &Value<'_, '_>) -> Option<Digest> {
    hex::decode_array(value.as_text()?.plain()?.as_bytes()).ok()
}

fn bit(reason: Reason) -> u8 {
    match reason {
        Reason::SeoSpam => 1 << 1,
        Reason::Inaccurate => 1 << 2,
        Reason::HateSpeech => 1 << 3,
        Reason::HighQuality => 1 << 4,
        Reason::LowQualitySpam => 1 << 5,
    }
}

/// Hands out memory for texts.
struct Texts<'m> {
    memory: &'m mut [u8],
}

impl<'m> Texts<'m> {
    fn copy(&mut self, text: &Text<'_>, len: core::ops::RangeInclusive<usize>) -> Option<&'m str> {
        let need = text.chars().map(char::len_utf8).sum();
        let (place, rest) =
            core::mem::take(&mut self.memory).split_at_mut_checked(need).filter(|_| len.contains(&need))?;
        self.memory = rest;
        jws::copy(*text, place)
    }
}
