//! Keys: a pair that signs, a public key that verifies, and the texts both are written in.

use core::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::codec::{base64, der, hex, pem, writer::Writer};
use crate::curve;
use crate::jose::jwk;
use crate::{Error, spec};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A public key: a point on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    point: curve::Point,
}

impl PublicKey {
    /// The key with these coordinates, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// `KEY_INVALID`: not a point on the curve.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, Error> {
        curve::Point::from_coordinates(x, y).map(|point| Self { point }).ok_or(Error::KeyInvalid)
    }

    /// From the text of a header or manifest: base64 of the 91-byte SPKI, 124 characters (protocol.md section 1).
    ///
    /// # Errors
    /// `KEY_FORMAT`: another length, another prefix, or not strict base64. `KEY_INVALID`: not on the curve.
    pub fn from_text(text: &[u8]) -> Result<Self, Error> {
        let (x, y) = read_coordinates(text)?;
        Self::from_coordinates(&x, &y)
    }

    /// From DER, the one uncompressed SubjectPublicKeyInfo (RFC 5480 section 2), 91 bytes.
    ///
    /// # Errors
    /// `KEY_INVALID`
    pub fn from_spki(bytes: &[u8]) -> Result<Self, Error> {
        let point = der::spki(bytes)?;
        Self::from_coordinates(point.x, point.y)
    }

    /// From PEM, `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// `KEY_INVALID`
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let mut bytes = [0; der::SPKI_LEN];
        let point = pem::public_key(text, &mut bytes).map_err(|_| Error::KeyInvalid)?;
        Self::from_coordinates(point.x, point.y)
    }

    /// The SPKI, 91 bytes of DER.
    #[must_use]
    pub fn to_spki(&self) -> [u8; der::SPKI_LEN] {
        let mut spki = [0; der::SPKI_LEN];
        let (x, y) = self.to_xy();
        // The length is a constant of the format: it always fits.
        let _ = der::write_spki(der::Point { x: &x, y: &y }, &mut spki);
        spki
    }

    fn to_xy(self) -> ([u8; 32], [u8; 32]) {
        let coordinates = self.to_coordinates();
        match coordinates.as_chunks::<32>().0 {
            [x, y] => (*x, *y),
            _ => ([0; 32], [0; 32]),
        }
    }

    /// The text of headers and manifests, 124 characters.
    #[must_use]
    pub fn to_text(&self) -> KeyText {
        let mut text = KeyText([b'='; spec::request::PUBLIC_KEY_LEN]);
        // The length is a constant of the format: it always fits.
        let _ = base64::encode(&self.to_spki(), &mut text.0);
        text
    }

    /// PEM, `-----BEGIN PUBLIC KEY-----`, with newlines; at most 180 bytes.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn to_pem<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        pem::encode(pem::Label::PublicKey, &self.to_spki(), out)
    }

    /// The JWK, `kid` its thumbprint; at most 240 bytes.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn to_jwk<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let mut writer = Writer::new(out);
        jwk::write(self, self.kid().as_str(), &mut writer)?;
        Ok(writer.finish()?.0)
    }

    /// `x || y`, big-endian.
    #[must_use]
    pub fn to_coordinates(&self) -> [u8; 64] {
        self.point.coordinates()
    }

    /// The JWK thumbprint's SHA-256 (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> Digest {
        jwk::thumbprint(self)
    }

    /// The `kid`: the thumbprint in base64url, 43 characters.
    #[must_use]
    pub fn kid(&self) -> Kid {
        Kid::from_thumbprint(&self.thumbprint())
    }

    /// Whether `signature` (`r || s`) is this key's over `digest`. High `s` is accepted (protocol.md section 1).
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`
    pub fn verify(&self, digest: &Digest, signature: &[u8; 64]) -> Result<(), Error> {
        let signature = curve::Signature::from_bytes(signature).ok_or(Error::SignatureInvalid)?;
        checks::count();
        if curve::verify(&self.point, digest, &signature) { Ok(()) } else { Err(Error::SignatureInvalid) }
    }

    pub(crate) fn point(&self) -> &curve::Point {
        &self.point
    }

    pub(crate) fn from_point(point: curve::Point) -> Self {
        Self { point }
    }
}

/// The coordinates in the text of a key, not yet known to be a point.
///
/// # Errors
/// `KEY_FORMAT`
pub(crate) fn read_coordinates(text: &[u8]) -> Result<([u8; 32], [u8; 32]), Error> {
    // Cheap first: most garbage ends here (threats.md 4.1, R7).
    if text.len() != spec::request::PUBLIC_KEY_LEN || !text.starts_with(spec::request::PUBLIC_KEY_PREFIX.as_bytes()) {
        return Err(Error::KeyFormat);
    }
    let mut bytes = [0; der::SPKI_LEN];
    let bytes = base64::decode(text, &mut bytes).map_err(|_| Error::KeyFormat)?;
    let point = der::spki(bytes).map_err(|_| Error::KeyFormat)?;
    Ok((*point.x, *point.y))
}

/// The text of a public key: 124 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText([u8; spec::request::PUBLIC_KEY_LEN]);

impl KeyText {
    pub(crate) fn as_bytes(&self) -> &[u8; spec::request::PUBLIC_KEY_LEN] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A key's name: its RFC 7638 thumbprint, 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kid([u8; Kid::LEN]);

impl Kid {
    /// Characters of a thumbprint.
    pub const LEN: usize = 43;

    fn from_thumbprint(thumbprint: &Digest) -> Self {
        let mut kid = Self([b'A'; Self::LEN]);
        // The length is a constant of the format: it always fits.
        let _ = base64::url_encode(thumbprint, &mut kid.0);
        kid
    }

    /// The thumbprint as words, for caller memory.
    pub(crate) fn to_words(self) -> [u64; 4] {
        let mut thumbprint = [0; 32];
        // The text was made from 32 bytes.
        let _ = base64::url_decode(&self.0, &mut thumbprint);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(thumbprint.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        words
    }

    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        let mut thumbprint = [0; 32];
        for (chunk, word) in thumbprint.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        Self::from_thumbprint(&thumbprint)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a signature's nonce is made and whether the result is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signing<'a> {
    /// 32 fresh random bytes hedge the RFC 6979 nonce (its section 3.6) against faults and a known key;
    /// empty is deterministic. Bad randomness does no harm.
    pub hedge: &'a [u8],
    /// Verify before the signature leaves, so that a fault cannot leak the key (threats.md K3).
    pub check: bool,
}

/// A private key and its public key. Not `Clone`, shows nothing, wiped when dropped.
///
/// Use a key for this protocol only: the payload is JSON without a domain tag (threats.md K7).
pub struct KeyPair {
    secret: curve::SecretScalar,
    public: PublicKey,
}

impl KeyPair {
    /// Words of [`Self::to_words`].
    pub const WORDS: usize = 12;

    /// A new key from 32 random bytes of the caller's: they become the private scalar.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID` once in 2^32: the bytes are zero or not below the group order. Draw others.
    pub fn from_random(random: &[u8; 32]) -> Result<Self, Error> {
        Self::from_scalar(random)
    }

    /// From the private scalar, big-endian (SEC1).
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`: zero, or not below the group order.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, Error> {
        let secret = curve::SecretScalar::from_bytes(scalar).ok_or(Error::PrivkeyInvalid)?;
        let public = PublicKey { point: secret.public() };
        Ok(Self { secret, public })
    }

    /// From DER: PKCS#8 or SEC1 `ECPrivateKey`, at most 512 bytes. A public part, if there is one, must match.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let parts = der::private_key(bytes)?;
        Self::from_parts(parts.scalar, parts.public.map(|public| (public.x, public.y)))
    }

    /// From text: base64 of PKCS#8 as in `IMAGXP_PRIVATE_KEY`, PEM (`PRIVATE KEY`, `EC PRIVATE KEY`), a JWK with `d`,
    /// or 64 hex digits of the scalar.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`
    pub fn from_text(text: &[u8]) -> Result<Self, Error> {
        let text = trim(text);
        if text.len() == SCALAR_DIGITS {
            let mut scalar = Zeroizing::new([0; 32]);
            hex::decode(text, &mut *scalar).map_err(|_| Error::PrivkeyInvalid)?;
            return Self::from_scalar(&scalar);
        }
        if text.starts_with(b"{") {
            let jwk = jwk::read_private(text)?;
            return Self::from_parts(&jwk.scalar, Some((&jwk.x, &jwk.y)));
        }
        let mut bytes = Zeroizing::new([0; spec::document::PRIVATE_KEY_MAX]);
        if text.starts_with(b"-----") {
            let parts = pem::private_key(text, &mut *bytes).map_err(|_| Error::PrivkeyInvalid)?;
            return Self::from_parts(parts.scalar, parts.public.map(|public| (public.x, public.y)));
        }
        Self::from_der(base64::decode_secret(text, &mut *bytes).map_err(|_| Error::PrivkeyInvalid)?)
    }

    /// A public part, if there is one, must be the scalar's.
    fn from_parts(scalar: &[u8; 32], public: Option<(&[u8; 32], &[u8; 32])>) -> Result<Self, Error> {
        let pair = Self::from_scalar(scalar)?;
        match public {
            Some((x, y)) if PublicKey::from_coordinates(x, y) != Ok(pair.public) => Err(Error::PrivkeyInvalid),
            _ => Ok(pair),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private scalar, big-endian; wiped when dropped.
    #[must_use]
    pub fn to_scalar(&self) -> Zeroizing<[u8; 32]> {
        self.secret.to_bytes()
    }

    /// PKCS#8 with the public part, 138 bytes of DER, as WebCrypto writes it.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<[u8; der::PKCS8_LEN]> {
        let mut pkcs8 = Zeroizing::new([0; der::PKCS8_LEN]);
        let (x, y) = self.public.to_xy();
        // The length is a constant of the format: it always fits.
        let _ = der::write_pkcs8(&self.to_scalar(), der::Point { x: &x, y: &y }, &mut *pkcs8);
        pkcs8
    }

    /// Base64 of PKCS#8, 184 characters: the form of `IMAGXP_PRIVATE_KEY`.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn to_text<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        base64::encode(&*self.to_pkcs8(), out)
    }

    /// PEM, `-----BEGIN PRIVATE KEY-----`; at most 260 bytes.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn to_pem<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        pem::encode(pem::Label::PrivateKey, &*self.to_pkcs8(), out)
    }

    /// The JWK with `d`; at most 240 bytes.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn to_jwk<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Error> {
        let mut writer = Writer::new(out);
        jwk::write_private(self, &mut writer)?;
        writer.finish_secret()
    }

    /// The pair as words, for memory of the caller's (the C ABI): scalar, then point; wiped when dropped. The form is
    /// this build's own: to keep a key, use [`Self::to_text`] or its like.
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<[u64; Self::WORDS]> {
        let mut words = Zeroizing::new([0; Self::WORDS]);
        let scalar = self.to_scalar();
        let (place, point) = words.split_at_mut(4);
        for (word, bytes) in place.iter_mut().zip(scalar.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        point.copy_from_slice(&self.public.point.to_words());
        words
    }

    /// The pair of [`Self::to_words`]. The public half is taken as it is, not computed anew.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`: the words are not a scalar and a point.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Result<Self, Error> {
        let (scalar_words, point) = words.split_at(4);
        let mut scalar = Zeroizing::new([0; 32]);
        for (bytes, word) in scalar.as_chunks_mut::<8>().0.iter_mut().zip(scalar_words) {
            *bytes = word.to_le_bytes();
        }
        let secret = curve::SecretScalar::from_bytes(&scalar).ok_or(Error::PrivkeyInvalid)?;
        let point = point.first_chunk().and_then(curve::Point::from_words).ok_or(Error::PrivkeyInvalid)?;
        Ok(Self { secret, public: PublicKey { point } })
    }

    /// Signs a digest: `r || s`, deterministic as RFC 6979 says, or hedged.
    ///
    /// # Errors
    /// `SIGN_FAULT`: the check was asked for, and failed.
    pub fn sign(&self, digest: &Digest, signing: Signing<'_>) -> Result<[u8; 64], Error> {
        let signature = self.secret.sign(digest, signing.hedge);
        if signing.check && !curve::verify(&self.public.point, digest, &signature) {
            return Err(Error::SignFault);
        }
        Ok(signature.to_bytes())
    }
}

/// Hex digits of a scalar. Every other text of a key is longer.
const SCALAR_DIGITS: usize = hex::encoded_len(32);

/// The text without the white space around it. In hex all characters are secret: with that length none is looked at.
fn trim(mut text: &[u8]) -> &[u8] {
    while text.len() > SCALAR_DIGITS {
        text = match text {
            [rest @ .., last] if last.is_ascii_whitespace() => rest,
            [first, rest @ ..] if first.is_ascii_whitespace() => rest,
            _ => break,
        };
    }
    text
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public.kid().as_str())
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// SHA-256 of several parts, each behind its length, so that no two lists of parts read alike.
#[must_use]
pub fn sha256_of(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Counts signature checks for the test-suite: the order of checks is a promise (threats.md section 5).
#[doc(hidden)]
pub mod checks {
    #[cfg(feature = "count-checks")]
    use core::sync::atomic::{AtomicU64, Ordering};

    #[cfg(feature = "count-checks")]
    static CHECKS: AtomicU64 = AtomicU64::new(0);

    pub(crate) fn count() {
        #[cfg(feature = "count-checks")]
        CHECKS.fetch_add(1, Ordering::Relaxed);
    }

    /// How many signature checks this process has made.
    #[cfg(feature = "count-checks")]
    pub fn counted() -> u64 {
        CHECKS.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{format, string::String};

    /// RFC 6979 A.2.5.
    const HEX: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";

    fn reads(text: &str) -> bool {
        let pair = KeyPair::from_text(text.as_bytes());
        assert!(pair.is_ok() || pair.is_err_and(|error| error == Error::PrivkeyInvalid));
        KeyPair::from_text(text.as_bytes()).is_ok_and(|pair| hex::encode(&*pair.to_scalar(), &mut [0; 64]) == Ok(HEX))
    }

    fn jwk(replace: &str, by: &str) -> String {
        let mut out = [0; 240];
        let text = KeyPair::from_text(HEX.as_bytes()).unwrap();
        let text = text.to_jwk(&mut out).unwrap();
        assert!(text.contains(replace), "{replace}");
        text.replace(replace, by)
    }

    #[test]
    fn white_space_around_a_key_is_passed_over() {
        let mut out = [0; 260];
        let pair = KeyPair::from_text(HEX.as_bytes()).unwrap();
        for text in [HEX, pair.to_text(&mut [0; 184]).unwrap(), pair.to_pem(&mut out).unwrap(), &jwk("{", "{")] {
            for (before, behind) in [("", ""), ("", "\n"), ("\n", ""), (" \t", "\r\n\n"), ("  ", "\n")] {
                assert!(reads(&format!("{before}{text}{behind}")), "{before:?} {text} {behind:?}");
            }
        }
        assert!(!reads(&HEX[1..]) && !reads(&format!("{HEX}0")) && !reads(&format!("{} ", &HEX[1..])));
        assert!(!reads("") && !reads(" ") && !reads(&" ".repeat(64)) && !reads(&" ".repeat(600)));
    }

    #[test]
    fn d_of_a_jwk_is_found_wherever_it_is() {
        const D: &str = "\"d\":\"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE\"";
        assert!(reads(&jwk("{", "{")));
        assert!(reads(&jwk(D, &D.replace(':', " \n:\t "))));
        assert!(reads(&jwk("{", "{\"kid\":\"d\",\"use\":\"sig\",\"key_ops\":[\"d\",\"sign\"],")));
        assert!(reads(&format!("{{{D},{}", &jwk(&format!(",{D}"), "")[1..])));
        assert!(reads(&jwk("{", &format!("{{\"x5c\":[\"{}\"],", "A".repeat(1_700)))));
        // Not there, twice, within another value, with escapes, too short, too long, not base64url, not text.
        for by in [
            "\"e\":1",
            &format!("{D},{D}"),
            &format!("\"a\":{{{D}}}"),
            &format!("\"a\\\"d\":\"{}", &D[5..]),
            &D.replace("\"ya", "\"\\u0079a"),
            &D.replace("\"ya", "\"a"),
            &D.replace("\"ya", "\"yya"),
            &D.replace("\"ya", "\"\u{7f}a"),
            &format!("\"d\":\"{}\"", "\u{7f}".repeat(43)),
            "\"d\":1",
            "\"d\"",
            "\"d\":",
            "\"d\":\"",
        ] {
            assert!(!reads(&jwk(D, by)), "{by}");
        }
        assert!(!reads("{\"d\":\"") && !reads("{\"d\"") && !reads(&format!("{{{}}}", " ".repeat(4_000))));
    }
}
