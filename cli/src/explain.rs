//! Why a request was refused: which check, what it found, what it would have taken.
//!
//! The library gives the code. What is said here beside it is read anew, and leniently, out of the same headers: it helps
//! people, and decides nothing.

use imagxp::codec::base64;
use imagxp::policy::ResourceBinding;
use imagxp::{Claims, Error, Kind, Policy, PublicKey, Purpose, UnixMillis, manifest, spec};
use imagxp_host::fetch::target::Target;
use serde_json::Value;

use crate::clock::{span, text};
use crate::print::shown;
use crate::request_file::RequestFile;
use crate::verifier::Asked;

/// What can be said of a refusal.
pub(crate) struct Explanation {
    pub(crate) check: &'static str,
    pub(crate) found: Option<String>,
    pub(crate) expected: Option<String>,
}

/// What was at hand when the request was refused.
pub(crate) struct Scene<'a> {
    pub(crate) file: &'a RequestFile,
    pub(crate) claims: Option<&'a Claims<'a>>,
    pub(crate) ts: Option<UnixMillis>,
    pub(crate) policy: &'a Policy<'a>,
    pub(crate) target: Option<&'a Target>,
    pub(crate) asked: &'a [Asked],
    pub(crate) now: UnixMillis,
}

impl Scene<'_> {
    /// Explains a refusal.
    pub(crate) fn explain(&self, error: Error) -> Explanation {
        let (found, expected) = self.details(error);
        Explanation {
            check: check(error),
            found: found.map(|found| shown(&found)),
            expected: expected.map(|text| shown(&text)),
        }
    }

    fn details(&self, error: Error) -> (Option<String>, Option<String>) {
        match error {
            Error::HeadersPartial | Error::HeaderDuplicate => (
                Some(self.file.imagxp_names().join(", ")),
                Some("x-imagxp-payload, x-imagxp-signature and x-imagxp-public-key, each once".to_owned()),
            ),
            Error::SignatureFormat => (self.length(&[spec::header::SIGNATURE]), said("128 lower-case hex digits")),
            Error::KeyFormat | Error::KeyInvalid => {
                (self.length(&KEY), Some(format!("124 characters beginning {}", spec::request::PUBLIC_KEY_PREFIX)))
            }
            Error::PayloadTooLarge | Error::Base64Invalid => {
                (self.length(&[spec::header::PAYLOAD]), said("strict padded base64 of at most 4,096 characters"))
            }
            Error::FieldMissing => (Some(self.missing()), said("v, ts, nonce, agent_id, resource, purpose, each once")),
            Error::VersionUnsupported => (self.member("v"), said("\"1.1\"")),
            Error::PurposeUnknown => (self.member("purpose"), Some(Purpose::ALL.map(Purpose::name).join(", "))),
            Error::AgentIdInvalid => (self.member("agent_id"), said(self.grammar())),
            Error::NonceInvalid => (self.member("nonce"), said("22 to 64 of A-Z a-z 0-9 _ -, such as a UUIDv4")),
            Error::TimestampInvalid => (self.member("ts"), said("UTC as 2026-01-26T12:00:00.000Z")),
            Error::ResourceInvalid => (self.member("resource"), said("an absolute https URL")),
            Error::TimestampStale | Error::TimestampFuture => self.time(),
            Error::ResourceMismatch => (self.member("resource"), self.url()),
            Error::KeyMismatch | Error::KeyRevoked => (self.kid(), self.published()),
            Error::ManifestUnavailable => {
                (self.reason(Kind::Manifest), said("status 200, application/json, no redirect"))
            }
            Error::ManifestMismatch => (self.manifest_member("agent_id"), self.member("agent_id")),
            Error::ManifestInvalid => {
                (self.manifest_member("public_key"), said("agent_id, and public_key as 124 characters of base64"))
            }
            Error::JwksUnavailable => (self.reason(Kind::Jwks), said("status 200, application/json, no redirect")),
            Error::SignatureInvalid => (
                self.kid().map(|kid| format!("key {kid}")),
                said("r || s by that key over the SHA-256 of the payload's canonical form: see `imagxp jcs --sha256`"),
            ),
            Error::PurposeRefused => (self.member("purpose"), Some(self.admitted())),
            Error::VisaRequired => (said("no visa"), Some(self.price())),
            Error::VisaAmount => (self.token("amount"), Some(self.price())),
            Error::VisaUnpaid => (self.token("payment_status"), said("\"paid\"")),
            Error::JwtIssuer => (self.token("iss"), Some(join(self.policy.issuers().map(|issuer| issuer.iss)))),
            Error::JwtAudience => (self.token("aud"), Some(join(self.policy.audiences()))),
            Error::JwtExpired => (self.token("exp"), Some(format!("after {} (now)", self.now.s()))),
            Error::JwtNotYet => (self.token("iat"), Some(format!("not after {} (now)", self.now.s()))),
            Error::JwtSubject => (self.token("sub"), self.member("agent_id")),
            Error::VisaBinding => (self.token("cnf"), self.kid()),
            error => self.format_details(error),
        }
    }

    /// The refusals of form, headers first, then the payload's JSON, then the token.
    fn format_details(&self, error: Error) -> (Option<String>, Option<String>) {
        match error {
            Error::HeadersTooLarge => {
                (Some(format!("{} bytes", self.file.imagxp_bytes())), said("at most 12,288 bytes together"))
            }
            Error::HeaderBytes => (self.file.unprintable(), said("printable ASCII without spaces")),
            Error::HeadersContradict => (
                Some(self.file.imagxp_names().join(", ")),
                said("each alias and informational header as what it repeats"),
            ),
            Error::VisitorRefused | Error::IdentityRequired => {
                let agent = self.file.get(&["user-agent"]).unwrap_or("none");
                (
                    Some(format!("no IMAGXP headers, User-Agent {agent}")),
                    said("a signed request, or a browser where browsers may pass"),
                )
            }
            Error::FieldType => (self.types(), said("strings; context an object, its ads_displayed a boolean")),
            Error::JwtTooLarge => (self.length(&CREDENTIAL), said("at most 4,096 characters")),
            Error::JwtFormat => (self.parts(), said("three parts of base64url, the last of 86 characters")),
            Error::JwtAlg => (self.token_header("alg"), said("\"ES256\"")),
            Error::JwtHeader => (self.token_part(0).map(|header| header.to_string()), said(error.help())),
            Error::JwtKeyUnknown => (self.token_header("kid"), self.issuers_kids()),
            Error::JwtLifetime => {
                let dates = self.token("iat").zip(self.token("exp"));
                (dates.map(|(iat, exp)| format!("iat {iat}, exp {exp}")), said("exp at most 3600 after iat"))
            }
            Error::JwtClaims => (self.token_part(1).map(|claims| claims.to_string()), said(error.help())),
            Error::JwksTooLarge | Error::JwksInvalid | Error::JwksDuplicateKid => (self.key_set(), said(error.help())),
            _ if (-223..=-215).contains(&error.number()) => (self.json_fault(), said(error.help())),
            _ => (None, None),
        }
    }

    /// How long a header is, and how it begins.
    fn length(&self, names: &[&str]) -> Option<String> {
        let value = self.file.get(names)?;
        let start: String = value.chars().take(16).collect();
        Some(format!("{} characters beginning {start}", value.chars().count()))
    }

    fn payload(&self) -> Option<Value> {
        let text = self.file.get(&[spec::header::PAYLOAD])?.as_bytes();
        let mut json = vec![0; base64::decoded_len_max(text.len())];
        serde_json::from_slice(base64::decode(text, &mut json).ok()?).ok()
    }

    fn member(&self, name: &str) -> Option<String> {
        match self.payload()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn missing(&self) -> String {
        let payload = self.payload().unwrap_or_default();
        let names = ["v", "ts", "nonce", "agent_id", "resource", "purpose"];
        format!("no {}", join(names.into_iter().filter(|name| payload.get(name).is_none())))
    }

    fn grammar(&self) -> &'static str {
        if self.policy.is_development() {
            "a public domain name in lower case, or localhost:port"
        } else {
            "a public domain name in lower case, such as bot.example.com (localhost is for --dev)"
        }
    }

    fn time(&self) -> (Option<String>, Option<String>) {
        let Some(ts) = self.ts else { return (self.member("ts"), None) };
        let ahead = ts.ms_since(self.now);
        let where_ = if ahead > 0 { "after" } else { "before" };
        let (from, to) = (
            self.now.saturating_sub(self.policy.window_ms().into()),
            self.now.saturating_add(self.policy.skew_ms().into()),
        );
        let found = format!("{}, {} {where_} now", text(ts), span(ahead));
        (Some(found), Some(format!("between {} and {} (now is {})", text(from), text(to), text(self.now))))
    }

    fn url(&self) -> Option<String> {
        let target = self.target?;
        match self.policy.resource_binding() {
            ResourceBinding::Exact => Some(target.url()),
            _ => Some(format!("any page of {}", target.authority)),
        }
    }

    /// The kid of the key that was sent.
    pub(crate) fn kid(&self) -> Option<String> {
        PublicKey::from_text(self.file.get(&KEY)?.as_bytes()).ok().map(|key| key.kid().as_str().to_owned())
    }

    fn document(&self, kind: Kind) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.kind == kind)
    }

    /// The kids of the manifest.
    fn published(&self) -> Option<String> {
        let body = self.document(Kind::Manifest)?.body.as_deref()?;
        let keys = manifest::read(body, self.claims?.agent_id).ok()?;
        let kids = keys.iter().map(|key| {
            let note =
                if key.check(u64::try_from(self.now.s()).unwrap_or_default()).is_ok() { "" } else { " (not now)" };
            format!("{}{note}", key.key.kid().as_str())
        });
        Some(format!("a key of the manifest: {}", kids.collect::<Vec<_>>().join(", ")))
    }

    fn manifest_member(&self, name: &str) -> Option<String> {
        let json: Value = serde_json::from_slice(self.document(Kind::Manifest)?.body.as_deref()?).ok()?;
        Some(json.get(name).map_or_else(|| format!("no {name}"), Value::to_string))
    }

    fn reason(&self, kind: Kind) -> Option<String> {
        self.document(kind)?.reason.clone()
    }

    fn admitted(&self) -> String {
        let admitted = join(Purpose::ALL.into_iter().filter(|purpose| self.policy.admits(*purpose)).map(Purpose::name));
        if admitted.is_empty() { "no purpose: the policy admits none".to_owned() } else { admitted }
    }

    fn price(&self) -> String {
        let price = match self.policy.price() {
            0 => "any amount".to_owned(),
            price => format!("at least {}", imagxp::money::decimal(price)),
        };
        let issuers = join(self.policy.issuers().map(|issuer| issuer.iss));
        if issuers.is_empty() { format!("a visa of {price}") } else { format!("a visa of {price} from {issuers}") }
    }

    /// A claim of the visa, unproven.
    fn token(&self, name: &str) -> Option<String> {
        Some(self.token_part(1)?.get(name).map_or_else(|| format!("no {name}"), Value::to_string))
    }

    fn token_header(&self, name: &str) -> Option<String> {
        Some(self.token_part(0)?.get(name).map_or_else(|| format!("no {name}"), Value::to_string))
    }

    /// Header or claims of the visa, unproven.
    fn token_part(&self, place: usize) -> Option<Value> {
        let part = self.file.get(&CREDENTIAL)?.split('.').nth(place)?.as_bytes();
        let mut json = vec![0; part.len()];
        serde_json::from_slice(base64::url_decode(part, &mut json).ok()?).ok()
    }

    fn parts(&self) -> Option<String> {
        let lengths = self.file.get(&CREDENTIAL)?.split('.').map(|part| part.len().to_string());
        Some(format!("parts of {} characters", lengths.collect::<Vec<_>>().join(", ")))
    }

    /// The kids of the issuer's key set.
    fn issuers_kids(&self) -> Option<String> {
        let set: Value = serde_json::from_slice(self.document(Kind::Jwks)?.body.as_deref()?).ok()?;
        let kids = set["keys"].as_array()?.iter().map(|key| key["kid"].to_string());
        Some(format!("a kid of the key set: {}", kids.collect::<Vec<_>>().join(", ")))
    }

    fn key_set(&self) -> Option<String> {
        self.document(Kind::Jwks)?.body.as_ref().map(|body| format!("a document of {} bytes", body.len()))
    }

    /// Which JSON type each member of the payload has that is no string.
    fn types(&self) -> Option<String> {
        let payload = self.payload()?;
        let others = payload.as_object()?.iter().filter(|(_, value)| !value.is_string());
        Some(join(
            others.map(|(name, value)| format!("{name} is {value}")).collect::<Vec<_>>().iter().map(String::as_str),
        ))
    }

    /// What another reader says of the payload; it takes more than the library does.
    fn json_fault(&self) -> Option<String> {
        let text = self.file.get(&[spec::header::PAYLOAD])?.as_bytes();
        let mut json = vec![0; base64::decoded_len_max(text.len())];
        let json = base64::decode(text, &mut json).ok()?;
        match serde_json::from_slice::<Value>(json) {
            Err(fault) => Some(fault.to_string()),
            Ok(_) => Some(format!("JSON of {} bytes", json.len())),
        }
    }
}

const CREDENTIAL: [&str; 2] = [spec::header::CREDENTIAL, spec::header::PAYMENT];

const KEY: [&str; 2] = [spec::header::PUBLIC_KEY, spec::header::KEY];

fn said(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Which of the checks it was, in their order (docs/checks.md).
fn check(error: Error) -> &'static str {
    match error {
        Error::TimestampStale | Error::TimestampFuture => "3 freshness",
        Error::ResourceMismatch | Error::ResourceInvalid => "4 resource",
        Error::KeyInvalid | Error::SignatureInvalid => "5 signature",
        Error::PurposeRefused => "7 policy",
        Error::ReplayDetected | Error::RestartGuard | Error::ReplayCacheFull | Error::AgentQuota => "9 first time",
        Error::VisitorRefused | Error::IdentityRequired => "1 headers",
        error => match error.number() {
            -299..=-215 => "2 payload",
            -214..=-200 => "1 headers",
            -499..=-400 => "6 identity",
            -599..=-500 => "8 payment",
            _ => "0 the verifier's own input",
        },
    }
}
