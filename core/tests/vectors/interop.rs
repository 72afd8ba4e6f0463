//! `interop/`: what the reference sent and decided, with the clock it saw. Rows are judged without resource binding and
//! with a window of 300,000 ms both ways; `expect` is what this library does.

use std::path::Path;

use imagxp::codec::base64;
use imagxp::codec::json::Limits;
use imagxp::visitor::vouched;
use imagxp::{Error, UnixMillis};
use serde_json::{Value, json};

use super::listed::Listed;
use crate::cases::request::Headers;
use crate::cases::site::{Document, Site, Story, Target};
use crate::cases::{Outcome, Run, Tally, bytes, equal, holds, rows, text};

/// Rows of one request each.
const REQUESTS: [&str; 5] =
    ["requests_accepted", "requests_rejected", "requests_encoding_quirks", "manifests", "policy"];

/// Runs every file of requests.
pub(crate) fn run(run: &mut Run, vectors: &Path, listed: &mut Listed) {
    for name in REQUESTS {
        let file = format!("interop/{name}.json");
        run.json(vectors, &file, |document, tally| requests(document, &file, tally, listed));
    }
    let file = "interop/heuristics.json";
    run.json(vectors, file, |document, tally| visitors(document, file, tally, listed));
    for file in ["interop/replay.json", "interop/replay_profile.json"] {
        run.json(vectors, file, |document, tally| sequences(document, file, tally, listed));
    }
}

fn requests(document: &Value, file: &str, tally: &mut Tally, listed: &mut Listed) {
    listed.tell(file, tally);
    for (id, row) in rows(document) {
        tally.case(&id, || {
            let story = judge(row)?;
            verdict(file, &id, row, row, &story, listed)?;
            story.check_order()?;
            if story.result.is_ok() { same_canonical_form(row) } else { Ok(()) }
        });
    }
}

/// Visitors without headers: who they are taken for, and the status. Where the reference decides otherwise is listed.
fn visitors(document: &Value, file: &str, tally: &mut Tally, listed: &mut Listed) {
    listed.tell(file, tally);
    let mut differ = Vec::new();
    for (id, row) in rows(document) {
        tally.case(&id, || {
            let story = judge(row)?;
            if row["reference_result"]["allowed"] != story.result.is_ok() {
                differ.push(id.clone());
            }
            verdict(file, &id, row, row, &story, listed)?;
            story.check_order()?;
            if let (Ok(admission), Some(visitor)) = (story.result, row["visitor_type"].as_str()) {
                equal(admission.visitor.name(), visitor)?;
            }
            let status = story.result.map_or_else(Error::status, |_| 200);
            row["status"].as_u64().map_or(Ok(()), |wanted| equal(u64::from(status), wanted))
        });
    }
    tally.list("decided otherwise than by the reference", &differ);
}

/// Steps before one publisher. A row passes if each of its steps does.
fn sequences(document: &Value, file: &str, tally: &mut Tally, listed: &mut Listed) {
    listed.tell(file, tally);
    for (id, row) in rows(document) {
        let steps = row["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        tally.case(&id, || {
            let first = steps.first().ok_or("no steps")?;
            let mut site = site(row, clock(first)?).map_err(|error| error.to_string())?;
            steps.iter().enumerate().try_for_each(|(place, step)| {
                let story = site.judge(&headers(step)?, Target::PAGE, clock(step)?);
                let outcome = verdict(file, &format!("{id}#{place}"), row, step, &story, listed);
                let code = step["code"].as_str().map_or(Ok(()), |code| equal(story.code(), code));
                outcome.and(code).and(story.check_order()).map_err(|why| format!("step {place}: {why}"))
            })
        });
    }
}

/// Accept or reject as the row, or its step, expects, and with the code that was recorded of the row.
pub(crate) fn verdict(file: &str, id: &str, row: &Value, step: &Value, story: &Story, listed: &mut Listed) -> Outcome {
    listed.record(file, id, story.code());
    let departure = listed.departure(file, id).map(|departure| departure.expect.clone());
    let expect = departure.as_deref().map_or_else(|| text(step, "expect"), Ok)?;
    let got = if story.result.is_ok() { "accept" } else { "reject" };
    holds(got == expect, &format!("got {}, wanted {expect}", story.code()))?;
    listed.code(file, id, row).map_or(Ok(()), |code| equal(story.code(), code))
}

/// Judges a row before a publisher of its own.
pub(crate) fn judge(row: &Value) -> Result<Story, String> {
    let now = row["now_ms"].as_i64().map_or(UnixMillis::from_ms(1), UnixMillis::from_ms);
    let headers = headers(row)?;
    let whitelisted = row["check_payment_returns"].as_str() == Some("true");
    let vouched = if whitelisted { vouched::WHITELISTED } else { 0 };
    let target = Target { vouched, ..Target::PAGE };
    Ok(site(row, now).map_or_else(Story::refused, |mut site| site.judge(&headers, target, now)))
}

/// The row's publisher: its policy, what its cache had learnt a minute before, and its network.
fn site(row: &Value, now: UnixMillis) -> Result<Site, Error> {
    let mut site = Site::new(&policy(row))?;
    let learnt = row["identity_cache"].as_object().into_iter().flatten();
    for (agent_id, spki) in learnt {
        site.learn(agent_id, spki.as_str().unwrap_or_default(), now.saturating_sub(60_000));
    }
    for (url, answer) in row["fetch_table"].as_object().into_iter().flatten() {
        if let Some(document) = document(answer, is_json) {
            site.documents.insert(url.clone(), document);
        }
    }
    Ok(site)
}

/// The row's policy and strategy, judged as `vectors/README.md` says.
fn policy(row: &Value) -> Value {
    let mut policy = if row["policy"].is_object() { row["policy"].clone() } else { json!({}) };
    if !row["strategy"].is_null() {
        policy["strategy"] = row["strategy"].clone();
    }
    policy["resource_binding"] = json!("off");
    policy["window"] = json!(300_000);
    policy["skew"] = json!(300_000);
    policy["audiences"] = json!([row["expected_audience"].as_str().unwrap_or("nytimes.com")]);
    policy
}

/// What a careful host makes of an answer: threats.md section 8 and `need::Answer`. None: not reached.
pub(crate) fn document(answer: &Value, good_type: fn(&str) -> bool) -> Option<Document> {
    let mut headers = answer["headers"].as_object().into_iter().flatten();
    let media_type = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let good = media_type.and_then(|(_, value)| value.as_str()).is_none_or(good_type);
    // A body that is no text is the document itself.
    let body = || answer["body"].as_str().map_or_else(|| whole(&answer["body"]), str::to_owned).into_bytes();
    match answer["status"].as_u64()? {
        200 if good => Some(Document::Found(body())),
        429 | 500.. => None,
        _ => Some(Document::NotThere),
    }
}

fn whole(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

/// `application/json` or `+json`, whatever its parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// The row's headers, each character a byte: as Latin-1, or, where one does not fit, as UTF-8.
fn headers(row: &Value) -> Result<Headers, String> {
    let headers = row["headers"].as_object().ok_or("the row has no headers")?;
    let bytes = |value: &str| -> Vec<u8> {
        let latin1: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
        latin1.unwrap_or_else(|| value.as_bytes().to_vec())
    };
    let one = |(name, value): (&String, &Value)| {
        value.as_str().map(|value| (name.clone(), bytes(value))).ok_or_else(|| format!("{name} is no text"))
    };
    headers.iter().map(one).collect()
}

fn clock(step: &Value) -> Result<UnixMillis, String> {
    step["now_ms"].as_i64().map(UnixMillis::from_ms).ok_or_else(|| "the step has no clock".to_owned())
}

/// Where both accept, both have verified the same bytes.
fn same_canonical_form(row: &Value) -> Outcome {
    let Some(wanted) = row["reference_canonical"].as_str() else { return Ok(()) };
    if row["reference_result"]["allowed"] != true {
        return Ok(());
    }
    let payload = text(&row["headers"], "x-imagxp-payload")?;
    let mut json = vec![0; payload.len()];
    let json = base64::decode(payload.as_bytes(), &mut json).map_err(|error| error.to_string())?;
    let canonical = bytes::canonical(json, &Limits::PAYLOAD).map_err(|error| error.to_string())?;
    equal(String::from_utf8(canonical), Ok(wanted.to_owned()))
}
