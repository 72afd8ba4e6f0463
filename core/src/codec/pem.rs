//! Keys as PEM (RFC 7468), the form that OpenSSL writes: lines of 64 characters, LF or CRLF.
//!
//! Crate `pem-rfc7468` does the work: no allocation, constant-time in the text between the boundaries, strict in lines and
//! padding. What it leaves open is settled here: three labels, one block, and DER inside that suits the label.

use pem_rfc7468::LineEnding;

use super::der::{self, Point, PrivateParts};
use crate::Error;

/// What a PEM block says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// `PRIVATE KEY`: PKCS#8 (RFC 7468 section 10).
    PrivateKey,
    /// `EC PRIVATE KEY`: SEC1 (RFC 5915 section 4).
    EcPrivateKey,
    /// `PUBLIC KEY`: SubjectPublicKeyInfo (RFC 7468 section 13).
    PublicKey,
}

impl Label {
    /// The label as it stands in the boundaries.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PrivateKey => "PRIVATE KEY",
            Self::EcPrivateKey => "EC PRIVATE KEY",
            Self::PublicKey => "PUBLIC KEY",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::PrivateKey, Self::EcPrivateKey, Self::PublicKey].into_iter().find(|label| label.text() == text)
    }
}

/// Reads a private key, in constant time for a given length. `out` takes the DER (512 bytes are enough for every key that is
/// read) and the parts are views into it: the caller wipes it after use, and after a refusal, too.
///
/// The block `EC PARAMETERS` that `openssl ecparam -genkey` puts in front is passed over if it names P-256.
///
/// # Errors
/// `PRIVKEY_INVALID` if it is not one PEM block with the DER that its label promises, `BUFFER_TOO_SMALL`.
pub fn private_key<'o>(text: &[u8], out: &'o mut [u8]) -> Result<PrivateParts<'o>, Error> {
    let text = PARAMETERS.iter().find_map(|block| text.strip_prefix(block.as_bytes())).unwrap_or(text);
    match decode(text, out, Error::PrivkeyInvalid)? {
        (Label::PrivateKey, der) => der::pkcs8(der),
        (Label::EcPrivateKey, der) => der::sec1(der),
        (Label::PublicKey, _) => Err(Error::PrivkeyInvalid),
    }
}

/// Reads a public key; `out` takes its [`der::SPKI_LEN`] bytes of DER and the point is a view into it.
///
/// # Errors
/// `KEY_INVALID` if it is not one PEM block `PUBLIC KEY` with the one form of SubjectPublicKeyInfo, `BUFFER_TOO_SMALL`.
pub fn public_key<'o>(text: &[u8], out: &'o mut [u8]) -> Result<Point<'o>, Error> {
    match decode(text, out, Error::KeyInvalid)? {
        (Label::PublicKey, der) => der::spki(der),
        _ => Err(Error::KeyInvalid),
    }
}

/// Writes `der` as PEM with LF line ends, in constant time for a given length, and returns it, a view into `out`.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn encode<'o>(label: Label, der: &[u8], out: &'o mut [u8]) -> Result<&'o str, Error> {
    pem_rfc7468::encode(label.text(), LineEnding::LF, der, out).map_err(|_| Error::BufferTooSmall)
}

/// What OpenSSL writes before a SEC1 key, with either line end: the name of the curve once more.
const PARAMETERS: [&str; 2] = [
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
    "-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n",
];

fn decode<'o>(text: &[u8], out: &'o mut [u8], error: Error) -> Result<(Label, &'o [u8]), Error> {
    let (label, der) = pem_rfc7468::decode(text, out).map_err(|refused| match refused {
        pem_rfc7468::Error::Length => Error::BufferTooSmall,
        _ => error,
    })?;
    Ok((Label::from_text(label).ok_or(error)?, der))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by OpenSSL 3.0 for the test key of RFC 6979 A.2.5.
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX\n\
        Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth\n\
        +mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ\n\
        -----END PRIVATE KEY-----\n";
    const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\n\
        MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n\
        AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n\
        maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n\
        -----END EC PRIVATE KEY-----\n";
    const SPKI: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n\
        Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n\
        -----END PUBLIC KEY-----\n";
    const SCALAR_START: [u8; 4] = [0xC9, 0xAF, 0xA9, 0xD8];
    const X_START: [u8; 4] = [0x60, 0xFE, 0xD4, 0xBA];

    fn read(text: &str) -> Result<([u8; 32], Option<[u8; 32]>), Error> {
        let mut out = [0; 512];
        private_key(text.as_bytes(), &mut out).map(|parts| (*parts.scalar, parts.public.map(|public| *public.x)))
    }

    #[test]
    fn reads_and_writes_what_openssl_writes() {
        let (mut out, mut der, mut text) = ([0; 512], [0; 512], [0; 512]);
        for (pem, label) in [(PKCS8, Label::PrivateKey), (SEC1, Label::EcPrivateKey)] {
            let parts = private_key(pem.as_bytes(), &mut out).unwrap();
            let public = parts.public.unwrap();
            assert!(parts.scalar.starts_with(&SCALAR_START) && public.x.starts_with(&X_START));
            let der = match label {
                Label::PrivateKey => der::write_pkcs8(parts.scalar, public, &mut der),
                _ => der::write_sec1(parts.scalar, public, &mut der),
            };
            assert_eq!(encode(label, der.unwrap(), &mut text), Ok(pem));
        }
        let public = public_key(SPKI.as_bytes(), &mut out).unwrap();
        assert!(public.x.starts_with(&X_START));
        assert_eq!(encode(Label::PublicKey, der::write_spki(public, &mut der).unwrap(), &mut text), Ok(SPKI));
    }

    #[test]
    fn line_ends_and_parameters() {
        extern crate std;
        use std::{format, string::String};
        let crlf = |text: &str| -> String { text.replace('\n', "\r\n") };
        for text in [PKCS8, SEC1] {
            let expected = read(text);
            assert!(expected.is_ok());
            assert_eq!(read(&crlf(text)), expected);
            assert_eq!(read(text.trim_end()), expected);
            assert_eq!(read(&format!("{}{text}", PARAMETERS[0])), expected);
            assert_eq!(read(&format!("{}{}", PARAMETERS[1], crlf(text))), expected);
            assert_eq!(read(&format!("a remark\n{text}")), expected);
        }
    }

    #[test]
    fn refuses() {
        extern crate std;
        use std::{format, string::String, vec::Vec};
        let other_curve = PARAMETERS[0].replace("BggqhkjOPQMBBw==", "BgUrgQQACg==");
        let one_line = |text: &str| -> String {
            let lines: Vec<&str> = text.lines().collect();
            format!("{}\n{}\n{}\n", lines[0], lines[1..lines.len() - 1].concat(), lines[lines.len() - 1])
        };
        for text in [
            String::new(),
            SPKI.into(),
            PKCS8.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            SEC1.replace("EC PRIVATE KEY", "PRIVATE KEY"),
            PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            PKCS8.replace("END PRIVATE KEY", "END EC PRIVATE KEY"),
            PKCS8.replace("\n", " \n"),
            one_line(PKCS8),
            format!("{PKCS8}{PKCS8}"),
            format!("{other_curve}{SEC1}"),
            format!("{PKCS8}\n"),
            format!(" {PKCS8}"),
        ] {
            assert_eq!(read(&text), Err(Error::PrivkeyInvalid), "{text}");
        }
        let mut out = [0; 512];
        assert_eq!(public_key(PKCS8.as_bytes(), &mut out), Err(Error::KeyInvalid));
        assert_eq!(public_key(SPKI.replace("AQYI", "AQYJ").as_bytes(), &mut out), Err(Error::KeyInvalid));
    }

    #[test]
    fn every_short_buffer_is_said() {
        let (mut out, mut text) = ([0; 512], [0; 512]);
        for len in 0..der::PKCS8_LEN {
            assert_eq!(private_key(PKCS8.as_bytes(), &mut out[..len]).err(), Some(Error::BufferTooSmall));
        }
        for len in 0..der::SPKI_LEN {
            assert_eq!(public_key(SPKI.as_bytes(), &mut out[..len]), Err(Error::BufferTooSmall));
        }
        for len in 0..PKCS8.len() {
            assert_eq!(encode(Label::PrivateKey, &[7; der::PKCS8_LEN], &mut text[..len]), Err(Error::BufferTooSmall));
        }
    }
}
