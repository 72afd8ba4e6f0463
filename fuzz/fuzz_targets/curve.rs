//! Our P-256 beside OpenSSL's: the same verdict on any key, digest and signature, by every path; our signatures hold there;
//! and what we read as a public key's DER, OpenSSL reads as the same key.
#![no_main]

use imagxp::PublicKey;
use imagxp::ec::{BatchItem, Point, SecretScalar, Shape, Signature, prepare, verify, verify_batch, verify_prepared};
use libfuzzer_sys::fuzz_target;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};

/// A scalar, a digest, changes to make, and the rest.
const HEAD: usize = 32 + 32 + 1 + 64;

fuzz_target!(|bytes: &[u8]| {
    spki(bytes);
    let Some((head, extra)) = bytes.split_first_chunk::<HEAD>() else { return };
    let (scalar, rest) = head.split_first_chunk::<32>().expect("32 of HEAD");
    let (digest, rest) = rest.split_first_chunk::<32>().expect("32 more");
    let (way, change) = rest.split_first().expect("one more");
    let Some(secret) = SecretScalar::from_bytes(scalar) else { return };
    let (key, point) = theirs(&secret);

    let mut raw = secret.sign(digest, extra.get(..32).unwrap_or_default()).to_bytes();
    assert!(their_verdict(&key, digest, &raw), "OpenSSL refuses our signature");
    match way % 4 {
        0 => {}
        // Some bits of it, one half of it, or all of it.
        1 => raw.iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change & change.rotate_left(3)),
        2 => raw[32 * usize::from(way & 4 != 0)..][..32].copy_from_slice(&change[..32]),
        _ => raw.copy_from_slice(change),
    }
    let expected = their_verdict(&key, digest, &raw);
    let Some(signature) = Signature::from_bytes(&raw) else {
        assert!(!expected, "OpenSSL takes numbers out of range");
        return;
    };
    assert_eq!(verify(&point, digest, &signature), expected);
    let shape = Shape::ALL[usize::from(way >> 3) % (Shape::ALL.len() - 1)];
    let mut table = vec![0; shape.words()];
    assert!(prepare(&point, shape, &mut table));
    assert_eq!(verify_prepared(&table, shape, digest, &signature), expected);
    let item = BatchItem { table: &table, shape, digest, signature: &signature };
    assert_eq!(verify_batch(&[item; 3], &mut [false; 3]), expected);
});

/// The public key as OpenSSL computes it, which must be ours.
fn theirs(secret: &SecretScalar) -> (EcKey<Public>, Point) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("the curve");
    let mut context = BigNumContext::new().expect("memory");
    let scalar = BigNum::from_slice(&*secret.to_bytes()).expect("a number");
    let mut product = EcPoint::new(&group).expect("memory");
    product.mul_generator2(&group, &scalar, &mut context).expect("a point");
    let ours = secret.public();
    let sec1 = [&[4][..], &ours.coordinates()].concat();
    let point = EcPoint::from_bytes(&group, &sec1, &mut context).expect("on the curve");
    assert!(point.eq(&group, &product, &mut context).expect("compared"));
    (EcKey::from_public_key(&group, &point).expect("a key"), ours)
}

fn their_verdict(key: &EcKey<Public>, digest: &[u8; 32], raw: &[u8; 64]) -> bool {
    let number = |half: &[u8]| BigNum::from_slice(half).expect("a number");
    let signature = EcdsaSig::from_private_components(number(&raw[..32]), number(&raw[32..])).expect("memory");
    signature.verify(digest, key).unwrap_or(false)
}

/// What we read as a key, OpenSSL reads as the same key.
fn spki(bytes: &[u8]) {
    let Ok(ours) = PublicKey::from_spki(bytes) else { return };
    let theirs = PKey::public_key_from_der(bytes).expect("OpenSSL reads what we read");
    assert_eq!(theirs.public_key_to_der().expect("DER"), ours.to_spki());
    assert_eq!(ours.to_spki()[..], *bytes);
}
