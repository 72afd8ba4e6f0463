//! REP-4: a full cache refuses, and forgets nothing that lives.

use crate::*;

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
