//! `rfc/`: values that the standards publish.

use std::path::Path;

use imagxp::codec::json::{Document, Limits, Node};
use imagxp::codec::{base64, hex};
use imagxp::jose::jwk::{self, Jwk};
use imagxp::jose::jws;
use imagxp::key::sha256;
use imagxp::{Error, KeyPair, PublicKey, Signing, spec};
use serde_json::Value;

use crate::cases::{Outcome, Run, bytes, equal, holds, rows, text};

/// Runs every file.
pub(crate) fn run(run: &mut Run, vectors: &Path) {
    let files: [(&str, fn(&Value) -> Outcome); 4] = [
        ("rfc4648_10", base_encodings),
        ("rfc6979_p256_sha256", deterministic_signature),
        ("rfc8785_appendix_b", canonical_number),
        ("jose", jose),
    ];
    for (name, case) in files {
        run.json(vectors, &format!("rfc/{name}.json"), |document, tally| {
            rows(document).for_each(|(id, row)| tally.case(&id, || case(row)));
        });
    }
}

/// RFC 4648 section 10, both ways. Our base16 is lower-case.
fn base_encodings(row: &Value) -> Outcome {
    let raw = text(row, "raw")?.as_bytes();
    equal(bytes::base64(raw), text(row, "base64")?.to_owned())?;
    equal(bytes::base64url(raw), text(row, "base64url_nopad")?.to_owned())?;
    let (mut digits, mut out) = (vec![0; 2 * raw.len()], vec![0; raw.len() + 3]);
    equal(hex::encode(raw, &mut digits), Ok(text(row, "base16")?.to_lowercase().as_str()))?;
    equal(hex::decode(&digits, &mut out), Ok(raw))?;
    equal(base64::decode(text(row, "base64")?.as_bytes(), &mut out), Ok(raw))?;
    equal(base64::url_decode(text(row, "base64url_nopad")?.as_bytes(), &mut out), Ok(raw))
}

/// RFC 6979: the one signature of a key and a message.
fn deterministic_signature(row: &Value) -> Outcome {
    let scalar = bytes::unhex_32(text(row, "d")?).ok_or("the row's d is too long")?;
    let key = KeyPair::from_scalar(&scalar).map_err(|error| error.to_string())?;
    let public = bytes::public_key(text(row, "qx")?, text(row, "qy")?);
    equal(Ok(*key.public()), public)?;
    let message = match row["msg_utf8"].as_str() {
        Some(message) => message.as_bytes().to_vec(),
        None => bytes::unhex(text(row, "msg_hex")?)?,
    };
    let wanted = bytes::signature(text(row, "r")?, text(row, "s")?).ok_or("the row's signature is too long")?;
    let digest = sha256(&message);
    equal(key.sign(&digest, Signing { hedge: &[], check: true }), Ok(wanted))?;
    equal(key.public().verify(&digest, &wanted), Ok(()))
}

/// RFC 8785 appendix B: the bits of a double, and how it is written. What is no number of JSON must be refused.
fn canonical_number(row: &Value) -> Outcome {
    let bits = u64::from_str_radix(text(row, "bits")?, 16).map_err(|_| "the row's bits are none")?;
    let value = f64::from_bits(bits);
    let written = if value.is_infinite() { "1e999".to_owned() } else { format!("{value:e}") };
    let canonical = bytes::canonical(written.as_bytes(), &Limits::WIDE);
    match row["text"].as_str() {
        Some(text) => equal(canonical.as_deref(), Ok(text.as_bytes())),
        None => holds(canonical.is_err(), "it was written"),
    }
}

fn jose(row: &Value) -> Outcome {
    match text(row, "kind")? {
        "jws-es256-valid" => equal(verify_jws(text(row, "jws")?, &key_of(&row["jwk"])?), Ok(())),
        kind if kind.ends_with("-must-reject") => {
            let refused = verify_jws(text(row, "jws")?, crate::cases::request::agent_key().public());
            holds(matches!(refused, Err(Error::JwtAlg | Error::JwtFormat)), "another algorithm was accepted")
        }
        "jwk-private-ec" => private_jwk(&row["jwk"]),
        // RSA is for reading: this library has no such key.
        "thumbprint" if row["jwk"]["kty"] != "EC" => Ok(()),
        "thumbprint" => equal(key_of(&row["jwk"])?.kid().as_str(), text(row, "thumbprint")?),
        kind => Err(format!("unknown kind {kind}")),
    }
}

/// Signs with it; whether it may verify others' tokens is another question.
fn private_jwk(jwk: &Value) -> Outcome {
    let key = KeyPair::from_text(jwk.to_string().as_bytes()).map_err(|error| error.to_string())?;
    equal(*key.public(), key_of(jwk)?)
}

/// The public key of a JWK, private ones and foreign uses stripped.
fn key_of(jwk: &Value) -> Result<PublicKey, String> {
    let public = serde_json::json!({ "kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"] }).to_string();
    let mut nodes = [Node::default(); 16];
    let document = Document::parse(public.as_bytes(), &Limits::JWK, &mut nodes).map_err(|error| error.to_string())?;
    match jwk::read(&document.root()) {
        Ok(Jwk::Usable(key, _)) => Ok(key),
        other => Err(format!("no key: {other:?}")),
    }
}

/// The bare JWS: header and signature.
fn verify_jws(token: &str, key: &PublicKey) -> Result<(), Error> {
    let token = jws::Token::parse(token.as_bytes())?;
    token.header(&spec::jwt::TYPES, &mut [0; spec::jwt::KID_MAX])?;
    key.verify(&token.digest(), token.signature())
}
