//! The replay cache against every rule of the threat model's section 7 (REP-1 to REP-8), R1 to R3 of its section 0, and
//! a plain model.

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

// ---- REP-4: full ----

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

#[test]
fn a_full_cache_refuses_and_forgets_nothing_live() {
    let mut memory = memory(1_024);
    let (mut cache, now) = cache_with_old_names(&mut memory, 16);
    let name = |n: usize| format!("bot.old-{}.com", n % 16);
    let mut admitted = Vec::new();
    let mut full = 0;
    for n in 0..3_000 {
        let nonce = format!("{n:036}");
        match send(&mut cache, &name(n), &nonce, now) {
            Ok(_) => admitted.push((name(n), nonce)),
            Err(Error::ReplayCacheFull) => {
                full += 1;
                assert!((1..=301).contains(&cache.retry_after_s()), "{}", cache.retry_after_s());
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(full > 1_900 && admitted.len() > 1_000, "{full} {}", admitted.len());
    assert_eq!(cache.stats().refused_full, full);
    for (agent, nonce) in &admitted {
        assert_eq!(send(&mut cache, agent, nonce, now), Err(Error::ReplayDetected));
    }
    // One second before the end nothing is forgotten; then there is room, which Retry-After said.
    assert_eq!(send(&mut cache, &name(0), &admitted[0].1, now + 300_000), Err(Error::ReplayDetected));
    let later = now + 301_000;
    let outcomes = flood(&mut cache, "later", 1_000, later, name);
    assert!(count(&outcomes, Error::ReplayCacheFull) < 60, "{outcomes:?}");
}

#[test]
fn retry_after_is_the_wait_within_its_bounds() {
    for (window_ms, wait_s) in [(300_000, 301), (0, 1), (599_000, 600), (900_000, 600)] {
        let mut memory = memory(1_024);
        let (mut cache, now) = cache_with_old_names(&mut memory, 16);
        assert_eq!(cache.retry_after_s(), 1, "before any refusal");
        let refused = (0..3_000).any(|n| {
            let (agent, nonce) = (format!("bot.old-{}.com", n % 16), n.to_string());
            cache.admit(&Entry { window_ms, ..entry(&agent, &nonce, now) }, at(now)) == Err(Error::ReplayCacheFull)
        });
        assert!(refused);
        assert_eq!(cache.retry_after_s(), wait_s);
    }
}

#[test]
fn retry_after_counts_to_the_earliest_expiry() {
    let mut memory = memory(1_024);
    let (mut cache, now) = cache_with_old_names(&mut memory, 16);
    // One life in twenty is of 11 s, the others of 301 s: of two full buckets, four pairs in five hold a short one.
    let (mut short, mut long) = (0, 0);
    for n in 0..6_000 {
        let (agent, nonce) = (format!("bot.old-{}.com", n % 16), n.to_string());
        let window_ms = if n % 20 == 0 { 10_000 } else { WINDOW_MS };
        if cache.admit(&Entry { window_ms, ..entry(&agent, &nonce, now) }, at(now)) == Err(Error::ReplayCacheFull) {
            *(if cache.retry_after_s() == 11 { &mut short } else { &mut long }) += 1;
            assert!([11, 301].contains(&cache.retry_after_s()));
        }
    }
    assert!(short + long > 4_000 && short > 2 * long, "{short} {long}");
}

// ---- REP-5: quotas ----

#[test]
fn below_half_nobody_is_limited() {
    let mut memory = memory(4_096);
    let mut cache = fresh(&mut memory);
    let outcomes = flood(&mut cache, "n", 2_049, T0, |_| "bot.example.com".into());
    assert_eq!(outcomes.get("OK"), Some(&2_049), "{outcomes:?}");
    assert_eq!(send(&mut cache, "bot.example.com", "one more", T0), Err(Error::AgentQuota));
    assert_eq!(send(&mut cache, "bot.example.com", &format!("n-{:030}", 5), T0), Err(Error::ReplayDetected));
    assert_eq!(cache.stats().refused_quota, 1);
}

#[test]
fn an_owner_of_sub_domains_cannot_fill_it_and_known_names_get_in() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let (mut cache, now) = cache_with_old_names(&mut memory, 40);
    let hostile = flood(&mut cache, "hostile", 20_000, now, |n| format!("x{n}.evil-owner.com"));
    assert_eq!(hostile.get("OK"), Some(&(slots / 2 + 1)));
    assert_eq!(count(&hostile, Error::AgentQuota), 20_000 - slots / 2 - 1, "{hostile:?}");
    let honest = flood(&mut cache, "honest", 1_000, now, |n| format!("bot.old-{}.com", n % 40));
    assert_eq!(honest.get("OK"), Some(&1_000), "{honest:?}");
    let again = flood(&mut cache, "again", 1_000, now, |n| format!("y{n}.evil-owner.com"));
    assert_eq!(count(&again, Error::AgentQuota), 1_000);
}

#[test]
fn a_known_name_has_an_eighth() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let (mut cache, now) = cache_with_old_names(&mut memory, 12);
    // Eight names fill a half and one more, evenly; then each may go to its eighth, not beyond.
    flood(&mut cache, "even", slots / 2 + 1, now, |n| format!("bot.old-{}.com", n % 8));
    let mut held = slots / 2 / 8 + 1;
    while send(&mut cache, "x.old-0.com", &format!("more {held}"), now).is_ok() {
        held += 1;
    }
    assert_eq!(held, slots / 8);
    let other = flood(&mut cache, "other", 1_000, now, |_| "bot.old-9.com".into());
    assert_eq!(other.get("OK"), Some(&(slots / 8)), "{other:?}");
}

#[test]
fn new_names_share_an_eighth() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let (mut cache, now) = cache_with_old_names(&mut memory, 8);
    flood(&mut cache, "even", slots / 2 + 1, now, |n| format!("bot.old-{}.com", n % 8));
    let new = flood(&mut cache, "new", 5_000, now, |n| format!("bot.new-{n}.com"));
    assert_eq!(new.get("OK"), Some(&(slots / 8)), "{new:?}");
    assert_eq!(count(&new, Error::AgentQuota), 5_000 - slots / 8);
    assert!(send(&mut cache, "bot.old-3.com", "still in", now).is_ok());
}

#[test]
fn in_the_first_hour_new_names_have_no_common_share() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let mut cache = fresh(&mut memory);
    let first_hour = flood(&mut cache, "first", 3_000, T0, |n| format!("bot.new-{n}.com"));
    assert_eq!(first_hour.get("OK"), Some(&3_000), "{first_hour:?}");
}

#[test]
fn a_name_has_its_share_from_the_start() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let mut cache = fresh(&mut memory);
    flood(&mut cache, "half", slots / 2 + 1, T0, |n| format!("bot.new-{}.com", n % 8));
    let one_name = flood(&mut cache, "one", 1_000, T0, |_| "bot.one.com".into());
    assert_eq!(one_name.get("OK"), Some(&(slots / 8)), "{one_name:?}");
}

#[test]
fn a_known_name_outlasts_a_flood_of_new_ones() {
    let mut memory = memory(256);
    let (mut cache, now) = cache_with_old_names(&mut memory, 3);
    // Far more names than accounts; then new names have more than their share.
    let flood_of_names = flood(&mut cache, "flood", 1_000, now, |n| format!("bot.new-{n}.com"));
    assert_eq!(flood_of_names.get("OK"), Some(&129));
    for n in 0..3 {
        assert!(send(&mut cache, &format!("bot.old-{n}.com"), "still known", now).is_ok(), "{n}");
    }
    assert_eq!(send(&mut cache, "bot.old-3.com", "never seen", now), Err(Error::AgentQuota));
}

#[test]
fn a_new_name_in_use_becomes_known_in_spite_of_a_flood() {
    let mut memory = memory(1_024);
    let mut cache = fresh(&mut memory);
    let mut now = T0;
    for round in 0..38 {
        send(&mut cache, "bot.steady.com", &format!("steady-{round}"), now).unwrap();
        let outcomes = flood(&mut cache, &round.to_string(), 100, now, |n| format!("bot.new-{round}-{n}.com"));
        assert_eq!(outcomes.get("OK"), Some(&100));
        now += 100_000;
    }
    flood(&mut cache, "to the half", 1_000, now, |n| format!("bot.last-{n}.com"));
    assert_eq!(send(&mut cache, "bot.unseen.com", "n", now), Err(Error::AgentQuota));
    assert!(send(&mut cache, "bot.steady.com", "n", now).is_ok());
}

#[test]
fn what_expired_unnoticed_is_held_against_nobody() {
    let slots = 4_096;
    let mut memory = memory(slots);
    let (mut cache, now) = cache_with_old_names(&mut memory, 9);
    // Eight names hold all they may, which is everything.
    flood(&mut cache, "a", 8_000, now, |n| format!("bot.old-{}.com", n % 8));
    assert!(cache.stats().live > 4_000);
    let later = flood(&mut cache, "b", 400, now + 302_000, |_| "bot.old-0.com".into());
    assert_eq!(later.get("OK"), Some(&400), "{later:?}");
}

#[test]
fn wrong_counts_heal_within_two_laps() {
    let slots = 4_096;
    for damage in [|count: u64| count | 0x00FF_FFFF, |_| 0, |count: u64| count ^ 0x0055_0055_0000_0055] {
        let mut memory = memory(slots);
        let (mut cache, now) = cache_with_old_names(&mut memory, 9);
        flood(&mut cache, "even", slots / 2 + 8, now, |n| format!("bot.old-{}.com", n % 8));
        // What a crash may leave: counts of the header and of every account are wrong.
        memory[14 - 3..18 - 3].fill(damage(1));
        let accounts = 24 + 3 * slots;
        for account in memory[accounts..].chunks_exact_mut(3).take(slots / 16) {
            account[2] = damage(account[2]);
        }
        let mut cache = ReplayCache::attach(&mut memory).unwrap();
        for n in 0..slots / 8 * 5 / 2 {
            let _ = send(&mut cache, "bot.old-1.com", &format!("even-{:030}", n % 8 * 8 + 1), now);
        }
        assert_eq!(cache.stats().live, cache.entries().count() as u64);
        let more = flood(&mut cache, "more", 1_000, now, |_| "bot.old-0.com".into());
        assert_eq!(more.get("OK"), Some(&(slots / 8 - slots / 16 - 1)), "{more:?}");
        let idle = flood(&mut cache, "idle", 1_000, now, |_| "bot.old-8.com".into());
        assert_eq!(idle.get("OK"), Some(&(slots / 8)), "{idle:?}");
    }
}

#[test]
fn busy_is_told_past_eight_in_a_window_for_an_agent_not_its_domain() {
    let mut memory = memory(4_096);
    let mut cache = fresh(&mut memory);
    let now = T0 - T0 % 60_000;
    let mut busy = |agent: &str, n: u32, now| send(&mut cache, agent, &format!("{n}-{now}"), now).unwrap().busy;
    for n in 1..=20 {
        assert_eq!(busy("bot.example.com", n, now), n > replay::BUSY_ADMISSIONS, "{n}");
    }
    for n in 1..=500 {
        assert!(!busy(&format!("x{n}.evil-owner.com"), n, now));
    }
    assert!(busy("bot.example.com", 30, now), "not pushed out by agents of one request each");
    assert!(!busy("bot.example.com", 31, now + 60_000), "the next window");
}

// ---- REP-6: time ----

#[test]
fn the_restart_guard_refuses_what_an_earlier_cache_may_have_admitted() {
    let mut memory = memory(64);
    let mut cache = ReplayCache::new(&mut memory, &SEED, at(T0)).unwrap();
    assert_eq!(cache.admit(&entry("bot.example.com", "n", T0 - 1), at(T0 + 5)), Err(Error::RestartGuard));
    assert!(cache.admit(&entry("bot.example.com", "n", T0), at(T0 + 5)).is_ok());
    assert_eq!(cache.entries().count(), 1);
    let mut cache = fresh(&mut memory);
    assert!(cache.admit(&entry("bot.example.com", "n", T0 - 1), at(T0 + 5)).is_ok(), "0: no guard");
}

#[test]
fn the_clock_never_runs_back() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    assert_eq!(send(&mut cache, "bot.example.com", "a", 0), Err(Error::ClockUnknown));
    assert_eq!(send(&mut cache, "bot.example.com", "a", -5), Err(Error::ClockUnknown));
    assert!(!send(&mut cache, "bot.example.com", "a", T0).unwrap().clock_stepped_back);
    assert!(!send(&mut cache, "bot.example.com", "b", T0 - 2_000).unwrap().clock_stepped_back, "2 s are let pass");
    assert!(send(&mut cache, "bot.example.com", "c", T0 - 2_001).unwrap().clock_stepped_back);
    assert_eq!((cache.stats().clock, cache.stats().clock_steps_back), (at(T0), 1));
    // Back by less than the window: everything is remembered.
    assert_eq!(cache.admit(&entry("bot.example.com", "a", T0), at(T0 - 200_000)), Err(Error::ReplayDetected));
}

#[test]
fn a_clock_that_leapt_forward_and_back_admits_nothing_twice() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    let visit = entry("bot.example.com", "a", T0);
    cache.admit(&visit, at(T0)).unwrap();
    // The host's clock leaps a day ahead for one request, which is fresh by that clock, and returns.
    let leap = T0 + 86_400_000;
    send(&mut cache, "bot.example.com", "b", leap).unwrap();
    for n in 0..200 {
        let outcome = cache.admit(&visit, at(T0 + n));
        assert!(matches!(outcome, Err(Error::TimestampStale | Error::ReplayDetected)), "{outcome:?}");
    }
    // Nothing of this time can be remembered by that clock, so nothing of it is admitted.
    assert_eq!(cache.admit(&entry("bot.example.com", "c", T0), at(T0)), Err(Error::TimestampStale));
    // A step forward by itself loses nothing that is still fresh.
    assert_eq!(cache.admit(&entry("bot.example.com", "b", leap), at(leap + 299_000)), Err(Error::ReplayDetected));
}

#[test]
fn times_at_the_ends_of_the_range_are_refused_or_kept() {
    let mut memory = memory(64);
    let mut cache = fresh(&mut memory);
    for ts in [i64::MIN, -1, 0, 1] {
        let outcome = cache.admit(&entry("bot.example.com", "a", ts), at(T0));
        assert!(matches!(outcome, Err(Error::RestartGuard | Error::TimestampStale)), "{ts}: {outcome:?}");
    }
    let far = Entry { window_ms: u32::MAX, ..entry("bot.example.com", "far", i64::MAX) };
    assert!(cache.admit(&far, at(T0)).is_ok());
    assert_eq!(cache.admit(&far, at(T0)), Err(Error::ReplayDetected));
    assert_eq!(cache.admit(&far, at(i64::MAX)), Err(Error::TimestampStale), "past 2106 nothing can be remembered");
}

// ---- REP-7: one step ----

/// 64 threads send the same requests and each its own; every nonce wins once. `IMAGXP_RACE` sets requests a thread.
#[test]
fn of_racing_identical_requests_one_wins() {
    const THREADS: usize = 64;
    let requests: usize = std::env::var("IMAGXP_RACE").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    let mut memory = memory((requests * 5 / 2).max(1_000));
    let cache = Mutex::new(fresh(&mut memory));
    let wins: usize = std::thread::scope(|scope| {
        let (cache, mut threads) = (&cache, Vec::new());
        for thread in 0..THREADS {
            threads.push(scope.spawn(move || {
                let mut wins = 0;
                for n in 0..requests {
                    // Half of the threads go the other way round, so that they meet in the middle.
                    let n = if thread % 2 == 0 { n } else { requests - 1 - n };
                    let (agent, nonce) = (format!("bot.a-{}.com", n % 100), format!("{n:036}"));
                    wins += usize::from(send(&mut cache.lock().unwrap(), &agent, &nonce, T0).is_ok());
                }
                wins
            }));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, requests);
    let cache = cache.into_inner().unwrap();
    let distinct: HashSet<_> = cache.entries().map(|tag| tag.bytes).collect();
    assert_eq!((distinct.len(), cache.entries().count()), (requests, requests));
}

#[test]
fn distinct_requests_of_racing_threads_all_win() {
    let mut memory = memory(16_384);
    let cache = Mutex::new(fresh(&mut memory));
    let wins: usize = std::thread::scope(|scope| {
        let cache = &cache;
        let thread = |t: usize| {
            move || {
                (0..100).filter(|n| send(&mut cache.lock().unwrap(), "a.com", &format!("{t}-{n}"), T0).is_ok()).count()
            }
        };
        let threads: Vec<_> = (0..64).map(|t| scope.spawn(thread(t))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, 6_400);
}

// ---- the plain model, and hostile memory ----

#[derive(Clone, Debug)]
struct Move {
    agent: u8,
    nonce: u8,
    visa: Option<u8>,
    age_ms: i64,
    step_ms: i64,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (0..4_u8, 0..30_u8, proptest::option::weighted(0.3, 0..20_u8), -60_000..310_000_i64, -5_000..40_000_i64)
        .prop_map(|(agent, nonce, visa, age_ms, step_ms)| Move { agent, nonce, visa, age_ms, step_ms });
    proptest::collection::vec(one, 1..300)
}

/// What the cache ought to say, with memory without end: a map from what was used to when it ends, in seconds.
fn judge(model: &mut HashMap<String, i64>, request: &Move, ts: i64, exp_s: i64, clock_s: i64) -> Result<(), Error> {
    let nonce = format!("{} {}", request.agent, request.nonce);
    let ends = (ts + i64::from(WINDOW_MS) + 1_000 + 999) / 1_000;
    let jti = request.visa.map(|jti| format!("jti {jti}"));
    let live = |model: &HashMap<String, i64>, key: &str| model.get(key).is_some_and(|end| *end > clock_s);
    if ends <= clock_s {
        return Err(Error::TimestampStale);
    }
    if jti.is_some() && exp_s + 5 <= clock_s {
        return Err(Error::JwtExpired);
    }
    if live(model, &nonce) {
        return Err(Error::ReplayDetected);
    }
    if jti.as_ref().is_some_and(|jti| live(model, jti)) {
        return Err(Error::VisaUsed);
    }
    model.insert(nonce, ends);
    model.extend(jti.map(|jti| (jti, exp_s + 5)));
    Ok(())
}

proptest! {
    #[test]
    fn answers_are_the_models(moves in moves()) {
        let mut memory = memory(2_048);
        let _ = fresh(&mut memory);
        let (mut model, mut now, mut clock) = (HashMap::new(), T0, 0);
        for request in &moves {
            now += request.step_ms;
            clock = clock.max(now);
            let (ts, exp_s) = (now - request.age_ms, now / 1_000 + i64::from(request.nonce) - 8);
            let (agent, nonce) = (format!("bot.agent-{}.com", request.agent), request.nonce.to_string());
            let jti = request.visa.map(|jti| jti.to_string());
            let mut visit = entry(&agent, &nonce, ts);
            if let Some(jti) = &jti {
                visit = with_visa(visit, jti, exp_s);
            }
            let expected = judge(&mut model, request, ts, exp_s, clock / 1_000);
            let outcome = ReplayCache::attach(&mut memory).unwrap().admit(&visit, at(now)).map(|_| ());
            prop_assert_eq!(outcome, expected, "{:?}", request);
            let cache = ReplayCache::attach(&mut memory).unwrap();
            prop_assert_eq!(cache.stats().live, cache.entries().count() as u64);
        }
    }

    /// A small cache may refuse for want of room, but admits nothing twice.
    #[test]
    fn a_crowded_cache_admits_nothing_twice(moves in moves(), slots in 1_usize..200) {
        let mut memory = memory(slots);
        let mut cache = fresh(&mut memory);
        let (mut model, mut now, mut clock) = (HashMap::new(), T0, 0);
        for request in &moves {
            now += request.step_ms / 20;
            clock = clock.max(now);
            let ts = now - request.age_ms;
            let request = Move { visa: None, ..request.clone() };
            let (agent, nonce) = (format!("bot.agent-{}.com", request.agent), request.nonce.to_string());
            let mut after = model.clone();
            let expected = judge(&mut after, &request, ts, 0, clock / 1_000);
            match cache.admit(&entry(&agent, &nonce, ts), at(now)) {
                Err(Error::AgentQuota | Error::ReplayCacheFull) => prop_assert_eq!(expected, Ok(())),
                outcome => {
                    prop_assert_eq!(outcome.map(|_| ()), expected);
                    model = after;
                }
            }
            prop_assert_eq!(cache.stats().live, cache.entries().count() as u64);
        }
    }

    /// Somebody else writes into the memory: wrong answers at worst, never a panic, a wild access or an endless loop.
    #[test]
    fn damaged_memory_harms_answers_only(
        slots in 1_usize..100,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0..3_u8), 1..200),
        everything in any::<bool>(),
        times in proptest::collection::vec(any::<i64>(), 1..40),
    ) {
        let mut memory = memory(slots);
        flood(&mut fresh(&mut memory), "a", slots, T0, |n| format!("bot.a-{}.com", n % 9));
        let words = memory.len();
        for (place, value, kind) in &damage {
            // Not the words that `attach` checks, so that the damage is met later.
            let place = 3 + place.index(words - 3);
            memory[place] = match kind { 0 => 0, 1 => u64::MAX, _ => *value };
        }
        if everything {
            let mut x = damage[0].1 | 1;
            for word in &mut memory[3..] {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                *word = x;
            }
        }
        let mut cache = ReplayCache::attach(&mut memory).unwrap();
        for (n, now) in times.iter().enumerate() {
            let nonce = n.to_string();
            let _ = cache.admit(&entry("bot.a-1.com", &nonce, *now), at(*now));
            let _ = cache.admit(&with_visa(entry("bot.a-2.com", &nonce, T0), &nonce, *now), at(T0));
            let _ = (cache.stats(), cache.retry_after_s(), cache.entries().count(), cache.secret());
        }
    }

    #[test]
    fn attach_takes_any_words(mut words in proptest::collection::vec(any::<u64>(), 0..300), header in any::<bool>(), buckets in 0_u64..8) {
        if header && words.len() > 3 {
            let mut made = memory(1);
            let _ = fresh(&mut made);
            words[..2].copy_from_slice(&made[..2]);
            words[2] = buckets;
        }
        if let Ok(mut cache) = ReplayCache::attach(&mut words) {
            for n in 0..50 {
                let _ = send(&mut cache, "bot.example.com", &n.to_string(), T0);
            }
        }
    }
}
