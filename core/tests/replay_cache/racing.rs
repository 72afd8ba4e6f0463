//! REP-6 and REP-7: clocks that leap, and threads that race.

use crate::*;

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
