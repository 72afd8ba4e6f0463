//! Any text as a token: taken apart, its header and claims read. Nothing panics, and no token is good by chance.
#![no_main]

use imagxp::jose::jws::{CLAIMS_MAX, Token};
use imagxp::policy::Role;
use imagxp::visa;
use imagxp::{KeyCache, Policy, Shape, Sizes, UnixMillis};
use libfuzzer_sys::fuzz_target;

const SIZES: Sizes = Sizes { names: 4, issuers: 1, tables: 0, shape: Shape::Kib2 };
const POLICY: &[u8] = br#"{"allowRAG":true,"audiences":["a.example"],"monetization":{"brokerUrl":"https://b.example"}}"#;

fuzz_target!(|text: &[u8]| {
    if let Ok(token) = Token::parse(text) {
        let _ = token.header(&["JWT"], &mut [0; 128]);
        let _ = token.claims(&mut [0; CLAIMS_MAX]);
    }
    let mut words = [0; Policy::WORDS];
    let policy = Policy::parse(POLICY, &mut words).unwrap();
    let mut memory = vec![0; KeyCache::words(&SIZES)];
    let cache = KeyCache::new(&mut memory, &SIZES, &[1; 32]).unwrap();
    let now = UnixMillis::from_ms(1_769_428_800_000);
    let step = visa::verify(text, Role::Broker, None, &policy, &cache.read(), now);
    assert!(!matches!(step, Ok(visa::TokenStep::Verified(_))));
});
