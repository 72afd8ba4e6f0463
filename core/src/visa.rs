//! Visas, and the other tokens that configured issuers sign: verified by one machinery (protocol.md sections 4 and 5).

use crate::codec::decimal;
use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::inverted::Inverted;
use crate::jose::jws::{self, CLAIMS_MAX, copy};
use crate::key::{Digest, Kid, PublicKey};
use crate::key_cache::Keys;
use crate::need::Need;
use crate::policy::{Micros, Policy, Role, VisaBinding};
use crate::time::UnixMillis;
use crate::{Error, spec};

/// Whom a token must be bound to, if it names anybody.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The verified agent.
    pub agent_id: &'a str,
    /// The thumbprint of the request's key.
    pub key: Kid,
}

/// What a good token says.
#[derive(Clone, Copy, Debug)]
pub struct Token<'p> {
    /// Who issued it.
    pub issuer: &'p str,
    /// Its `jti`, if it has one.
    pub jti: Option<Jti>,
    /// What was paid; 0 in tokens that are no visas.
    pub amount: Micros,
    /// `exp`, seconds since 1970, rounded up.
    pub exp_s: i64,
    /// Whether it names its holder.
    pub bound: bool,
    /// The key that signed it, and the SHA-256 of the key set that lists it: for the evidence.
    pub key: PublicKey,
    /// See `key`.
    pub jwks: Digest,
    /// A newer key set is due: fetch it after answering.
    pub refresh: Option<Need<'p>>,
}

/// A token's `jti`: at most 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jti {
    bytes: [u8; spec::jwt::JTI_MAX],
    len: usize,
}

impl Jti {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// A verdict, or the key set that it takes.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the ordinary one, and there is no heap")]
pub enum TokenStep<'p> {
    /// Fetch this, supply it, and call again.
    Need(Need<'p>),
    /// The token is good.
    Verified(Token<'p>),
}

/// Verifies a token of the policy's issuers of this role, in the order of threats.md 4.4: at most one signature check.
/// `holder` is none outside a request: bindings are then not judged.
///
/// # Errors
/// `JWT_*`, `SIGNATURE_INVALID`, `VISA_*`, `JWKS_UNAVAILABLE`
pub fn verify<'p>(
    token: &[u8],
    role: Role,
    holder: Option<Holder<'_>>,
    policy: &Policy<'p>,
    keys: &Keys<'_>,
    now: UnixMillis,
) -> Result<TokenStep<'p>, Error> {
    verify_with(token, role, holder, None, policy, keys, now)
}

/// As [`verify`]. `ready` may be the token's signature.
pub(crate) fn verify_with<'p>(
    token: &[u8],
    role: Role,
    holder: Option<Holder<'_>>,
    ready: Option<&Inverted>,
    policy: &Policy<'p>,
    keys: &Keys<'_>,
    now: UnixMillis,
) -> Result<TokenStep<'p>, Error> {
    let token = jws::Token::parse(token)?;
    let mut kid = [0; spec::jwt::KID_MAX];
    let header = token.header(&spec::jwt::TYPES, &mut kid)?;
    let mut json = [0; CLAIMS_MAX];
    let json = token.claims(&mut json)?;
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(json, &Limits::PAYLOAD, &mut nodes).map_err(|_| Error::JwtClaims)?;
    let claims = Claims(document.root());

    let issuer = claims.issuer(policy, role)?;
    let now_s = u64::try_from(now.s()).map_err(|_| Error::ClockUnknown)?;
    let need = Need::jwks(issuer.jwks_url).ok_or(Error::PolicyInvalid)?;
    let Some(set) = keys.issuer(issuer.jwks_url) else {
        // With fewer places than issuers the sets would push each other out, and the loop would not end.
        let room = keys.issuer_slots() >= policy.issuers().count();
        return if room { Ok(TokenStep::Need(need)) } else { Err(Error::AbiStorage) };
    };
    if !set.lives().usable(now_s) || policy.requires_fresh() && !set.lives().is_fresh(now_s) {
        let unavailable = set.lives().failure().unwrap_or(Error::JwksUnavailable);
        return if set.lives().wants_refresh(now_s) { Ok(TokenStep::Need(need)) } else { Err(unavailable) };
    }
    let Some((_, key, table)) = set.find(header.kid.map(|kid| keys.kid_tag(kid))) else {
        let may_be_new = set.lives().may_refresh(now_s);
        return if may_be_new {
            Ok(TokenStep::Need(need))
        } else {
            Err(set.lives().failure().unwrap_or(Error::JwtKeyUnknown))
        };
    };
    let ready = ready.copied().filter(|ready| ready.is(token.signature()));
    let signature = ready.unwrap_or_else(|| Inverted::of(token.signature()));
    keys.verify(&key, table, &token.digest(), &signature)?;

    let refresh = set.lives().wants_refresh(now_s).then_some(need);
    let Claimed { jti, amount, exp_s, bound } = claims.check(policy, role, holder, now.s())?;
    let (issuer, jwks) = (issuer.iss, set.digest());
    Ok(TokenStep::Verified(Token { issuer, jti, amount, exp_s, bound, key, jwks, refresh }))
}

/// What the claims of a good token say.
struct Claimed {
    jti: Option<Jti>,
    amount: Micros,
    exp_s: i64,
    bound: bool,
}

/// The claims of a token, read.
struct Claims<'t, 'n>(Value<'t, 'n>);

impl Claims<'_, '_> {
    /// The unverified `iss` only selects among the configured issuers.
    fn issuer<'p>(&self, policy: &Policy<'p>, role: Role) -> Result<crate::policy::Issuer<'p>, Error> {
        if self.0.kind() != Kind::Object {
            return Err(Error::JwtClaims);
        }
        let iss = self.0.get("iss").and_then(|iss| iss.as_text()).ok_or(Error::JwtIssuer)?;
        let mut issuers = policy.issuers().filter(|issuer| issuer.role == role);
        issuers.find(|issuer| iss == *issuer.iss).ok_or(Error::JwtIssuer)
    }

    /// Everything behind the signature, in the order of threats.md 4.4.
    fn check(&self, policy: &Policy<'_>, role: Role, holder: Option<Holder<'_>>, now_s: i64) -> Result<Claimed, Error> {
        self.check_audience(policy)?;
        let exp_s = self.check_dates(now_s)?;
        let bound = self.check_holder(holder, policy.visa_binding(), role)?;
        let jti = self.jti()?;
        let amount = if role == Role::Broker { self.check_payment(policy.price())? } else { 0 };
        Ok(Claimed { jti, amount, exp_s, bound })
    }

    /// A string, or an array of 1 to 8, that names this publisher (threats.md 4.4).
    fn check_audience(&self, policy: &Policy<'_>) -> Result<(), Error> {
        let aud = self.0.get("aud").ok_or(Error::JwtAudience)?;
        let ours = |aud: &Value<'_, '_>| {
            let mut memory = [0; spec::jwt::AUDIENCE_MAX];
            let aud = aud.as_text().and_then(|aud| copy(aud, &mut memory));
            aud.is_some_and(|aud| policy.audiences().any(|ours| same_audience(ours, aud)))
        };
        let named = match aud.kind() {
            Kind::String => ours(&aud),
            Kind::Array => {
                aud.count() <= spec::jwt::AUDIENCES_MAX
                    && aud.children().all(|aud| aud.kind() == Kind::String)
                    && aud.children().any(|aud| ours(&aud))
            }
            _ => false,
        };
        if named { Ok(()) } else { Err(Error::JwtAudience) }
    }

    /// Dates in milliseconds, so that fractions are judged; the clock in whole seconds. Returns `exp`, rounded up.
    fn check_dates(&self, now_s: i64) -> Result<i64, Error> {
        let date = |name| self.0.get(name).map(|value| date_ms(&value).ok_or(Error::JwtClaims)).transpose();
        let exp = date("exp")?.ok_or(Error::JwtClaims)?;
        let iat = date("iat")?.ok_or(Error::JwtClaims)?;
        let nbf = date("nbf")?;
        let now = now_s.saturating_mul(1_000);
        let tolerance = spec::time::TOKEN_TOLERANCE_S.saturating_mul(1_000);
        if now >= exp.saturating_add(tolerance) {
            return Err(Error::JwtExpired);
        }
        if iat.max(nbf.unwrap_or(iat)) > now.saturating_add(tolerance) {
            return Err(Error::JwtNotYet);
        }
        if exp.saturating_sub(iat) > spec::time::TOKEN_LIFETIME_S.saturating_mul(1_000) {
            return Err(Error::JwtLifetime);
        }
        Ok(exp.saturating_add(999).div_euclid(1_000))
    }

    /// `sub` and `cnf.jkt`: what is there must be the request's (protocol.md section 4).
    fn check_holder(&self, holder: Option<Holder<'_>>, binding: VisaBinding, role: Role) -> Result<bool, Error> {
        let (sub, cnf) = (self.0.get("sub"), self.0.get("cnf"));
        if let Some(sub) = sub {
            let sub = sub.as_text().ok_or(Error::JwtClaims)?;
            if holder.is_some_and(|holder| holder.agent_id.is_empty() || sub != *holder.agent_id) {
                return Err(Error::JwtSubject);
            }
        }
        if let Some(cnf) = cnf {
            let jkt = cnf.get("jkt").and_then(|jkt| jkt.as_text()).ok_or(Error::VisaBinding)?;
            if holder.is_some_and(|holder| jkt != *holder.key.as_str()) {
                return Err(Error::VisaBinding);
            }
        }
        let bound = sub.is_some() && cnf.is_some();
        if !bound && binding == VisaBinding::Require && role == Role::Broker {
            return Err(Error::VisaBinding);
        }
        Ok(bound)
    }

    fn jti(&self) -> Result<Option<Jti>, Error> {
        let Some(jti) = self.0.get("jti") else { return Ok(None) };
        let jti = jti.as_text().ok_or(Error::JwtClaims)?;
        let mut bytes = [0; spec::jwt::JTI_MAX];
        let len = copy(jti, &mut bytes).filter(|jti| !jti.is_empty()).ok_or(Error::JwtClaims)?.len();
        Ok(Some(Jti { bytes, len }))
    }

    /// `ver`, `payment_status`, `amount`: exact decimals, no floating point (house rule on money).
    fn check_payment(&self, price: Micros) -> Result<Micros, Error> {
        let known = |ver: &Value<'_, '_>| {
            ver.as_text().is_some_and(|ver| spec::VERSIONS_READ.iter().any(|known| ver == **known))
        };
        if self.0.get("ver").is_some_and(|ver| !known(&ver)) {
            return Err(Error::JwtClaims);
        }
        let status = self.0.get("payment_status").ok_or(Error::VisaUnpaid)?;
        if status.as_text().ok_or(Error::JwtClaims)? != *spec::jwt::PAID {
            return Err(Error::VisaUnpaid);
        }
        let amount = self.0.get("amount").ok_or(Error::VisaAmount)?.as_number().ok_or(Error::JwtClaims)?;
        let exact = decimal::scaled(amount, 6).filter(|(_, exact)| *exact);
        let (amount, _) = exact.filter(|(amount, _)| *amount > 0 && *amount >= price).ok_or(Error::VisaAmount)?;
        Ok(amount)
    }
}

/// `nytimes.com` and `https://nytimes.com` are the same audience; nothing else is normalised.
pub(crate) fn same_audience(ours: &str, theirs: &str) -> bool {
    let bare = |name| str::strip_prefix(name, "https://").unwrap_or(name);
    bare(ours) == bare(theirs)
}

/// A JSON number of seconds, 0 to 2^53 exclusive, in milliseconds, rounded up: the stricter reading of every date
/// but `exp`, where it is half a tolerance within a millisecond.
fn date_ms(value: &Value<'_, '_>) -> Option<i64> {
    let (ms, exact) = decimal::scaled(value.as_number()?, 3)?;
    let ms = if exact { ms } else { ms.checked_add(1)? };
    (ms < (1 << 53) * 1_000).then_some(ms)
}
