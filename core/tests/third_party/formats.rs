//! Grammars of others: our own are subsets, so whatever is accepted here is valid there.

use std::path::Path;

use imagxp::codec::base64;
use imagxp::host::{Mode, check_agent_id};
use imagxp::{UnixMillis, check_nonce};
use serde_json::{Value, json};

use crate::cases::request::{agent_key, payload_with, signed_value};
use crate::cases::site::{Site, Target};
use crate::cases::{Outcome, Run, bytes, equal, holds, rows};

/// When the requests of these cases are sent.
const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

/// Runs JSON-Schema's formats and the Web Platform Tests.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    type Accepts = fn(&str) -> bool;
    let formats: [(&str, Accepts, Accepts); 5] = [
        ("date-time", is_time, |_| false),
        ("hostname", is_name, has_a_label),
        ("idn-hostname", is_name, has_a_label),
        ("uuid", is_uuid, |_| false),
        ("uri", is_resource, |_| true),
    ];
    for (name, accepts, is_wider) in formats {
        run.json(folder, &format!("json-schema/{name}.json"), |document, tally| {
            let (mut accepted, mut wider) = (0, Vec::new());
            for test in groups(document) {
                let id = test["description"].as_str().unwrap_or_default();
                tally.case(id, || {
                    let Some(text) = test["data"].as_str().filter(|text| accepts(text)) else { return Ok(()) };
                    accepted += 1;
                    if test["valid"] != true && is_wider(text) {
                        wider.push(format!("{text:?}"));
                        return Ok(());
                    }
                    holds(test["valid"] == true, "accepted here, not valid there")
                });
            }
            tally.note(format!("accepted here: {accepted}"));
            tally.list("accepted here, not valid there, where ours is the wider grammar", &wider);
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

/// Which code points an `xn--` label may stand for is IDNA's table; ours asks for good Punycode only (threats.md 4.3).
fn has_a_label(name: &str) -> bool {
    name.split('.').any(|label| label.starts_with("xn--"))
}

/// A UUID is one of the nonces: our grammar is wider in its length, so only texts of a UUID's length are compared.
fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23].into_iter().all(|place| text.as_bytes().get(place) == Some(&b'-'));
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count() == 32;
    text.len() == 36 && dashes && digits && check_nonce(text).is_ok()
}

/// Whether a signed request for this very URL is admitted under the default policy. What clients send is wider than RFC
/// 3986: the resource is compared with it, not judged.
fn is_resource(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let mut site = Site::new(&json!({ "allowRAG": true })).expect("a good policy").with_agent();
    let headers = signed_value(&payload_with(NOW, "resource", json!(text)), &agent_key());
    site.judge(&headers, Target { scheme, authority, target, vouched: 0 }, NOW).result.is_ok()
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
            let mut wider = Vec::new();
            for (id, row) in rows(document).filter(|(_, row)| row.is_object()) {
                tally.case(&id, || idna(row, &mut wider));
            }
            tally.list("names here, and none by the tables of IDNA", &wider);
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
fn idna(row: &Value, wider: &mut Vec<String>) -> Outcome {
    let input = row["input"].as_str().ok_or("no text")?;
    match row["output"].as_str() {
        _ if !is_name(input) => Ok(()),
        Some(output) => equal(input, output),
        None if has_a_label(input) => {
            wider.push(input.to_owned());
            Ok(())
        }
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

/// The host as this library sees it: userinfo makes the whole no URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') { "" } else { authority.split(':').next().unwrap_or_default() }
}
