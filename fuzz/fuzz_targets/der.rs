//! Our DER against crates `p256`, `pkcs8` and `sec1`: whatever we read as a good key they read as the same key.
#![no_main]

use imagxp::codec::der::{self, Point, PrivateParts};
use libfuzzer_sys::fuzz_target;
use p256::{
    PublicKey, SecretKey,
    elliptic_curve::sec1::ToSec1Point,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey},
};

fuzz_target!(|data: &[u8]| {
    if let Ok(parts) = der::private_key(data) {
        private(data, parts);
    }
    let mut out = [0; der::SPKI_LEN];
    if let Ok(point) = der::spki(data) {
        assert_eq!(der::write_spki(point, &mut out), Ok(data));
        assert_eq!(PublicKey::from_public_key_der(data).ok(), public(point));
    }
    // The other way: what they read and write themselves in these very bytes, we read.
    if let Ok(key) = PublicKey::from_public_key_der(data) {
        let strict = key.to_public_key_der().is_ok_and(|der| der.as_bytes() == data);
        assert_eq!(strict, der::spki(data).is_ok());
    }
});

fn private(data: &[u8], parts: PrivateParts<'_>) {
    let (mut out, mut again) = ([0; 256], [0; 256]);
    let Ok(key) = SecretKey::from_slice(parts.scalar) else { return };
    if parts.public.is_some_and(|point| public(point) != Some(key.public_key())) {
        return;
    }
    assert_eq!(
        SecretKey::from_pkcs8_der(data).or_else(|_| SecretKey::from_sec1_der(data).map_err(drop)).ok(),
        Some(key.clone())
    );

    let point = key.public_key().to_sec1_point(false);
    let point = der::point(point.as_bytes()).unwrap();
    for written in [
        der::write_pkcs8(parts.scalar, point, &mut out).unwrap(),
        der::write_sec1(parts.scalar, point, &mut again).unwrap(),
    ] {
        let read = der::private_key(written).unwrap();
        assert_eq!((read.scalar, read.public), (parts.scalar, Some(point)));
    }
}

fn public(point: Point<'_>) -> Option<PublicKey> {
    PublicKey::from_sec1_bytes(&[&[4], &point.x[..], point.y].concat()).ok()
}
