//! Hostile bytes as a policy, a key cache and a replay cache: opened or refused, read, written. Nothing panics.
#![no_main]

use imagxp::{Answer, KeyCache, KeyId, Kind, Need, Policy, ReplayCache, Shape, Sizes, UnixMillis};
use libfuzzer_sys::fuzz_target;

const SIZES: Sizes = Sizes { names: 4, issuers: 1, tables: 1, shape: Shape::Kib2 };

/// Overwrites words: pairs of a place and a value.
fn damage(words: &mut [u64], bytes: &[u8]) {
    for chunk in bytes.chunks_exact(10) {
        let at = usize::from(u16::from_le_bytes([chunk[0], chunk[1]])) % words.len();
        words[at] = u64::from_le_bytes(chunk[2..].try_into().unwrap());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let now = UnixMillis::from_ms(1_769_428_800_000);
    let mut words = vec![0; KeyCache::words(&SIZES)];
    KeyCache::new(&mut words, &SIZES, &[1; 32]).unwrap();
    damage(&mut words, bytes);
    if let Ok(mut cache) = KeyCache::attach(&mut words) {
        let url = "https://bot.example.com/.well-known/imagxp-agent.json";
        let need = Need { kind: Kind::Manifest, url, host: "bot.example.com", configured: false, max_len: 8_192 };
        let _ = cache.supply(&need, Answer::Unreachable, now);
        let _ = cache.prepare(KeyId::from_number(u64::from(bytes.len() as u32)), now);
    }
    let mut words = vec![0; ReplayCache::words(64)];
    ReplayCache::new(&mut words, &[1; 32], now).unwrap();
    damage(&mut words, bytes);
    if let Ok(mut cache) = ReplayCache::attach(&mut words) {
        let entry = imagxp::replay_cache::Entry {
            agent_id: "bot.example.com",
            nonce: "0123456789012345678901",
            ts: now,
            window_ms: 300_000,
            visa: None,
        };
        let _ = cache.admit(&entry, now);
        let _ = cache.stats();
    }
    let mut words = [0; Policy::WORDS];
    Policy::parse(br#"{"allowRAG":true,"monetization":{"brokerUrl":"https://b.example"}}"#, &mut words).unwrap();
    damage(&mut words, bytes);
    if let Ok(policy) = Policy::attach(&words) {
        let _ = policy.documents().count();
        let _ = policy.audiences().count();
    }
});
