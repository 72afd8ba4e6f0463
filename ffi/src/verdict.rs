//! A verdict, from the core's form to the flat one and back.

use imagxp_core::replay_cache::{Entry, VisaUse};
use imagxp_core::{
    Bound, Error, Grant, Policy, Proof, PublicKey, Request, Step, UnixMillis, Verified, Visitor, key, spec,
};

use crate::status::{NEED, VERIFIED};
use crate::texts::{Texts, check, text};
use crate::types::*;

/// Room for a token's `jti` and a key's thumbprint.
pub(crate) const ROOM: usize = spec::jwt::JTI_MAX + key::Kid::LEN;

/// Room at the end of the scratch: for those, and for what the policy says of the issuer that they take most of.
pub(crate) fn room(policy: &Policy<'_>) -> usize {
    let issuer = policy.issuers().map(|issuer| issuer.iss.len().saturating_add(issuer.jwks_url.len())).max();
    issuer.unwrap_or(0).saturating_add(ROOM)
}

/// The flat form of a step.
pub(crate) fn write(
    request: &Request<'_>,
    step: &Step<'_>,
    policy: &Policy<'_>,
    texts: &mut Texts<'_>,
) -> Result<imagxp_verified, Error> {
    let empty = imagxp_verified { size: size_of::<imagxp_verified>(), ..imagxp_verified::default() };
    match step {
        Step::Need(need) => Ok(imagxp_verified { status: NEED, need: texts.need(need)?, ..empty }),
        Step::Verified(verified) => {
            let mut found = imagxp_verified { status: VERIFIED, window_ms: policy.window_ms(), ..empty };
            write_grant(&mut found, verified.grant(), texts)?;
            write_request(&mut found, request, texts)?;
            write_use(&mut found, verified);
            let token = verified.grant().visa.as_ref();
            let owner = verified.entry().map(|entry| entry.agent_id).unwrap_or_default();
            let issuer = token.map_or("", |token| token.issuer);
            let jti = token.and_then(|token| token.jti.as_ref()).map_or("", |jti| jti.as_str());
            found.check = check_of(&found, [owner, request.nonce().unwrap_or_default(), issuer, jti]);
            Ok(found)
        }
    }
}

fn write_grant(found: &mut imagxp_verified, grant: &Grant<'_>, texts: &mut Texts<'_>) -> Result<(), Error> {
    found.visitor = grant.visitor as i32;
    found.bound = grant.bound as i32;
    found.proof = grant.proof as i32;
    found.key = grant.prepare.map_or(0, imagxp_core::KeyId::to_number);
    if let Some(refresh) = &grant.refresh {
        found.refresh = texts.need(refresh)?;
    }
    found.manifest_sha256 = grant.manifest.unwrap_or_default();
    if let Some(key) = &grant.key {
        found.kid = texts.span(key.kid().as_str())?;
    }
    if let Some(claims) = grant.claims {
        found.flags |= if claims.ads_displayed { IMAGXP_SIGNED | IMAGXP_ADS_DISPLAYED } else { IMAGXP_SIGNED };
        found.purpose = claims.purpose as i32;
        found.agent_id = texts.span(claims.agent_id)?;
        found.resource = texts.span(claims.resource)?;
    }
    if let Some(token) = &grant.visa {
        found.issuer = texts.span(token.issuer)?;
        found.jti = texts.span(token.jti.as_ref().map_or("", |jti| jti.as_str()))?;
        found.amount_micros = if grant.proof == Proof::Visa { token.amount } else { 0 };
        found.expires_s = token.exp_s;
        found.jwks_sha256 = token.jwks;
        if let ([x, y], []) = token.key.to_coordinates().as_chunks::<32>() {
            found.token_key = [*x, *y];
        }
        found.flags |= if token.bound { IMAGXP_TOKEN_BOUND } else { 0 };
    }
    Ok(())
}

fn write_request(found: &mut imagxp_verified, request: &Request<'_>, texts: &mut Texts<'_>) -> Result<(), Error> {
    found.nonce = texts.span(request.nonce().unwrap_or_default())?;
    found.payload = texts.span(request.payload_json().unwrap_or_default())?;
    found.ts_ms = request.ts().map_or(0, UnixMillis::ms);
    Ok(())
}

fn write_use(found: &mut imagxp_verified, verified: &Verified<'_>) {
    let single_use = verified.entry().is_some_and(|entry| entry.visa.is_some());
    found.flags |= if single_use { IMAGXP_SINGLE_USE } else { 0 };
}

/// Ties a verdict to its texts, agent, nonce, issuer and `jti`: everything that `admit` goes by.
fn check_of(found: &imagxp_verified, texts: [&str; 4]) -> u32 {
    let [agent_id, nonce, issuer, jti] = texts.map(str::as_bytes);
    let times = [found.ts_ms.to_le_bytes(), found.expires_s.to_le_bytes()];
    let flags = [found.window_ms.to_le_bytes(), found.flags.to_le_bytes()];
    check(&[agent_id, nonce, issuer, jti, times.as_flattened(), flags.as_flattened()])
}

/// What to remember of a verified request; nothing of a visitor without headers.
///
/// # Errors
/// `ABI_STATE`: not verified, admitted before, or not the scratch of the call that verified it.
pub(crate) fn entry<'s>(found: &imagxp_verified, scratch: &'s [u8]) -> Result<Option<Entry<'s>>, Error> {
    if found.status != VERIFIED {
        return Err(Error::AbiState);
    }
    if found.flags & IMAGXP_SIGNED == 0 {
        return Ok(None);
    }
    // A name that is not proven owns nothing: its key does.
    let owner = if found.visitor == IMAGXP_VERIFIED_AGENT { found.agent_id } else { found.kid };
    let (agent_id, nonce) = (text(scratch, owner)?, text(scratch, found.nonce)?);
    let (issuer, jti) = (text(scratch, found.issuer)?, text(scratch, found.jti)?);
    if found.check != check_of(found, [agent_id, nonce, issuer, jti]) {
        return Err(Error::AbiState);
    }
    let visa = match found.flags & IMAGXP_SINGLE_USE {
        0 => None,
        _ => Some(VisaUse { issuer, jti, exp_s: found.expires_s }),
    };
    Ok(Some(Entry { agent_id, nonce, ts: UnixMillis::from_ms(found.ts_ms), window_ms: found.window_ms, visa }))
}

/// As much of a grant as the numbers of a verdict tell: a refusal, or a story, shows no more.
///
/// # Errors
/// `ABI_STATE`: not what `imagxp_request_verify` wrote.
pub(crate) fn grant(found: &imagxp_verified) -> Result<Grant<'static>, Error> {
    let visitors = [Visitor::VerifiedAgent, Visitor::LikelyHuman, Visitor::UnidentifiedBot];
    let proofs = [Proof::None, Proof::Visa, Proof::Whitelist, Proof::AdProof];
    let bounds = [Bound::Nothing, Bound::Authority, Bound::Exact];
    let visitor = visitors.into_iter().find(|visitor| *visitor as i32 == found.visitor);
    let proof = proofs.into_iter().find(|proof| *proof as i32 == found.proof);
    let bound = bounds.into_iter().find(|bound| *bound as i32 == found.bound);
    Ok(Grant {
        visitor: visitor.ok_or(Error::AbiState)?,
        claims: None,
        key: None,
        manifest: None,
        bound: bound.ok_or(Error::AbiState)?,
        proof: proof.ok_or(Error::AbiState)?,
        visa: None,
        refresh: None,
        prepare: None,
        clock_stepped_back: false,
    })
}

/// The key of the visa or ad proof.
///
/// # Errors
/// `ABI_STATE`: not what `imagxp_request_verify` wrote.
pub(crate) fn token_key(found: &imagxp_verified) -> Result<PublicKey, Error> {
    let [x, y] = &found.token_key;
    PublicKey::from_coordinates(x, y).map_err(|_| Error::AbiState)
}
