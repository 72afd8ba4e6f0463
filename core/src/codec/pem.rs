//! Keys as PEM (RFC 7468), the form that OpenSSL writes: lines of 64 characters, LF or CRLF.
//!
//! One block and nothing else: one of three labels, full lines, padding where it belongs, one kind of line end, and DER inside that
//! suits the label. The lines are read by base64ct, so private keys are read in constant time. Written by hand, not with
//! crate `pem-rfc7468`: that one keeps reachable panics (slices in its line reader), and reads any label and any text in front.

use super::{
    base64,
    der::{self, Point, PrivateParts},
    writer::ascii,
};
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

    const ALL: [Self; 3] = [Self::PrivateKey, Self::EcPrivateKey, Self::PublicKey];
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
    let mut at = append(out, 0, &[BEGIN, label.text(), DASHES, "\n"])?;
    for line in der.chunks(LINE_BYTES) {
        let rest = out.get_mut(at..).ok_or(Error::BufferTooSmall)?;
        at = at.saturating_add(base64::encode(line, rest)?.len());
        at = append(out, at, &["\n"])?;
    }
    at = append(out, at, &[END, label.text(), DASHES, "\n"])?;
    ascii(out.get_mut(..at).ok_or(Error::BufferTooSmall)?)
}

/// What OpenSSL writes before a SEC1 key, with either line end: the name of the curve once more.
const PARAMETERS: [&str; 2] = [
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
    "-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n",
];

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Characters of a full line (RFC 7468 section 2).
const LINE_CHARS: usize = 64;
const LINE_BYTES: usize = LINE_CHARS / 4 * 3;

fn decode<'o>(text: &[u8], out: &'o mut [u8], error: Error) -> Result<(Label, &'o [u8]), Error> {
    let block = |(label, eol): (Label, &'static str)| Some((label, eol, body(text, label, eol)?));
    let forms = Label::ALL.into_iter().flat_map(|label| [(label, "\n"), (label, "\r\n")]);
    let (label, eol, body) = forms.into_iter().find_map(block).ok_or(error)?;
    let len = decode_lines(body, eol, out, error)?;
    Ok((label, out.get(..len).ok_or(error)?))
}

/// What stands between the boundaries; the line end behind the last may be missing.
fn body<'a>(text: &'a [u8], label: Label, eol: &str) -> Option<&'a [u8]> {
    let label = label.text().as_bytes();
    let text = text
        .strip_prefix(BEGIN.as_bytes())?
        .strip_prefix(label)?
        .strip_prefix(DASHES.as_bytes())?
        .strip_prefix(eol.as_bytes())?;
    let text = text.strip_suffix(eol.as_bytes()).unwrap_or(text);
    text.strip_suffix(DASHES.as_bytes())?.strip_suffix(label)?.strip_suffix(END.as_bytes())
}

/// Decodes full lines and a last one, each with its line end. Where they end follows from their length alone: no
/// character of a secret is looked at before base64ct does.
fn decode_lines(body: &[u8], eol: &str, out: &mut [u8], error: Error) -> Result<usize, Error> {
    let mut at = 0_usize;
    for line in body.chunks(LINE_CHARS.saturating_add(eol.len())) {
        let line = line.strip_suffix(eol.as_bytes()).filter(|line| !line.is_empty()).ok_or(error)?;
        if !at.is_multiple_of(LINE_BYTES) {
            return Err(error);
        }
        let place = out.get_mut(at..).ok_or(Error::BufferTooSmall)?;
        let bytes = if line.len() == LINE_CHARS {
            base64::decode_secret_whole(line, place)
        } else {
            base64::decode_secret(line, place)
        };
        let bytes = bytes.map_err(|refused| if refused == Error::BufferTooSmall { refused } else { error })?;
        at = at.saturating_add(bytes.len());
    }
    Ok(at)
}

/// Writes the texts from `at` on, and returns where they end.
fn append(out: &mut [u8], at: usize, texts: &[&str]) -> Result<usize, Error> {
    texts.iter().try_fold(at, |at, text| {
        let place = out.get_mut(at..).and_then(|rest| rest.get_mut(..text.len())).ok_or(Error::BufferTooSmall)?;
        place.copy_from_slice(text.as_bytes());
        Ok(at.saturating_add(text.len()))
    })
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
            format!("a remark\n{PKCS8}"),
            PKCS8.replacen('\n', "\r\n", 1),
            PKCS8.replace('\n', "\r"),
            "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".into(),
            "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n".into(),
            "-----BEGIN PRIVATE KEY-----\nMIGH\nMIGH\n-----END PRIVATE KEY-----\n".into(),
            "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n".into(),
            "-----BEGIN PRIVATE KEY-----END PRIVATE KEY-----\n".into(),
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
