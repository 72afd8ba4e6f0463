//! Where this library departs from the reference on purpose, one test for each: protocol.md section 11, and the faults
//! R1 to R17 of threats.md section 0.

mod cases;

mod departures {
    mod faults;
    mod lenient;
    mod visas;
}

use cases::bytes::base64;
use cases::request::{
    AGENT, Headers, agent_key, payload, payload_with, payload_without, signed, signed_value, strangers_key, with,
};
use cases::site::{Document, Site, Target, manifest_url};
use imagxp::jose::jws;
use imagxp::visitor::vouched;
use imagxp::{Bound, Error, KeyPair, Policy, Proof, ReplayCache, Signing, UnixMillis, Visitor};
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const BROKER: &str = "https://your-broker-domain.com";
const JWKS_URL: &str = "https://your-broker-domain.com/.well-known/jwks.json";

/// A site under the default policy, and the agent's manifest on its network.
fn site() -> Site {
    site_with(json!({}))
}

/// The same with further members in its policy.
fn site_with(more: Value) -> Site {
    let mut policy = json!({ "allowTraining": true, "allowRAG": true });
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    Site::new(&policy).expect("a good policy").with_agent()
}

fn code(mut site: Site, headers: &Headers) -> &'static str {
    site.judge(headers, Target::PAGE, NOW).code()
}

/// What a site says to a request with this payload.
fn said_to(payload: &Value) -> &'static str {
    code(site(), &signed_value(payload, &agent_key()))
}

/// What a site says to a request whose payload is this text.
fn said_to_text(json: &[u8]) -> &'static str {
    code(site(), &signed(json, &agent_key()))
}

fn good_request() -> Headers {
    signed_value(&payload(NOW), &agent_key())
}

/// The good payload as text, with something put in front of its last brace.
fn payload_and(more: &str) -> Vec<u8> {
    let text = payload(NOW).to_string();
    format!("{},{more}}}", text.strip_suffix('}').expect("an object")).into_bytes()
}

// Tokens of a broker

fn broker_key() -> KeyPair {
    KeyPair::from_scalar(&[0x42; 32]).expect("a good scalar")
}

/// The visa of the introduction.
fn claims() -> Value {
    let iat = NOW.s();
    json!({
        "payment_status": "paid", "amount": 0.001, "ver": "1.1", "iat": iat, "iss": BROKER, "aud": "nytimes.com",
        "exp": iat + 3_600,
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

fn visa(header: &Value, claims: &Value) -> String {
    let mut out = [0; 4_096];
    let token = jws::sign(&broker_key(), &header.to_string(), &claims.to_string(), Signing::default(), &mut out);
    token.expect("it fits").to_owned()
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "1" })
}

/// The broker's key set, with a member that nobody knows.
fn key_set() -> Document {
    let mut out = [0; 256];
    let jwk: Value = serde_json::from_str(broker_key().to_jwk(&mut out).expect("it fits")).expect("JSON");
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"], "kid": "1", "x-foo": [1] });
    Document::Found(json!({ "keys": [jwk] }).to_string().into_bytes())
}

/// A site that sells through the broker.
fn shop(more: Value) -> Site {
    let mut policy = json!({ "audiences": ["nytimes.com"], "monetization": { "brokerUrl": BROKER } });
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    let mut site = site_with(policy);
    site.documents.insert(JWKS_URL.to_owned(), key_set());
    site
}

fn paying(token: &str) -> Headers {
    with(good_request(), "x-imagxp-credential", token.as_bytes())
}

fn said_to_visa(header: &Value, claims: &Value) -> &'static str {
    code(shop(json!({})), &paying(&visa(header, claims)))
}

#[test]
fn what_is_good_is_admitted() {
    assert_eq!(code(site(), &good_request()), "OK");
    assert_eq!(said_to_visa(&header(), &claims()), "OK");
}

// protocol.md section 11: refused here, admitted by the reference

#[test]
fn a_ts_is_rfc_3339_and_there() {
    assert_eq!(said_to(&payload_without(NOW, "ts")), "FIELD_MISSING");
    assert_eq!(said_to(&payload_with(NOW, "ts", json!(NOW.ms()))), "FIELD_TYPE");
    for ts in ["2026-01-26 12:00:00Z", "Mon, 26 Jan 2026 12:00:00 GMT", "2026-01-26T14:00:00+02:00", "2026-01-26"] {
        assert_eq!(said_to(&payload_with(NOW, "ts", json!(ts))), "TIMESTAMP_INVALID", "{ts}");
    }
}

#[test]
fn a_nonce_is_long_and_a_text() {
    assert_eq!(said_to(&payload_without(NOW, "nonce")), "FIELD_MISSING");
    assert_eq!(said_to(&payload_with(NOW, "nonce", json!({ "a": 1 }))), "FIELD_TYPE");
    assert_eq!(said_to(&payload_with(NOW, "nonce", json!("123456789012345678901"))), "NONCE_INVALID");
}

#[test]
fn v_is_1_1() {
    assert_eq!(said_to(&payload_with(NOW, "v", json!("1.0"))), "VERSION_UNSUPPORTED");
}

#[test]
fn a_purpose_is_one_of_five() {
    assert_eq!(said_to(&payload_with(NOW, "purpose", json!("rag_retrieval"))), "PURPOSE_UNKNOWN");
}

#[test]
fn members_are_there_once() {
    assert_eq!(said_to_text(&payload_and("\"purpose\":\"SUMMARY\"")), "JSON_DUPLICATE_KEY");
    assert_eq!(said_to_text(&payload_and("\"\\u0070urpose\":\"SUMMARY\"")), "JSON_DUPLICATE_KEY");
}

#[test]
fn numbers_do_not_overflow() {
    assert_eq!(said_to_text(&payload_and("\"n\":1e400")), "JSON_NUMBER_RANGE");
}

#[test]
fn depth_is_at_most_4() {
    assert_eq!(said_to_text(&payload_and("\"x\":[[[]]]")), "OK");
    assert_eq!(said_to_text(&payload_and("\"x\":[[[[]]]]")), "JSON_DEPTH");
}

#[test]
fn a_payload_is_no_latin_1() {
    let mut json = payload_and("\"x\":\"caf?\"");
    let at = json.iter().position(|byte| *byte == b'?').expect("the mark");
    json[at] = 0xE9;
    assert_eq!(said_to_text(&json), "JSON_UTF8");
}

#[test]
fn base64_hex_and_spki_have_one_form() {
    let json = payload(NOW).to_string();
    let padded = [json.as_str(), " ", "  "].into_iter().map(str::to_owned).collect::<String>();
    let text = [json, padded].into_iter().map(|json| base64(json.as_bytes())).find(|text| text.ends_with('='));
    let text = text.expect("one of two lengths needs padding");
    let bare = text.trim_end_matches('=').to_owned();
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-payload", bare.as_bytes())), "BASE64_INVALID");

    let headers = good_request();
    let value = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let upper = value("x-imagxp-signature").expect("signed").to_ascii_uppercase();
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-signature", &upper)), "SIGNATURE_FORMAT");
    let mut key = value("x-imagxp-public-key").expect("signed");
    key.truncate(122);
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-public-key", &key)), "KEY_FORMAT");
}

#[test]
fn a_name_is_a_public_host() {
    for name in ["127.0.0.1", "10.0.0.1:8080", "localhost", "intranet", "bot.example.com:443", "0x7f000001"] {
        assert_eq!(said_to(&payload_with(NOW, "agent_id", json!(name))), "AGENT_ID_INVALID", "{name}");
    }
}

#[test]
fn documents_are_fetched_by_https() {
    let story = site().judge(&good_request(), Target::PAGE, NOW);
    assert_eq!(story.needs, [manifest_url(AGENT)]);
    let policy = json!({ "monetization": { "brokerUrl": "http://your-broker-domain.com" } });
    assert_eq!(Site::new(&policy).err(), Some(Error::PolicyInvalid));
}

#[test]
fn a_redirect_is_no_manifest() {
    let mut site = site();
    site.documents.insert(manifest_url(AGENT), Document::NotThere);
    assert_eq!(code(site, &good_request()), "MANIFEST_UNAVAILABLE");
}

#[test]
fn documents_are_bounded() {
    let mut body = json!({ "agent_id": AGENT, "public_key": agent_key().public().to_text().as_str() }).to_string();
    let padding = |len: usize| " ".repeat(len);
    body += &padding(8_192 - body.len());
    for (more, wanted) in [("", "OK"), (" ", "MANIFEST_TOO_LARGE")] {
        let mut site = site();
        site.documents.insert(manifest_url(AGENT), Document::Found((body.clone() + more).into_bytes()));
        assert_eq!(code(site, &good_request()), wanted);
    }
    let mut shop = shop(json!({}));
    shop.documents.insert(JWKS_URL.to_owned(), Document::Found(padding(65_537).into_bytes()));
    assert_eq!(code(shop, &paying(&visa(&header(), &claims()))), "JWKS_TOO_LARGE");
}

#[test]
fn the_signed_resource_is_the_requested_one() {
    for resource in
        ["https://pub.example.com/posts/b", "https://other.example.com/posts/a", "http://pub.example.com/posts/a"]
    {
        assert_eq!(said_to(&payload_with(NOW, "resource", json!(resource))), "RESOURCE_MISMATCH", "{resource}");
    }
}

#[test]
fn a_ts_is_not_beyond_the_skew() {
    let at = |ms: i64| signed_value(&payload(NOW.saturating_add(ms)), &agent_key());
    assert_eq!(code(site(), &at(60_000)), "OK");
    assert_eq!(code(site(), &at(60_001)), "TIMESTAMP_FUTURE");
    assert_eq!(code(site(), &at(-300_000)), "OK");
    assert_eq!(code(site(), &at(-300_001)), "TIMESTAMP_STALE");
}

#[test]
fn a_future_dated_request_is_remembered_for_as_long_as_it_is_fresh() {
    let mut site = site_with(json!({ "skew": 300_000 }));
    let headers = signed_value(&payload(NOW.saturating_add(299_000)), &agent_key());
    let mut at = |ms: i64| site.judge(&headers, Target::PAGE, NOW.saturating_add(ms)).code();
    assert_eq!(at(0), "OK");
    assert_eq!(at(301_000), "REPLAY_DETECTED");
    assert_eq!(at(599_000), "REPLAY_DETECTED");
    assert_eq!(at(599_001), "TIMESTAMP_STALE");
}

#[test]
fn a_ban_covers_every_purpose() {
    let banned = || site_with(json!({ "allowTraining": false, "allowRAG": false }));
    for purpose in ["CRAWL_TRAINING", "RAG_RETRIEVAL", "SUMMARY", "QUOTATION", "EMBEDDING"] {
        let headers = signed_value(&payload_with(NOW, "purpose", json!(purpose)), &agent_key());
        assert_eq!(code(banned(), &headers), "PURPOSE_REFUSED", "{purpose}");
    }
}

#[test]
fn no_visa_lifts_a_ban() {
    let shop = shop(json!({ "allowRAG": false }));
    assert_eq!(code(shop, &paying(&visa(&header(), &claims()))), "PURPOSE_REFUSED");
}

#[test]
fn edge_headers_count_only_when_vouched_for() {
    let visitor = |vouched| {
        let headers = vec![("cf-ray".to_owned(), b"8a1".to_vec())];
        let target = Target { vouched, ..Target::PAGE };
        site_with(json!({ "strategy": "HYBRID" })).judge(&headers, target, NOW).code()
    };
    assert_eq!(visitor(0), "VISITOR_REFUSED");
    assert_eq!(visitor(vouched::VERCEL), "VISITOR_REFUSED");
    assert_eq!(visitor(vouched::CLOUDFLARE), "OK");
}

#[test]
fn a_partial_set_of_headers_is_no_human() {
    for name in ["x-imagxp-payload", "x-imagxp-signature", "x-imagxp-public-key"] {
        assert_eq!(code(site(), &with(good_request(), name, b"")), "HEADERS_PARTIAL", "{name}");
    }
    for name in ["x-imagxp-credential", "x-imagxp-proof"] {
        assert_eq!(code(site(), &vec![(name.to_owned(), b"x".to_vec())]), "HEADERS_PARTIAL", "{name}");
    }
}

#[test]
fn informational_headers_agree_with_the_payload() {
    let ts = payload(NOW)["ts"].as_str().expect("a text").to_owned();
    for (name, good) in [("x-imagxp-agent-id", AGENT), ("x-imagxp-timestamp", &ts), ("x-imagxp-alg", "ES256")] {
        assert_eq!(code(site(), &with(good_request(), name, good.as_bytes())), "OK", "{name}");
        assert_eq!(code(site(), &with(good_request(), name, b"other")), "HEADERS_CONTRADICT", "{name}");
    }
}

#[test]
fn a_manifest_has_no_bom() {
    let mut body = b"\xEF\xBB\xBF".to_vec();
    body.extend(
        json!({ "agent_id": AGENT, "public_key": agent_key().public().to_text().as_str() }).to_string().bytes(),
    );
    let mut site = site();
    site.documents.insert(manifest_url(AGENT), Document::Found(body));
    assert_eq!(code(site, &good_request()), "MANIFEST_INVALID");
}

#[test]
fn an_omitted_policy_binds_identities_and_is_passive() {
    let mut words = vec![0; Policy::WORDS];
    let policy = Policy::parse(b"{}", &mut words).expect("a policy");
    assert!(policy.requires_identity());
    let story = Site::new(&json!({})).expect("a policy").judge(&Vec::new(), Target::PAGE, NOW);
    assert_eq!(story.result.map(|admission| admission.visitor), Ok(Visitor::UnidentifiedBot));
}

/// docs/protocol.md section 11 has a row for each of these tests, and each of its rows a test.
#[test]
fn every_departure_has_a_row_and_every_row_a_test() {
    let page = include_str!("../../docs/protocol.md");
    let (_, section) = page.split_once("\n## 11.").expect("the section");
    let (section, _) = section.split_once("\n## 12.").expect("the next");
    let sources = [
        include_str!("departures.rs"),
        include_str!("departures/lenient.rs"),
        include_str!("departures/visas.rs"),
        include_str!("departures/faults.rs"),
    ];
    let tests = |source: &'static str| {
        let source = source.split("#[test]\n").skip(1);
        let names = source.filter_map(|rest| rest.strip_prefix("pub(super) ").unwrap_or(rest).split(['(', ' ']).nth(1));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let names: Vec<_> = sources.iter().flat_map(|source| tests(source)).collect();
    for row in section.lines().filter(|line| line.starts_with("| ") && !line.contains("`r1_`")) {
        let cell = row.trim_end_matches(" |").rsplit("| ").next().expect("a cell");
        let known = cell == "test" || cell == "---" || names.iter().any(|name| cell.contains(&format!("`{name}`")));
        assert!(known, "no test for {row}");
    }
    let beside =
        ["an_omitted_policy_binds_identities_and_is_passive", "every_departure_has_a_row_and_every_row_a_test"];
    for name in names.iter().filter(|name| !name.starts_with('r') && !beside.contains(&name.as_str())) {
        assert!(section.contains(&format!("`{name}`")), "no row for {name}");
    }
    let faults = tests(sources[3]);
    for number in 1..=17 {
        assert!(faults.iter().any(|name| name.starts_with(&format!("r{number}_"))), "no test for R{number}");
    }
}
