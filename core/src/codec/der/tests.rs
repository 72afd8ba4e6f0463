//! Every form that is read, and what is none.

extern crate std;
use super::*;
use std::{vec, vec::Vec};

const SCALAR: [u8; 32] = [0xD1; 32];
const POINT: Point<'_> = Point { x: &[0xA5; 32], y: &[0x5A; 32] };
const OTHER: Point<'_> = Point { x: &[0xA5; 32], y: &[0x5B; 32] };

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..=0x7F => vec![tag, len[1]],
        0x80..=0xFF => vec![tag, 0x81, len[1]],
        _ => vec![tag, 0x82, len[0], len[1]],
    };
    [head, content].concat()
}

fn public_bits(point: Point<'_>) -> Vec<u8> {
    [&[0, 4], &point.x[..], point.y].concat()
}

fn inner(parameters: Option<&[u8]>, public: Option<Point<'_>>) -> Vec<u8> {
    let parameters = parameters.map(|parameters| element(CONSTRUCTED_0, &[parameters])).unwrap_or_default();
    let public =
        public.map(|point| element(CONSTRUCTED_1, &[&element(BIT_STRING, &[&public_bits(point)])])).unwrap_or_default();
    element(SEQUENCE, &[&[INTEGER, 1, 1], &element(OCTET_STRING, &[&SCALAR]), &parameters, &public])
}

fn outer(version: u8, inner: &[u8], behind: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &[&[INTEGER, 1, version], &ALGORITHM, &element(OCTET_STRING, &[inner]), &behind.concat()])
}

fn public_of(der: &[u8]) -> Result<Option<Point<'_>>, Error> {
    let parts = private_key(der)?;
    assert_eq!(parts.scalar, &SCALAR);
    Ok(parts.public)
}

#[test]
fn the_one_public_form() {
    let mut out = [0; SPKI_LEN];
    let der = write_spki(POINT, &mut out).unwrap();
    assert_eq!(der.len(), 91);
    assert_eq!(spki(der), Ok(POINT));
    for place in 0..SPKI_PREFIX.len() {
        for bit in 0..8 {
            let mut changed = der.to_vec();
            changed[place] ^= 1 << bit;
            assert_eq!(spki(&changed), Err(Error::KeyInvalid));
        }
    }
    for len in 0..der.len() {
        assert_eq!(spki(&der[..len]), Err(Error::KeyInvalid));
    }
    assert_eq!(spki(&[der, &[0]].concat()), Err(Error::KeyInvalid));
    assert_eq!(point(&der[26..]), Ok(POINT));
    for form in [0, 2, 3, 5, 6, 7] {
        assert_eq!(point(&[&[form], &der[27..]].concat()), Err(Error::KeyInvalid));
    }
    assert_eq!(point(&[0]), Err(Error::KeyInvalid));
}

#[test]
fn reads_what_it_wrote() {
    let mut out = [0; 256];
    let der = write_pkcs8(&SCALAR, POINT, &mut out).unwrap();
    assert_eq!((der.len(), pkcs8(der).unwrap().public), (138, Some(POINT)));
    assert_eq!(der, outer(0, &inner(None, Some(POINT)), &[]));
    assert!(sec1(der).is_err());
    let der = write_sec1(&SCALAR, POINT, &mut out).unwrap();
    assert_eq!((der.len(), sec1(der).unwrap().public), (121, Some(POINT)));
    assert_eq!(der, inner(Some(&CURVE), Some(POINT)));
    assert!(pkcs8(der).is_err());
    for len in 0..PKCS8_LEN {
        assert_eq!(write_pkcs8(&SCALAR, POINT, &mut out[..len]), Err(Error::BufferTooSmall));
        assert_eq!(write_spki(POINT, &mut out[..len.min(90)]), Err(Error::BufferTooSmall));
        assert_eq!(write_sec1(&SCALAR, POINT, &mut out[..len.min(120)]), Err(Error::BufferTooSmall));
    }
}

#[test]
fn every_form_of_pkcs8() {
    let public = element(CONTEXT_1, &[&public_bits(POINT)]);
    let other = element(CONTEXT_1, &[&public_bits(OTHER)]);
    let (bare, full) = (inner(None, None), inner(None, Some(POINT)));
    assert_eq!(public_of(&outer(0, &bare, &[])), Ok(None));
    assert_eq!(public_of(&outer(0, &inner(Some(&CURVE), None), &[])), Ok(None));
    assert_eq!(public_of(&outer(0, &full, &[])), Ok(Some(POINT)));
    assert_eq!(public_of(&outer(1, &bare, &[&public])), Ok(Some(POINT)));
    assert_eq!(public_of(&outer(1, &full, &[&public])), Ok(Some(POINT)));
    for der in [
        outer(1, &full, &[&other]),
        outer(1, &full, &[]),
        outer(1, &bare, &[]),
        outer(0, &full, &[&public]),
        outer(2, &full, &[]),
        outer(1, &full, &[&public, &public]),
        outer(1, &full, &[&public, &[CONSTRUCTED_0, 0]]),
        outer(0, &full, &[&[NULL, 0]]),
        outer(0, &[&full[..], &[0]].concat(), &[]),
        outer(0, &inner(Some(&[6, 5, 0x2B, 0x81, 4, 0, 10]), Some(POINT)), &[]),
        outer(0, &inner(Some(&[&CURVE[..], &[NULL, 0]].concat()), Some(POINT)), &[]),
        bare.clone(),
        full.clone(),
    ] {
        assert_eq!(public_of(&der), Err(Error::PrivkeyInvalid), "{der:02x?}");
    }
}

#[test]
fn attributes_must_be_der() {
    let with =
        |attributes: &[u8]| public_of(&outer(0, &inner(None, None), &[&element(CONSTRUCTED_0, &[attributes])])).is_ok();
    let attribute = |kind: &[u8], values: &[&[u8]]| element(SEQUENCE, &[&element(6, &[kind]), &element(SET, values)]);
    let value = |value: &[u8]| attribute(&[0x55, 4, 3], &[value]);
    let text: &[u8] = &[UTF8_STRING, 2, 0xC3, 0xA9];
    assert!(with(&[]));
    assert!(with(&value(text)));
    assert!(with(&[value(&[BOOLEAN, 1, 0]), value(&[BOOLEAN, 1, 0xFF])].concat()));
    assert!(with(&attribute(&[0x55, 4, 3], &[&[INTEGER, 1, 1], &[INTEGER, 1, 2]])));
    for good in [
        &[INTEGER, 2, 0, 0x80][..],
        &[INTEGER, 2, 0xFF, 0x7F],
        &[NULL, 0],
        &[BIT_STRING, 1, 0],
        &[BIT_STRING, 2, 4, 0xF0],
        &[SEQUENCE, 2, NULL, 0],
        &[SEQUENCE, 0],
        &[0x80, 1, 0],
        &[0xA3, 2, NULL, 0],
        &[OBJECT_IDENTIFIER, 2, 0x81, 0],
    ] {
        assert!(with(&value(good)), "{good:02x?}");
    }
    for bad in [
        &[BOOLEAN, 1, 1][..],
        &[BOOLEAN, 0],
        &[INTEGER, 0],
        &[INTEGER, 2, 0, 0x7F],
        &[INTEGER, 2, 0xFF, 0x80],
        &[NULL, 1, 0],
        &[BIT_STRING, 0],
        &[BIT_STRING, 1, 1],
        &[BIT_STRING, 2, 4, 0xF8],
        &[BIT_STRING, 2, 8, 0],
        &[SEQUENCE, 1, NULL],
        &[SEQUENCE, 0x80, 0, 0],
        &[SEQUENCE, 0x81, 2, NULL, 0],
        &[0x24, 0],
        &[0x10, 0],
        &[0, 0],
        &[0x1F, 0x1F, 0],
        &[0xA3, 1, 0],
        &[OBJECT_IDENTIFIER, 0],
        &[OBJECT_IDENTIFIER, 1, 0x81],
        &[OBJECT_IDENTIFIER, 2, 0x80, 1],
        &[UTF8_STRING, 1, 0xFF],
        &[SET, 6, INTEGER, 1, 2, INTEGER, 1, 1],
        &[OCTET_STRING, 5, 0],
    ] {
        assert!(!with(&value(bad)), "{bad:02x?}");
    }
    assert!(!with(&attribute(&[0x55, 4, 3], &[])), "no value");
    assert!(!with(&[value(&[BOOLEAN, 1, 0xFF]), value(&[BOOLEAN, 1, 0])].concat()), "not sorted");
    assert!(!with(&element(SET, &[&element(6, &[&[0x55]]), &element(SET, &[text])])), "not a sequence");
    assert!(!with(&element(SEQUENCE, &[&element(SET, &[text])])), "no type");
    assert!(!with(&element(SEQUENCE, &[&element(6, &[&[0x55]]), &element(SET, &[text]), &[NULL, 0]])), "more");
    let nested = |depth: usize| (0..depth).fold(vec![NULL, 0], |inside, _| element(SEQUENCE, &[&inside]));
    assert!(with(&value(&nested(4))));
    assert!(!with(&value(&nested(60))));
}

#[test]
fn sec1_names_its_curve() {
    assert_eq!(public_of(&inner(Some(&CURVE), None)), Ok(None));
    assert_eq!(public_of(&inner(Some(&CURVE), Some(POINT))), Ok(Some(POINT)));
    assert_eq!(public_of(&inner(None, Some(POINT))), Err(Error::PrivkeyInvalid));
    assert_eq!(public_of(&inner(Some(&[6, 5, 0x2B, 0x81, 4, 0, 10]), Some(POINT))), Err(Error::PrivkeyInvalid));
}

#[test]
fn every_flipped_bit_of_the_frame_and_every_cut_is_refused() {
    let bare = outer(1, &inner(Some(&CURVE), Some(POINT)), &[&element(CONTEXT_1, &[&public_bits(POINT)])]);
    let mut out = [0; SEC1_LEN];
    for der in [&bare[..], write_sec1(&SCALAR, POINT, &mut out).unwrap()] {
        assert!(private_key(der).is_ok());
        for (place, byte) in der.iter().enumerate() {
            assert!(private_key(&der[..place]).is_err());
            for bit in 0..8 {
                let mut changed = der.to_vec();
                changed[place] ^= 1 << bit;
                let key = private_key(&changed);
                if !matches!(*byte, 0xD1 | 0xA5 | 0x5A) {
                    assert!(key.is_err(), "{place} {bit}");
                }
            }
        }
        for more in 0..=255 {
            assert!(private_key(&[der, &[more]].concat()).is_err());
        }
    }
}

#[test]
fn long_lengths_are_minimal_and_512_bytes_the_most() {
    let bare = outer(0, &inner(None, None), &[]);
    let long = [&[SEQUENCE, 0x81, bare[1]], &bare[2..]].concat();
    assert!(private_key(&bare).is_ok() && private_key(&long).is_err());
    let filled = |len: usize| {
        let text = vec![b'a'; len];
        let attribute =
            element(SEQUENCE, &[&element(6, &[&[0x55, 4, 3]]), &element(SET, &[&element(UTF8_STRING, &[&text])])]);
        outer(0, &inner(None, None), &[&element(CONSTRUCTED_0, &[&attribute])])
    };
    let most = (300..512).filter(|len| filled(*len).len() <= 512).max().unwrap();
    assert_eq!(filled(most).len(), 512);
    assert!(private_key(&filled(most)).is_ok());
    assert!(private_key(&filled(most + 1)).is_err());
}

#[test]
fn a_scalar_has_32_bytes() {
    for len in [0, 1, 31, 33, 64] {
        let key = element(SEQUENCE, &[&[INTEGER, 1, 1], &element(OCTET_STRING, &[&vec![1; len]])]);
        assert!(pkcs8(&outer(0, &key, &[])).is_err(), "{len}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let der = outer(0, &inner(None, None), &[]);
    assert_eq!(std::format!("{:?}", private_key(&der).unwrap()), "PrivateParts { public: None, .. }");
}
