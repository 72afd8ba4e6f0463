//! The story: what happened to one request, told line by line. Pure functions of what the host kept of it.

use imagxp_core::story::{Sale, Sent, Visited};
use imagxp_core::visa::Token;
use imagxp_core::{Error, Policy, Request, Story, UnixMillis, Visit};

use crate::agent::read_claims;
use crate::agent_keys::public;
use crate::decision::Decision;
use crate::memory::{Output, disjoint, read_bytes, read_sized, read_str};
use crate::out::Text;
use crate::policy;
use crate::publisher::{Pieces, Visitor};
use crate::status::{OK, answer};
use crate::texts::{Texts, text};
use crate::types::*;
use crate::verdict;

pub(crate) fn read_format(format: i32) -> Result<bool, Error> {
    match format {
        IMAGXP_STORY_TEXT => Ok(false),
        IMAGXP_STORY_JSON => Ok(true),
        _ => Err(Error::AbiArgument),
    }
}

/// # Safety
/// The contract of the preamble; `out` is apart from everything that the story was made from.
pub(crate) unsafe fn write(story: &Story<'_>, json: bool, out: &Text) -> Result<imagxp_status, Error> {
    // SAFETY: the caller's.
    unsafe {
        out.fill(|writer| {
            story.write(json, writer);
            Ok(())
        })?;
    }
    Ok(OK)
}

/// Writes the story of a request, accepted or refused at any stage, as its publisher saw it: up to 13 lines, each with its
/// newline, in `IMAGXP_STORY_TEXT` or `IMAGXP_STORY_JSON`; some 1,500 bytes in all. What did not pass its grammar is
/// shown as its SHA-256, so that nobody writes into your log but you. `verified` and `scratch` are those of
/// `imagxp_request_verify`; the texts of `verified` stay as they are. `verified` may be NULL when `imagxp_request_verify`
/// refused; `scratch` is then any working memory. `needed`, which may be NULL, gets the length, with
/// `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`, of `out` or of `scratch`; `ABI_ARGUMENT`; `ABI_STATE`: not a policy, or `IMAGXP_OK` for what is
/// not verified, or `scratch` is not its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_story_publisher(
    visit: *const imagxp_visit,
    policy: *const imagxp_policy,
    verified: *const imagxp_verified,
    scratch: imagxp_buf,
    decision: *const imagxp_decision,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let (policy, scratch, out) = (policy::input(policy)?, Output::buf(scratch)?, Text::new(out, needed)?);
        let [place, len] = out.regions();
        let outputs = [scratch.region(), place, len];
        disjoint(&outputs, &[policy.region()])?;
        let visitor = Pieces::new(visit, &outputs)?;
        let decision = Decision::read(decision, verified, &outputs)?;
        let (mut memory, json) = (Decision::no_fetches(), read_format(format)?);
        let fetches = decision.fetches(&mut memory, &outputs)?;
        // SAFETY: checked, and apart from each other.
        let (policy, scratch) = unsafe { (Policy::attach(policy.slice())?, scratch.slice()) };
        // SAFETY: checked. A request whose headers were refused has a story, too.
        let visit = unsafe { visitor.read().or_else(|_| visitor.without_headers())? };

        let token = token(&decision, &policy, scratch)?;
        // As `imagxp_request_verify` does, so that the texts of `verified` lie where they lay.
        let (scratch, _) = Texts::new(scratch, verdict::room(&policy));
        let request = match parse(&visit, scratch) {
            Err(Error::BufferTooSmall) => return Err(Error::BufferTooSmall),
            request => request.ok(),
        };
        let mut grant = decision.verdict;
        if let Ok(grant) = &mut grant {
            grant.key = request.as_ref().and_then(Request::key);
            grant.visa = token;
        }
        let visited = Visited {
            visit: &visit,
            claims: request.as_ref().and_then(Request::claims),
            policy,
            fetches,
            verdict: grant.as_ref().map_err(|error| *error),
            received: decision.received,
            judged: decision.decided,
        };
        // SAFETY: checked, and apart from everything else.
        unsafe { tell(&visited, json, &out) }
    })
}

#[inline(never)] // what it takes leaves the stack before the story is made
fn parse<'a>(visit: &Visit<'a>, scratch: &'a mut [u8]) -> Result<Request<'a>, Error> {
    Request::parse(visit, scratch)
}

/// # Safety
/// As [`write`].
#[inline(never)]
unsafe fn tell(visited: &Visited<'_>, json: bool, out: &Text) -> Result<imagxp_status, Error> {
    // SAFETY: the caller's.
    unsafe { write(&Story::publisher(visited), json, out) }
}

/// As much of the visa or ad proof as a story tells.
fn token<'p>(decision: &Decision<'_>, policy: &Policy<'p>, scratch: &[u8]) -> Result<Option<Token<'p>>, Error> {
    let Some(found) = decision.found.filter(|found| found.issuer.len > 0 && decision.verdict.is_ok()) else {
        return Ok(None);
    };
    let name = text(scratch, found.issuer)?;
    let issuer = policy.issuers().find(|issuer| issuer.iss == name).ok_or(Error::AbiState)?.iss;
    Ok(Some(Token {
        issuer,
        jti: None,
        amount: found.amount_micros,
        exp_s: found.expires_s,
        bound: found.flags & IMAGXP_TOKEN_BOUND != 0,
        key: verdict::token_key(&found)?,
        jwks: found.jwks_sha256,
        refresh: None,
    }))
}

/// Writes the story of a request as its agent saw it: signed, sent, answered. `public_key`, of the key that signed, is
/// `IMAGXP_FORMAT_TEXT` or `_PEM`. Formats and `needed` as in `imagxp_story_publisher`.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`; `AGENT_ID_INVALID`, `RESOURCE_INVALID`: not UTF-8; `KEY_FORMAT`, `KEY_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_story_agent(
    claims: *const imagxp_claims,
    public_key: imagxp_str,
    sent: *const imagxp_sent,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let out = Text::new(out, needed)?;
        let outputs = out.regions();
        disjoint(&outputs, &[])?;
        let sent = read_sized(sent, &outputs)?;
        let (claims, json) = (read_claims(claims, &outputs)?, read_format(format)?);
        let key = public(read_bytes(public_key, &outputs)?)?;
        let error = read_bytes(sent.error, &outputs)?;
        let status = u16::try_from(sent.http_status).map_err(|_| Error::AbiArgument)?;
        if sent.reserved != 0 {
            return Err(Error::AbiArgument);
        }
        let time = |ms| (ms != 0).then_some(UnixMillis::from_ms(ms));
        let story = Story::agent(&Sent {
            claims: &claims,
            key: &key,
            signed: UnixMillis::from_ms(sent.signed_ms),
            sent: time(sent.sent_ms),
            answer: time(sent.answered_ms).map(|at| (at, status, error)),
        });
        // SAFETY: checked, and apart from everything else.
        unsafe { write(&story, json, &out) }
    })
}

/// Writes the story of a sale as the broker saw it: a visa was wanted, and issued or refused. Formats and `needed` as in
/// `imagxp_story_publisher`.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`, also for a text that is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_story_broker(
    sale: *const imagxp_sale,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let out = Text::new(out, needed)?;
        let outputs = out.regions();
        disjoint(&outputs, &[])?;
        let (sale, json) = (read_sized(sale, &outputs)?, read_format(format)?);
        let read = |text| read_str(text, &outputs, Error::AbiArgument);
        let outcome = match sale.status {
            OK => Ok(read(sale.jti)?),
            status => Err(Error::from_number(status).ok_or(Error::AbiArgument)?),
        };
        if sale.reserved != 0 {
            return Err(Error::AbiArgument);
        }
        let story = Story::broker(&Sale {
            agent_id: read(sale.agent_id)?,
            audience: read(sale.audience)?,
            amount: sale.amount_micros,
            asked: UnixMillis::from_ms(sale.asked_ms),
            answered: UnixMillis::from_ms(sale.answered_ms),
            outcome,
        });
        // SAFETY: checked, and apart from everything else.
        unsafe { write(&story, json, &out) }
    })
}
