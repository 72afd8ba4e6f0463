//! Grammars of others: our own are subsets, so whatever is accepted here is valid there.

use std::path::Path;

use imagxp::codec::base64;
use imagxp::host::{Mode, check_agent_id};
use imagxp::{UnixMillis, check_nonce};
use serde_json::Value;

use crate::cases::{Outcome, Run, bytes, equal, holds, rows};

/// Runs JSON-Schema's formats and the Web Platform Tests.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    let formats: [(&str, fn(&str) -> bool); 5] = [
        ("date-time", is_time),
        ("hostname", is_name),
        ("idn-hostname", is_name),
        ("uuid", is_uuid),
        ("uri", is_resource),
    ];
    for (name, accepts) in formats {
        run.json(folder, &format!("json-schema/{name}.json"), |document, tally| {
            let mut accepted = 0;
            for test in groups(document) {
                let id = test["description"].as_str().unwrap_or_default();
                tally.case(id, || {
                    let Some(text) = test["data"].as_str() else { return Ok(()) };
                    accepted += usize::from(accepts(text));
                    holds(!accepts(text) || test["valid"] == true, "accepted here, not valid there")
                });
            }
            tally.note(format!("accepted here: {accepted}"));
        });
    }
    for name in ["date", "time", "ipv4", "ipv6"] {
        run.json(folder, &format!("json-schema/{name}.json"), |document, tally| {
            groups(document).for_each(|test| {
                tally.case(test["description"].as_str().unwrap_or_default(), || part_of_ours(name, test));
            });
        });
    }
    web_platform(run, folder);
}

fn groups(document: &Value) -> impl Iterator<Item = &Value> {
    let groups = document.as_array().into_iter().flatten();
    groups.flat_map(|group| group["tests"].as_array().into_iter().flatten())
}

fn is_time(text: &str) -> bool {
    UnixMillis::parse(text.as_bytes()).is_ok()
}

fn is_name(text: &str) -> bool {
    check_agent_id(text, Mode::Production).is_ok()
}

/// A UUID is one of the nonces: our grammar is wider in its length, so only texts of a UUID's length are compared.
fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23].into_iter().all(|place| text.as_bytes().get(place) == Some(&b'-'));
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count() == 32;
    text.len() == 36 && dashes && digits && check_nonce(text).is_ok()
}

/// Resources that `exact` admits are URIs.
fn is_resource(text: &str) -> bool {
    crate::third_party::visit::binds(text)
}

/// Dates and times are halves of a `ts`; addresses are no names.
fn part_of_ours(format: &str, test: &Value) -> Outcome {
    let Some(text) = test["data"].as_str() else { return Ok(()) };
    let accepted = match format {
        "date" => is_time(&format!("{text}T00:00:00Z")),
        "time" => is_time(&format!("2026-01-26T{text}")),
        _ => return holds(!is_name(text), "an address is a name"),
    };
    holds(!accepted || test["valid"] == true, "accepted here, not valid there")
}

fn web_platform(run: &mut Run, folder: &Path) {
    run.json(folder, "wpt/base64_forgiving.json", |document, tally| {
        rows(document).for_each(|(id, row)| tally.case(&id, || forgiving(row)));
    });
    for name in ["IdnaTestV2", "toascii"] {
        run.json(folder, &format!("wpt/{name}.json"), |document, tally| {
            rows(document).filter(|(_, row)| row.is_object()).for_each(|(id, row)| tally.case(&id, || idna(row)));
        });
    }
    for name in ["urltestdata_special", "verifydnslength_tests"] {
        run.json(folder, &format!("wpt/{name}.json"), |document, tally| {
            rows(document).filter(|(_, row)| row.is_object()).for_each(|(id, row)| tally.case(&id, || url(row)));
        });
    }
}

/// What the strict reader takes, the forgiving one takes, too, and reads the same.
fn forgiving(row: &Value) -> Outcome {
    let input = row[0].as_str().ok_or("no text")?;
    let mut out = vec![0; input.len() + 3];
    let Ok(decoded) = base64::decode(input.as_bytes(), &mut out) else { return Ok(()) };
    let wanted = row[1].as_array().ok_or("refused there")?;
    let wanted: Vec<u8> = wanted.iter().filter_map(|byte| byte.as_u64().and_then(|b| u8::try_from(b).ok())).collect();
    equal(bytes::hex(decoded), bytes::hex(&wanted))
}

/// A name that is accepted here is its own ASCII form there: browsers and we mean the same host.
fn idna(row: &Value) -> Outcome {
    let input = row["input"].as_str().ok_or("no text")?;
    if !is_name(input) {
        return Ok(());
    }
    match row["output"].as_str() {
        Some(output) => equal(input, output),
        None => Err(format!("{input} is a name here, and none there")),
    }
}

/// The host of a URL that browsers take: if it is a name here, the browser goes to that very host.
fn url(row: &Value) -> Outcome {
    let input = row["input"].as_str().ok_or("no text")?;
    let host = host(input);
    holds(!is_name(host) || row["failure"] != true, "a name here, refused there")?;
    match row["hostname"].as_str() {
        Some(hostname) if is_name(host) => equal(host, hostname),
        _ => Ok(()),
    }
}

/// The host as a plain reader of `scheme://host/…` sees it.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#', ':']).next().unwrap_or_default()
}
