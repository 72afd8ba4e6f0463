//! `profile/`: the strict profile, one file an input. Every refused input is also sent in a signed request, to see that
//! the request is refused, and at what cost.

use std::net::IpAddr;
use std::path::Path;

use imagxp::codec::json::Limits;
use imagxp::codec::{base64, hex};
use imagxp::host::{Mode, check_agent_id, may_connect};
use imagxp::time::fresh;
use imagxp::{Error, PublicKey, UnixMillis, check_nonce};
use serde_json::{Value, json};

use super::listed::Listed;
use super::tokens;
use crate::cases::request::{Headers, agent_key, payload, payload_with, signed, signed_value, with};
use crate::cases::site::{Site, Target};
use crate::cases::{Outcome, Run, bytes, equal, holds, rows, text};

/// What the input's own function says: the value, in text, or the refusal.
type Said = Result<Result<String, Error>, String>;

/// When the requests of this file are sent.
const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

/// Runs every file.
pub(crate) fn run(run: &mut Run, vectors: &Path, listed: &Listed) {
    let files: [(&str, fn(&Value) -> Said, fn(&Value) -> Option<Headers>); 11] = [
        ("agent_id", |row| said(check_agent_id(text(row, "in")?, Mode::Production)), |row| field(row, "agent_id")),
        ("base64_std", base64_std, |row| header(row, "x-imagxp-payload")),
        ("base64url", base64url, |_| None),
        ("hex", hexadecimal, |row| header(row, "x-imagxp-signature")),
        ("json_strict", json_strict, |row| Some(signed(&bytes::unhex(row["in_hex"].as_str()?).ok()?, &agent_key()))),
        ("nonce", |row| said(check_nonce(text(row, "in")?)), |row| field(row, "nonce")),
        ("signature_raw", signature_raw, |row| replaced("x-imagxp-signature", row["sig"].as_str()?)),
        ("spki", spki, |row| replaced("x-imagxp-public-key", row["base64"].as_str()?)),
        ("ssrf_address", ssrf_address, |_| None),
        ("time_window", time_window, |_| None),
        ("timestamp", timestamp, |row| field(row, "ts")),
    ];
    for (name, judge, sent) in files {
        let file = format!("profile/{name}.json");
        run.json(vectors, &file, |document, tally| {
            listed.tell(&file, tally);
            for (id, row) in rows(document) {
                let departure = listed.departure(&file, &id);
                let expect = departure.map(|departure| departure.expect.clone());
                tally.case(&id, || case(row, expect.as_deref(), judge, sent));
            }
        });
    }
    tokens::profile(run, vectors);
}

fn case(row: &Value, expect: Option<&str>, judge: fn(&Value) -> Said, sent: fn(&Value) -> Option<Headers>) -> Outcome {
    let expect = expect.map_or_else(|| text(row, "expect"), Ok)?;
    match judge(row)? {
        Ok(got) => {
            equal("OK", expect)?;
            wanted(row).map_or(Ok(()), |wanted| equal(got, wanted))
        }
        Err(error) => {
            equal(error.name(), expect)?;
            sent(row).map_or(Ok(()), refused_in_a_request)
        }
    }
}

/// A request that carries the input is refused, and before anything dear is done.
fn refused_in_a_request(headers: Headers) -> Outcome {
    let story = Site::unbound().with_agent().judge(&headers, Target::PAGE, NOW);
    holds(story.result.is_err(), "a request that carries it is admitted")?;
    story.check_order()
}

/// The value that an accepted row must give.
fn wanted(row: &Value) -> Option<String> {
    let value = ["hex", "out_hex", "ms"].into_iter().map(|name| &row[name]).find(|value| !value.is_null())?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn said(result: Result<(), Error>) -> Said {
    Ok(result.map(|()| String::new()))
}

fn decoded(row: &Value, decode: fn(&[u8], &mut [u8]) -> Result<usize, Error>) -> Said {
    let input = text(row, "in")?.as_bytes();
    let mut out = vec![0; input.len() + 4];
    Ok(decode(input, &mut out).map(|len| bytes::hex(&out[..len])))
}

fn base64_std(row: &Value) -> Said {
    decoded(row, |text, out| base64::decode(text, out).map(<[u8]>::len))
}

fn base64url(row: &Value) -> Said {
    decoded(row, |text, out| base64::url_decode(text, out).map(<[u8]>::len))
}

fn hexadecimal(row: &Value) -> Said {
    decoded(row, |text, out| hex::decode(text, out).map(<[u8]>::len))
}

fn json_strict(row: &Value) -> Said {
    let json = bytes::unhex(text(row, "in_hex")?)?;
    Ok(bytes::canonical(&json, &Limits::PAYLOAD).map(|canonical| bytes::hex(&canonical)))
}

/// The text of a signature, then the signature: threats.md 4.1.
fn signature_raw(row: &Value) -> Said {
    let key = bytes::public_key(text(row, "qx")?, text(row, "qy")?).map_err(|_| "the row's key is none")?;
    let digest = bytes::unhex_32(text(row, "sha256")?).ok_or("the row's digest is none")?;
    let signature = hex::decode_array(text(row, "sig")?.as_bytes()).map_err(|_| Error::SignatureFormat);
    said(signature.and_then(|signature| key.verify(&digest, &signature)))
}

/// DER, and where the row has it the header text, which is refused as one or the other.
fn spki(row: &Value) -> Said {
    let der = PublicKey::from_spki(&bytes::unhex(text(row, "spki")?)?);
    if let Some(base64) = row["base64"].as_str() {
        let header = PublicKey::from_text(base64.as_bytes());
        holds(header.is_ok() == der.is_ok(), "the header text is judged otherwise")?;
    }
    said(der.map(|_| ()))
}

fn ssrf_address(row: &Value) -> Said {
    // No resolver gives what is no address.
    let address: Result<IpAddr, _> = text(row, "in")?.parse();
    said(address.map_err(|_| Error::HostForbidden).and_then(may_connect))
}

fn time_window(row: &Value) -> Said {
    let number = |place: usize| row["in"][place].as_i64().ok_or("the row has no number");
    let width = |place| u32::try_from(number(place)?).map_err(|_| "a window is at most 300,000 ms");
    let (now, ts) = (UnixMillis::from_ms(number(0)?), UnixMillis::from_ms(number(1)?));
    said(fresh(now, ts, width(2)?, width(3)?))
}

fn timestamp(row: &Value) -> Said {
    Ok(UnixMillis::parse(text(row, "in")?.as_bytes()).map(|ts| ts.ms().to_string()))
}

/// A request whose payload has the row's input as this member.
fn field(row: &Value, name: &str) -> Option<Headers> {
    Some(signed_value(&payload_with(NOW, name, json!(row["in"].as_str()?)), &agent_key()))
}

/// A request that has the row's input as this header.
fn header(row: &Value, name: &str) -> Option<Headers> {
    replaced(name, row["in"].as_str()?)
}

fn replaced(name: &str, value: &str) -> Option<Headers> {
    Some(with(signed_value(&payload(NOW), &agent_key()), name, value.as_bytes()))
}
