//! Any bytes as an evidence log, line by line: every fault has a name, and the count of lines and faults adds up.
#![no_main]

use imagxp::KeyPair;
use imagxp::evidence::{Log, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|log: &[u8]| {
    let key = KeyPair::from_random(&[7; 32]).unwrap();
    let keys = [*key.public()];
    let mut state = Log::new(&keys);
    let mut lines = log.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next_if(|line| line.ends_with(b"\n")) {
        let _ = Record::parse(line);
        let _ = state.line(line);
    }
    let rest = lines.next().unwrap_or_default();
    assert_eq!(state.finish(rest).torn, rest.len());
});
