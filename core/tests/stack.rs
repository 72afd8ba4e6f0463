//! How much stack each entry point takes with the largest input: painted, called, and read back. The bound is 16 KiB.
//! `cargo test --profile library --test stack -- --nocapture` prints the table of docs/memory.md.

mod support;

use std::hint::black_box;

use imagxp::{
    Answer, Error, KeyCache, Keys, Kind, Need, Policy, ReplayCache, Request, SignedHeaders, Signing, Step, visa,
};
use support::{AGENT, NOW, OPEN, Site, claims, key, manifest, signed, visit};

const BOUND: usize = 16 * 1024;
const PAINTED: usize = 96 * 1024;
const PAINT: u8 = 0xA5;

/// Paints dead stack, runs `call`, and counts what it overwrote.
#[inline(never)]
fn measure(call: &mut dyn FnMut()) -> usize {
    let top = paint();
    call();
    used(top)
}

#[inline(never)]
fn paint() -> *const u8 {
    let mut area = [0_u8; PAINTED];
    for byte in &mut area {
        // SAFETY: the byte is this function's own.
        unsafe { std::ptr::write_volatile(byte, PAINT) };
    }
    black_box(area.as_ptr())
}

/// The lowest byte of the dead area that no longer shows paint.
#[inline(never)]
fn used(bottom: *const u8) -> usize {
    // SAFETY: dead stack of this thread below the present frame; it is mapped, since it was painted.
    let touched = (0..PAINTED).find(|at| unsafe { std::ptr::read_volatile(bottom.add(*at)) } != PAINT);
    PAINTED - touched.unwrap_or(PAINTED)
}

fn run_on_a_stack_of_its_own(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(test).unwrap().join().unwrap();
}

/// A key set of 32 keys and 65,536 bytes, all of it strings to walk.
fn largest_jwks() -> Vec<u8> {
    let mut keys = Vec::new();
    for number in 0..32_u8 {
        let mut out = [0; 512];
        let pair = key(number + 1);
        let mut writer = imagxp::codec::writer::Writer::new(&mut out);
        imagxp::jose::jwk::write(pair.public(), &format!("kid-{number}"), &mut writer).unwrap();
        let jwk = writer.finish().unwrap().0.to_owned();
        keys.push(jwk.replace("\"kid\"", &format!("\"x5c\":[\"{}\"],\"kid\"", "A".repeat(1_700))));
    }
    format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes()
}

fn hostile_manifest() -> Vec<u8> {
    let mut body = String::from_utf8(manifest(AGENT, &key(7))).unwrap();
    body.pop();
    for number in 0..28 {
        body.push_str(&format!(",\"\\u0078{number}\":{{\"a\":{{\"b\":[1,2,3e-300]}}}}"));
    }
    body.push('}');
    body.into_bytes()
}

fn largest_payload() -> support::Lines {
    let resource = format!("https://pub.example.com/{}", "a".repeat(2_024));
    signed(&key(7), &imagxp::Claims { resource: &resource, ..claims() }, 1, NOW)
}

#[test]
fn every_entry_point_stays_within_its_bound() {
    run_on_a_stack_of_its_own(|| {
        let mut rows: Vec<(&str, usize)> = Vec::new();
        let pair = key(7);
        let lines = largest_payload();
        let visit = visit(&lines, "/").unwrap();
        let mut site = Site::new(r#"{"allowRAG":true,"resource_binding":"off"}"#);
        let mut words = vec![0; Policy::WORDS];
        let (mut scratch, mut out) = (vec![0; Request::SCRATCH], vec![0; SignedHeaders::BYTES_MAX]);

        rows.push((
            "KeyPair::from_random",
            measure(&mut || {
                let _ = black_box(imagxp::KeyPair::from_random(&[9; 32]));
            }),
        ));
        rows.push((
            "sign_request",
            measure(&mut || {
                let signing = Signing { hedge: &[3; 32], check: true };
                black_box(imagxp::sign_request(&pair, &claims(), &[2; 16], NOW, signing, &mut out).unwrap());
            }),
        ));
        rows.push((
            "write_manifest",
            measure(&mut || {
                let m = imagxp::Manifest {
                    agent_id: AGENT,
                    public_key: pair.public(),
                    contact_email: None,
                    keys: &[],
                    revoked: &[],
                };
                black_box(imagxp::write_manifest(&m, &mut out).unwrap());
            }),
        ));
        rows.push((
            "Policy::parse",
            measure(&mut || {
                let _ = black_box(Policy::parse(OPEN.as_bytes(), &mut words));
            }),
        ));
        rows.push((
            "Request::parse",
            measure(&mut || {
                let _ = black_box(Request::parse(&visit, &mut scratch));
            }),
        ));

        let request = Request::parse(&visit, &mut scratch).unwrap();
        let policy_words = site.policy.clone();
        let policy = Policy::attach(&policy_words).unwrap();
        rows.push((
            "Request::verify, cold key",
            measure(&mut || {
                let step = request.verify(&policy, &Keys::attach(&site.keys).unwrap(), NOW);
                assert!(matches!(black_box(step), Ok(Step::Need(_))));
            }),
        ));
        let url = format!("https://{AGENT}/.well-known/imagxp-agent.json");
        let need = Need { kind: Kind::Manifest, url: &url, host: AGENT, configured: false, max_len: 8_192 };
        let body = hostile_manifest();
        rows.push((
            "KeyCache::supply, manifest",
            measure(&mut || {
                let answer = Answer::Found { body: &body, max_age_s: None };
                KeyCache::attach(&mut site.keys).unwrap().supply(&need, answer, NOW).unwrap();
            }),
        ));
        let jwks = largest_jwks();
        assert!(jwks.len() <= 65_536 && jwks.len() > 60_000, "{}", jwks.len());
        let need = Need {
            kind: Kind::Jwks,
            url: "https://b.example/jwks",
            host: "b.example",
            configured: true,
            max_len: 65_536,
        };
        rows.push((
            "KeyCache::supply, JWK Set of 64 KiB",
            measure(&mut || {
                let answer = Answer::Found { body: &jwks, max_age_s: None };
                KeyCache::attach(&mut site.keys).unwrap().supply(&need, answer, NOW).unwrap();
            }),
        ));
        let good = manifest(AGENT, &pair);
        site.supply(AGENT, Answer::Found { body: &good, max_age_s: None }, NOW);
        rows.push((
            "Request::verify, known key",
            measure(&mut || {
                let step = request.verify(&policy, &Keys::attach(&site.keys).unwrap(), NOW);
                assert!(matches!(black_box(step), Ok(Step::Verified(_))));
            }),
        ));
        let Ok(Step::Verified(verified)) = request.verify(&policy, &Keys::attach(&site.keys).unwrap(), NOW) else {
            panic!("verified")
        };
        let id = verified.grant().prepare;
        let mut verified = Some(verified);
        rows.push((
            "Verified::admit",
            measure(&mut || {
                let mut replay = ReplayCache::attach(&mut site.replay).unwrap();
                black_box(verified.take().unwrap().admit(&mut replay, NOW).unwrap());
            }),
        ));
        if let Some(id) = id {
            rows.push((
                "KeyCache::prepare",
                measure(&mut || {
                    assert!(KeyCache::attach(&mut site.keys).unwrap().prepare(id, NOW).unwrap());
                }),
            ));
        }
        let token = format!("{}.{}.{}", "e".repeat(500), "e".repeat(3_300), "A".repeat(86));
        rows.push((
            "visa::verify",
            measure(&mut || {
                let keys = Keys::attach(&site.keys).unwrap();
                let step = visa::verify(token.as_bytes(), imagxp::policy::Role::Broker, None, &policy, &keys, NOW);
                assert_eq!(black_box(step).err(), Some(Error::JwtHeader));
            }),
        ));

        for (name, bytes) in &rows {
            println!("| `{name}` | {bytes} |");
        }
        // Unoptimised code keeps every temporary: the promise is for what is shipped.
        if !cfg!(debug_assertions) {
            for (name, bytes) in rows {
                assert!(bytes <= BOUND, "{name} takes {bytes} bytes of stack");
            }
        }
    });
}
