//! How long what was fetched may be used, and how often it is asked for again: manifests (threats.md section 8).

mod support;

use imagxp::{Answer, Error, KeyPair, UnixMillis};
use serde_json::{Value, json};
use support::{AGENT, NOW, OPEN, Site, claims, key, manifest, signed};

/// So many seconds after the first.
fn at(s: i64) -> UnixMillis {
    NOW.saturating_add(s * 1_000)
}

/// What a site says to a request that this key signs at second `s`, and whether the host was asked for its manifest.
fn said(site: &mut Site, key: &KeyPair, s: i64) -> (Result<bool, Error>, bool) {
    let before = site.fetched.len();
    let now = at(s);
    let nonce = u8::try_from(s % 251).unwrap();
    let said = site.decide(&signed(key, &claims(), nonce, now), now).map(|admission| admission.refresh);
    (said, site.fetched.len() > before)
}

const ADMITTED: (Result<bool, Error>, bool) = (Ok(false), false);
const ADMITTED_AND_DUE: (Result<bool, Error>, bool) = (Ok(true), false);
const ADMITTED_AFTER_A_FETCH: (Result<bool, Error>, bool) = (Ok(false), true);

fn refused(error: Error) -> (Result<bool, Error>, bool) {
    (Err(error), false)
}

fn refused_after_a_fetch(error: Error) -> (Result<bool, Error>, bool) {
    (Err(error), true)
}

/// A site that fetched the agent's manifest in the first second, with this `max-age`; its host is silent since.
fn informed(max_age_s: Option<u32>) -> Site {
    let mut site = Site::new(OPEN);
    site.supply(AGENT, Answer::Found { body: &manifest(AGENT, &key(7)), max_age_s }, NOW);
    site
}

#[test]
fn a_manifest_lives_for_its_max_age_within_bounds() {
    for (max_age_s, life_s) in [
        (None, 300),
        (Some(0), 60),
        (Some(60), 60),
        (Some(61), 61),
        (Some(3_600), 3_600),
        (Some(3_601), 3_600),
        (Some(u32::MAX), 3_600),
    ] {
        let mut site = informed(max_age_s);
        assert_eq!(said(&mut site, &key(7), life_s - 1), ADMITTED, "{max_age_s:?}");
        assert_eq!(said(&mut site, &key(7), life_s), ADMITTED_AND_DUE, "{max_age_s:?}");
    }
}

#[test]
fn a_stale_manifest_serves_for_an_hour_while_it_is_refreshed() {
    let mut site = informed(None);
    assert_eq!(said(&mut site, &key(7), 300 + 3_599), ADMITTED_AND_DUE);
    site.serve(AGENT, manifest(AGENT, &key(7)));
    assert_eq!(said(&mut site, &key(7), 300 + 3_600), ADMITTED_AFTER_A_FETCH);
}

#[test]
fn silence_is_bridged_for_a_day_and_for_the_known_key_alone() {
    let mut site = informed(None);
    let day = 300 + 86_400;
    assert_eq!(said(&mut site, &key(7), 4_000), (Ok(false), true), "asked in vain");
    assert_eq!(said(&mut site, &key(8), 4_001), refused(Error::ManifestUnavailable), "another key is not learned");
    assert_eq!(said(&mut site, &key(7), day - 1), (Ok(false), true));
    assert_eq!(said(&mut site, &key(7), day), refused_after_a_fetch(Error::ManifestUnavailable));
    assert_eq!(said(&mut site, &key(7), day + 14), refused(Error::ManifestUnavailable), "the failure rests");
}

#[test]
fn what_is_not_there_or_wrong_is_remembered_for_a_minute() {
    let other = manifest("other.example.com", &key(7));
    for (answer, error) in [
        (Answer::NotThere, Error::ManifestUnavailable),
        (Answer::Found { body: b"{}", max_age_s: Some(3_600) }, Error::ManifestMismatch),
        (Answer::Found { body: b"{", max_age_s: None }, Error::ManifestInvalid),
        (Answer::Found { body: &other, max_age_s: None }, Error::ManifestMismatch),
    ] {
        let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
        site.supply(AGENT, answer, NOW);
        assert_eq!(said(&mut site, &key(7), 59), refused(error));
        assert_eq!(said(&mut site, &key(7), 60), ADMITTED_AFTER_A_FETCH);
    }
}

#[test]
fn silence_is_asked_again_after_15_s_doubling_to_300() {
    let mut site = Site::new(OPEN);
    let mut s = 0;
    for pause in [15, 30, 60, 120, 240, 300, 300, 300] {
        assert_eq!(said(&mut site, &key(7), s), refused_after_a_fetch(Error::ManifestUnavailable), "second {s}");
        assert_eq!(said(&mut site, &key(7), s + pause - 1), refused(Error::ManifestUnavailable), "second {s}");
        s += pause;
    }
    site.serve(AGENT, manifest(AGENT, &key(7)));
    assert_eq!(said(&mut site, &key(7), s), ADMITTED_AFTER_A_FETCH);
}

#[test]
fn an_answer_ends_the_doubling() {
    let mut site = Site::new(OPEN);
    for s in [0, 15, 45] {
        assert_eq!(said(&mut site, &key(7), s), refused_after_a_fetch(Error::ManifestUnavailable));
    }
    site.supply(AGENT, Answer::NotThere, at(105));
    assert_eq!(said(&mut site, &key(7), 165), refused_after_a_fetch(Error::ManifestUnavailable));
    assert_eq!(said(&mut site, &key(7), 179), refused(Error::ManifestUnavailable));
    assert_eq!(said(&mut site, &key(7), 180), refused_after_a_fetch(Error::ManifestUnavailable), "15 s again");
}

#[test]
fn another_key_causes_one_fetch_each_30_s() {
    let mut site = informed(Some(3_600));
    site.serve(AGENT, manifest(AGENT, &key(7)));
    assert_eq!(said(&mut site, &key(8), 29), refused(Error::KeyMismatch));
    assert_eq!(said(&mut site, &key(8), 30), refused_after_a_fetch(Error::KeyMismatch));
    assert_eq!(said(&mut site, &key(9), 59), refused(Error::KeyMismatch), "whoever asks");
    // The agent changes its key.
    site.serve(AGENT, manifest(AGENT, &key(8)));
    assert_eq!(said(&mut site, &key(7), 59), ADMITTED, "not yet known");
    assert_eq!(said(&mut site, &key(8), 60), ADMITTED_AFTER_A_FETCH);
    assert_eq!(said(&mut site, &key(7), 61), refused(Error::KeyMismatch), "refused from then on");
    assert_eq!(said(&mut site, &key(8), 61), ADMITTED);
}

#[test]
fn another_key_is_not_taken_on_silence() {
    let mut site = informed(Some(3_600));
    assert_eq!(said(&mut site, &key(8), 30), refused_after_a_fetch(Error::ManifestUnavailable));
    assert_eq!(said(&mut site, &key(7), 31), ADMITTED, "the known one is good still");
    assert_eq!(said(&mut site, &key(8), 44), refused(Error::ManifestUnavailable));
}

#[test]
fn a_forged_key_causes_no_fetch() {
    let mut site = informed(Some(3_600));
    let mut lines = signed(&key(8), &claims(), 1, at(100));
    lines[1].1 = signed(&key(8), &claims(), 2, at(100))[1].1.clone();
    assert_eq!(site.decide(&lines, at(100)), Err(Error::SignatureInvalid));
    assert!(site.fetched.is_empty());
}

fn listed(key: &KeyPair, more: Value) -> Value {
    let mut out = [0; 256];
    let mut jwk: Value = serde_json::from_str(key.public().to_jwk(&mut out).unwrap()).unwrap();
    for (name, value) in more.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn manifest_of(members: Value) -> Vec<u8> {
    let mut manifest = json!({ "agent_id": AGENT, "public_key": key(7).public().to_text().as_str() });
    for (name, value) in members.as_object().unwrap() {
        manifest[name] = value.clone();
    }
    manifest.to_string().into_bytes()
}

#[test]
fn a_listed_key_is_good_from_nbf_until_exp() {
    let (nbf, exp) = (NOW.s() + 100, NOW.s() + 200);
    let mut site = Site::new(OPEN);
    site.serve(AGENT, manifest_of(json!({ "keys": [listed(&key(8), json!({ "nbf": nbf, "exp": exp }))] })));
    assert_eq!(said(&mut site, &key(8), 99), refused_after_a_fetch(Error::KeyMismatch));
    assert_eq!(said(&mut site, &key(8), 100), ADMITTED);
    assert_eq!(said(&mut site, &key(8), 199), ADMITTED);
    assert_eq!(said(&mut site, &key(8), 200), refused_after_a_fetch(Error::KeyMismatch));
    assert_eq!(said(&mut site, &key(7), 201), ADMITTED, "the current key has no such end");
}

#[test]
fn require_fresh_takes_nothing_past_its_time() {
    let mut site = informed(None);
    site.policy = Site::new(r#"{"allowRAG":true,"require_fresh":true}"#).policy;
    assert_eq!(said(&mut site, &key(7), 299), ADMITTED);
    assert_eq!(said(&mut site, &key(7), 300), refused_after_a_fetch(Error::ManifestUnavailable));
    assert_eq!(said(&mut site, &key(7), 314), refused(Error::ManifestUnavailable), "the failure rests");
    site.serve(AGENT, manifest(AGENT, &key(7)));
    assert_eq!(said(&mut site, &key(7), 315), ADMITTED_AFTER_A_FETCH);
    assert_eq!(said(&mut site, &key(7), 316), ADMITTED);
    // The same memory under a policy that bridges silence.
    site.policy = Site::new(OPEN).policy;
    site.documents.clear();
    assert_eq!(said(&mut site, &key(7), 700), ADMITTED_AND_DUE);
}

fn kid(key: &KeyPair) -> String {
    key.public().kid().as_str().to_owned()
}

#[test]
fn a_revoked_key_is_nobodys_listed_or_not() {
    let policies = [OPEN, r#"{"allowRAG":true,"requireIdentityBinding":false}"#];
    for policy in policies {
        let mut site = Site::new(policy);
        // All that fit; the last one is no thumbprint and names no key.
        let mut revoked: Vec<_> = (9..23).map(|n| json!({ "kid": kid(&key(n)), "at": NOW.s() })).collect();
        revoked.push(json!({ "kid": kid(&key(8)), "at": 0 }));
        revoked.push(json!({ "kid": "old", "at": 0 }));
        site.serve(AGENT, manifest_of(json!({ "keys": [listed(&key(8), json!({}))], "revoked": revoked })));
        assert_eq!(said(&mut site, &key(7), 0), ADMITTED_AFTER_A_FETCH);
        for n in 8..23 {
            assert_eq!(said(&mut site, &key(n), 1), refused(Error::KeyRevoked), "{n} under {policy}");
        }
        let before = site.fetched.len();
        assert_eq!(said(&mut site, &key(9), 100), refused(Error::KeyRevoked), "no fetch helps");
        assert_eq!(site.fetched.len(), before);
    }
}

#[test]
fn a_stranger_is_a_bot_where_binding_is_off_until_it_is_revoked() {
    let mut site = Site::new(r#"{"allowRAG":true,"requireIdentityBinding":false}"#);
    let revoked = json!([{ "kid": kid(&key(8)), "at": NOW.s() + 10 }]);
    site.supply(AGENT, Answer::Found { body: &manifest_of(json!({ "revoked": revoked })), max_age_s: None }, NOW);
    assert_eq!(said(&mut site, &key(9), 9), ADMITTED);
    assert_eq!(said(&mut site, &key(8), 9), ADMITTED, "not yet in force");
    assert_eq!(said(&mut site, &key(8), 10), refused(Error::KeyRevoked));
    assert_eq!(said(&mut site, &key(9), 10), ADMITTED);
}

/// What an older manifest revoked stays revoked when no fresh one is to be had.
#[test]
fn a_revoked_key_is_nobodys_under_require_fresh_and_beyond_the_day() {
    let revoked = json!([{ "kid": kid(&key(8)), "at": NOW.s() }]);
    for (fresh, s) in [(true, 299), (true, 300), (true, 301), (true, 90_000), (false, 90_000)] {
        let mut site =
            Site::new(&format!(r#"{{"allowRAG":true,"requireIdentityBinding":false,"require_fresh":{fresh}}}"#));
        let body = manifest_of(json!({ "keys": [listed(&key(8), json!({}))], "revoked": revoked }));
        site.supply(AGENT, Answer::Found { body: &body, max_age_s: None }, NOW);
        assert_eq!(said(&mut site, &key(8), s).0, Err(Error::KeyRevoked), "{fresh} {s}");
        assert_eq!(said(&mut site, &key(8), s + 1).0, Err(Error::KeyRevoked), "{fresh} {s}");
        assert!(said(&mut site, &key(9), s + 1).0.is_ok(), "{fresh} {s}: a stranger is a bot");
    }
}

#[test]
fn a_clock_that_was_set_back_leaves_nothing_from_the_future() {
    let year = 31_536_000;
    let ahead = at(year);
    let mut site = Site::new(OPEN);
    site.supply(AGENT, Answer::Found { body: &manifest(AGENT, &key(7)), max_age_s: None }, ahead);
    assert_eq!(said(&mut site, &key(7), year - 30), ADMITTED, "a fetch takes its time");

    let mut site = Site::new(OPEN);
    site.supply(AGENT, Answer::Found { body: &manifest(AGENT, &key(7)), max_age_s: None }, ahead);
    site.serve(AGENT, manifest(AGENT, &key(8)));
    assert_eq!(said(&mut site, &key(7), 0), refused_after_a_fetch(Error::KeyMismatch), "the agent has changed its key");
    assert_eq!(said(&mut site, &key(8), 1), ADMITTED);

    let mut site = Site::new(OPEN);
    site.supply(AGENT, Answer::Found { body: &manifest(AGENT, &key(7)), max_age_s: None }, ahead);
    assert_eq!(said(&mut site, &key(7), 0), ADMITTED_AFTER_A_FETCH, "in vain: bridged");
    assert_eq!(said(&mut site, &key(7), 86_400), refused_after_a_fetch(Error::ManifestUnavailable), "for a day");

    for answer in [Answer::NotThere, Answer::Unreachable] {
        let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
        site.supply(AGENT, answer, ahead);
        assert_eq!(said(&mut site, &key(7), 0), ADMITTED_AFTER_A_FETCH, "{answer:?}");
    }
}

#[test]
fn revocations_are_sixteen_and_readable() {
    let one = json!({ "kid": kid(&key(8)), "at": 0 });
    for revoked in [json!(vec![one; 17]), json!([{ "kid": "x" }]), json!([{ "at": 0 }]), json!({}), json!([[]])] {
        let mut site = Site::new(OPEN);
        site.serve(AGENT, manifest_of(json!({ "revoked": revoked })));
        assert_eq!(said(&mut site, &key(7), 0), refused_after_a_fetch(Error::ManifestInvalid), "{revoked}");
    }
}
