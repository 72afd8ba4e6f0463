//! The laws of the library (CONTRIBUTING.md), as properties: each holds for every input that proptest thinks of.

mod support;

use imagxp::codec::{jcs, json, writer::Writer};
use imagxp::{Claims, Error, Keys, Policy, Purpose, Request, SignedHeaders, Signing, Step, UnixMillis};
use proptest::prelude::*;
use support::{AGENT, NOW, OPEN, Site, URL, claims, key, signed, visit};

fn canonical(text: &[u8]) -> Result<String, Error> {
    let mut nodes = vec![json::Node::default(); 4_096];
    let document = json::Document::parse(text, &json::Limits::WIDE, &mut nodes)?;
    let mut out = vec![0; 6 * text.len() + 64];
    let mut writer = Writer::new(&mut out);
    jcs::write(&document.root(), &mut writer)?;
    Ok(writer.finish()?.0.to_owned())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn canonical_form_is_idempotent_and_keeps_the_value(value in json_value()) {
        let once = canonical(value.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&canonical(once.as_bytes()).unwrap(), &once);
        let pretty = canonical(serde_json::to_string_pretty(&value).unwrap().as_bytes()).unwrap();
        prop_assert_eq!(pretty, once);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = canonical(&text);
    }

    #[test]
    fn what_is_signed_is_what_is_read(resource in "https://pub\\.example\\.com/[!-~\u{e9}\u{65e5}\u{1f600}]{0,80}", ads: bool, purpose in 0..5_usize) {
        prop_assume!(!resource.contains('\\') && !resource.contains(".."));
        let sent = Claims { agent_id: AGENT, resource: &resource, purpose: Purpose::ALL[purpose], ads_displayed: ads };
        let lines = signed(&key(7), &sent, 1, NOW);
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit(&lines, "/").unwrap(), &mut scratch).unwrap();
        prop_assert_eq!(request.claims(), Some(&sent));
        prop_assert_eq!(request.ts(), Some(NOW));
        prop_assert!(request.payload_json().unwrap().is_ascii());
    }

    #[test]
    fn any_flipped_bit_is_refused(header in 0..4_usize, at in 0..1_000_usize, bit in 0..7_u32) {
        let mut lines = signed(&key(7), &claims(), 1, NOW);
        let mut bytes = lines[header].1.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assume!(bytes[at].is_ascii());
        lines[header].1 = String::from_utf8(bytes).unwrap();
        let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
        prop_assert!(site.decide(&lines, NOW).is_err());
    }

    #[test]
    fn a_request_that_does_not_sign_causes_no_fetch(noise in prop::collection::vec(any::<u8>(), 64)) {
        let mut lines = signed(&key(7), &claims(), 1, NOW);
        lines[1].1 = noise.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
        prop_assert!(site.decide(&lines, NOW).is_err());
        prop_assert!(site.fetched.is_empty());
    }

    #[test]
    fn every_short_buffer_is_too_small(len in 0..600_usize) {
        let mut out = vec![0; len];
        let result = imagxp::sign_request(&key(7), &claims(), &[1; 16], NOW, Signing::default(), &mut out);
        let needed = signed(&key(7), &claims(), 1, NOW).iter().take(3).map(|(_, value)| value.len()).sum::<usize>();
        match result {
            Ok(_) => prop_assert!(len >= needed),
            Err(error) => prop_assert!(len < needed && error == Error::BufferTooSmall),
        }
    }

    #[test]
    fn every_short_scratch_is_too_small(len in 0..Request::SCRATCH) {
        let lines = signed(&key(7), &claims(), 1, NOW);
        let mut scratch = vec![0; len];
        match Request::parse(&visit(&lines, "/").unwrap(), &mut scratch) {
            Ok(request) => prop_assert_eq!(request.claims(), Some(&claims())),
            Err(error) => prop_assert_eq!(error, Error::BufferTooSmall),
        }
    }

    #[test]
    fn damaged_caches_refuse_but_never_panic(at in 0..20_000_usize, value: u64, lines_nonce: u8) {
        let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
        site.decide(&signed(&key(7), &claims(), 200, NOW), NOW).unwrap();
        let (keys, policy) = (site.keys.len(), site.policy.len());
        site.keys[at % keys] ^= value;
        site.policy[at % policy] ^= value.rotate_left(7);
        let _ = site.decide(&signed(&key(7), &claims(), lines_nonce, NOW), NOW);
    }
}

#[test]
fn verify_is_repeatable_and_admit_is_not() {
    let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
    let lines = signed(&key(7), &claims(), 1, NOW);
    let first = site.decide(&lines, NOW).unwrap();
    assert_eq!(first.agent_id, AGENT);
    assert_eq!(site.fetched.len(), 1);
    for _ in 0..3 {
        assert_eq!(site.decide(&lines, NOW), Err(Error::ReplayDetected));
    }
    assert_eq!(site.fetched.len(), 1, "a known agent is not fetched again");
    assert!(site.decide(&signed(&key(7), &claims(), 2, NOW), NOW).is_ok());
}

#[test]
fn a_refused_request_burns_no_nonce() {
    let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
    let forged = signed(&key(8), &claims(), 1, NOW);
    assert_eq!(site.decide(&forged, NOW), Err(Error::KeyMismatch));
    assert!(site.decide(&signed(&key(7), &claims(), 1, NOW), NOW).is_ok());
}

#[test]
fn a_copied_cache_answers_alike() {
    let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
    site.decide(&signed(&key(7), &claims(), 1, NOW), NOW).unwrap();
    let lines = signed(&key(7), &claims(), 2, NOW);
    let visit = visit(&lines, "/a?b=c").unwrap();
    for odd in [0, 1, 3] {
        // To an odd multiple of eight bytes.
        let mut clone = vec![0; site.keys.len() + odd];
        clone[odd..].copy_from_slice(&site.keys);
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit, &mut scratch).unwrap();
        let policy = Policy::attach(&site.policy).unwrap();
        let step = request.verify(&policy, &Keys::attach(&clone[odd..]).unwrap(), NOW);
        assert!(matches!(step, Ok(Step::Verified(_))));
    }
}

#[cfg(feature = "ec")]
#[test]
fn strangers_never_take_a_leased_table() {
    use imagxp::{Answer, KeyCache};
    use support::manifest;

    let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
    let mut hint = None;
    for nonce in 0..12 {
        hint = site.decide(&signed(&key(7), &claims(), nonce, NOW), NOW).unwrap().prepare.or(hint);
    }
    let id = hint.expect("a busy agent is worth a table");
    assert!(KeyCache::attach(&mut site.keys).unwrap().prepare(id, NOW).unwrap());
    let table = |site: &Site| site.keys[site.keys.len() - 8 * imagxp::Shape::Kib2.words()..].to_vec();
    let before = table(&site);

    // Every stranger has a name, a key and a good manifest, and there are far more of them than slots.
    let stranger = key(9);
    for number in 0..500 {
        let name = format!("s{number}.example.net");
        site.supply(&name, Answer::Found { body: &manifest(&name, &stranger), max_age_s: None }, NOW);
        site.supply(&format!("bad{number}.example.net"), Answer::NotThere, NOW);
    }
    assert_eq!(table(&site), before);
}

/// Ten requests of an agent in one second: whether one of them is told to be worth a table.
#[cfg(feature = "ec")]
fn worth_a_table(site: &mut Site, claims: &Claims<'_>, by: u8, now: UnixMillis) -> Option<imagxp::KeyId> {
    let first = u8::try_from(now.s() % 25).unwrap() * 10;
    let requests = (first..first + 10).map(|nonce| signed(&key(by), claims, nonce, now)).collect::<Vec<_>>();
    requests.iter().filter_map(|lines| site.decide(lines, now).unwrap().prepare).last()
}

#[cfg(feature = "ec")]
#[test]
fn a_link_to_a_table_that_others_took_asks_for_another() {
    use imagxp::{Answer, KeyCache, Sizes};

    let mut site = Site::new(OPEN);
    let sizes = Sizes { tables: 1, ..support::SIZES };
    KeyCache::new(&mut site.keys, &sizes, &[1; 32]).unwrap();
    let other = Claims { agent_id: "other.example.com", ..claims() };
    let later = NOW.saturating_add(700_000);
    for (agent_id, by) in [(AGENT, 7), (other.agent_id, 9)] {
        site.supply(
            agent_id,
            Answer::Found { body: &support::manifest(agent_id, &key(by)), max_age_s: Some(3_600) },
            NOW,
        );
    }
    let first = worth_a_table(&mut site, &claims(), 7, NOW).expect("busy");
    assert!(KeyCache::attach(&mut site.keys).unwrap().prepare(first, NOW).unwrap());
    assert_eq!(worth_a_table(&mut site, &claims(), 7, NOW.saturating_add(1_000)), None, "it has one");
    // Its lease ends, and another takes the only table.
    let second = worth_a_table(&mut site, &other, 9, later).expect("busy");
    assert!(KeyCache::attach(&mut site.keys).unwrap().prepare(second, later).unwrap());
    let again = worth_a_table(&mut site, &claims(), 7, later.saturating_add(1_000));
    assert_eq!(again, Some(first), "the table is not its own any more");
}

#[test]
fn a_clock_that_is_not_set_is_the_hosts_mistake() {
    let mut site = Site::new(OPEN).with_manifest(AGENT, &key(7));
    let lines = signed(&key(7), &claims(), 1, NOW);
    assert_eq!(site.decide(&lines, UnixMillis::EPOCH), Err(Error::ClockUnknown));
    assert_eq!(site.decide(&lines, UnixMillis::from_ms(-5)), Err(Error::ClockUnknown));
}

#[test]
fn every_buffer_that_suffices_says_so() {
    let mut out = [0; SignedHeaders::BYTES_MAX];
    let long = format!("https://pub.example.com/{}", "a".repeat(2_000));
    let claims = Claims { resource: &long, ..claims() };
    assert!(imagxp::sign_request(&key(7), &claims, &[1; 16], NOW, Signing::default(), &mut out).is_ok());
    let wide = format!("https://pub.example.com/{}", "\u{65e5}".repeat(670));
    let claims = Claims { resource: &wide, ..claims };
    let result = imagxp::sign_request(&key(7), &claims, &[1; 16], NOW, Signing::default(), &mut out);
    assert_eq!(result.err(), Some(Error::PayloadTooLarge));
    assert!(URL.len() < 2_048);
}

#[test]
fn a_host_that_is_back_is_asked_again() {
    let mut site = Site::new(OPEN);
    site.supply(AGENT, imagxp::Answer::Found { body: &support::manifest(AGENT, &key(7)), max_age_s: None }, NOW);
    let at = |s: i64| NOW.saturating_add(s * 1_000);
    // A glitch, while the manifest is still good.
    site.supply(AGENT, imagxp::Answer::Unreachable, at(100));
    assert!(site.decide(&signed(&key(7), &claims(), 1, at(200)), at(200)).is_ok());
    // The agent has replaced its key meanwhile: past the life and the time for a refresh its host decides.
    site.serve(AGENT, support::manifest(AGENT, &key(8)));
    assert_eq!(site.decide(&signed(&key(7), &claims(), 2, at(4_000)), at(4_000)), Err(Error::KeyMismatch));
    // Silence is bridged for a day, for the same key, and the host is asked again and again.
    let mut silent = Site::new(OPEN);
    silent.supply(AGENT, imagxp::Answer::Found { body: &support::manifest(AGENT, &key(7)), max_age_s: None }, NOW);
    for (nonce, s) in [(3, 4_000), (4, 40_000), (5, 86_000)] {
        assert!(silent.decide(&signed(&key(7), &claims(), nonce, at(s)), at(s)).is_ok(), "{s}");
    }
    assert_eq!(silent.fetched.len(), 3);
    let late = at(87_000);
    assert_eq!(silent.decide(&signed(&key(7), &claims(), 6, late), late), Err(Error::ManifestUnavailable));
}

#[test]
fn a_whitelist_names_proven_agents_only() {
    let policy = r#"{"allowRAG":true,"requiresPayment":true,"requireIdentityBinding":false}"#;
    let site = Site::new(policy);
    let lines = signed(&key(9), &claims(), 1, NOW);
    let mut visit = visit(&lines, "/a?b=c").unwrap();
    visit.vouched = imagxp::visitor::vouched::WHITELISTED;
    let mut scratch = [0; Request::SCRATCH];
    let request = Request::parse(&visit, &mut scratch).unwrap();
    let mut site = site;
    site.supply(AGENT, imagxp::Answer::NotThere, NOW);
    let policy = Policy::attach(&site.policy).unwrap();
    let step = request.verify(&policy, &Keys::attach(&site.keys).unwrap(), NOW);
    assert_eq!(step.err(), Some(Error::VisaRequired));
}

#[test]
fn a_name_that_is_not_proven_uses_up_nobodys_nonce() {
    let policy = r#"{"allowRAG":true,"requireIdentityBinding":false}"#;
    let mut site = Site::new(policy);
    site.supply(AGENT, imagxp::Answer::Found { body: &support::manifest(AGENT, &key(7)), max_age_s: None }, NOW);
    let stranger = site.decide(&signed(&key(9), &claims(), 1, NOW), NOW).unwrap();
    assert_eq!(stranger.visitor, imagxp::Visitor::UnidentifiedBot);
    assert_eq!(site.decide(&signed(&key(9), &claims(), 1, NOW), NOW), Err(Error::ReplayDetected));
    let owner = site.decide(&signed(&key(7), &claims(), 1, NOW), NOW).unwrap();
    assert_eq!(owner.visitor, imagxp::Visitor::VerifiedAgent);
}
