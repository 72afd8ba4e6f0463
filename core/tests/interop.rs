//! Requests that the reference's agent really sent are admitted under the default policy: `resource` bound to the URL
//! that was asked for, at the recorded clock (protocol.md section 11).

mod cases;

use cases::request::Headers;
use cases::site::{Site, Target};
use cases::{own_vectors, rows};
use imagxp::codec::base64;
use imagxp::{Bound, UnixMillis, Visitor};
use serde_json::{Value, json};

/// The rows that the reference's own agent sent, and that are good here.
fn sent_by_the_agent() -> Vec<Value> {
    let files = ["requests_accepted", "requests_encoding_quirks"];
    let read = |name| {
        let text = std::fs::read(own_vectors().join(format!("interop/{name}.json"))).expect("the project's own cases");
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        let is_sent = |row: &Value| {
            let by_agent = row["description"].as_str().is_some_and(|text| text.starts_with("SDK agent"));
            by_agent && row["expect"] == "accept"
        };
        rows(&document).map(|(_, row)| row).filter(|row| is_sent(row)).cloned().collect::<Vec<_>>()
    };
    files.into_iter().flat_map(read).collect()
}

fn resource(row: &Value) -> String {
    let payload = row["headers"]["x-imagxp-payload"].as_str().expect("a payload");
    let mut json = vec![0; payload.len()];
    let json = base64::decode(payload.as_bytes(), &mut json).expect("good base64");
    let payload: Value = serde_json::from_slice(json).expect("good JSON");
    payload["resource"].as_str().expect("a text").to_owned()
}

fn headers(row: &Value) -> Headers {
    let headers = row["headers"].as_object().expect("headers");
    headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into())).collect()
}

/// The site that the request was for, with the default policy but for the purposes that it allows.
fn site(row: &Value, now: UnixMillis) -> Site {
    let policy = json!({ "allowTraining": row["policy"]["allowTraining"], "allowRAG": row["policy"]["allowRAG"] });
    let mut site = Site::new(&policy).expect("a good policy");
    for (agent_id, spki) in row["identity_cache"].as_object().into_iter().flatten() {
        site.learn(agent_id, spki.as_str().expect("a key"), now.saturating_sub(60_000));
    }
    site
}

#[test]
fn the_references_requests_are_admitted_bound_to_their_url() {
    let mut admitted = 0;
    for row in sent_by_the_agent() {
        let resource = resource(&row);
        let Some((scheme, rest)) = resource.split_once("://") else { continue };
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let now = UnixMillis::from_ms(row["now_ms"].as_i64().expect("a clock"));
        let target = Target { scheme, authority, target, vouched: 0 };
        let story = site(&row, now).judge(&headers(&row), target, now);
        let admission = story.result.unwrap_or_else(|error| panic!("{}: {error}", row["id"]));
        assert_eq!((admission.bound, admission.visitor), (Bound::Exact, Visitor::VerifiedAgent), "{}", row["id"]);
        admitted += 1;
    }
    assert!(admitted > 0, "no row has an absolute resource");
}

#[test]
fn the_references_relative_resources_are_for_publishers_who_bind_nothing() {
    for row in sent_by_the_agent() {
        if resource(&row).contains("://") {
            continue;
        }
        let now = UnixMillis::from_ms(row["now_ms"].as_i64().expect("a clock"));
        let story = site(&row, now).judge(&headers(&row), Target::PAGE, now);
        assert_eq!(story.code(), "RESOURCE_INVALID", "{}", row["id"]);
    }
}
