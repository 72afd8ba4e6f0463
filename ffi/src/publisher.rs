//! The publisher's calls: verify, admit, and what stands for an admission elsewhere.

use imagxp_core::replay_cache::{ReplayCache, jti_tag, nonce_tag};
use imagxp_core::{Claims, Error, Headers, Keys, Policy, Request, UnixMillis, Visit};

use crate::memory::{Input, Output, Region, disjoint};
use crate::policy;
use crate::state::{read_keys, replay_mut};
use crate::status::{OK, answer};
use crate::texts::Texts;
use crate::types::*;
use crate::verdict;

/// Scratch that every request fits, with every policy. A request of usual size takes 2,048 bytes.
pub const IMAGXP_SCRATCH_LEN: usize = 12_288;
const _: () = assert!(IMAGXP_SCRATCH_LEN >= Request::SCRATCH + IMAGXP_POLICY_TEXTS + verdict::ROOM);
/// No policy holds longer texts.
const IMAGXP_POLICY_TEXTS: usize = Policy::WORDS * 8;

/// A request in the caller's memory, checked.
pub(crate) trait Visitor {
    /// # Safety
    /// The contract of the preamble.
    unsafe fn read<'a>(&self) -> Result<Visit<'a>, Error>;
}

/// A request in many pieces.
pub(crate) struct Pieces {
    visit: imagxp_visit,
    headers: Input<imagxp_header>,
}

impl Pieces {
    /// Checks every pointer of a visit against the outputs of the call.
    pub(crate) fn new(visit: *const imagxp_visit, outputs: &[Region]) -> Result<Self, Error> {
        let input = Input::sized(visit)?;
        // SAFETY: checked.
        let visit = unsafe { input.read() };
        if visit.reserved != 0 {
            return Err(Error::AbiArgument);
        }
        let headers = Input::many(visit.headers, visit.headers_len)?;
        disjoint(outputs, &[input.region(), headers.region()])?;
        for text in [visit.method, visit.scheme, visit.authority, visit.target] {
            disjoint(outputs, &[Input::text(text)?.region()])?;
        }
        // SAFETY: checked; nothing has been written yet.
        for header in unsafe { headers.slice() } {
            disjoint(outputs, &[Input::text(header.name)?.region(), Input::text(header.value)?.region()])?;
        }
        Ok(Self { visit, headers })
    }

    /// # Safety
    /// The contract of the preamble.
    pub(crate) unsafe fn without_headers<'a>(&self) -> Result<Visit<'a>, Error> {
        let imagxp_visit { method, scheme, authority, target, vouched, .. } = self.visit;
        // What is not UTF-8 equals no signed text, as the empty text does.
        // SAFETY: checked by `new`, and apart from every output.
        let text = |text| unsafe { bytes(text) }.map(|bytes| core::str::from_utf8(bytes).unwrap_or_default());
        Ok(Visit {
            method: text(method)?,
            scheme: text(scheme)?,
            authority: text(authority)?,
            target: text(target)?,
            vouched,
            headers: Headers::new(),
        })
    }
}

impl Visitor for Pieces {
    unsafe fn read<'a>(&self) -> Result<Visit<'a>, Error> {
        let mut headers = Headers::new();
        // SAFETY: checked by `new`, and apart from every output.
        for header in unsafe { self.headers.slice() } {
            // SAFETY: as above.
            let (name, value) = unsafe { (bytes(header.name)?, bytes(header.value)?) };
            headers.add(name, value)?;
        }
        // SAFETY: as above.
        Ok(Visit { headers, ..unsafe { self.without_headers()? } })
    }
}

/// # Safety
/// The contract of the preamble.
unsafe fn bytes<'a>(text: imagxp_str) -> Result<&'a [u8], Error> {
    let input = Input::text(text)?;
    // SAFETY: checked, and by `Pieces::new` apart from every output.
    Ok(unsafe { input.slice() })
}

/// Whether a header of this name matters to `imagxp_request_verify`: 1 or 0. A host to which each header costs
/// something may leave out all others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_header_matters(name: imagxp_str) -> i32 {
    // SAFETY: nothing is written.
    unsafe { bytes(name) }.is_ok_and(Headers::reads).into()
}

/// What a request says, unproven, for a line in the log: no cryptography, no policy. A visitor without IMAGXP headers
/// is `IMAGXP_OK`, too, with empty texts. The texts lie in `scratch`.
///
/// Errors: those of 400 and 431, `HEADERS_PARTIAL`, `BUFFER_TOO_SMALL` when `scratch` is short.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_parse(
    visit: *const imagxp_visit,
    scratch: imagxp_buf,
    unproven: *mut imagxp_unproven,
) -> imagxp_status {
    answer(|| {
        let (scratch, unproven) = (Output::buf(scratch)?, Output::sized(unproven)?);
        let outputs = [scratch.region(), unproven.region()];
        disjoint(&outputs, &[])?;
        let visitor = Pieces::new(visit, &outputs)?;
        // SAFETY: checked, and apart from each other.
        let (visit, scratch) = unsafe { (visitor.read()?, scratch.slice()) };
        let (scratch, mut texts) = Texts::new(scratch, 0);
        let request = Request::parse(&visit, scratch)?;
        let found = read_unproven(&request, &mut texts)?;
        // SAFETY: checked.
        unsafe { unproven.write(found) };
        Ok(OK)
    })
}

fn read_unproven(request: &Request<'_>, texts: &mut Texts<'_>) -> Result<imagxp_unproven, Error> {
    let mut span = |text: Option<&str>| texts.span(text.unwrap_or_default());
    let claims = request.claims();
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    Ok(imagxp_unproven {
        size: size_of::<imagxp_unproven>(),
        flags: bit(request.payload_json().is_some(), IMAGXP_SIGNED)
            | bit(claims.is_some_and(|claims| claims.ads_displayed), IMAGXP_ADS_DISPLAYED),
        purpose: claims.map_or(0, |claims: &Claims<'_>| claims.purpose as i32),
        agent_id: span(claims.map(|claims| claims.agent_id))?,
        resource: span(claims.map(|claims| claims.resource))?,
        nonce: span(request.nonce())?,
        payload: span(request.payload_json())?,
        ts_ms: request.ts().map_or(0, UnixMillis::ms),
    })
}

/// Judges a request. It only reads `policy` and `keys`, and remembers nothing; `scratch` is working memory, and the
/// result's texts lie in it: it must stay as it is until the result is done with.
///
/// `IMAGXP_NEED`: fetch `verified->need`, `imagxp_key_cache_supply` it, and call again with the same arguments; at most
/// three times. `IMAGXP_VERIFIED`: `imagxp_request_admit` comes next. Both fill `verified`. Never `IMAGXP_OK`.
///
/// Errors: every refusal but those of `imagxp_request_admit`; `BUFFER_TOO_SMALL` when `scratch` is shorter than
/// `IMAGXP_SCRATCH_LEN` and this request takes more; `ABI_STATE`: not a policy, or not a key cache.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_verify(
    visit: *const imagxp_visit,
    policy: *const imagxp_policy,
    keys: *const imagxp_key_cache,
    now_ms: i64,
    scratch: imagxp_buf,
    verified: *mut imagxp_verified,
) -> imagxp_status {
    answer(|| {
        // SAFETY: the contract of the preamble.
        unsafe { verify(|outputs| Pieces::new(visit, outputs), policy, keys, now_ms, scratch, verified) }
    })
}

/// # Safety
/// The contract of the preamble.
pub(crate) unsafe fn verify<V: Visitor>(
    check: impl FnOnce(&[Region]) -> Result<V, Error>,
    policy: *const imagxp_policy,
    keys: *const imagxp_key_cache,
    now_ms: i64,
    scratch: imagxp_buf,
    verified: *mut imagxp_verified,
) -> Result<imagxp_status, Error> {
    let (scratch, verified) = (Output::buf(scratch)?, Output::sized(verified)?);
    let (policy, (view, words)) = (policy::input(policy)?, read_keys(keys)?);
    let outputs = [scratch.region(), verified.region()];
    disjoint(&outputs, &[policy.region(), view.region(), words.region()])?;
    let visitor = check(&outputs)?;
    // SAFETY: checked, and apart from each other.
    let (policy, words, scratch) = unsafe { (policy.slice(), words.slice(), scratch.slice()) };
    let (policy, keys) = (Policy::attach(policy)?, Keys::attach(words)?);
    // SAFETY: checked.
    let visit = unsafe { visitor.read()? };
    let (scratch, mut texts) = Texts::new(scratch, verdict::room(&policy));
    let request = Request::parse(&visit, scratch)?;
    let step = request.verify(&policy, &keys, UnixMillis::from_ms(now_ms))?;
    let found = verdict::write(&request, &step, &policy, &mut texts)?;
    // SAFETY: checked.
    unsafe { verified.write(found) };
    Ok(found.status)
}

/// Admits a verified request once: writes its nonce, and the `jti` of a single-use visa, into the replay cache. The only
/// step under a lock, and a short one. A visitor without headers writes nothing. `scratch` is the one of
/// `imagxp_request_verify`. With `IMAGXP_OK`, and only then, the visitor may pass; `verified->prepare` is then
/// set if the agent is busy, and `IMAGXP_CLOCK_STEPPED_BACK` if the clock is.
///
/// Errors: `REPLAY_DETECTED`, `VISA_USED`, `REPLAY_CACHE_FULL`, `AGENT_QUOTA`, `RESTART_GUARD`, `CLOCK_UNKNOWN`, and
/// `TIMESTAMP_STALE` or `JWT_EXPIRED` when the clock has moved on; `ABI_STATE`: `verified` is not verified or was admitted
/// before, `scratch` is not its own, or `replay` is not a replay cache.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_admit(
    verified: *mut imagxp_verified,
    scratch: imagxp_buf,
    replay: *mut imagxp_replay_cache,
    now_ms: i64,
) -> imagxp_status {
    answer(|| {
        let (verified, scratch) = (Output::sized(verified)?, Input::buf(scratch)?);
        let (view, words) = replay_mut(replay)?;
        disjoint(&[words.region(), verified.region()], &[view.region(), scratch.region()])?;
        // SAFETY: checked, and apart from each other.
        let (mut found, scratch, words) = unsafe { (verified.read(), scratch.slice(), words.slice()) };
        let mut replay = ReplayCache::attach(words)?;
        if let Some(entry) = verdict::entry(&found, scratch)? {
            let admitted = replay.admit(&entry, UnixMillis::from_ms(now_ms))?;
            found.prepare = if admitted.busy { found.key } else { 0 };
            found.flags |= if admitted.clock_stepped_back { IMAGXP_CLOCK_STEPPED_BACK } else { 0 };
        }
        found.status = OK;
        // SAFETY: checked.
        unsafe { verified.write(found) };
        Ok(OK)
    })
}

/// What to write into a replay store elsewhere, in place of `imagxp_request_admit`: `tags` has two places, the nonce's and
/// that of a single-use visa; a tag with `expiry_s` 0 is none. `SET bytes 1 NX` each, until `expiry_s`: the request
/// may pass if the store took every one. All nodes share the `secret`, 32 random bytes.
///
/// Errors: `ABI_STATE`: `verified` is not verified, or `scratch` is not its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_tags(
    verified: *const imagxp_verified,
    scratch: imagxp_buf,
    secret: *const u8,
    tags: *mut imagxp_tag,
) -> imagxp_status {
    answer(|| {
        let (verified, scratch) = (Input::sized(verified)?, Input::buf(scratch)?);
        let (secret, tags) = (Input::bytes::<32>(secret)?, Output::many(tags, 2)?);
        disjoint(&[tags.region()], &[verified.region(), scratch.region(), secret.region()])?;
        // SAFETY: checked, and apart from each other.
        let (verified, scratch, secret, tags) =
            unsafe { (verified.read(), scratch.slice(), secret.read(), tags.slice()) };
        let entry = verdict::entry(&verified, scratch)?;
        let nonce = entry.map(|entry| nonce_tag(&secret, entry.agent_id, entry.nonce, entry.ts, entry.window_ms));
        let visa = entry.and_then(|entry| entry.visa).map(|visa| jti_tag(&secret, visa.issuer, visa.jti, visa.exp_s));
        for (place, tag) in tags.iter_mut().zip([nonce, visa]) {
            *place = tag.map_or(imagxp_tag { bytes: [0; 16], expiry_s: 0 }, |tag| imagxp_tag {
                bytes: tag.bytes,
                expiry_s: tag.expiry_s.into(),
            });
        }
        Ok(OK)
    })
}
