//! The C library, compiled with coverage: keys in every format, requests from signature to admission, and caches that
//! hostile documents went through.
#![no_main]
#![allow(dead_code, non_camel_case_types, unused_imports)]

include!("../c_library.rs");

use libfuzzer_sys::fuzz_target;

const AGENT: &str = "bot.example.com";
const RESOURCE: &str = "https://pub.example.com/a?b=c";

/// What the attacker chooses.
type Input = (u8, i64, u32, [Vec<u8>; 3]);

fuzz_target!(|input: Input| {
    static WORLD: LazyLock<World> = LazyLock::new(free);
    let (which, number, small, texts) = input;
    let [a, b, c] = &texts;
    let mut world = WORLD.clone();
    // SAFETY: the memory is there, and no two parts overlap.
    unsafe {
        match which % 6 {
            0 => key_texts(a),
            1 => requests(&mut world, number, small, a, b),
            2 => prepared(&world, small, a),
            3 => supplies(&mut world, number, small, a, b),
            4 => manifests(&world, number, a, b, c),
            _ => small_calls(&mut world, number, small, a, b),
        }
    }
});

/// The world, where nothing is to be paid.
fn free() -> World {
    let (mut world, policy) = (world(), br#"{"allowRAG":true}"#);
    // SAFETY: the memory is there.
    assert_eq!(unsafe { policy::imagxp_policy_parse(text(policy), world.policy.as_mut_ptr(), 512) }, OK);
    world
}

/// A text is a key, which comes back from each of its formats; or no key is made of it.
unsafe fn key_texts(bytes: &[u8]) {
    let scalar: [u8; 32] = core::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default());
    let (mut drawn, mut read) = ([0_u64; 16], [0_u64; 16]);
    let statuses = unsafe {
        [
            agent_keys::imagxp_key_from_text(text(bytes), read.as_mut_ptr().cast()),
            agent_keys::imagxp_key_from_der(text(bytes), read.as_mut_ptr().cast()),
        ]
    };
    assert_eq!(statuses.contains(&OK), read != [0; 16]);
    if unsafe { agent_keys::imagxp_key_from_random(scalar.as_ptr(), drawn.as_mut_ptr().cast()) } != OK {
        return assert_eq!(drawn, [0; 16]);
    }
    let key = drawn.as_mut_ptr().cast::<imagxp_key>();
    for format in IMAGXP_FORMAT_TEXT..=IMAGXP_FORMAT_KID {
        let public = written(240, |out, needed| unsafe { agent_keys::imagxp_key_public(key, format, out, needed) });
        assert!(public.is_ok());
        let exported = written(260, |out, needed| unsafe { agent_keys::imagxp_key_export(key, format, out, needed) });
        let Ok(exported) = exported else {
            assert_eq!(format, IMAGXP_FORMAT_KID);
            continue;
        };
        let (mut again, from) = ([0_u64; 16], text(&exported));
        let again_at = again.as_mut_ptr().cast();
        let status = match format {
            IMAGXP_FORMAT_DER => unsafe { agent_keys::imagxp_key_from_der(from, again_at) },
            _ => unsafe { agent_keys::imagxp_key_from_text(from, again_at) },
        };
        assert_eq!((status, again), (OK, drawn));
    }
    unsafe { agent_keys::imagxp_key_wipe(key) };
    assert_eq!(drawn, [0; 16]);
}

fn claims<'a>(agent_id: &'a [u8], resource: &'a [u8], small: u32) -> imagxp_claims {
    let ads_displayed = (small >> 3 & 1) as i32;
    imagxp_claims {
        agent_id: text(agent_id),
        resource: text(resource),
        purpose: (small & 7) as i32,
        ads_displayed,
        ..init()
    }
}

/// The headers of a signed request, in their buffer.
unsafe fn sign(world: &World, claims: &imagxp_claims, hedge: *const u8, now: i64) -> Option<(Vec<u8>, imagxp_signed)> {
    let (mut headers, nonce) = (init::<imagxp_signed>(), [5; 16]);
    let signed = written(4_348, |out, needed| unsafe {
        headers.needed = UNTOLD;
        let status = agent::imagxp_request_sign(key(world), claims, nonce.as_ptr(), hedge, 1, now, out, &mut headers);
        *needed = headers.needed;
        status
    });
    signed.ok().map(|signed| (signed, headers))
}

/// What an agent may sign, a publisher takes: by a manifest that is the agent's, once.
unsafe fn requests(world: &mut World, number: i64, small: u32, path: &[u8], hedge: &[u8]) {
    let resource = [b"https://pub.example.com/".as_slice(), path].concat();
    let resource = if small & 16 == 0 { RESOURCE.as_bytes() } else { &resource };
    let claims = claims(AGENT.as_bytes(), resource, small);
    let fresh: [u8; 32] = core::array::from_fn(|at| hedge.get(at).copied().unwrap_or_default());
    let hedge = if hedge.is_empty() { core::ptr::null() } else { fresh.as_ptr() };
    let now = if small & 32 == 0 { NOW } else { number };
    let Some((signed, spans)) = (unsafe { sign(world, &claims, hedge, now) }) else { return };
    let header =
        |name: &'static str, span| imagxp_header { name: text(name.as_bytes()), value: text(part(&signed, span)) };
    let headers = [
        header("X-Imagxp-Payload", spans.payload),
        header("x-imagxp-signature", spans.signature),
        header("x-imagxp-public-key", spans.public_key),
    ];
    let visit = imagxp_visit {
        method: text(b"GET"),
        scheme: text(b"https"),
        authority: text(b"pub.example.com"),
        target: text(&resource["https://pub.example.com".len()..]),
        headers: headers.as_ptr(),
        headers_len: headers.len(),
        ..init()
    };
    assert!(headers.iter().all(|header| unsafe { publisher::imagxp_header_matters(header.name) } == 1));
    let (mut scratch, mut unproven) = (vec![0; 12_288], init::<imagxp_unproven>());
    let parsed = unsafe { publisher::imagxp_request_parse(&visit, buf(&mut scratch), &mut unproven) };
    if parsed == OK {
        assert_eq!((part(&scratch, unproven.agent_id), unproven.ts_ms), (AGENT.as_bytes(), now));
    }
    let plain = path.iter().all(u8::is_ascii_alphanumeric) || small & 16 == 0;
    let wanted = [IMAGXP_RAG_RETRIEVAL, IMAGXP_SUMMARY, IMAGXP_QUOTATION].contains(&claims.purpose);
    let admitted = unsafe { visit_once(world, &visit, now) };
    assert!(!(plain && wanted && now == NOW) || admitted, "an honest request is refused");
    assert!(wanted || !admitted, "the policy admits retrieval only");
}

/// The loop of the header's preamble; and the same request again is a replay.
unsafe fn visit_once(world: &mut World, visit: &imagxp_visit, now: i64) -> bool {
    let manifest = manifest(world, AGENT.as_bytes(), b"", &[], 0).expect("an honest manifest");
    let answer = imagxp_answer { kind: IMAGXP_FOUND, max_age_s: 60, body: text(&manifest) };
    let policy = world.policy.as_ptr().cast();
    let (mut scratch, mut verified) = (vec![0; 12_288], init::<imagxp_verified>());
    let (mut keys, mut replay) = (keys(world), replay(world));
    let verify = |keys: &imagxp_key_cache, scratch: &mut [u8], verified: &mut imagxp_verified| unsafe {
        publisher::imagxp_request_verify(visit, policy, keys, now, buf(scratch), verified)
    };
    let mut status = verify(&keys, &mut scratch, &mut verified);
    if status == NEED {
        let need = verified.need;
        assert_eq!(part(&scratch, need.host), AGENT.as_bytes());
        let supplied = unsafe { state::imagxp_key_cache_supply(&mut keys, &need, buf(&mut scratch), answer, now) };
        // Within the first second of 1970 the key cache takes the clock for unset.
        if now < 1_000 {
            assert_eq!(supplied, imagxp::Error::ClockUnknown as i32);
            return false;
        }
        assert_eq!(supplied, OK);
        status = verify(&keys, &mut scratch, &mut verified);
        assert_ne!(status, NEED, "one document was wanted, and given");
    }
    if status != VERIFIED {
        return false;
    }
    assert_eq!(unsafe { state::imagxp_key_cache_prepare(&mut keys, verified.prepare, now) }, OK);
    let mut tags = [imagxp_tag { bytes: [0; 16], expiry_s: 0 }; 2];
    let told =
        unsafe { publisher::imagxp_request_tags(&verified, buf(&mut scratch), [3; 32].as_ptr(), tags.as_mut_ptr()) };
    assert!(told == OK && tags[0].expiry_s > 0 && tags[1].expiry_s == 0);
    let mut copy = verified;
    let mut admit = |verified: &mut imagxp_verified| unsafe {
        publisher::imagxp_request_admit(verified, buf(&mut scratch), &mut replay, now)
    };
    let (first, second) = (admit(&mut verified), admit(&mut copy));
    // The replay cache counts seconds in 32 bits: what it could not remember it does not admit.
    if now / 1_000 > i64::from(u32::MAX) - 3_600 {
        assert_eq!(first, second);
        return false;
    }
    assert_eq!((first, second), (OK, imagxp::Error::ReplayDetected as i32));
    let mut stats = init::<imagxp_replay_stats>();
    assert_eq!(unsafe { state::imagxp_replay_cache_stats(&mut replay, &mut stats) }, OK);
    assert_eq!((stats.admitted, stats.refused_used), (1, 1));
    true
}

/// A signature made elsewhere: attached, the headers are those of the call that signs itself.
unsafe fn prepared(world: &World, small: u32, resource: &[u8]) {
    let claims = claims(AGENT.as_bytes(), resource, small);
    let Some((signed, spans)) = (unsafe { sign(world, &claims, core::ptr::null(), NOW) }) else { return };
    let (mut headers, nonce, mut digest) = (init::<imagxp_signed>(), [5; 16], [0; 32]);
    let elsewhere = written(4_348, |out, needed| unsafe {
        headers.needed = UNTOLD;
        let (spki, digest) = (text(&world.spki), digest.as_mut_ptr());
        let status = agent::imagxp_request_prepare(spki, &claims, nonce.as_ptr(), NOW, out, &mut headers, digest);
        *needed = headers.needed;
        status
    });
    let mut elsewhere = elsewhere.expect("what can be signed here can be signed elsewhere");
    let pair = imagxp::KeyPair::from_random(&[7; 32]).unwrap();
    let signature = pair.sign(&digest, imagxp::Signing::default()).unwrap();
    assert_eq!(unsafe { agent::imagxp_request_attach(&headers, signature.as_ptr(), buf(&mut elsewhere)) }, OK);
    let texts = |memory, spans: &imagxp_signed| {
        [spans.payload, spans.signature, spans.public_key].map(|span| part(memory, span).to_vec())
    };
    assert_eq!(texts(&elsewhere, &headers), texts(&signed, &spans));
}

/// Whatever a stranger's server answers, and whatever a need says, what another agent is known by stays as it was.
unsafe fn supplies(world: &mut World, number: i64, small: u32, body: &[u8], host: &[u8]) {
    let claims = claims(AGENT.as_bytes(), RESOURCE.as_bytes(), IMAGXP_RAG_RETRIEVAL as u32);
    let other = [b"x".as_slice(), host].concat();
    let mut scratch = [b"https://".as_slice(), &other].concat();
    let len = scratch.len() as u32;
    let mut need = imagxp_need {
        kind: (small & 3) as i32,
        max_len: 8_192,
        url: imagxp_span { at: 0, len },
        host: imagxp_span { at: 8, len: len - 8 },
        ..imagxp_need::default()
    };
    if small & 4 != 0 {
        need = damaged(host);
    }
    let kind = (small >> 3 & 3) as i32;
    let answer = imagxp_answer { kind, max_age_s: number as i32, body: text(body) };
    let before = world.keys.clone();
    let mut view = keys(world);
    let status = unsafe { state::imagxp_key_cache_supply(&mut view, &need, buf(&mut scratch), answer, NOW) };
    let known = [IMAGXP_FOUND, IMAGXP_NOT_THERE, IMAGXP_UNREACHABLE].contains(&kind);
    assert!(status != OK || known && [IMAGXP_NEED_MANIFEST, IMAGXP_NEED_JWKS].contains(&need.kind));
    assert!(status == OK || world.keys == before, "a refusal leaves the cache as it was");
    let _ = unsafe { state::imagxp_key_cache_alarm(&view, text(&scratch)) };
    let (signed, spans) = unsafe { sign(world, &claims, core::ptr::null(), NOW) }.unwrap();
    let values = [spans.payload, spans.signature, spans.public_key].map(|span| text(part(&signed, span)));
    let names = ["x-imagxp-payload", "x-imagxp-signature", "x-imagxp-public-key"];
    let headers: [_; 3] =
        core::array::from_fn(|at| imagxp_header { name: text(names[at].as_bytes()), value: values[at] });
    let visit = imagxp_visit {
        method: text(b"GET"),
        scheme: text(b"https"),
        authority: text(b"pub.example.com"),
        target: text(b"/a?b=c"),
        headers: headers.as_ptr(),
        headers_len: 3,
        ..init()
    };
    assert!(other == AGENT.as_bytes() || small & 4 != 0 || unsafe { visit_once(world, &visit, NOW) });
}

fn manifest(
    world: &World,
    agent_id: &[u8],
    email: &[u8],
    revoked: &[imagxp_revoked_key],
    nbf_s: i64,
) -> Result<Vec<u8>, i32> {
    let listed = [imagxp_listed_key { public_key: text(&world.spki), nbf_s, exp_s: 0 }];
    let manifest = imagxp_manifest {
        agent_id: text(agent_id),
        public_key: text(&world.spki),
        contact_email: text(email),
        keys: listed.as_ptr(),
        keys_len: usize::from(nbf_s != 0),
        revoked: revoked.as_ptr(),
        revoked_len: revoked.len(),
        ..init()
    };
    // SAFETY: as in the target.
    written(8_192, |out, needed| unsafe { agent::imagxp_manifest_write(&manifest, out, needed) })
}

/// What is written is JSON that holds these texts.
unsafe fn manifests(world: &World, number: i64, agent_id: &[u8], email: &[u8], kid: &[u8]) {
    let revoked = [imagxp_revoked_key { kid: text(kid), at_s: number }];
    let revoked = if kid.is_empty() { &[] } else { &revoked[..] };
    let Ok(manifest) = manifest(world, agent_id, email, revoked, number) else { return };
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["agent_id"].as_str().map(str::as_bytes), Some(agent_id));
    assert_eq!(manifest["contact_email"].as_str().unwrap_or_default().as_bytes(), email);
}

unsafe fn small_calls(world: &mut World, number: i64, small: u32, first: &[u8], second: &[u8]) {
    let canonical =
        |json: &[u8]| written(2 * json.len() + 64, |out, needed| unsafe { host::imagxp_jcs(text(json), out, needed) });
    if let Ok(once) = canonical(first) {
        assert_eq!(canonical(&once), Ok(once));
    }
    let status = number as i32;
    let name = status::imagxp_status_name(status);
    assert_eq!(name.len == 0, status::imagxp_status_help(status).len == 0);
    assert!((200..600).contains(&status::imagxp_status_http(status)));
    let public = status::imagxp_status_public(status);
    assert_eq!(status::imagxp_status_public(public), public);
    assert!(matches!(status::imagxp_status_is_behind_signature(status), 0 | 1));
    assert!(status::imagxp_status_retry_after_s(status) <= 86_400);
    unsafe {
        let reachable = host::imagxp_host_may_connect(second.as_ptr(), second.len());
        assert!(reachable != OK || [4, 16].contains(&second.len()));
        let production = host::imagxp_host_check_agent_id(text(first), IMAGXP_MODE_PRODUCTION);
        assert!(production != OK || host::imagxp_host_check_agent_id(text(first), IMAGXP_MODE_DEVELOPMENT) == OK);
        let (mut scratch, mut need) = (vec![0; small as usize % 4_096], imagxp_need::default());
        let policy = damaged_words(world.policy.clone(), second);
        let index = number as usize % 6;
        let _ = policy::imagxp_policy_document(policy.as_ptr().cast(), index, buf(&mut scratch), &mut need);
        let mut terms = init::<imagxp_terms>();
        let _ = policy::imagxp_policy_terms(policy.as_ptr().cast(), buf(&mut scratch), &mut terms);
        world.replay = damaged_words(core::mem::take(&mut world.replay), first);
        let mut stats = init::<imagxp_replay_stats>();
        let _ = state::imagxp_replay_cache_stats(&mut replay(world), &mut stats);
        assert!(state::imagxp_replay_cache_retry_after_s(&mut replay(world)) >= 1);
    }
}

/// Pairs of a place and a value.
fn damaged_words(mut words: Vec<u64>, bytes: &[u8]) -> Vec<u64> {
    for chunk in bytes.chunks_exact(10) {
        let at = usize::from(u16::from_le_bytes([chunk[0], chunk[1]])) % words.len();
        words[at] = u64::from_le_bytes(chunk[2..].try_into().unwrap());
    }
    words
}
