//! Our PEM against crate `pem-rfc7468`: what we read it reads alike, and what was written is read.
#![no_main]

use imagxp::codec::{
    der,
    pem::{self, Label},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut ours, mut theirs) = (vec![0; data.len()], vec![0; data.len()]);
    if let Ok(parts) = pem::private_key(data, &mut ours) {
        let parameters = data.starts_with(b"-----BEGIN EC PARAMETERS-----");
        if !parameters {
            let (label, bytes) = pem_rfc7468::decode(data, &mut theirs).unwrap();
            assert!(label.ends_with("PRIVATE KEY"));
            assert_eq!(der::private_key(bytes).unwrap().scalar, parts.scalar);
        }
    }
    if let Ok(point) = pem::public_key(data, &mut ours) {
        let (label, bytes) = pem_rfc7468::decode(data, &mut theirs).unwrap();
        assert_eq!((label, der::spki(bytes)), ("PUBLIC KEY", Ok(point)));
    }

    // Anything as the content of a block.
    let mut text = vec![0; data.len() * 2 + 80];
    let written = pem::encode(Label::PrivateKey, data, &mut text).unwrap();
    let mut expected = vec![0; data.len() * 2 + 80];
    if !data.is_empty() {
        assert_eq!(pem_rfc7468::encode("PRIVATE KEY", pem_rfc7468::LineEnding::LF, data, &mut expected), Ok(written));
    }
    assert_eq!(
        pem::private_key(written.as_bytes(), &mut ours).map(|parts| *parts.scalar).ok(),
        der::pkcs8(data).map(|parts| *parts.scalar).ok()
    );
});
