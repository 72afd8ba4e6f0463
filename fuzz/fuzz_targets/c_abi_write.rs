//! The C library, compiled with coverage: whatever texts and numbers a writer is given, it refuses, or it writes what its
//! reader takes back; within the length that the header states, into its place and nowhere else.
#![no_main]
#![allow(dead_code, non_camel_case_types, unused_imports)]

include!("../c_library.rs");

use libfuzzer_sys::fuzz_target;

const BROKER: &str = "https://broker.example.com";
const AUDIENCE: &str = "pub.example.com";
const AGENT: &str = "bot.example.com";

/// What the attacker chooses.
type Input = (u8, i64, u32, [Vec<u8>; 3]);

fuzz_target!(|input: Input| {
    static WORLD: LazyLock<World> = LazyLock::new(world);
    let (which, number, small, texts) = input;
    let [a, b, c] = &texts;
    let world = WORLD.clone();
    // SAFETY: the memory is there, and no two parts overlap.
    unsafe {
        match which % 8 {
            0 => visas(&world, number, small, a, b, c),
            1 => key_sets(&world, a),
            2 => feedbacks(&world, number, small, a, b, c),
            3 => provenances(&world, number, small),
            4 => documents(&world, number, a, b),
            5 => discoveries(number, a, b, c),
            6 => agents_stories(&world, number, small, a, b, c),
            _ => brokers_stories(number, small, a, b, c),
        }
    }
});

/// Hedged or not, checked or not.
fn signing(small: u32) -> (*const u8, u32) {
    static FRESH: [u8; 32] = [9; 32];
    (if small & 1 == 0 { core::ptr::null() } else { FRESH.as_ptr() }, small >> 1 & 1)
}

/// What is issued is verified, by the key set that the broker publishes.
unsafe fn visas(world: &World, amount: i64, small: u32, kid: &[u8], jti: &[u8], currency: &[u8]) {
    let (hedge, flags) = signing(small);
    let bound = small & 4 != 0;
    let holder = |value: &'static str| text(if bound { value.as_bytes() } else { &[] });
    let visa = imagxp_visa {
        issuer: text(BROKER.as_bytes()),
        audience: text(AUDIENCE.as_bytes()),
        agent_id: holder(AGENT),
        public_key: text(if bound { &world.spki } else { &[] }),
        jti: text(jti),
        currency: text(currency),
        amount_micros: amount,
        lifetime_s: small >> 4 & 0x1FFF,
        purpose: (small >> 20 & 7) as i32,
        ..init()
    };
    let issued = written(4_096, |out, needed| unsafe {
        broker::imagxp_visa_issue(key(world), text(kid), &visa, hedge, flags, NOW, out, needed)
    });
    let Ok(token) = issued else { return };
    let published = [imagxp_published_key { kid: text(kid), public_key: text(&world.spki) }];
    let set = written(4_096, |out, needed| unsafe { broker::imagxp_jwks_write(published.as_ptr(), 1, out, needed) });
    let mut world = shop(world, &set.expect("who can issue can publish"));
    let (mut scratch, mut found) = ([0; 5_120], init::<imagxp_token>());
    let (keys, policy) = (keys(&mut world), world.policy.as_ptr().cast());
    let status = unsafe {
        let scratch = buf(&mut scratch);
        let spki = visa.public_key;
        broker::imagxp_visa_verify(text(&token), 1, visa.agent_id, spki, policy, &keys, NOW, scratch, &mut found)
    };
    assert_eq!((status, found.status), (VERIFIED, VERIFIED));
    assert_eq!((found.amount_micros, found.flags), (amount, if bound { IMAGXP_TOKEN_BOUND } else { 0 }));
    assert_eq!(found.expires_s, NOW / 1_000 + i64::from(visa.lifetime_s));
    assert_eq!((part(&scratch, found.issuer), part(&scratch, found.jti)), (BROKER.as_bytes(), jti));
}

/// A publisher whose broker publishes this set.
fn shop(world: &World, set: &[u8]) -> World {
    let policy = format!(
        r#"{{"audiences":["{AUDIENCE}"],"monetization":{{"paymentConfig":{{"jwksUrl":"{BROKER}/jwks","issuer":"{BROKER}"}}}}}}"#
    );
    let (mut world, mut scratch, mut need) = (world.clone(), [0; 512], imagxp_need::default());
    let answer = imagxp_answer { kind: IMAGXP_FOUND, max_age_s: -1, body: text(set) };
    // SAFETY: as in the target.
    unsafe {
        assert_eq!(policy::imagxp_policy_parse(text(policy.as_bytes()), world.policy.as_mut_ptr(), 512), OK);
        let policy = world.policy.as_ptr().cast();
        assert_eq!(policy::imagxp_policy_document(policy, 0, buf(&mut scratch), &mut need), NEED);
        let mut keys = keys(&mut world);
        assert_eq!(state::imagxp_key_cache_supply(&mut keys, &need, buf(&mut scratch), answer, NOW), OK);
    }
    world
}

/// The set lists each key under its name; names are the attacker's text, cut at each NUL.
unsafe fn key_sets(world: &World, names: &[u8]) {
    let names: Vec<&[u8]> = names.split(|byte| *byte == 0).collect();
    let published: Vec<_> =
        names.iter().map(|kid| imagxp_published_key { kid: text(kid), public_key: text(&world.spki) }).collect();
    let set = written(32 * 1_024, |out, needed| unsafe {
        broker::imagxp_jwks_write(published.as_ptr(), published.len(), out, needed)
    });
    let Ok(set) = set else { return };
    let set: serde_json::Value = serde_json::from_slice(&set).unwrap();
    let listed: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(listed.iter().map(|kid| kid.as_bytes()).collect::<Vec<_>>(), names);
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none() && key["kty"] == "EC"));
}

/// What is said is heard.
unsafe fn feedbacks(world: &World, score: i64, small: u32, url: &[u8], jti: &[u8], visa: &[u8]) {
    let (hedge, flags) = signing(small);
    let payload: &[u8] = if small & 4 == 0 { b"" } else { b"eyJhIjoxfQ==" };
    let feedback = imagxp_feedback {
        agent_id: text(AGENT.as_bytes()),
        url: text(url),
        audience: text(AUDIENCE.as_bytes()),
        jti: text(jti),
        visa: text(visa),
        payload: text(payload),
        score: (score as u32) % 1_000_100,
        reason: (small >> 4 & 7) as i32,
        ..init()
    };
    let signed = written(2_048, |out, needed| unsafe {
        feedback::imagxp_feedback_sign(key(world), &feedback, hedge, flags, NOW, out, needed)
    });
    let Ok(signed) = signed else { return };
    let (mut scratch, mut heard) = ([0; 4_096], init::<imagxp_judgement>());
    let audiences = [feedback.audience];
    let status = unsafe {
        let (spki, audiences, scratch) = (text(&world.spki), audiences.as_ptr(), buf(&mut scratch));
        let agent_id = feedback.agent_id;
        feedback::imagxp_feedback_verify(text(&signed), agent_id, spki, audiences, 1, NOW, scratch, &mut heard)
    };
    assert_eq!(status, OK);
    let outcome = match feedback.score {
        500_001.. => IMAGXP_OUTCOME_RELEASE,
        500_000 => IMAGXP_OUTCOME_UNCHANGED,
        _ => IMAGXP_OUTCOME_WITHHOLD,
    };
    assert_eq!((heard.score, heard.outcome, heard.reasons), (feedback.score, outcome, 1 << feedback.reason));
    assert_eq!((part(&scratch, heard.url), part(&scratch, heard.jti), part(&scratch, heard.visa)), (url, jti, visa));
    assert_eq!(heard.request != [0; 32], !payload.is_empty());
}

unsafe fn provenances(world: &World, now_ms: i64, small: u32) {
    let (hedge, flags) = signing(small);
    let now_ms = if small & 4 == 0 { NOW } else { now_ms };
    let (origin, mut headers) = ((small >> 4 & 7) as i32, init::<imagxp_provenance>());
    let signed = written(160, |out, needed| unsafe {
        headers.needed = UNTOLD;
        let status = provenance::imagxp_provenance_sign(key(world), origin, hedge, flags, now_ms, out, &mut headers);
        *needed = headers.needed;
        status
    });
    let Ok(signed) = signed else { return };
    let names = [b"HUMAN".as_slice(), b"SYNTHETIC", b"HYBRID"];
    let (mut read, mut ts_ms) = (0, 0);
    let status = unsafe {
        let (signature, ts) = (text(part(&signed, headers.signature)), text(part(&signed, headers.ts)));
        let (spki, name) = (text(&world.spki), text(names[origin as usize - 1]));
        provenance::imagxp_provenance_verify(spki, name, signature, ts, now_ms, 0, 0, &mut read, &mut ts_ms)
    };
    assert_eq!((status, read, ts_ms), (OK, origin, now_ms));
}

/// A document and a checkpoint behind it: the log is good, and sealed.
unsafe fn documents(world: &World, at_ms: i64, url: &[u8], body: &[u8]) {
    let at_ms = if at_ms & 1 == 0 { NOW } else { at_ms };
    let start = imagxp_head::default();
    let (mut head, mut sha256) = (start, [0; 32]);
    let line = written(512 + url.len() + body.len().div_ceil(3) * 4, |out, needed| unsafe {
        let (url, body) = (text(url), text(body));
        let status = evidence::imagxp_evidence_document(url, body, at_ms, &mut head, out, needed, sha256.as_mut_ptr());
        assert_eq!(head.count, u64::from(status == OK), "the head moves with the line");
        status
    });
    let Ok(document) = line else {
        assert_eq!((head.hash, sha256), ([0; 32], [0; 32]));
        return;
    };
    let before = head;
    let sealed = written(512, |out, needed| unsafe {
        head = before;
        evidence::imagxp_evidence_checkpoint(key(world), core::ptr::null(), 0, at_ms, &mut head, out, needed)
    });
    let sealed = sealed.expect("what a document may be dated, a checkpoint may");
    let (keys, mut log, mut record) = ([text(&world.spki)], init::<imagxp_log>(), init::<imagxp_record>());
    let mut read = |line: &[u8]| {
        let (newline, line) = line.split_last().unwrap();
        assert_eq!((*newline, line.contains(&b'\n')), (b'\n', false), "a stranger wrote a line");
        let status = unsafe { log::imagxp_log_line(&mut log, keys.as_ptr(), 1, text(line), &mut record) };
        assert_eq!(status, OK);
        (log, record)
    };
    let (_, found) = read(&document);
    assert_eq!((found.kind, found.at_ms, found.sha256), (IMAGXP_RECORD_DOCUMENT, at_ms, sha256));
    assert_eq!(part(&document, found.url), url);
    let (log, found) = read(&sealed);
    assert_eq!((found.kind, log.sealed, log.head.hash), (IMAGXP_RECORD_CHECKPOINT, 2, head.hash));
    let wants = |from: &imagxp_head| unsafe { evidence::imagxp_evidence_wants_checkpoint(from, &start, 1_000) };
    assert_eq!((wants(&head), wants(&start)), (1, 0));
}

/// A policy with the attacker's texts: what it publishes is JSON, and says of them what the terms say.
unsafe fn discoveries(price: i64, pointer: &[u8], broker: &[u8], audience: &[u8]) {
    let lossy = |text| String::from_utf8_lossy(text);
    let json = serde_json::json!({
        "allowRAG": price & 1 == 0,
        "audiences": [lossy(audience)],
        "paymentPointer": lossy(pointer),
        "price": (price as u32) as f64 / 1e6,
        "monetization": {"brokerUrl": format!("https://{}", lossy(broker))},
    })
    .to_string();
    let (mut words, mut scratch, mut terms) = ([0; 512], [0; 4_096], init::<imagxp_terms>());
    let status = unsafe { policy::imagxp_policy_parse(text(json.as_bytes()), words.as_mut_ptr(), 512) };
    if status != OK {
        return assert!(words.iter().all(|word| *word == 0));
    }
    let policy = words.as_ptr().cast();
    assert_eq!(unsafe { policy::imagxp_policy_terms(policy, buf(&mut scratch), &mut terms) }, OK);
    let document = written(16_384, |out, needed| unsafe { policy::imagxp_policy_discovery(policy, out, needed) });
    let document: serde_json::Value = serde_json::from_slice(&document.unwrap()).unwrap();
    let told = document.to_string();
    for span in [terms.broker_url, terms.payment_pointer].into_iter().filter(|span| span.len > 0) {
        let member = serde_json::to_string(core::str::from_utf8(part(&scratch, span)).unwrap()).unwrap();
        assert!(told.contains(&member), "{told} says nothing of {member}");
    }
    assert_eq!(document["audiences"][0].as_str(), Some(&*lossy(audience)));
}

unsafe fn agents_stories(world: &World, number: i64, small: u32, agent: &[u8], resource: &[u8], error: &[u8]) {
    let claims = imagxp_claims {
        agent_id: text(agent),
        resource: text(resource),
        purpose: (small & 7) as i32,
        ads_displayed: (small >> 3 & 1) as i32,
        ..init()
    };
    let sent = imagxp_sent {
        signed_ms: NOW,
        sent_ms: if small & 16 == 0 { number } else { NOW },
        answered_ms: if small & 32 == 0 { 0 } else { number },
        error: text(error),
        http_status: small >> 8 & 0x3FF,
        ..init()
    };
    told(|format, out, needed| unsafe {
        story::imagxp_story_agent(&claims, text(&world.spki), &sent, format, out, needed)
    });
}

unsafe fn brokers_stories(number: i64, small: u32, agent: &[u8], audience: &[u8], jti: &[u8]) {
    let status = [OK, imagxp::Error::Busy as i32, -(small as i32 >> 8 & 0x3FF)][small as usize % 3];
    let sale = imagxp_sale {
        agent_id: text(agent),
        audience: text(audience),
        jti: text(jti),
        amount_micros: number,
        asked_ms: NOW,
        answered_ms: if small & 16 == 0 { number } else { NOW },
        status,
        ..init()
    };
    told(|format, out, needed| unsafe { story::imagxp_story_broker(&sale, format, out, needed) });
}

/// As many lines for people as for machines, and no stranger writes one.
fn told(call: impl Fn(i32, imagxp_buf, *mut usize) -> i32) {
    let [people, machines] =
        [IMAGXP_STORY_TEXT, IMAGXP_STORY_JSON].map(|format| written(65_536, |out, needed| call(format, out, needed)));
    let (Ok(people), Ok(machines)) = (&people, &machines) else { return assert_eq!(people, machines) };
    let [people, machines] = [people, machines].map(|text| core::str::from_utf8(text).unwrap());
    assert!(people.ends_with('\n') && machines.ends_with('\n'));
    assert_eq!(people.lines().count(), machines.lines().count());
    assert!(!people.chars().any(|c| c.is_control() && c != '\n'), "a stranger controls the terminal");
    for line in machines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(["at", "module", "event"].iter().all(|member| line.get(member).is_some()), "{line}");
    }
}
