//! The faults R1 to R17 of threats.md section 0.

use super::visas::{a_visa_is_es256, a_visa_is_its_holders_own, a_visa_names_the_publisher};
use crate::*;

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
