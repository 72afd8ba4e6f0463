//! `interop/`: canonical JSON, keys, and the other things that the reference signs. Where the profile accepts an input, the texts
//! equal the reference's; its recorded signatures are random: they verify.

use std::path::Path;

use imagxp::codec::json::{self, Document, Limits, Node};
use imagxp::codec::{decimal, der, hex};
use imagxp::key::sha256;
use imagxp::{Error, KeyPair, PublicKey};
use serde_json::Value;

use crate::cases::request::agent_key;
use crate::cases::{Outcome, Run, bytes, equal, holds, rows, text};

/// Runs every file.
pub(crate) fn run(run: &mut Run, vectors: &Path) {
    let files: [(&str, fn(&Value) -> Outcome); 4] =
        [("canonical", canonical), ("keys", keys), ("provenance", provenance), ("feedback", feedback)];
    for (name, case) in files {
        run.json(vectors, &format!("interop/{name}.json"), |document, tally| {
            rows(document).for_each(|(id, row)| tally.case(&id, || case(row)));
        });
    }
}

/// With the wide preset: depth 64.
fn canonical(row: &Value) -> Outcome {
    let canonical = bytes::canonical(text(row, "json_text")?.as_bytes(), &Limits::WIDE);
    equal(canonical.as_ref().map_or_else(|error| error.name(), |_| "OK"), text(row, "expect")?)?;
    let Ok(canonical) = canonical else { return Ok(()) };
    let canonical = bytes::hex(&canonical);
    if let Some(out) = row["out_hex"].as_str() {
        equal(canonical.as_str(), out)?;
    }
    reference(row, "canonical_utf8_hex").map_or(Ok(()), |wanted| equal(canonical.as_str(), wanted))
}

fn reference<'r>(row: &'r Value, name: &str) -> Option<&'r str> {
    row["reference_result"][name].as_str()
}

/// Every form that the row has makes the same pair, and is written back as the reference writes it.
fn keys(row: &Value) -> Outcome {
    let scalar = bytes::unhex_32(text(row, "private_scalar_hex")?).ok_or("the scalar is too long")?;
    let key = KeyPair::from_scalar(&scalar).map_err(|error| error.to_string())?;
    let public = *key.public();
    equal(bytes::public_key(text(row, "public_x_hex")?, text(row, "public_y_hex")?), Ok(public))?;
    equal(PublicKey::from_text(text(row, "spki_b64")?.as_bytes()), Ok(public))?;
    let jwk = row["jwk"].to_string();
    for text in [text(row, "pkcs8_b64")?, text(row, "pkcs8_without_public_b64")?, &jwk] {
        let read = KeyPair::from_text(text.as_bytes()).map_err(|error| error.to_string())?;
        equal((*read.public(), *read.to_scalar()), (public, scalar))?;
    }
    let exported = reference(row, "exportPublicKey").map_or_else(|| text(row, "spki_b64"), Ok)?;
    equal(public.to_text().as_str(), exported)?;
    let exported = reference(row, "exportPrivateKey").map_or_else(|| text(row, "pkcs8_b64"), Ok)?;
    let mut out = [0; der::PKCS8_LEN * 2];
    equal(key.to_text(&mut out), Ok(exported))
}

/// protocol.md section 5: `{"origin","ts"}`, canonical, signed by the publisher.
fn provenance(row: &Value) -> Outcome {
    const ORIGINS: [&str; 3] = ["HUMAN", "SYNTHETIC", "HYBRID"];
    let origin = row["reference_result"]["headers"]["x-imagxp-content-origin"].as_str();
    let good = origin.filter(|origin| ORIGINS.contains(origin));
    holds(good.is_some() == (text(row, "expect")? == "accept"), "the origin is judged otherwise")?;
    let Some(origin) = good else { return Ok(()) };
    let ts = row["now_ms"].as_i64().ok_or("the row has no clock")?;
    let signed = format!("{{\"ts\":{ts},\"origin\":\"{origin}\"}}");
    let signed = bytes::canonical(signed.as_bytes(), &Limits::PAYLOAD).map_err(|error| error.to_string())?;
    equal(std::str::from_utf8(&signed), Ok(reference(row, "signed_string").ok_or("nothing was signed")?))?;
    let signature = text(&row["reference_result"]["headers"], "x-imagxp-provenance-sig")?;
    equal(verify(text(&row["reference_result"], "public_key")?, &signed, signature), Ok(()))
}

fn verify(key: &str, message: &[u8], signature: &str) -> Result<(), Error> {
    let signature = hex::decode_array(signature.as_bytes())?;
    PublicKey::from_text(key.as_bytes())?.verify(&sha256(message), &signature)
}

/// The reference's own object, as a document; what is no such object must be a compact JWS of ours.
fn feedback(row: &Value) -> Outcome {
    let expect = text(row, "expect")?;
    let result = &row["reference_result"];
    let document = match row["token"].as_str() {
        Some(token) => token.to_owned(),
        None => format!("{{\"signal\":{},\"signature\":{}}}", text(result, "signed_string")?, result["signature"]),
    };
    let key = result["public_key"].as_str().map(|text| PublicKey::from_text(text.as_bytes()));
    let key = key.unwrap_or_else(|| Ok(*agent_key().public())).map_err(|error| error.to_string())?;
    let judged = read_feedback(document.as_bytes(), &key);
    equal(if judged.is_ok() { "accept" } else { "reject" }, expect)?;
    match (judged, result["canonical_would_be"].as_str()) {
        (Ok(canonical), Some(wanted)) => equal(String::from_utf8(canonical), Ok(wanted.to_owned())),
        _ => Ok(()),
    }
}

/// protocol.md section 5 by hand, until the core reads feedback: the canonical form of a good signal.
fn read_feedback(document: &[u8], key: &PublicKey) -> Result<Vec<u8>, Error> {
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(document, &Limits::PAYLOAD, &mut nodes).map_err(|_| Error::FeedbackInvalid)?;
    let root = document.root();
    let signal = root.get("signal").filter(is_signal).ok_or(Error::FeedbackInvalid)?;
    let signature = root.get("signature").and_then(|s| s.as_text()).and_then(|s| s.plain()).unwrap_or_default();
    let signature = hex::decode_array(signature.as_bytes()).map_err(|_| Error::FeedbackInvalid)?;
    key.verify(&sha256(signal.raw().as_bytes()), &signature)?;
    bytes::canonical(signal.raw().as_bytes(), &Limits::PAYLOAD)
}

fn is_signal(signal: &json::Value<'_, '_>) -> bool {
    const REASONS: [&str; 5] = ["SEO_SPAM", "INACCURATE", "HATE_SPEECH", "HIGH_QUALITY", "LOW_QUALITY_SPAM"];
    let is_reason = |flag: json::Value<'_, '_>| flag.as_text().is_some_and(|flag| REASONS.iter().any(|r| flag == **r));
    let texts = ["target_resource", "agent_id", "timestamp"];
    let score = signal.get("quality_score").and_then(|score| score.as_number()).and_then(|n| decimal::scaled(n, 6));
    texts.iter().all(|name| signal.get(name).is_some_and(|value| value.as_text().is_some()))
        && score.is_some_and(|(score, exact)| score < 1_000_000 || score == 1_000_000 && exact)
        && signal.get("flags").is_some_and(|flags| flags.count() <= 16 && flags.children().all(is_reason))
}
