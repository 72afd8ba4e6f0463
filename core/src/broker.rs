//! The broker's side: it issues visas, and publishes the keys that they verify with (protocol.md sections 4 and 7).

use crate::codec::json::Limits;
use crate::codec::writer::{Writer, write_whole};
use crate::host::{self, Mode};
use crate::jose::jwk;
use crate::jose::jws::{self, Place};
use crate::key::{KeyPair, PublicKey, Signing};
use crate::money;
use crate::policy::Micros;
use crate::time::UnixMillis;
use crate::visa::Holder;
use crate::{Error, Purpose, spec};

/// What a visa says.
#[derive(Clone, Copy, Debug)]
pub struct Visa<'a> {
    /// `iss`: the broker's URL, byte for byte as publishers configure it.
    pub issuer: &'a str,
    /// `aud`: the publisher, `nytimes.com` or `https://nytimes.com`.
    pub audience: &'a str,
    /// What was paid, above 0.
    pub amount: Micros,
    /// `exp - iat`: 1 to 3,600 seconds.
    pub lifetime_s: u32,
    /// Whom the visa is bound to (`sub` and `cnf.jkt`); none is good for anybody who holds it.
    pub holder: Option<Holder<'a>>,
    /// The visa's own name, 1 to 128 bytes: wanted by publishers for whom a visa is good for one request.
    pub jti: Option<&'a str>,
    /// What it was bought for; informational.
    pub purpose: Option<Purpose>,
    /// The currency, 3 to 8 upper-case letters; informational.
    pub currency: Option<&'a str>,
}

/// Issues a visa, in `out` (4,096 bytes always suffice; 700 do for most): a compact JWS with the header
/// `{"alg":"ES256","kid":…,"typ":"imagxp-visa+jwt"}` and the members of the introduction's broker in their order.
///
/// # Errors
/// `BUFFER_TOO_SMALL`, `SIGN_FAULT` with [`Signing::check`], and what a verifier would refuse: `CLOCK_UNKNOWN`,
/// `JWT_HEADER` (`kid`), `JWT_ISSUER`, `JWT_AUDIENCE`, `VISA_AMOUNT`, `JWT_LIFETIME`, `AGENT_ID_INVALID`,
/// `JWT_CLAIMS` (`jti`, `currency`), `JWT_TOO_LARGE`.
pub fn issue_visa<'o>(
    key: &KeyPair,
    kid: &str,
    visa: &Visa<'_>,
    now: UnixMillis,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<&'o str, Error> {
    issue_visa_at(key, kid, visa, now, signing, jws::front(out))
}

/// As [`issue_visa`], into a place that is asked for once the visa's length is known.
///
/// # Errors
/// As [`issue_visa`], and those of `place`.
pub fn issue_visa_at<'o>(
    key: &KeyPair,
    kid: &str,
    visa: &Visa<'_>,
    now: UnixMillis,
    signing: Signing<'_>,
    place: impl Place<'o>,
) -> Result<&'o str, Error> {
    check(kid, visa, now)?;
    let mut header = [0; spec::jwt::HEADER_MAX];
    let mut claims = [0; jws::CLAIMS_MAX];
    // What does not fit here would not fit a verifier's bounds either.
    let header = write_header(kid, &mut header).map_err(|_| Error::JwtTooLarge)?;
    let claims = write_claims(visa, now.s(), &mut claims).map_err(|_| Error::JwtTooLarge)?;
    jws::sign_at(key, header, claims, signing, place)
}

/// The rules of the verifier, [`crate::visa::verify`], and of the policy that it verifies against.
fn check(kid: &str, visa: &Visa<'_>, now: UnixMillis) -> Result<(), Error> {
    let lifetime = 1..=spec::time::TOKEN_LIFETIME_S;
    let broken = [
        (now.ms() <= 0 || now > UnixMillis::LAST, Error::ClockUnknown),
        (!(1..=spec::jwt::KID_MAX).contains(&kid.len()), Error::JwtHeader),
        (!is_plain(visa.issuer, Limits::PAYLOAD.string), Error::JwtIssuer),
        (!is_plain(visa.audience, spec::jwt::AUDIENCE_MAX), Error::JwtAudience),
        (visa.amount <= 0, Error::VisaAmount),
        (!lifetime.contains(&i64::from(visa.lifetime_s)), Error::JwtLifetime),
        (visa.jti.is_some_and(|jti| !(1..=spec::jwt::JTI_MAX).contains(&jti.len())), Error::JwtClaims),
        (visa.currency.is_some_and(|currency| !is_currency(currency)), Error::JwtClaims),
    ];
    if let Some((_, error)) = broken.into_iter().find(|(broken, _)| *broken) {
        return Err(error);
    }
    visa.holder.map_or(Ok(()), |holder| host::check_agent_id(holder.agent_id, Mode::Development))
}

/// What a policy can hold: printable ASCII that JSON writes without escapes.
fn is_plain(text: &str, max: usize) -> bool {
    let plain = |byte: u8| spec::request::BYTES.contains(&byte) && byte != b'"' && byte != b'\\';
    (1..=max).contains(&text.len()) && text.bytes().all(plain)
}

fn is_currency(text: &str) -> bool {
    spec::jwt::CURRENCY_LEN.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn write_header<'o>(kid: &str, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let mut writer = Writer::new(out);
    writer.text("{\"alg\":\"ES256\",\"kid\":");
    writer.string(kid);
    writer.text(",\"typ\":");
    writer.string(spec::jwt::TYPE_VISA);
    writer.text("}");
    Ok(writer.finish()?.0)
}

/// The introduction's members in its order, then the binding and what else there is.
fn write_claims<'o>(visa: &Visa<'_>, now_s: i64, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let mut writer = Writer::new(out);
    writer.text("{\"payment_status\":");
    writer.string(spec::jwt::PAID);
    writer.text(",\"amount\":");
    writer.text(&money::decimal(visa.amount));
    writer.text(",\"ver\":");
    writer.string(spec::VERSION);
    writer.text(",\"iat\":");
    writer.integer(now_s);
    writer.text(",\"iss\":");
    writer.string(visa.issuer);
    writer.text(",\"aud\":");
    writer.string(visa.audience);
    writer.text(",\"exp\":");
    writer.integer(now_s.saturating_add(visa.lifetime_s.into()));
    if let Some(holder) = visa.holder {
        writer.text(",\"sub\":");
        writer.string(holder.agent_id);
        writer.text(",\"cnf\":{\"jkt\":");
        writer.string(holder.key.as_str());
        writer.text("}");
    }
    let purpose = visa.purpose.map(Purpose::name);
    for (name, value) in [(",\"jti\":", visa.jti), (",\"purpose\":", purpose), (",\"cur\":", visa.currency)] {
        if let Some(value) = value {
            writer.text(name);
            writer.string(value);
        }
    }
    writer.text("}");
    Ok(writer.finish()?.0)
}

/// A key that a broker publishes, under the name by which its tokens choose it.
#[derive(Clone, Copy, Debug)]
pub struct PublishedKey<'a> {
    /// `kid`, 1 to 128 bytes.
    pub kid: &'a str,
    /// The key.
    pub key: &'a PublicKey,
}

/// Writes the JWK Set to serve at `/.well-known/jwks.json`: `{"keys":[{…,"use":"sig","alg":"ES256"}]}` (protocol.md
/// section 7). 250 bytes a key suffice for plain `kid`s.
///
/// # Errors
/// `BUFFER_TOO_SMALL`, and what a verifier would refuse: `JWKS_INVALID` (no key or above 32, a `kid` of another length),
/// `JWKS_DUPLICATE_KID`.
pub fn write_jwks<'o>(keys: &[PublishedKey<'_>], out: &'o mut [u8]) -> Result<&'o str, Error> {
    write_whole(out, |writer| write_jwks_to(keys, writer))
}

/// As [`write_jwks`], into a writer.
///
/// # Errors
/// As [`write_jwks`].
pub fn write_jwks_to(keys: &[PublishedKey<'_>], writer: &mut Writer<'_>) -> Result<(), Error> {
    let good_kid = |published: &PublishedKey<'_>| (1..=spec::jwt::KID_MAX).contains(&published.kid.len());
    if !(1..=spec::document::JWKS_KEYS_MAX).contains(&keys.len()) || !keys.iter().all(good_kid) {
        return Err(Error::JwksInvalid);
    }
    let later = |at: usize| keys.iter().skip(at.saturating_add(1));
    if keys.iter().enumerate().any(|(at, key)| later(at).any(|other| other.kid == key.kid)) {
        return Err(Error::JwksDuplicateKid);
    }
    for (index, published) in keys.iter().enumerate() {
        writer.text(if index == 0 { "{\"keys\":[" } else { "," });
        jwk::write(published.key, published.kid, writer)?;
    }
    writer.text("]}");
    Ok(())
}
