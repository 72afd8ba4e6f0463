//! One signed request, as `sign`, `fetch` and `demo` make it.

use imagxp::{Claims, KeyPair, SignedHeaders, Signing, UnixMillis, sign_request, spec};

use crate::failure::Failure;
use crate::random;

/// What the command line calls itself when it visits a publisher.
pub(crate) const USER_AGENT: &str = concat!("imagxp-cli/", env!("CARGO_PKG_VERSION"), " IMAGXP/1.1");

/// The headers of one request: fresh nonce, hedged and checked signature.
pub(crate) fn sign(
    key: &KeyPair,
    claims: &Claims<'_>,
    visa: Option<&str>,
    now: UnixMillis,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut headers = sign_with(key, claims, &random::bytes()?, now)?;
    headers.extend(visa.map(|visa| (spec::header::CREDENTIAL, visa.trim().to_owned())));
    Ok(headers)
}

/// The same with a nonce of the caller's: what is repeated with it is the same request.
pub(crate) fn sign_with(
    key: &KeyPair,
    claims: &Claims<'_>,
    nonce: &[u8; 16],
    now: UnixMillis,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let hedge = random::bytes::<32>()?;
    let mut out = [0; SignedHeaders::BYTES_MAX];
    let signing = Signing { hedge: &hedge, check: true };
    let signed = sign_request(key, claims, nonce, now, signing, &mut out).map_err(Failure::of)?;
    Ok(signed.iter().map(|(name, value)| (name, value.to_owned())).collect())
}
