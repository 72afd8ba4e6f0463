//! BoringSSL: signatures over digests, ACVP, and its fuzzing corpora, on which this library and OpenSSL must agree.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use imagxp::codec::der;
use imagxp::key::sha256;
use imagxp::{KeyPair, PublicKey};
use serde_json::Value;

use super::fields::{Block, blocks};
use crate::cases::request::agent_key;
use crate::cases::{Outcome, Run, bytes, equal, holds, rows, text};

/// Runs every file.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    let folder = folder.join("boringssl");
    for name in ["ecdsa_verify_tests_p256.txt", "ecdsa_sign_tests_p256.txt"] {
        file(run, &folder, name, signature);
    }
    run.json(&folder, "acvp_p256.json", |document, tally| {
        rows(document).for_each(|(id, row)| tally.case(&id, || acvp(row)));
    });
    #[cfg(feature = "ec-testing")]
    file(run, &folder, "p256-nistz_tests.txt", super::nistz::case);
    #[cfg(not(feature = "ec-testing"))]
    run.skip("p256-nistz_tests.txt: needs feature ec-testing");
    for name in ["spki", "pkcs8", "privkey", "read_pem", "der_roundtrip"] {
        corpus(run, &folder, name);
    }
}

fn file(run: &mut Run, folder: &Path, name: &str, case: fn(&Block<'_>) -> Outcome) {
    match std::fs::read_to_string(folder.join(name)) {
        Err(_) => run.skip(name),
        Ok(text) => run.file(name, |tally| {
            blocks(&text).iter().enumerate().for_each(|(place, block)| {
                tally.case(&format!("block {place}"), || case(block));
            });
        }),
    }
}

/// A signature that must verify, or must not (`Invalid`). Where a private key is given it is the public one's.
fn signature(block: &Block<'_>) -> Outcome {
    let key = bytes::public_key(block.get("X"), block.get("Y"));
    let signature = bytes::signature(block.get("R"), block.get("S"));
    let digest = integer_of(&bytes::unhex(block.get("Digest"))?);
    let good = matches!((key, signature), (Ok(key), Some(signature)) if key.verify(&digest, &signature).is_ok());
    equal(good, !block.has("Invalid"))?;
    if !block.has("Private") {
        return Ok(());
    }
    let scalar = bytes::unhex_32(block.get("Private")).ok_or("the scalar is too long")?;
    equal(KeyPair::from_scalar(&scalar).map(|pair| *pair.public()), key)
}

/// The number that a digest of another hash stands for: its leftmost 256 bits (SEC 1 section 4.1.4).
fn integer_of(digest: &[u8]) -> [u8; 32] {
    let digest = &digest[..digest.len().min(32)];
    let mut number = [0; 32];
    number[32 - digest.len()..].copy_from_slice(digest);
    number
}

fn acvp(row: &Value) -> Outcome {
    let key = bytes::public_key(text(row, "qx")?, text(row, "qy")?);
    let good = match text(row, "mode")? {
        "keyVer" => key.is_ok(),
        "sigVer" => {
            let digest = sha256(&bytes::unhex(text(row, "message")?)?);
            let signature = bytes::signature(text(row, "r")?, text(row, "s")?);
            matches!((key, signature), (Ok(key), Some(signature)) if key.verify(&digest, &signature).is_ok())
        }
        mode => return Err(format!("unknown mode {mode}")),
    };
    equal(Some(good), row["testPassed"].as_bool())
}

/// Corpus files have no verdict: none may crash the readers, and a key that is read here is the same key to OpenSSL.
/// Keys on P-256 that only OpenSSL reads are listed: its scalars may be short (RFC 5915 section 3 wants 32 bytes), its
/// points compressed.
fn corpus(run: &mut Run, folder: &Path, name: &str) {
    let Ok(files) = std::fs::read_dir(folder.join(format!("fuzz/{name}_corpus"))) else { return run.skip(name) };
    let mut files: Vec<_> = files.flatten().map(|entry| entry.path()).collect();
    files.sort();
    run.file(&format!("fuzz/{name}_corpus"), |tally| {
        let has_openssl = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
        if !has_openssl {
            tally.note("SKIPPED: agreement with OpenSSL, which is not here".to_owned());
        }
        let (mut read, mut lenient) = (0, Vec::new());
        for file in &files {
            let id = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            tally.case(&id, || {
                let input = std::fs::read(file).map_err(|error| error.to_string())?;
                let keys = every_reader(&input);
                read += keys.len();
                if has_openssl && keys.is_empty() && openssl_reads_p256(&input)? {
                    lenient.push(id.clone());
                }
                keys.into_iter().filter(|_| has_openssl).try_for_each(|(form, key)| {
                    holds(openssl(form, &input)? == key.to_spki(), "OpenSSL reads another key, or none")
                })
            });
        }
        tally.note(format!("keys read: {read}"));
        tally.list("P-256 keys that only OpenSSL reads", &lenient);
    });
}

/// Arguments of `openssl pkey` for a form.
type Form = &'static [&'static str];

const PUBLIC_DER: Form = &["-pubin", "-inform", "DER"];
const PUBLIC_PEM: Form = &["-pubin", "-inform", "PEM"];
const PRIVATE_DER: Form = &["-inform", "DER"];
const PRIVATE_PEM: Form = &["-inform", "PEM"];

/// Every reader of keys meets every input.
fn every_reader(input: &[u8]) -> Vec<(Form, PublicKey)> {
    let _ = (der::point(input), der::sec1(input), der::pkcs8(input), PublicKey::from_text(input));
    let private = if input.trim_ascii().starts_with(b"-----") { PRIVATE_PEM } else { PRIVATE_DER };
    let public = |pair: KeyPair| *pair.public();
    let read = [
        (PUBLIC_DER, PublicKey::from_spki(input).ok()),
        (PUBLIC_PEM, PublicKey::from_pem(input).ok()),
        (PRIVATE_DER, KeyPair::from_der(input).ok().map(public)),
        (private, KeyPair::from_text(input).ok().map(public).filter(|_| private == PRIVATE_PEM)),
    ];
    read.into_iter().filter_map(|(form, key)| key.map(|key| (form, key))).collect()
}

/// Whether OpenSSL finds a key on P-256 in the input, in any form.
fn openssl_reads_p256(input: &[u8]) -> Result<bool, String> {
    let spki = agent_key().public().to_spki();
    let is_p256 = |output: Vec<u8>| output.get(..26) == spki.get(..26);
    let forms = [PUBLIC_DER, PUBLIC_PEM, PRIVATE_DER, PRIVATE_PEM];
    forms.into_iter().try_fold(false, |found, form| Ok(found || is_p256(openssl(form, input)?)))
}

/// The public key that OpenSSL reads, as SubjectPublicKeyInfo; empty if it reads none.
fn openssl(form: Form, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new("openssl");
    command.arg("pkey").args(form).args(["-passin", "pass:", "-pubout", "-outform", "DER"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    // A reader that has seen enough may close its end early.
    let _ = child.stdin.take().ok_or("no input")?.write_all(input);
    child.wait_with_output().map(|output| output.stdout).map_err(|error| error.to_string())
}
