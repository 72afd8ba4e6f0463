//! Whatever a stranger's server sends as a manifest or key set: supplied, then asked for. Nothing panics.
#![no_main]

use imagxp::{Answer, KeyCache, Keys, Kind, Need, Shape, Sizes, UnixMillis};
use libfuzzer_sys::fuzz_target;

const SIZES: Sizes = Sizes { names: 8, issuers: 2, tables: 1, shape: Shape::Kib2 };

fuzz_target!(|body: &[u8]| {
    let now = UnixMillis::from_ms(1_769_428_800_000);
    let mut words = vec![0; KeyCache::words(&SIZES)];
    let mut cache = KeyCache::new(&mut words, &SIZES, &[1; 32]).unwrap();
    let answer = Answer::Found { body, max_age_s: Some(100) };
    let url = "https://bot.example.com/.well-known/imagxp-agent.json";
    let host = "bot.example.com";
    cache.supply(&Need { kind: Kind::Manifest, url, host, configured: false, max_len: 8_192 }, answer, now).unwrap();
    let url = "https://b.example/jwks";
    cache.supply(&Need { kind: Kind::Jwks, url, host: "b.example", configured: true, max_len: 65_536 }, answer, now).unwrap();
    assert!(Keys::attach(&words).is_ok());
});
