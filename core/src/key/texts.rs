//! The texts that keys are written in: SPKI, PKCS#8, SEC1, PEM, JWK, base64, hexadecimal (protocol.md section 1).

use core::fmt;

use zeroize::Zeroizing;

use super::{KeyPair, PublicKey};
use crate::codec::{base64, der, hex, pem, writer::Writer};
use crate::jose::jwk;
use crate::{Error, spec};

impl PublicKey {
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

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl KeyPair {
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
