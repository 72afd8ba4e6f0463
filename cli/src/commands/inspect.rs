//! `imagxp inspect`

use std::process::ExitCode;

use clap::Args;
use imagxp::codec::base64;
use imagxp::codec::json::Limits;
use imagxp::key::sha256;
use imagxp::{KeyPair, PublicKey, UnixMillis, manifest, spec};
use imagxp_host::system;
use serde_json::Value;
use zeroize::Zeroizing;

use super::jcs::canonical;
use crate::failure::{Failure, Outcome};
use crate::keys::{PRIVATE_KEY, value_of};
use crate::print::{hex, line, row, shown};
use crate::request_file::RequestFile;
use crate::{clock, input};

/// Show what is in a header, token, key, or manifest
#[derive(Args)]
#[command(after_help = "\
It takes whatever it is given: a request's headers, the value of one, a visa, a public or private key in any form, a
manifest, a key set. Nothing is verified, and a private key is never shown: only whose it is.

Examples:
  imagxp inspect headers.txt
  imagxp inspect eyJ2IjoiMS4xIiwi…
  imagxp inspect imagxp-agent.json
  imagxp inspect agent.key.pem")]
pub(crate) struct Inspect {
    /// A file, or the text itself; - or nothing is standard input
    #[arg(value_name = "FILE|TEXT")]
    what: Option<String>,
}

impl Inspect {
    pub(crate) fn run(self) -> Outcome {
        let text = Zeroizing::new(input::read_or_text(self.what.as_deref())?);
        inspect(text.trim_ascii())?;
        Ok(ExitCode::SUCCESS)
    }
}

type Shown = Result<(), Failure>;

/// Tries one reading after the other, the strict ones first.
fn inspect(text: &[u8]) -> Shown {
    if let Ok(key) = KeyPair::from_text(value_of(text, PRIVATE_KEY)) {
        line("private key, not shown")?;
        return public_key(key.public());
    }
    let public = if text.starts_with(b"-----") { PublicKey::from_pem(text) } else { PublicKey::from_text(text) };
    if let Ok(key) = public {
        line("public key")?;
        return public_key(&key);
    }
    let printable = std::str::from_utf8(text).map_err(|_| unknown())?;
    if is_signature(printable) {
        return signature(printable);
    }
    if printable.split('.').count() == 3 && !printable.contains([' ', '\n', '{']) {
        return token(printable);
    }
    if let Ok(json) = serde_json::from_str::<Value>(printable) {
        return object(text, &json);
    }
    if let Some(json) = payload_text(text) {
        line("x-imagxp-payload")?;
        return payload(&json);
    }
    let file = RequestFile::parse(text).map_err(|_| unknown())?;
    if file.imagxp_names().is_empty() { Err(unknown()) } else { headers(&file) }
}

fn unknown() -> Failure {
    Failure::usage(
        "that is nothing of this protocol's",
        "give headers (`name: value`), a payload, a token, a key, a manifest or a key set; a file name must exist",
    )
}

fn public_key(key: &PublicKey) -> Shown {
    row("kid", key.kid().as_str())?;
    row("base64", key.to_text().as_str())?;
    row("curve", "P-256, for ES256")
}

fn is_signature(text: &str) -> bool {
    text.len() == spec::request::SIGNATURE_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn signature(text: &str) -> Shown {
    let (r, s) = text.split_at(spec::request::SIGNATURE_LEN / 2);
    line("x-imagxp-signature, ECDSA P-256")?;
    row("r", r)?;
    row("s", s)?;
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    if lower { Ok(()) } else { row("mistake", "upper-case digits: SIGNATURE_FORMAT") }
}

fn payload_text(text: &[u8]) -> Option<Vec<u8>> {
    let mut json = vec![0; base64::decoded_len_max(text.len())];
    let json = base64::decode(text, &mut json).ok()?;
    json.starts_with(b"{").then(|| json.to_vec())
}

/// The members of a payload, and what is signed.
fn payload(json: &[u8]) -> Shown {
    match serde_json::from_slice::<Value>(json) {
        Ok(Value::Object(members)) => members.iter().try_for_each(|(name, value)| member(name, value))?,
        _ => row("json", &shown(&String::from_utf8_lossy(json)))?,
    }
    match canonical(json, &Limits::PAYLOAD) {
        Ok(canonical) => {
            row("signed", &shown(&String::from_utf8_lossy(&canonical)))?;
            row("sha-256", &hex(&sha256(&canonical)))
        }
        Err(error) => row("refused", &format!("{}: {}", error.name(), error.help())),
    }
}

fn member(name: &str, value: &Value) -> Shown {
    let text = match value {
        Value::String(text) => shown(text),
        value => shown(&value.to_string()),
    };
    let note = match (name, value) {
        ("ts", Value::String(ts)) => UnixMillis::parse(ts.as_bytes()).ok().map(ago),
        ("iat" | "exp" | "nbf" | "at", value) => value.as_i64().map(|s| {
            let at = UnixMillis::from_s(s);
            format!("{}, {}", clock::text(at), ago(at))
        }),
        _ => None,
    };
    row(&shown(name), &note.map_or(text.clone(), |note| format!("{text} ({note})")))
}

fn ago(at: UnixMillis) -> String {
    let ahead = at.ms_since(system::now());
    if ahead > 0 { format!("in {}", clock::span(ahead)) } else { format!("{} ago", clock::span(ahead)) }
}

fn token(text: &str) -> Shown {
    line("token (JWS), its signature not verified")?;
    for (name, part) in ["header", "claims"].into_iter().zip(text.split('.')) {
        let mut json = vec![0; part.len()];
        let json = base64::url_decode(part.as_bytes(), &mut json).ok();
        match json.and_then(|json| serde_json::from_slice::<Value>(json).ok()) {
            Some(Value::Object(members)) => {
                line(name)?;
                members.iter().try_for_each(|(name, value)| member(name, value))?;
            }
            _ => row(name, "not base64url of a JSON object: JWT_FORMAT")?,
        }
    }
    row("characters", &format!("{} of {} at most", text.len(), spec::request::JWT_MAX))
}

/// A manifest, a key set, a JWK, a payload, or headers.
fn object(text: &[u8], json: &Value) -> Shown {
    if json.get("payment_status").is_none() && json.get("nonce").is_some() {
        line("payload")?;
        return payload(text);
    }
    if json
        .as_object()
        .is_some_and(|object| object.keys().any(|name| name.to_ascii_lowercase().starts_with("x-imagxp-")))
    {
        return headers(&RequestFile::parse(text)?);
    }
    if json.get("agent_id").is_some() || json.get("public_key").is_some() {
        return show_manifest(text, json);
    }
    if let Some(keys) = json["keys"].as_array() {
        line(&format!("key set, {} keys", keys.len()))?;
        return keys.iter().try_for_each(jwk);
    }
    if json.get("kty").is_some() {
        line("JWK")?;
        return jwk(json);
    }
    Err(unknown())
}

fn show_manifest(text: &[u8], json: &Value) -> Shown {
    line("manifest")?;
    let agent_id = json["agent_id"].as_str().unwrap_or_default();
    row("agent", &shown(agent_id))?;
    row("contact", &shown(json["contact_email"].as_str().or(json["contact"].as_str()).unwrap_or("none")))?;
    match manifest::read(text, agent_id) {
        Ok(keys) => {
            let now_s = u64::try_from(system::now().s()).unwrap_or_default();
            for key in &keys {
                let state = key.check(now_s).map_or_else(|error| error.name(), |()| "good now");
                row("key", &format!("{} ({state})", key.key.kid().as_str()))?;
            }
            for revoked in keys.revoked() {
                row("revoked", &format!("{} from {}", revoked.kid.as_str(), revoked_from(revoked.at_s)))?;
            }
            row("served at", &format!("https://{}{}", shown(agent_id), spec::MANIFEST_PATH))
        }
        Err(error) => row("refused", &format!("{}: {}", error.name(), error.help())),
    }
}

fn revoked_from(at_s: u64) -> String {
    let at = i64::try_from(at_s).ok().and_then(|s| s.checked_mul(1_000)).map(UnixMillis::from_ms);
    at.map_or_else(|| format!("second {at_s}"), clock::text)
}

fn jwk(jwk: &Value) -> Shown {
    if jwk.get("d").is_some() {
        return row("key", "PRIVATE: `d` must never be published; not shown");
    }
    let text = |name: &str| shown(jwk[name].as_str().unwrap_or("-"));
    row(
        "key",
        &format!("kid {}, {} {}, alg {}, use {}", text("kid"), text("kty"), text("crv"), text("alg"), text("use")),
    )
}

fn headers(file: &RequestFile) -> Shown {
    line("request")?;
    if let Err(error) = file.headers() {
        row("refused", &format!("{}: {}", error.name(), error.help()))?;
    }
    if let Some(json) = file.get(&[spec::header::PAYLOAD]).and_then(|text| payload_text(text.as_bytes())) {
        payload(&json)?;
    }
    for names in [&[spec::header::SIGNATURE][..], &[spec::header::PUBLIC_KEY, spec::header::KEY]] {
        match file.get(names) {
            Some(value) if names.len() == 2 => match PublicKey::from_text(value.as_bytes()) {
                Ok(key) => row("kid", key.kid().as_str())?,
                Err(error) => row("refused", &format!("{}: {}", error.name(), error.help()))?,
            },
            Some(value) => row("signature", &shown(value))?,
            None => row("missing", names.first().unwrap_or(&""))?,
        }
    }
    let visa = file.get(&[spec::header::CREDENTIAL, spec::header::PAYMENT]);
    visa.map_or(Ok(()), token)
}
