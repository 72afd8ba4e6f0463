//! Policies: read once, asked for ever.

use imagxp_core::{Error, Policy, Purpose, discovery, money};

use crate::memory::{Input, Output, disjoint};
use crate::out::Text;
use crate::status::{NEED, OK, answer};
use crate::texts::Texts;
use crate::types::*;

/// Words of every policy: 4 KiB.
pub const IMAGXP_POLICY_WORDS: usize = 512;
const _: () = assert!(IMAGXP_POLICY_WORDS == Policy::WORDS);

/// The words of a compiled policy.
pub(crate) fn input(policy: *const imagxp_policy) -> Result<Input<u64>, Error> {
    if policy.is_null() {
        return Err(Error::AbiNull);
    }
    Input::many(policy.cast(), IMAGXP_POLICY_WORDS)
}

/// Compiles a policy from its JSON into `memory`: `IMAGXP_POLICY_WORDS` words, which
/// `IMAGXP_POLICY(memory)` then names. An unknown member is refused: a typo must not open a site.
///
/// Members, all optional: `allowTraining allowRAG attributionRequired allowAdSupportedAccess requiresPayment`
/// `requireIdentityBinding paymentPointer strategy monetization {brokerUrl, paymentConfig, adNetwork} audiences price`
/// `resource_binding visa_binding visa_single_use window skew require_fresh`
/// `development version` (docs/protocol.md section 6). An omitted switch is
/// false, but `requireIdentityBinding` is true. `strategy` is `PASSIVE` when omitted: visitors without IMAGXP headers
/// are admitted; `HYBRID` admits likely browsers, `STRICT` none. `imagxp policy check FILE` says which member is wrong.
///
/// A copy of the words is a policy, too. A refusal leaves `memory` as it was, so a policy can be replaced in place.
///
/// Errors: `POLICY_INVALID`; `ABI_STORAGE` when `words` is less than `IMAGXP_POLICY_WORDS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_policy_parse(json: imagxp_str, memory: *mut u64, words: usize) -> imagxp_status {
    answer(|| {
        let json = Input::text(json)?;
        let memory = Output::many(memory, words)?;
        disjoint(&[memory.region()], &[json.region()])?;
        // SAFETY: checked, and apart from each other.
        let (json, memory) = unsafe { (json.slice(), memory.slice()) };
        let place = memory.get_mut(..IMAGXP_POLICY_WORDS).ok_or(Error::AbiStorage)?;
        let mut compiled = [0; IMAGXP_POLICY_WORDS];
        Policy::parse(json, &mut compiled)?;
        place.copy_from_slice(&compiled);
        Ok(OK)
    })
}

/// The documents to fetch at start, not at the first visitor: `IMAGXP_NEED` and the need for `index` 0, 1, … and
/// `IMAGXP_OK` behind the last. Its texts lie in `scratch`.
///
///     for (i = 0; imagxp_policy_document(policy, i, scratch, &need) == IMAGXP_NEED; i++)
///         imagxp_key_cache_supply(&keys, &need, scratch, https_get(&need, scratch), now_ms);
///
/// Errors: `ABI_STATE`: not a policy. `BUFFER_TOO_SMALL`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_policy_document(
    policy: *const imagxp_policy,
    index: usize,
    scratch: imagxp_buf,
    need: *mut imagxp_need,
) -> imagxp_status {
    answer(|| {
        let (policy, scratch, need) = (input(policy)?, Output::buf(scratch)?, Output::one(need)?);
        disjoint(&[scratch.region(), need.region()], &[policy.region()])?;
        // SAFETY: checked, and apart from each other.
        let (policy, scratch) = unsafe { (policy.slice(), scratch.slice()) };
        let Some(document) = Policy::attach(policy)?.documents().nth(index) else { return Ok(OK) };
        let (_, mut texts) = Texts::new(scratch, usize::MAX);
        let found = texts.need(&document)?;
        // SAFETY: checked.
        unsafe { need.write(found) };
        Ok(NEED)
    })
}

/// What a policy says: for the headers of a 402 answer, for the log at start, for a page that tells agents the terms.
/// The texts lie in `scratch`.
///
/// Errors: `ABI_STATE`: not a policy. `BUFFER_TOO_SMALL`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_policy_terms(
    policy: *const imagxp_policy,
    scratch: imagxp_buf,
    terms: *mut imagxp_terms,
) -> imagxp_status {
    answer(|| {
        let (policy, scratch, terms) = (input(policy)?, Output::buf(scratch)?, Output::sized(terms)?);
        disjoint(&[scratch.region(), terms.region()], &[policy.region()])?;
        // SAFETY: checked, and apart from each other.
        let (policy, scratch) = unsafe { (policy.slice(), scratch.slice()) };
        let found = read_terms(&Policy::attach(policy)?, scratch)?;
        // SAFETY: checked.
        unsafe { terms.write(found) };
        Ok(OK)
    })
}

/// Writes the discovery document to be served at `IMAGXP_POLICY_PATH` with status 200 and `application/json`: what is admitted,
/// what it costs and where to buy it. What is the publisher's own business is left out. `needed`, which may be NULL, gets
/// the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_STATE`: not a policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_policy_discovery(
    policy: *const imagxp_policy,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let (policy, out) = (input(policy)?, Text::new(out, needed)?);
        disjoint(&out.regions(), &[policy.region()])?;
        // SAFETY: checked, and apart from the outputs.
        let policy = Policy::attach(unsafe { policy.slice() })?;
        // SAFETY: checked.
        unsafe {
            out.fill(|writer| {
                discovery::write_to(&policy, writer);
                Ok(())
            })?;
        }
        Ok(OK)
    })
}

fn read_terms(policy: &Policy<'_>, scratch: &mut [u8]) -> Result<imagxp_terms, Error> {
    let (_, mut texts) = Texts::new(scratch, usize::MAX);
    let price = money::decimal(policy.price());
    Ok(imagxp_terms {
        size: size_of::<imagxp_terms>(),
        flags: flags(policy),
        strategy: policy.strategy() as i32,
        window_ms: policy.window_ms(),
        skew_ms: policy.skew_ms(),
        price_micros: policy.price(),
        price: texts.span(if policy.price() > 0 { price.as_str() } else { "" })?,
        broker_url: texts.span(policy.broker_url())?,
        payment_pointer: texts.span(policy.payment_pointer())?,
    })
}

fn flags(policy: &Policy<'_>) -> u32 {
    [
        (IMAGXP_TERMS_TRAINING, policy.admits(Purpose::CrawlTraining)),
        (IMAGXP_TERMS_RAG, policy.admits(Purpose::RagRetrieval)),
        (IMAGXP_TERMS_PAYMENT, policy.requires_payment()),
        (IMAGXP_TERMS_ADS, policy.admits_ads()),
        (IMAGXP_TERMS_IDENTITY, policy.requires_identity()),
        (IMAGXP_TERMS_SINGLE_USE, policy.visa_single_use()),
        (IMAGXP_TERMS_ATTRIBUTION, policy.asks_attribution()),
        (IMAGXP_TERMS_DEVELOPMENT, policy.is_development()),
        (IMAGXP_TERMS_FRESH, policy.requires_fresh()),
    ]
    .into_iter()
    .fold(0, |flags, (bit, on)| if on { flags | bit } else { flags })
}
