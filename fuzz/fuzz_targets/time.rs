//! Our timestamps against crate `time`; what was read is written back, and freshness is what the sentence says.
#![no_main]

use imagxp::time::{UnixMillis, fresh};
use libfuzzer_sys::fuzz_target;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

fuzz_target!(|data: &[u8]| {
    let mut out = [0; UnixMillis::TEXT_LEN];
    if let Ok(at) = UnixMillis::parse(data) {
        let theirs = OffsetDateTime::parse(core::str::from_utf8(data).unwrap(), &Rfc3339).unwrap();
        assert_eq!(theirs.unix_timestamp_nanos().div_euclid(1_000_000), i128::from(at.ms()));
        assert_eq!(UnixMillis::parse(at.write(&mut out).unwrap().as_bytes()), Ok(at));
    }

    let Some((numbers, _)) = data.split_first_chunk::<24>() else { return };
    let number = |at: usize| i64::from_le_bytes(numbers[at..at + 8].try_into().unwrap());
    let (now, ts, bounds) = (number(0), number(8), number(16).to_le_bytes());
    let (window, skew) =
        (u32::from_le_bytes(bounds[..4].try_into().unwrap()), u32::from_le_bytes(bounds[4..].try_into().unwrap()));
    let within =
        i128::from(now) - i128::from(window) <= i128::from(ts) && i128::from(ts) <= i128::from(now) + i128::from(skew);
    assert_eq!(fresh(UnixMillis::from_ms(now), UnixMillis::from_ms(ts), window, skew).is_ok(), within);

    let written = UnixMillis::from_ms(ts).write(&mut out);
    assert_eq!(written.is_ok(), (0..=UnixMillis::LAST.ms()).contains(&ts));
    if let Ok(text) = written {
        let theirs = OffsetDateTime::parse(text, &Rfc3339).unwrap();
        assert_eq!(theirs.unix_timestamp_nanos(), i128::from(ts) * 1_000_000);
    }
});
