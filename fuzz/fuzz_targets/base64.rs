//! Our two base64 decoders against each other and against crate `base64`; what was read is written back.
#![no_main]

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use imagxp::codec::base64 as ours;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut fast, mut slow, mut text) =
        (vec![0; data.len() + 3], vec![0; data.len() + 3], vec![0; data.len() * 2 + 4]);

    let bytes = ours::decode(data, &mut fast);
    assert_eq!(bytes, ours::decode_secret(data, &mut slow));
    assert_eq!(bytes.ok(), STANDARD.decode(data).ok().as_deref());
    if let Ok(bytes) = bytes {
        assert_eq!(ours::encode(bytes, &mut text).unwrap().as_bytes(), data);
        assert!(bytes.len() <= ours::decoded_len_max(data.len()));
    }

    let bytes = ours::url_decode(data, &mut fast);
    assert_eq!(bytes, ours::url_decode_secret(data, &mut slow));
    assert_eq!(bytes.ok(), URL_SAFE_NO_PAD.decode(data).ok().as_deref());
    if let Ok(bytes) = bytes {
        assert_eq!(ours::url_encode(bytes, &mut text).unwrap().as_bytes(), data);
        assert_eq!(bytes.len(), ours::url_decoded_len(data.len()));
    }

    let written = ours::encode(data, &mut text).unwrap();
    assert_eq!(written, STANDARD.encode(data));
    assert_eq!(ours::decode(written.as_bytes(), &mut fast), Ok(data));
});
