//! Any text as feedback, in both of its forms: refused with its one code, unless the key signed it.
#![no_main]

use imagxp::feedback::{self, Judgement, Signer};
use imagxp::{Error, KeyPair, UnixMillis};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let key = KeyPair::from_random(&[7; 32]).unwrap();
    let signer = Signer { agent_id: "bot.example.com", key: key.public(), audiences: &[] };
    let mut memory = [0; Judgement::MEMORY];
    let judged = feedback::verify(text, &signer, UnixMillis::from_ms(1_769_428_800_000), &mut memory);
    assert_eq!(judged.err(), Some(Error::FeedbackInvalid));
});
