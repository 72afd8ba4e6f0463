//! REP-5: nobody takes the cache from all others.

use crate::*;

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

/// Words before the slots, and the place of the four counts among them (core/src/replay_cache/slots.rs).
const HEAD: usize = 32;
const COUNTS: usize = 19;

#[test]
fn wrong_counts_heal_within_two_laps() {
    let slots = 4_096;
    for damage in [|count: u64| count | 0x00FF_FFFF, |_| 0, |count: u64| count ^ 0x0055_0055_0000_0055] {
        let mut memory = memory(slots);
        let (mut cache, now) = cache_with_old_names(&mut memory, 9);
        flood(&mut cache, "even", slots / 2 + 8, now, |n| format!("bot.old-{}.com", n % 8));
        // What a crash may leave: counts of the header and of every account are wrong.
        memory[COUNTS..COUNTS + 4].fill(damage(1));
        let accounts = HEAD + 3 * slots;
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
