//! `interop/`: canonical JSON, keys, and the other things that the reference signs. Where the profile accepts an input,
//! the texts equal the reference's; its recorded signatures are random: they verify.

use std::path::Path;

use imagxp::codec::der;
use imagxp::codec::json::Limits;
use imagxp::feedback::{self, Judgement, Signer};
use imagxp::{KeyPair, PublicKey, UnixMillis, provenance, spec};
use serde_json::Value;

use crate::cases::request::{self, AGENT, agent_key};
use crate::cases::{Outcome, Run, bytes, equal, rows, text};

/// The agent of the cases has the key `key-agent` of the set.
pub(crate) fn take_agent_key(vectors: &Path) {
    let keys = std::fs::read(vectors.join("interop/keys.json")).unwrap_or_default();
    let keys: Value = serde_json::from_slice(&keys).unwrap_or_default();
    let agent = rows(&keys).find(|(id, _)| id == "key-agent");
    if let Some(scalar) = agent.as_ref().and_then(|(_, row)| row["private_scalar_hex"].as_str()) {
        request::take_agent_key(scalar);
    }
}

/// Runs every file.
pub(crate) fn run(run: &mut Run, vectors: &Path) {
    let files: [(&str, fn(&Value) -> Outcome); 4] =
        [("canonical", canonical), ("keys", keys), ("provenance", origin), ("feedback", dispute)];
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

/// The reference signs a time and does not send it: the row has it.
fn origin(row: &Value) -> Outcome {
    let result = &row["reference_result"];
    let sent = |name: &str| result["headers"][name].as_str().unwrap_or_default().as_bytes();
    let key = result["public_key"].as_str().unwrap_or_default();
    let ts = UnixMillis::from_ms(row["now_ms"].as_i64().unwrap_or_default());
    let origin = sent(spec::header::CONTENT_ORIGIN);
    let judged = PublicKey::from_text(key.as_bytes())
        .and_then(|key| provenance::verify_at(&key, origin, sent(spec::header::PROVENANCE_SIG), ts));
    equal(if judged.is_ok() { "accept" } else { "reject" }, text(row, "expect")?)?;
    let Ok(origin) = judged else { return Ok(()) };
    let signed = format!("{{\"ts\":{},\"origin\":\"{}\"}}", ts.ms(), origin.name());
    let canonical = bytes::canonical(signed.as_bytes(), &Limits::PAYLOAD).map_err(|error| error.to_string())?;
    equal(std::str::from_utf8(&canonical), Ok(text(result, "signed_string")?))
}

/// The reference's own object as a document, or the row's `token`, by the cases' agent.
fn dispute(row: &Value) -> Outcome {
    let result = &row["reference_result"];
    let document = match row["token"].as_str() {
        Some(token) => token.to_owned(),
        None => format!("{{\"signal\":{},\"signature\":{}}}", text(result, "signed_string")?, result["signature"]),
    };
    let key = result["public_key"].as_str().map(|text| PublicKey::from_text(text.as_bytes()));
    let key = key.unwrap_or_else(|| Ok(*agent_key().public())).map_err(|error| error.to_string())?;
    let agent_id = row["inputs"]["agent_id"].as_str().unwrap_or(AGENT);
    let signer = Signer { agent_id, key: &key, audiences: &[] };
    let now = row["now_ms"].as_i64().map_or_else(|| said_at(&document), UnixMillis::from_ms);
    let judged = feedback::verify(document.as_bytes(), &signer, now, &mut [0; Judgement::MEMORY]).map(|_| ());
    equal(if judged.is_ok() { "accept" } else { "reject" }, text(row, "expect")?)?;
    match (judged, result["canonical_would_be"].as_str()) {
        (Ok(()), Some(wanted)) => {
            let signal = text(result, "signed_string")?.as_bytes();
            let canonical = bytes::canonical(signal, &Limits::PAYLOAD).map_err(|error| error.to_string())?;
            equal(std::str::from_utf8(&canonical), Ok(wanted))
        }
        _ => Ok(()),
    }
}

/// Rows of tokens have no clock: they are read when they were written.
fn said_at(document: &str) -> UnixMillis {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let timestamp = document["signal"]["timestamp"].as_str().unwrap_or_default();
    UnixMillis::parse(timestamp.as_bytes()).unwrap_or(UnixMillis::from_s(1))
}
