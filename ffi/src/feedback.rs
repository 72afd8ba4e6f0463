//! Feedback: an agent's signed word on what it got.

use imagxp_core::codec::base64;
use imagxp_core::feedback::{self, Feedback, Judgement, Outcome, Reason, Signer};
use imagxp_core::key::{self, Digest};
use imagxp_core::{Error, Story, UnixMillis, spec};

use crate::agent_keys::{self, public};
use crate::memory::{Input, Output, Region, disjoint, read_array, read_bytes, read_sized, read_str};
use crate::out::Text;
use crate::status::{OK, answer, answer_and_wipe_deep};
use crate::story;
use crate::texts::{Texts, text};
use crate::types::*;

/// Scratch that every feedback fits.
pub const IMAGXP_FEEDBACK_LEN: usize = 4_096;
const _: () = assert!(IMAGXP_FEEDBACK_LEN == Judgement::MEMORY);
/// Names of a reader.
const AUDIENCES_MAX: usize = 16;

/// Signs feedback: a compact JWS, at most 2,048 characters, for `IMAGXP_HEADER_FEEDBACK` or the broker's `/feedback`. `hedge`
/// and `flags` as in `imagxp_request_sign`. `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `FEEDBACK_INVALID`: a verifier would refuse; `CLOCK_UNKNOWN`; `SIGN_FAULT`; `BASE64_INVALID`,
/// `PAYLOAD_TOO_LARGE`: of `payload`; `ABI_ARGUMENT`: no such reason; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_feedback_sign(
    key: *const imagxp_key,
    feedback: *const imagxp_feedback,
    hedge: *const u8,
    flags: u32,
    now_ms: i64,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer_and_wipe_deep(|| {
        let out = Text::new(out, needed)?;
        let outputs = out.regions();
        disjoint(&outputs, &[])?;
        let signer = agent_keys::Signer::new(key, hedge, flags, &outputs)?;
        let from = read_sized(feedback, &outputs)?;
        let read = |text| read_str(text, &outputs, Error::FeedbackInvalid);
        let (payload, visa) = (read_bytes(from.payload, &outputs)?, read(from.visa)?);
        let request = if payload.is_empty() { None } else { Some(request_digest(payload)?) };
        let feedback = Feedback {
            agent_id: read(from.agent_id)?,
            url: read(from.url)?,
            score: from.score,
            reason: Reason::from_number(from.reason).ok_or(Error::AbiArgument)?,
            audience: read(from.audience)?,
            jti: read(from.jti)?,
            request: request.as_ref(),
            visa: (!visa.is_empty()).then_some(visa),
        };
        // SAFETY: checked, and apart from the outputs.
        let (pair, signing) = unsafe { signer.read()? };
        // SAFETY: checked, and apart from everything else.
        let place = |len| unsafe { out.reserve(len) };
        feedback::sign_at(&pair, &feedback, UnixMillis::from_ms(now_ms), signing, place)?;
        Ok(OK)
    })
}

/// The SHA-256 of a payload's JSON.
#[inline(never)] // the JSON leaves the stack before anything is signed
fn request_digest(payload: &[u8]) -> Result<Digest, Error> {
    let mut json = [0; spec::request::PAYLOAD_JSON_MAX];
    if payload.len() > spec::request::PAYLOAD_MAX {
        return Err(Error::PayloadTooLarge);
    }
    base64::decode(payload, &mut json).map(key::sha256)
}

/// Verifies feedback in either form, the compact JWS or the reference's object. Call it after the agent's identity is
/// verified, never before: `agent_id` and `public_key` (`IMAGXP_FORMAT_TEXT` or `_PEM`) are those of the verified request.
/// `audiences` are the names of the reader, one of which it must be for; none: any. `scratch` is `IMAGXP_FEEDBACK_LEN` long.
///
/// Errors: `FEEDBACK_INVALID`: whatever is wrong with it; `BUFFER_TOO_SMALL`; `CLOCK_UNKNOWN`; `KEY_FORMAT`, `KEY_INVALID`;
/// `ABI_ARGUMENT`: more than 16 audiences, or a name that is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_feedback_verify(
    feedback: imagxp_str,
    agent_id: imagxp_str,
    public_key: imagxp_str,
    audiences: *const imagxp_str,
    audiences_len: usize,
    now_ms: i64,
    scratch: imagxp_buf,
    judgement: *mut imagxp_judgement,
) -> imagxp_status {
    answer(|| {
        let (scratch, judgement) = (Output::buf(scratch)?, Output::sized(judgement)?);
        let outputs = [scratch.region(), judgement.region()];
        disjoint(&outputs, &[])?;
        let read = |text| read_str(text, &outputs, Error::AbiArgument);
        let key = public(read_bytes(public_key, &outputs)?)?;
        let (agent_id, feedback) = (read(agent_id)?, read_bytes(feedback, &outputs)?);
        let names = read_array(audiences, audiences_len, &outputs)?;
        let mut memory = [""; AUDIENCES_MAX];
        let audiences = memory.get_mut(..names.len()).ok_or(Error::AbiArgument)?;
        for (place, name) in audiences.iter_mut().zip(names) {
            *place = read(*name)?;
        }
        // SAFETY: checked, and apart from everything else.
        let (scratch, mut texts) = Texts::new(unsafe { scratch.slice() }, 0);
        let signer = Signer { agent_id, key: &key, audiences };
        let found = feedback::verify(feedback, &signer, UnixMillis::from_ms(now_ms), scratch)?;
        let found = flat(&found, &mut texts)?;
        // SAFETY: checked.
        unsafe { judgement.write(found) };
        Ok(OK)
    })
}

fn flat(found: &Judgement<'_>, texts: &mut Texts<'_>) -> Result<imagxp_judgement, Error> {
    Ok(imagxp_judgement {
        size: size_of::<imagxp_judgement>(),
        score: found.score,
        outcome: found.outcome as i32,
        reasons: found.reasons.into(),
        reserved: 0,
        ts_ms: found.ts.ms(),
        url: texts.span(found.url)?,
        jti: texts.span(found.jti.unwrap_or_default())?,
        visa: texts.span(found.visa.unwrap_or_default())?,
        request: found.request.unwrap_or_default(),
    })
}

fn read_judgement<'s>(found: &imagxp_judgement, scratch: &'s [u8]) -> Result<Judgement<'s>, Error> {
    let outcomes = [Outcome::Release, Outcome::Withhold, Outcome::Unchanged];
    let outcome = outcomes.into_iter().find(|outcome| *outcome as i32 == found.outcome).ok_or(Error::AbiState)?;
    let optional = |span: imagxp_span| text(scratch, span).map(|text| (span.len > 0).then_some(text));
    Ok(Judgement {
        url: text(scratch, found.url)?,
        score: found.score,
        outcome,
        reasons: u8::try_from(found.reasons).map_err(|_| Error::AbiState)?,
        ts: UnixMillis::from_ms(found.ts_ms),
        jti: optional(found.jti)?,
        request: (found.request != Digest::default()).then_some(found.request),
        visa: optional(found.visa)?,
    })
}

/// Writes the story of feedback, as whoever received it saw it: what was said, and what it does to the payment; or its
/// refusal. `status` is what `imagxp_feedback_verify` answered; with `IMAGXP_OK`, `judgement` and `scratch` are what it filled,
/// else they may be NULL and empty. Formats and `needed` as in `imagxp_story_publisher`.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`; `ABI_STATE`: `judgement` is none, or `scratch` is not its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_story_feedback(
    agent_id: imagxp_str,
    status: imagxp_status,
    judgement: *const imagxp_judgement,
    scratch: imagxp_buf,
    at_ms: i64,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let (scratch, out) = (Input::buf(scratch)?, Text::new(out, needed)?);
        let outputs: [Region; 2] = out.regions();
        disjoint(&outputs, &[scratch.region()])?;
        let (agent_id, json) = (read_str(agent_id, &outputs, Error::AbiArgument)?, story::read_format(format)?);
        // SAFETY: checked, and apart from the outputs.
        let scratch = unsafe { scratch.slice() };
        let judgement = match status {
            OK => Ok(read_judgement(&read_sized(judgement, &outputs)?, scratch)?),
            status => Err(Error::from_number(status).ok_or(Error::AbiArgument)?),
        };
        let judgement = judgement.as_ref().map_err(|error| *error);
        let story = Story::feedback(agent_id, judgement, UnixMillis::from_ms(at_ms));
        // SAFETY: checked, and apart from everything else.
        unsafe { story::write(&story, json, &out) }
    })
}
