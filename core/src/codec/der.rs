//! The few DER structures that hold a P-256 key: SubjectPublicKeyInfo, PKCS#8 and SEC1 `ECPrivateKey`.
//!
//! Written by hand, not with crates `pkcs8`, `sec1` and `der`, because one strictness is wanted and theirs is another: they read any
//! curve, any attribute and compressed points, and sort out later. Here what is not exactly a P-256 key in DER is refused:
//! minimal lengths, nothing behind the end, 32-byte scalars, uncompressed points (X.690 sections 8, 10 and 11).
//!
//! Readers copy nothing: they give back views of the caller's bytes, so a secret stays in the one place that its owner wipes.
//! No branch or index depends on the scalar's bytes. Whether `1 <= d < n`, whether a point is on the curve, and whether the two
//! belong together is for the caller: this file knows no arithmetic.

use core::fmt;

use crate::{Error, spec::document::PRIVATE_KEY_MAX};

/// Bytes of a [`spki`].
pub const SPKI_LEN: usize = SPKI_PREFIX.len() + 64;
/// Bytes that [`write_pkcs8`] writes.
pub const PKCS8_LEN: usize = PKCS8_PREFIX.len() + 32 + PUBLIC_PREFIX.len() + 64;
/// Bytes that [`write_sec1`] writes.
pub const SEC1_LEN: usize = SEC1_PREFIX.len() + 32 + SEC1_PARAMETERS.len() + PUBLIC_PREFIX.len() + 64;

/// The coordinates of a point as they were encoded, big-endian. Nobody has checked yet that it is on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Horizontal.
    pub x: &'a [u8; 32],
    /// Vertical.
    pub y: &'a [u8; 32],
}

/// What a private-key file holds: views of the DER that was read. Nobody has checked yet that the parts make a key.
#[derive(Clone, Copy)]
pub struct PrivateParts<'a> {
    /// `d`, big-endian.
    pub scalar: &'a [u8; 32],
    /// The public part, where the file has one.
    pub public: Option<Point<'a>>,
}

impl fmt::Debug for PrivateParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateParts").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Reads the one form of a public key: 91 bytes, `id-ecPublicKey`, named curve, uncompressed (RFC 5480).
///
/// # Errors
/// `KEY_INVALID` for anything else.
pub fn spki(der: &[u8]) -> Result<Point<'_>, Error> {
    der.strip_prefix(&SPKI_PREFIX).and_then(coordinates).ok_or(Error::KeyInvalid)
}

/// Reads an uncompressed SEC1 point: 65 bytes, `04 || x || y` (SEC 1 section 2.3.4).
///
/// # Errors
/// `KEY_INVALID` for anything else.
pub fn point(sec1: &[u8]) -> Result<Point<'_>, Error> {
    uncompressed(sec1).ok_or(Error::KeyInvalid)
}

/// Reads a private key of at most 512 bytes that is either of [`pkcs8()`] and [`sec1()`]. Constant-time in the scalar.
///
/// # Errors
/// `PRIVKEY_INVALID`
pub fn private_key(der: &[u8]) -> Result<PrivateParts<'_>, Error> {
    pkcs8(der).or_else(|_| sec1(der))
}

/// Reads PKCS#8 of at most 512 bytes: `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5958), with or without a public part in
/// either of the two places (if in both, the same). Attributes must be DER and are ignored. Constant-time in the scalar.
///
/// # Errors
/// `PRIVKEY_INVALID`
pub fn pkcs8(der: &[u8]) -> Result<PrivateParts<'_>, Error> {
    bounded(der).and_then(one_asymmetric_key).ok_or(Error::PrivkeyInvalid)
}

/// Reads a SEC1 `ECPrivateKey` of at most 512 bytes (RFC 5915), with or without a public part. It must name the curve:
/// 32 bytes may be a key of many. Constant-time in the scalar.
///
/// # Errors
/// `PRIVKEY_INVALID`
pub fn sec1(der: &[u8]) -> Result<PrivateParts<'_>, Error> {
    bounded(der).and_then(|der| ec_private_key(der, true)).ok_or(Error::PrivkeyInvalid)
}

/// Writes the SubjectPublicKeyInfo of a point, [`SPKI_LEN`] bytes, and returns it, a view into `out`.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write_spki<'o>(public: Point<'_>, out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    write(&[&SPKI_PREFIX, public.x, public.y], out)
}

/// Writes PKCS#8 with its public part, [`PKCS8_LEN`] bytes, byte for byte as WebCrypto and OpenSSL do.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write_pkcs8<'o>(scalar: &[u8; 32], public: Point<'_>, out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    write(&[&PKCS8_PREFIX, scalar, &PUBLIC_PREFIX, public.x, public.y], out)
}

/// Writes a SEC1 `ECPrivateKey` with curve and public part, [`SEC1_LEN`] bytes, byte for byte as OpenSSL does.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write_sec1<'o>(scalar: &[u8; 32], public: Point<'_>, out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    write(&[&SEC1_PREFIX, scalar, &SEC1_PARAMETERS, &PUBLIC_PREFIX, public.x, public.y], out)
}

// X.690 section 8.1.2, X.680 section 8.4.
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const ENUMERATED: u8 = 0x0A;
const UTF8_STRING: u8 = 0x0C;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_1: u8 = 0x81;
const CONSTRUCTED_0: u8 = 0xA0;
const CONSTRUCTED_1: u8 = 0xA1;

/// The algorithm of every key here: `SEQUENCE { id-ecPublicKey, prime256v1 }` (RFC 5480 section 2.1.1).
const ALGORITHM: [u8; 21] =
    [0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
/// `prime256v1` (RFC 5480 section 2.1.1.1).
const CURVE: [u8; 10] = [6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

/// All of a SubjectPublicKeyInfo before x.
const SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7, 3,
    0x42, 0, 4,
];
/// All of a PKCS#8 before the scalar, when [`PUBLIC_PREFIX`] and a point follow.
const PKCS8_PREFIX: [u8; 36] = [
    0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 3, 1, 7, 4, 0x6D, 0x30, 0x6B, 2, 1, 1, 4, 0x20,
];
/// All of an `ECPrivateKey` before the scalar, when parameters and a point follow.
const SEC1_PREFIX: [u8; 7] = [0x30, 0x77, 2, 1, 1, 4, 0x20];
/// Its parameters: `[0] EXPLICIT prime256v1`.
const SEC1_PARAMETERS: [u8; 12] = [0xA0, 10, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
/// `[1] EXPLICIT BIT STRING` before x.
const PUBLIC_PREFIX: [u8; 6] = [0xA1, 0x44, 3, 0x42, 0, 4];

fn bounded(der: &[u8]) -> Option<&[u8]> {
    (der.len() <= PRIVATE_KEY_MAX).then_some(der)
}

/// RFC 5958 section 2.
fn one_asymmetric_key(der: &[u8]) -> Option<PrivateParts<'_>> {
    let mut key = Reader::only(der, SEQUENCE)?;
    let version = match key.expect(INTEGER)? {
        [version @ 0..=1] => *version,
        _ => return None,
    };
    key.exactly(&ALGORITHM)?;
    let inner = ec_private_key(key.expect(OCTET_STRING)?, false)?;
    if let Some(attributes) = key.optional(CONSTRUCTED_0)? {
        is_attributes(attributes).then_some(())?;
    }
    // The second version is the one with a public part here.
    let public = match version {
        0 => inner.public,
        _ => Some(bit_string_point(key.expect(CONTEXT_1)?)?),
    };
    key.end()?;
    (inner.public.is_none() || inner.public == public).then_some(PrivateParts { public, ..inner })
}

/// RFC 5915 section 3. The parameters may only be left out inside PKCS#8, which names the curve itself.
fn ec_private_key(der: &[u8], needs_parameters: bool) -> Option<PrivateParts<'_>> {
    let mut key = Reader::only(der, SEQUENCE)?;
    key.exactly(&[INTEGER, 1, 1])?;
    let scalar = key.expect(OCTET_STRING)?.try_into().ok()?;
    match key.optional(CONSTRUCTED_0)? {
        Some(parameters) => (parameters == CURVE).then_some(())?,
        None => (!needs_parameters).then_some(())?,
    }
    let public = match key.optional(CONSTRUCTED_1)? {
        Some(public) => {
            let mut public = Reader(public);
            let point = bit_string_point(public.expect(BIT_STRING)?)?;
            public.end()?;
            Some(point)
        }
        None => None,
    };
    key.end()?;
    Some(PrivateParts { scalar, public })
}

/// The content of a BIT STRING without unused bits that holds a point.
fn bit_string_point(content: &[u8]) -> Option<Point<'_>> {
    content.strip_prefix(&[0]).and_then(uncompressed)
}

fn uncompressed(sec1: &[u8]) -> Option<Point<'_>> {
    sec1.strip_prefix(&[4]).and_then(coordinates)
}

fn coordinates(bytes: &[u8]) -> Option<Point<'_>> {
    let (x, y) = bytes.split_first_chunk()?;
    Some(Point { x, y: y.try_into().ok()? })
}

/// Whether this is the content of a `SET OF Attribute` (RFC 5958 section 2, X.501 section 8.2): each a type and at least one value.
fn is_attributes(content: &[u8]) -> bool {
    let mut attributes = Reader(content);
    while let Some((tag, attribute)) = attributes.element() {
        let mut attribute = Reader(attribute);
        let kind = attribute.expect(OBJECT_IDENTIFIER).is_some();
        let values = attribute.expect(SET).is_some_and(|values| !values.is_empty());
        if tag != SEQUENCE || !kind || !values || attribute.end().is_none() {
            return false;
        }
    }
    is_value(SET, content, ATTRIBUTE_DEPTH)
}

/// How deep attributes may nest.
const ATTRIBUTE_DEPTH: u32 = 8;

/// Whether an element that nobody needs to understand is at least DER.
fn is_value(tag: u8, content: &[u8], depth: u32) -> bool {
    match (tag, content) {
        (BOOLEAN, content) => matches!(content, [0 | 0xFF]),
        (INTEGER | ENUMERATED, [0, next, ..]) => *next >= 0x80,
        (INTEGER | ENUMERATED, [0xFF, next, ..]) => *next < 0x80,
        (INTEGER | ENUMERATED, content) => !content.is_empty(),
        (BIT_STRING, [unused]) => *unused == 0,
        (BIT_STRING, [unused @ 0..=7, .., last]) => last.trailing_zeros() >= u32::from(*unused),
        (BIT_STRING, _) => false,
        (NULL, content) => content.is_empty(),
        (OBJECT_IDENTIFIER, content) => is_object_identifier(content),
        (UTF8_STRING, content) => core::str::from_utf8(content).is_ok(),
        (SEQUENCE, content) => depth > 0 && are_values(content, false, depth),
        (SET, content) => depth > 0 && are_values(content, true, depth),
        // The other universal types: end-of-contents, constructed strings and the like have no place in DER.
        (0 | 0x10 | 0x11 | 0x20..=0x3F, _) => false,
        (0x01..=0x1E, _) => true,
        // Application, context and private classes: bit 6 says that there are elements inside.
        (tag, content) => tag & 0x20 == 0 || depth > 0 && are_values(content, false, depth),
    }
}

/// Whether `content` is a row of DER elements, in ascending order of their bytes if `sorted` (X.690 section 11.6).
fn are_values(content: &[u8], sorted: bool, depth: u32) -> bool {
    let mut reader = Reader(content);
    let mut before: &[u8] = &[];
    while !reader.0.is_empty() {
        let start = reader.0;
        let Some((tag, inside)) = reader.element() else { return false };
        let this = start.strip_suffix(reader.0).unwrap_or(start);
        if sorted && before > this || !is_value(tag, inside, depth.saturating_sub(1)) {
            return false;
        }
        before = this;
    }
    true
}

/// X.690 section 8.19: every number minimal and complete.
fn is_object_identifier(content: &[u8]) -> bool {
    let mut first = true;
    for byte in content {
        if first && *byte == 0x80 {
            return false;
        }
        first = *byte < 0x80;
    }
    first && !content.is_empty()
}

/// DER elements, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Inside the one element, with this tag, that `der` is.
    fn only(der: &'a [u8], tag: u8) -> Option<Self> {
        let mut reader = Self(der);
        let content = reader.expect(tag)?;
        reader.end()?;
        Some(Self(content))
    }

    /// The next element: its one-byte tag and its content. `None`: there is none, or it is not DER.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, len, rest) = match self.0 {
            // Tags of more than one byte (X.690 section 8.1.2.4) are in no key.
            [tag, ..] if tag & 0x1F == 0x1F => return None,
            [tag, len @ 0..=0x7F, rest @ ..] => (*tag, usize::from(*len), rest),
            [tag, 0x81, len @ 0x80..=0xFF, rest @ ..] => (*tag, usize::from(*len), rest),
            [tag, 0x82, high @ 1..=0xFF, low, rest @ ..] => {
                (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which must have this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.0 == tag).map(|element| element.1)
    }

    /// The content of the next element if it has this tag; three things, for it may have the tag and not be DER (`None`).
    fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    /// The next bytes must be these.
    fn exactly(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn write<'o>(parts: &[&[u8]], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let out = out.get_mut(..len).ok_or(Error::BufferTooSmall)?;
    let bytes = parts.iter().flat_map(|part| part.iter());
    out.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    Ok(out)
}

#[cfg(test)]
mod tests;
