//! The replay cache against every rule of the threat model's section 7 (REP-1 to REP-8), R1 to R3 of its section 0, and
//! a plain model.

mod replay_cache {
    mod full;
    mod model;
    mod quotas;
    mod racing;
}

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use imagxp::Error;
use imagxp::replay_cache::{Admitted, Entry, ReplayCache, VisaUse, jti_tag, nonce_tag};
use imagxp::spec::replay;
use imagxp::time::UnixMillis;
use proptest::prelude::*;

const SEED: [u8; 32] = [7; 32];
const T0: i64 = 1_771_850_000_000;
const WINDOW_MS: u32 = 300_000;
const HOUR_MS: i64 = 3_600_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis::from_ms(ms)
}

fn memory(slots: usize) -> Vec<u64> {
    vec![0; ReplayCache::words(slots)]
}

fn fresh(memory: &mut [u64]) -> ReplayCache<'_> {
    ReplayCache::new(memory, &SEED, at(0)).expect("enough memory")
}

fn entry<'a>(agent_id: &'a str, nonce: &'a str, ts: i64) -> Entry<'a> {
    Entry { agent_id, nonce, ts: at(ts), window_ms: WINDOW_MS, visa: None }
}

fn with_visa<'a>(entry: Entry<'a>, jti: &'a str, exp_s: i64) -> Entry<'a> {
    Entry { visa: Some(VisaUse { issuer: "https://broker.example.com", jti, exp_s }), ..entry }
}

/// Admits with `ts = now`.
fn send(cache: &mut ReplayCache<'_>, agent_id: &str, nonce: &str, now: i64) -> Result<Admitted, Error> {
    cache.admit(&entry(agent_id, nonce, now), at(now))
}

/// Sends so many requests with nonces of their own; counts the outcomes.
fn flood(
    cache: &mut ReplayCache<'_>,
    label: &str,
    requests: usize,
    now: i64,
    agent: impl Fn(usize) -> String,
) -> HashMap<&'static str, usize> {
    let mut outcomes = HashMap::new();
    for n in 0..requests {
        let outcome = send(cache, &agent(n), &format!("{label}-{n:030}"), now).map_or_else(Error::name, |_| "OK");
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

fn count(outcomes: &HashMap<&'static str, usize>, error: Error) -> usize {
    outcomes.get(error.name()).copied().unwrap_or(0)
}

/// A cache whose names are all known for more than an hour, so that no share of newcomers binds.
fn cache_with_old_names(memory: &mut [u64], names: usize) -> (ReplayCache<'_>, i64) {
    let mut cache = fresh(memory);
    for minute in [0, 30, 61] {
        for name in 0..names {
            let nonce = format!("old-{minute}-{name}");
            send(&mut cache, &format!("bot.old-{name}.com"), &nonce, T0 + minute * 60_000).unwrap();
        }
    }
    // Past the lives of those.
    (cache, T0 + 2 * HOUR_MS)
}

// ---- REP-1: memory and tags ----

#[test]
fn memory_is_fixed_and_used_as_far_as_it_goes() {
    for slots in [1, 16, 17, 100, 4_096, 450_000] {
        let mut memory = memory(slots);
        let cache = fresh(&mut memory);
        let got = cache.stats().slots;
        assert!(got >= slots && got < slots + 16, "{slots}: {got}");
    }
    assert!(ReplayCache::words(450_000) * 8 < 450_000 * 26, "24 bytes an entry and a little more");
    assert_eq!(ReplayCache::words(0), ReplayCache::words(1));
    let mut memory = memory(1);
    let short = memory.len() - 1;
    assert_eq!(ReplayCache::new(&mut memory[..short], &SEED, at(0)).err(), Some(Error::AbiStorage));
    assert_eq!(ReplayCache::new(&mut [], &SEED, at(0)).err(), Some(Error::AbiStorage));
    let mut last = 0;
    for words in 0..5_000 {
        let mut memory = vec![0; words];
        let slots = ReplayCache::new(&mut memory, &SEED, at(0)).map_or(0, |cache| cache.stats().slots);
        assert!(slots >= last && (slots == 0 || ReplayCache::words(slots) <= words));
        assert!(ReplayCache::words(slots + 1) > words, "{words} words hold more than {slots} slots");
        last = slots;
    }
}

#[test]
fn attach_finds_the_cache_or_refuses() {
    let mut memory = memory(64);
    assert_eq!(ReplayCache::attach(&mut memory).err(), Some(Error::AbiState), "zeros");
    assert_eq!(ReplayCache::attach(&mut []).err(), Some(Error::AbiState));
    send(&mut fresh(&mut memory), "bot.example.com", "nonce", T0).unwrap();
    let mut cache = ReplayCache::attach(&mut memory).unwrap();
    assert_eq!(cache.secret(), SEED);
    assert_eq!(send(&mut cache, "bot.example.com", "nonce", T0), Err(Error::ReplayDetected));

    let short = memory.len() - 1;
    assert_eq!(ReplayCache::attach(&mut memory[..short]).err(), Some(Error::AbiState), "larger than its memory");
    memory.push(0);
    assert!(ReplayCache::attach(&mut memory).is_ok(), "more memory than it was made for");
    for word in 0..3 {
        for wrong in [0, 1 << 40, u64::MAX] {
            let mut damaged = memory.clone();
            damaged[word] = wrong;
            assert_eq!(ReplayCache::attach(&mut damaged).err(), Some(Error::AbiState), "word {word}");
        }
    }
}

#[test]
fn a_copy_at_any_word_answers_alike() {
    let mut memory = memory(256);
    let mut cache = fresh(&mut memory);
    for n in 0..100 {
        send(&mut cache, "bot.example.com", &n.to_string(), T0).unwrap();
    }
    for shift in [1, 3, 5, 7] {
        let mut other = vec![u64::MAX; memory.len() + shift];
        other[shift..].copy_from_slice(&memory);
        let mut original = memory.clone();
        let (mut a, mut b) =
            (ReplayCache::attach(&mut original).unwrap(), ReplayCache::attach(&mut other[shift..]).unwrap());
        for n in (50..250).map(|n| n.to_string()) {
            assert_eq!(send(&mut a, "bot.example.com", &n, T0), send(&mut b, "bot.example.com", &n, T0));
        }
        assert_eq!(a.stats(), b.stats());
    }
}

#[test]
fn what_is_kept_is_the_tag() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    let visit = with_visa(entry("bot.example.com", "nonce", T0), "jti", T0 / 1_000 + 60);
    cache.admit(&visit, at(T0)).unwrap();
    let mut kept: Vec<_> = cache.entries().collect();
    let mut expected = vec![
        nonce_tag(&SEED, "bot.example.com", "nonce", at(T0), WINDOW_MS),
        jti_tag(&SEED, "https://broker.example.com", "jti", T0 / 1_000 + 60),
    ];
    kept.sort_by_key(|tag| tag.bytes);
    expected.sort_by_key(|tag| tag.bytes);
    assert_eq!(kept, expected);
}

#[test]
fn nonces_belong_to_an_agent_and_are_compared_byte_for_byte() {
    let mut memory = memory(256);
    let mut cache = fresh(&mut memory);
    for (agent, nonce) in
        [("a.com", "n"), ("b.com", "n"), ("a.com", "N"), ("a.comn", ""), ("a.co", "mn"), ("x.a.com", "n")]
    {
        assert!(send(&mut cache, agent, nonce, T0).is_ok(), "{agent} {nonce}");
        assert_eq!(send(&mut cache, agent, nonce, T0), Err(Error::ReplayDetected), "REP-8");
    }
}

// ---- R1, R2, R3, REP-2: how long ----

#[test]
fn r1_a_refused_request_burns_nothing() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    let stale = entry("bot.example.com", "nonce", T0 - 400_000);
    assert_eq!(cache.admit(&stale, at(T0)), Err(Error::TimestampStale));
    assert_eq!(cache.entries().count(), 0);
    assert!(send(&mut cache, "bot.example.com", "nonce", T0).is_ok());
}

#[test]
fn r2_a_nonce_is_kept_as_long_as_its_request_is_fresh() {
    for ahead in [0, 1, 999, 60_000, 299_000, 300_000] {
        let mut memory = memory(64);
        let mut cache = fresh(&mut memory);
        let visit = entry("bot.example.com", "nonce", T0 + ahead);
        cache.admit(&visit, at(T0)).unwrap();
        let last_fresh = T0 + ahead + i64::from(WINDOW_MS);
        for now in [T0, T0 + 299_999, T0 + 300_000, T0 + 300_001, last_fresh - 1, last_fresh, last_fresh + 999] {
            let outcome = cache.admit(&visit, at(now.min(last_fresh + 999)));
            assert_eq!(outcome, Err(Error::ReplayDetected), "{ahead}: {}", now - T0);
        }
        // Past its life it is forgotten, but not admitted either: it could not be remembered.
        assert_eq!(cache.admit(&visit, at(last_fresh + 2_000)), Err(Error::TimestampStale));
    }
}

#[test]
fn the_expiry_is_a_second_late_and_rounded_up() {
    for (ts, last) in [(T0, T0 + 300_999), (T0 + 1, T0 + 301_999), (T0 + 999, T0 + 301_999)] {
        let mut memory = memory(64);
        let mut cache = fresh(&mut memory);
        let visit = entry("bot.example.com", "nonce", ts);
        cache.admit(&visit, at(T0)).unwrap();
        assert_eq!(cache.admit(&visit, at(last)), Err(Error::ReplayDetected));
        assert_eq!(cache.admit(&visit, at(last + 1)), Err(Error::TimestampStale));
        // The same nonce under another time is another request by then.
        assert!(send(&mut cache, "bot.example.com", "nonce", last + 1).is_ok());
    }
}

#[test]
fn r3_memory_does_not_grow_and_what_expired_is_reused() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    let mut admitted = 0;
    for n in 0..100_000_i64 {
        admitted += i64::from(send(&mut cache, "bot.example.com", &n.to_string(), T0 + n * 30_000).is_ok());
    }
    assert_eq!(admitted, 100_000);
    assert!(cache.entries().count() <= 64);
}

// ---- jti ----

#[test]
fn a_single_use_visa_passes_once() {
    let mut memory = memory(256);
    let mut cache = fresh(&mut memory);
    let exp_s = T0 / 1_000 + 3_600;
    let visit = |nonce, ts| with_visa(entry("bot.example.com", nonce, ts), "jti", exp_s);
    assert!(cache.admit(&visit("n1", T0), at(T0)).is_ok());
    assert_eq!(cache.admit(&visit("n1", T0), at(T0)), Err(Error::ReplayDetected), "the nonce is judged first");
    assert_eq!(cache.admit(&visit("n2", T0), at(T0)), Err(Error::VisaUsed));
    assert!(send(&mut cache, "bot.example.com", "n2", T0).is_ok(), "a refusal for the visa burns no nonce");
    let other = Entry { visa: Some(VisaUse { issuer: "https://other.example", jti: "jti", exp_s }), ..visit("n3", T0) };
    assert!(cache.admit(&other, at(T0)).is_ok(), "a jti belongs to its issuer");
    // Kept until exp and the tolerance of 5 s are over; then the token is refused.
    let end = (exp_s + 5) * 1_000;
    assert_eq!(cache.admit(&visit("n4", end), at(end - 1)), Err(Error::VisaUsed));
    assert_eq!(cache.admit(&visit("n5", end), at(end)), Err(Error::JwtExpired));
    assert_eq!(cache.stats().refused_used, 3);
}

#[test]
fn a_refused_nonce_does_not_use_the_visa() {
    let mut memory = memory(256);
    let mut cache = fresh(&mut memory);
    send(&mut cache, "bot.example.com", "used", T0).unwrap();
    let exp_s = T0 / 1_000 + 60;
    let visit = with_visa(entry("bot.example.com", "used", T0), "jti", exp_s);
    assert_eq!(cache.admit(&visit, at(T0)), Err(Error::ReplayDetected));
    assert!(cache.admit(&with_visa(entry("bot.example.com", "unused", T0), "jti", exp_s), at(T0)).is_ok());
}

#[test]
fn both_find_room_in_one_bucket_or_neither_is_written() {
    let mut memory = memory(16);
    let mut cache = fresh(&mut memory);
    // One bucket, 16 slots: pairs go in until the share of an only name is over, and never by halves.
    let mut pairs = 0;
    for n in 0..40 {
        let (nonce, jti) = (format!("n{n}"), format!("j{n}"));
        let agent = format!("agent-{n}.com");
        let visit = with_visa(entry(&agent, &nonce, T0), &jti, T0 / 1_000 + 60);
        pairs += usize::from(cache.admit(&visit, at(T0)).is_ok());
        assert_eq!(cache.entries().count(), 2 * pairs);
    }
    assert_eq!(pairs, 8, "sixteen slots hold eight pairs");
}
