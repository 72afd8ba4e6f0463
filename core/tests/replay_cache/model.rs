//! The cache against a plain model, and on memory that holds anything.

use crate::*;

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
