//! Any text as a policy: refused, or compiled into words that open again.
#![no_main]

use imagxp::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut words = [0; Policy::WORDS];
    if Policy::parse(text, &mut words).is_ok() {
        let policy = Policy::attach(&words).unwrap();
        assert!(policy.window_ms() <= 300_000 && policy.skew_ms() <= 300_000 && policy.price() >= 0);
        assert!(policy.audiences().count() <= 16);
        for need in policy.documents() {
            assert!(need.configured && (need.url.starts_with("https://") || policy.is_development()));
        }
    }
});
