//! Our hex against crate `hex`; what was read is written back.
#![no_main]

use imagxp::codec::hex as ours;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut bytes, mut text) = (vec![0; data.len()], vec![0; data.len() * 2]);
    let lower = !data.iter().any(u8::is_ascii_uppercase);
    let theirs = hex::decode(data).ok().filter(|_| lower);
    let read = ours::decode(data, &mut bytes).ok();
    assert_eq!(read, theirs.as_deref());
    assert_eq!(
        ours::decode_array::<64>(data).ok().as_ref().map(<[u8; 64]>::as_slice),
        read.filter(|read| read.len() == 64)
    );
    if let Some(read) = read {
        assert_eq!(ours::encode(read, &mut text).unwrap().as_bytes(), data);
    }
    let written = ours::encode(data, &mut text).unwrap();
    assert_eq!(written, hex::encode(data));
    assert_eq!(ours::decode(written.as_bytes(), &mut bytes), Ok(data));
});
