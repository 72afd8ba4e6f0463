//! Where this library departs from the reference on purpose, one test for each: protocol.md section 11, and the faults
//! R1 to R17 of threats.md section 0.

mod cases;

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
fn a_visa_names_the_publisher() {
    assert_eq!(said_to_visa(&header(), &claims_without("aud")), "JWT_AUDIENCE");
    assert_eq!(said_to_visa(&header(), &claims_with("aud", json!("other.example.org"))), "JWT_AUDIENCE");
    assert_eq!(said_to_visa(&header(), &claims_with("aud", json!("https://nytimes.com"))), "OK");
}

#[test]
fn a_visa_ends() {
    assert_eq!(said_to_visa(&header(), &claims_without("exp")), "JWT_CLAIMS");
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() + 3_601))), "JWT_LIFETIME");
}

#[test]
fn a_visa_is_paid() {
    assert_eq!(said_to_visa(&header(), &claims_with("payment_status", json!("unpaid"))), "VISA_UNPAID");
    assert_eq!(said_to_visa(&header(), &claims_with("amount", json!(0))), "VISA_AMOUNT");
}

#[test]
fn a_visa_is_es256() {
    for alg in ["none", "HS256", "ES384", "EdDSA", "es256"] {
        assert_eq!(said_to_visa(&json!({ "alg": alg, "kid": "1" }), &claims()), "JWT_ALG", "{alg}");
    }
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
fn a_visa_has_no_foreign_header() {
    for (name, value) in [
        ("typ", json!("at+jwt")),
        ("jwk", json!({ "kty": "EC" })),
        ("jku", json!("https://evil.example.org/jwks")),
        ("x5u", json!("https://evil.example.org/x5u")),
        ("x5c", json!(["MII"])),
    ] {
        let mut header = header();
        header[name] = value;
        assert_eq!(said_to_visa(&header, &claims()), "JWT_HEADER", "{name}");
    }
}

#[test]
fn a_visa_is_its_holders_own() {
    let cnf = |key: &KeyPair| json!({ "jkt": key.public().kid().as_str() });
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", cnf(&agent_key()))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", cnf(&strangers_key()))), "VISA_BINDING");
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", json!({ "jwk": {} }))), "VISA_BINDING");
    assert_eq!(said_to_visa(&header(), &claims_with("sub", json!("other.example.org"))), "JWT_SUBJECT");
}

#[test]
fn a_visa_is_not_from_the_future() {
    assert_eq!(said_to_visa(&header(), &claims_with("iat", json!(NOW.s() + 6))), "JWT_NOT_YET");
}

// protocol.md section 11: admitted here, refused by the reference

#[test]
fn the_alias_of_the_key_header_is_read() {
    let key = agent_key().public().to_text();
    let headers = with(good_request(), "x-imagxp-public-key", b"");
    assert_eq!(code(site(), &with(headers, "x-imagxp-key", key.as_str().as_bytes())), "OK");
}

#[test]
fn a_payload_is_utf_8() {
    assert_eq!(said_to_text(&payload_and("\"x\":\"caf\u{e9} \u{1F600}\"")), "OK");
}

#[test]
fn every_token_has_five_seconds() {
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() - 4))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() - 5))), "JWT_EXPIRED");
    assert_eq!(said_to_visa(&header(), &claims_with("iat", json!(NOW.s() + 5))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("nbf", json!(NOW.s() + 5))), "OK");
}

#[test]
fn a_whitelist_stands_beside_a_broker() {
    let target = Target { vouched: vouched::WHITELISTED, ..Target::PAGE };
    let story = shop(json!({})).judge(&good_request(), target, NOW);
    assert_eq!(story.result.map(|admission| admission.proof), Ok(Proof::Whitelist));
    assert_eq!(code(shop(json!({})), &good_request()), "VISA_REQUIRED");
}

// threats.md section 0

#[test]
fn r1_a_forged_request_burns_no_nonce() {
    let mut site = site();
    let forged = with(good_request(), "x-imagxp-signature", "01".repeat(64).as_bytes());
    assert_eq!(site.judge(&forged, Target::PAGE, NOW).code(), "SIGNATURE_INVALID");
    let foreign = signed_value(&payload(NOW), &strangers_key());
    assert_eq!(site.judge(&foreign, Target::PAGE, NOW).code(), "KEY_MISMATCH");
    assert_eq!(site.judge(&good_request(), Target::PAGE, NOW).code(), "OK");
    assert_eq!(site.judge(&good_request(), Target::PAGE, NOW).code(), "REPLAY_DETECTED");
}

#[test]
fn r2_a_nonce_is_kept_until_its_request_is_stale() {
    a_future_dated_request_is_remembered_for_as_long_as_it_is_fresh();
}

#[test]
fn r3_the_replay_cache_has_one_size_and_refuses_when_full() {
    let mut memory = vec![0; ReplayCache::words(16)];
    let mut cache = ReplayCache::new(&mut memory, &[1; 32], UnixMillis::EPOCH).expect("large enough");
    let slots = cache.stats().slots;
    let mut admit = |n: usize| {
        let (agent_id, nonce) = (format!("bot{n}.example.com"), format!("{n:0>22}"));
        let entry =
            imagxp::replay_cache::Entry { agent_id: &agent_id, nonce: &nonce, ts: NOW, window_ms: 300_000, visa: None };
        cache.admit(&entry, NOW).map(|_| ())
    };
    let refused: Vec<_> = (0..2 * slots).filter_map(|n| admit(n).err()).collect();
    assert!(refused.len() >= slots);
    assert!(refused.iter().all(|error| matches!(error, Error::ReplayCacheFull | Error::AgentQuota)));
    assert_eq!(admit(0), Err(Error::ReplayDetected), "the first is still remembered");
}

#[test]
fn r4_a_request_is_bound_to_its_receiver() {
    let elsewhere = Target { authority: "other.example.com", ..Target::PAGE };
    assert_eq!(site().judge(&good_request(), elsewhere, NOW).code(), "RESOURCE_MISMATCH");
    let story = site_with(json!({ "resource_binding": "off" })).judge(&good_request(), elsewhere, NOW);
    assert_eq!(story.result.map(|admission| admission.bound), Ok(Bound::Nothing));
}

#[test]
fn r5_no_name_leads_into_the_publishers_network() {
    for name in ["localhost", "127.0.0.1", "10.0.0.1:8080", "a:22", "metadata.internal", "printer.local"] {
        let story =
            site().judge(&signed_value(&payload_with(NOW, "agent_id", json!(name)), &agent_key()), Target::PAGE, NOW);
        assert_eq!((story.code(), story.needs.len()), ("AGENT_ID_INVALID", 0), "{name}");
    }
}

#[test]
fn r6_a_bad_answer_is_remembered_and_not_fetched_again() {
    let mut site = site();
    site.documents.insert(manifest_url(AGENT), Document::NotThere);
    let first = site.judge(&good_request(), Target::PAGE, NOW);
    assert_eq!((first.code(), first.needs.len()), ("MANIFEST_UNAVAILABLE", 1));
    let again = site.judge(&good_request(), Target::PAGE, NOW.saturating_add(1_000));
    assert_eq!((again.code(), again.needs.len()), ("MANIFEST_UNAVAILABLE", 0));
}

#[test]
fn r7_a_key_is_refused_by_its_first_bytes() {
    let mut key = agent_key().public().to_text().as_str().as_bytes().to_vec();
    key[2] = b'K';
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-public-key", &key)), "KEY_FORMAT");
}

#[test]
fn r8_a_signature_is_128_lower_case_digits() {
    for signature in ["", "0", "zz", &"g".repeat(128), &"0".repeat(127), &"A".repeat(128), &"0".repeat(130)] {
        let said = code(site(), &with(good_request(), "x-imagxp-signature", signature.as_bytes()));
        assert_eq!(said, if signature.is_empty() { "HEADERS_PARTIAL" } else { "SIGNATURE_FORMAT" }, "{signature}");
    }
}

#[test]
fn r9_a_payload_has_one_text() {
    base64_hex_and_spki_have_one_form();
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-payload", b"e30=\n")), "HEADER_BYTES");
    assert_eq!(code(site(), &with(good_request(), "x-imagxp-payload", b"e31=")), "BASE64_INVALID");
}

#[test]
fn r10_signer_and_verifier_read_the_same_json() {
    members_are_there_once();
    numbers_do_not_overflow();
    assert_eq!(said_to_text(&payload_and("\"x\":\"\\ud800\"")), "JSON_LONE_SURROGATE");
}

#[test]
fn r11_a_ts_that_cannot_be_read_is_refused() {
    let unreadable = ["garbage", "", "never", "2026-02-30T00:00:00Z", "2026-01-26T24:00:00Z", "2026-01-26T12:00:00"];
    for ts in unreadable.into_iter().chain(["+275760-09-13T00:00:00Z", "Mon, 26 Jan 2026 12:00:00 GMT"]) {
        assert_eq!(said_to(&payload_with(NOW, "ts", json!(ts))), "TIMESTAMP_INVALID", "{ts}");
    }
}

#[test]
fn r12_nobody_vouches_for_himself() {
    edge_headers_count_only_when_vouched_for();
    let strict = site_with(json!({ "strategy": "STRICT" }));
    assert_eq!(code(strict, &vec![("x-vercel-id".to_owned(), b"fra1".to_vec())]), "IDENTITY_REQUIRED");
}

#[test]
fn r13_a_visa_is_for_one_publisher_one_agent_and_if_wanted_one_request() {
    a_visa_names_the_publisher();
    a_visa_is_its_holders_own();
    a_visa_is_es256();
    let mut shop = shop(json!({ "visa_single_use": true }));
    let token = visa(&header(), &claims_with("jti", json!("sale-1")));
    assert_eq!(shop.judge(&paying(&token), Target::PAGE, NOW).code(), "OK");
    let next = signed_value(&payload_with(NOW, "nonce", json!("another-nonce-of-the-agent")), &agent_key());
    let next = with(next, "x-imagxp-credential", token.as_bytes());
    assert_eq!(shop.judge(&next, Target::PAGE, NOW).code(), "VISA_USED");
    assert_eq!(code(self::shop(json!({ "visa_binding": "require" })), &paying(&token)), "VISA_BINDING");
}

#[test]
fn r14_a_key_set_is_fetched_once() {
    let mut shop = shop(json!({}));
    let token = visa(&header(), &claims());
    assert_eq!(shop.judge(&paying(&token), Target::PAGE, NOW).needs, [manifest_url(AGENT), JWKS_URL.to_owned()]);
    let next = signed_value(&payload_with(NOW, "nonce", json!("another-nonce-of-the-agent")), &agent_key());
    let story = shop.judge(&with(next, "x-imagxp-credential", token.as_bytes()), Target::PAGE, NOW);
    assert_eq!((story.code(), story.needs.len()), ("OK", 0));
}

#[test]
fn r15_the_misprinted_prefix_is_named_in_the_help() {
    assert!(Error::KeyFormat.help().contains("MFKw"));
}

#[test]
fn r16_there_is_no_other_algorithm() {
    // The SPKI of an Ed25519 key, and a P-384 prefix at P-256's length.
    for key in
        ["MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", &"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE".repeat(4)]
    {
        assert_eq!(code(site(), &with(good_request(), "x-imagxp-public-key", key.as_bytes())), "KEY_FORMAT");
    }
    a_visa_is_es256();
}

#[test]
fn r17_no_name_forges_a_line_of_a_log() {
    for name in ["bot.example.com\n[IDENTITY] granted", "bot.example.com\r", "bot.example.com\u{1b}[2J"] {
        assert_eq!(said_to(&payload_with(NOW, "agent_id", json!(name))), "AGENT_ID_INVALID");
    }
}

#[test]
fn an_omitted_policy_binds_identities_and_is_passive() {
    let mut words = vec![0; Policy::WORDS];
    let policy = Policy::parse(b"{}", &mut words).expect("a policy");
    assert!(policy.requires_identity());
    let story = Site::new(&json!({})).expect("a policy").judge(&Vec::new(), Target::PAGE, NOW);
    assert_eq!(story.result.map(|admission| admission.visitor), Ok(Visitor::UnidentifiedBot));
}
