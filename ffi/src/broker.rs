//! The broker's calls: issue visas, publish keys; and a token verified outside a request.

use imagxp_core::broker::{self, PublishedKey, Visa};
use imagxp_core::policy::Role;
use imagxp_core::visa::{self, Holder, Token, TokenStep};
use imagxp_core::{Error, Keys, Policy, Purpose, UnixMillis, spec};

use crate::agent_keys::{Signer, public};
use crate::memory::{Output, Region, disjoint, read_array, read_bytes, read_sized, read_str};
use crate::out::Text;
use crate::policy;
use crate::state::read_keys;
use crate::status::{NEED, OK, VERIFIED, answer, answer_and_wipe_deep};
use crate::texts::Texts;
use crate::types::*;

const KEYS_MAX: usize = spec::document::JWKS_KEYS_MAX;

/// Issues a visa: a compact JWS, at most 4,096 characters, 700 for most. `kid` is the name of the key in the broker's key
/// set. `hedge` and `flags` as in `imagxp_request_sign`. `needed`, which may be NULL, gets the length, with
/// `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; what a verifier would refuse: `JWT_HEADER` (`kid`), `JWT_ISSUER`, `JWT_AUDIENCE`, `VISA_AMOUNT`,
/// `JWT_LIFETIME`, `AGENT_ID_INVALID`, `JWT_CLAIMS` (`jti`, `currency`), `JWT_TOO_LARGE`; `VISA_BINDING`: a key without an agent;
/// `CLOCK_UNKNOWN`; `SIGN_FAULT`; `KEY_FORMAT`, `KEY_INVALID`: of the agent's key; `ABI_ARGUMENT`; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_visa_issue(
    key: *const imagxp_key,
    kid: imagxp_str,
    visa: *const imagxp_visa,
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
        let signer = Signer::new(key, hedge, flags, &outputs)?;
        let kid = read_str(kid, &outputs, Error::JwtHeader)?;
        let visa = read_visa(visa, &outputs)?;
        // SAFETY: checked, and apart from the outputs.
        let (pair, signing) = unsafe { signer.read()? };
        // SAFETY: checked, and apart from everything else.
        let place = |len| unsafe { out.reserve(len) };
        broker::issue_visa_at(&pair, kid, &visa, UnixMillis::from_ms(now_ms), signing, place)?;
        Ok(OK)
    })
}

fn read_visa<'a>(visa: *const imagxp_visa, outputs: &[Region]) -> Result<Visa<'a>, Error> {
    let visa = read_sized(visa, outputs)?;
    let optional = |text| read_str(text, outputs, Error::JwtClaims).map(|text| (!text.is_empty()).then_some(text));
    Ok(Visa {
        issuer: read_str(visa.issuer, outputs, Error::JwtIssuer)?,
        audience: read_str(visa.audience, outputs, Error::JwtAudience)?,
        amount: visa.amount_micros,
        lifetime_s: visa.lifetime_s,
        holder: read_holder(visa.agent_id, visa.public_key, outputs)?,
        jti: optional(visa.jti)?,
        purpose: match visa.purpose {
            0 => None,
            purpose => Some(Purpose::from_number(purpose).map_err(|_| Error::AbiArgument)?),
        },
        currency: optional(visa.currency)?,
    })
}

/// An agent and its key; neither is nobody.
fn read_holder<'a>(
    agent_id: imagxp_str,
    public_key: imagxp_str,
    outputs: &[Region],
) -> Result<Option<Holder<'a>>, Error> {
    let agent_id = read_str(agent_id, outputs, Error::AgentIdInvalid)?;
    match (agent_id, read_bytes(public_key, outputs)?) {
        ("", []) => Ok(None),
        ("", _) => Err(Error::VisaBinding),
        (agent_id, key) => Ok(Some(Holder { agent_id, key: public(key)?.kid() })),
    }
}

/// Writes the JWK Set to be served at `IMAGXP_JWKS_PATH` with status 200 and `application/json`: 1 to 32 keys, some 250 bytes
/// each. `needed`, which may be NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `JWKS_INVALID`: no key, more than 32, or a `kid` of another length; `JWKS_DUPLICATE_KID`;
/// `KEY_FORMAT`, `KEY_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_jwks_write(
    keys: *const imagxp_published_key,
    keys_len: usize,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let out = Text::new(out, needed)?;
        let outputs = out.regions();
        disjoint(&outputs, &[])?;
        let from = read_array(keys, keys_len, &outputs)?;
        let key = |key: &imagxp_published_key| public(read_bytes(key.public_key, &outputs)?);
        let first = key(from.first().ok_or(Error::JwksInvalid)?)?;
        let mut parsed = [first; KEYS_MAX];
        for (place, from) in parsed.get_mut(..from.len()).ok_or(Error::JwksInvalid)?.iter_mut().zip(from) {
            *place = key(from)?;
        }
        let mut published = [PublishedKey { kid: "", key: &first }; KEYS_MAX];
        for ((place, from), key) in published.iter_mut().zip(from).zip(&parsed) {
            *place = PublishedKey { kid: read_str(from.kid, &outputs, Error::JwksInvalid)?, key };
        }
        let published = published.get(..from.len()).unwrap_or_default();
        // SAFETY: checked, and apart from everything else.
        unsafe { out.fill(|writer| broker::write_jwks_to(published, writer))? };
        Ok(OK)
    })
}

/// Verifies a token outside a request: for tools, and for whoever sees a visa before the request that it pays for.
/// Within a request, `imagxp_request_verify` does it. `role` is `IMAGXP_ROLE_*`. `agent_id` and `public_key` are those of the
/// holder, whom the token must be bound to if it is bound; both empty: that is not judged. `IMAGXP_NEED`: fetch
/// `token->need`, `imagxp_key_cache_supply` it, and call again. `IMAGXP_VERIFIED`: it is good; that it is the first use of a
/// visa that is good for one is not seen here. Both fill `token`. 5 KiB of `scratch` suffice.
///
/// Errors: `JWT_*`, `VISA_*`, `JWKS_*`, `SIGNATURE_INVALID`, `CLOCK_UNKNOWN`; `KEY_FORMAT`, `KEY_INVALID`; `BUFFER_TOO_SMALL`;
/// `ABI_ARGUMENT`: no such role; `ABI_STATE`: not a policy, or not a key cache; `ABI_STORAGE`: the key cache has fewer
/// issuers than the policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_visa_verify(
    token: imagxp_str,
    role: i32,
    agent_id: imagxp_str,
    public_key: imagxp_str,
    policy: *const imagxp_policy,
    keys: *const imagxp_key_cache,
    now_ms: i64,
    scratch: imagxp_buf,
    found: *mut imagxp_token,
) -> imagxp_status {
    answer(|| {
        let (scratch, found) = (Output::buf(scratch)?, Output::sized(found)?);
        let (policy, (view, words)) = (policy::input(policy)?, read_keys(keys)?);
        let outputs = [scratch.region(), found.region()];
        disjoint(&outputs, &[policy.region(), view.region(), words.region()])?;
        let role = match role {
            IMAGXP_ROLE_BROKER => Role::Broker,
            IMAGXP_ROLE_AD_NETWORK => Role::AdNetwork,
            _ => return Err(Error::AbiArgument),
        };
        let (text, holder) = (read_bytes(token, &outputs)?, read_holder(agent_id, public_key, &outputs)?);
        // SAFETY: checked, and apart from each other.
        let (policy, words, scratch) = unsafe { (policy.slice(), words.slice(), scratch.slice()) };
        let (policy, keys) = (Policy::attach(policy)?, Keys::attach(words)?);
        let (_, mut texts) = Texts::new(scratch, usize::MAX);
        let step = visa::verify(text, role, holder, &policy, &keys, UnixMillis::from_ms(now_ms))?;
        let token = match &step {
            TokenStep::Need(need) => imagxp_token { status: NEED, need: texts.need(need)?, ..empty() },
            TokenStep::Verified(token) => flat(token, &mut texts)?,
        };
        // SAFETY: checked.
        unsafe { found.write(token) };
        Ok(token.status)
    })
}

fn empty() -> imagxp_token {
    imagxp_token { size: size_of::<imagxp_token>(), ..imagxp_token::default() }
}

fn flat(token: &Token<'_>, texts: &mut Texts<'_>) -> Result<imagxp_token, Error> {
    Ok(imagxp_token {
        status: VERIFIED,
        flags: if token.bound { IMAGXP_TOKEN_BOUND } else { 0 },
        refresh: token.refresh.as_ref().map(|need| texts.need(need)).transpose()?.unwrap_or_default(),
        issuer: texts.span(token.issuer)?,
        jti: texts.span(token.jti.as_ref().map_or("", |jti| jti.as_str()))?,
        amount_micros: token.amount,
        expires_s: token.exp_s,
        ..empty()
    })
}
