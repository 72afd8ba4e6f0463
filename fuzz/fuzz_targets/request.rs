//! Any headers, one a line: a whole decision under every policy. What is admitted was signed.
#![no_main]

use imagxp::{Answer, Headers, KeyCache, Policy, ReplayCache, Request, Shape, Sizes, Step, UnixMillis, Visit};
use libfuzzer_sys::fuzz_target;

const SIZES: Sizes = Sizes { names: 8, issuers: 2, tables: 1, shape: Shape::Kib2 };
const POLICIES: [&[u8]; 3] = [
    br#"{"allowRAG":true}"#,
    br#"{"allowTraining":true,"resource_binding":"off","requireIdentityBinding":false,"strategy":"STRICT"}"#,
    br#"{"allowRAG":true,"development":true,"resource_binding":"authority","strategy":"HYBRID","requiresPayment":true}"#,
];

fuzz_target!(|text: &[u8]| {
    let mut headers = Headers::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if headers.add(&line[..colon], &line[colon + 1..]).is_err() {
            return;
        }
    }
    let visit = Visit {
        method: "GET",
        scheme: "https",
        authority: "pub.example.com",
        target: "/a",
        vouched: 0,
        headers,
    };
    let now = UnixMillis::from_ms(1_769_428_800_000);
    for policy in POLICIES {
        let mut words = [0; Policy::WORDS];
        let policy = Policy::parse(policy, &mut words).unwrap();
        let mut memory = vec![0; KeyCache::words(&SIZES)];
        let mut cache = KeyCache::new(&mut memory, &SIZES, &[1; 32]).unwrap();
        let mut scratch = [0; Request::SCRATCH];
        let Ok(request) = Request::parse(&visit, &mut scratch) else { continue };
        for _ in 0..4 {
            match request.verify(&policy, &cache.read(), now) {
                Ok(Step::Need(need)) => cache.supply(&need, Answer::NotThere, now).unwrap(),
                Ok(Step::Verified(verified)) => {
                    let mut memory = vec![0; ReplayCache::words(64)];
                    let mut replay = ReplayCache::new(&mut memory, &[2; 32], UnixMillis::EPOCH).unwrap();
                    let grant = verified.admit(&mut replay, now).unwrap();
                    assert_ne!(grant.visitor, imagxp::Visitor::VerifiedAgent, "nobody's manifest was found");
                    break;
                }
                Err(_) => break,
            }
        }
    }
});
