//! Compact JWS, ES256 only (RFC 7515 section 7.1), with the bounds of threats.md 4.4.

use sha2::{Digest as _, Sha256};

use crate::codec::base64;
use crate::codec::json::{Document, Kind, Limits, Node};
use crate::codec::json_text::Text;
use crate::codec::writer::Writer;
use crate::key::{Digest, KeyPair, Signing, sha256};
use crate::{Error, spec};

/// A token in its parts. Nothing of it is verified.
#[derive(Clone, Copy, Debug)]
pub struct Token<'t> {
    header: &'t [u8],
    claims: &'t [u8],
    signature: [u8; 64],
    signed: &'t [u8],
}

/// The decoded header of a token, as far as a verifier cares.
#[derive(Clone, Copy, Debug)]
pub struct Header<'m> {
    /// Which key; none if the token does not say.
    pub kid: Option<&'m str>,
}

/// Bytes that the decoded claims of the largest token take.
pub const CLAIMS_MAX: usize = spec::jwt::PAYLOAD_MAX / 4 * 3;
/// Bytes that the decoded header of the largest token takes.
const HEADER_MAX: usize = spec::jwt::HEADER_MAX / 4 * 3;

impl<'t> Token<'t> {
    /// Takes a token apart, from both ends: the header ends at the first dot, the signature has its one length, and
    /// between them there is no third dot. Nothing is split into a list of unknown length (CVE-2025-30204).
    ///
    /// # Errors
    /// `JWT_TOO_LARGE`, `JWT_FORMAT`
    pub fn parse(text: &'t [u8]) -> Result<Self, Error> {
        if text.len() > spec::request::JWT_MAX {
            return Err(Error::JwtTooLarge);
        }
        Self::from_parts(text).ok_or(Error::JwtFormat)
    }

    fn from_parts(text: &'t [u8]) -> Option<Self> {
        let (signed, signature) = text.split_at_checked(text.len().checked_sub(spec::jwt::SIGNATURE_LEN)?)?;
        let signed = signed.strip_suffix(b".")?;
        let start = signed.get(..signed.len().min(spec::jwt::HEADER_MAX.saturating_add(1)))?;
        let (header, claims) = signed.split_at_checked(start.iter().position(|byte| *byte == b'.')?)?;
        let claims = claims.get(1..)?;
        // Without an early end, so that compilers make vector code of it.
        let dotless = claims.iter().fold(true, |dotless, byte| dotless & (*byte != b'.'));
        let good = dotless && !header.is_empty() && (1..=spec::jwt::PAYLOAD_MAX).contains(&claims.len());
        let signature = signature_of(signature).filter(|_| good)?;
        Some(Self { header, claims, signature, signed })
    }

    /// Reads the header; `types` are the `typ` values that are good here besides an absent one.
    ///
    /// # Errors
    /// `JWT_FORMAT` (base64url), `JWT_HEADER`, `JWT_ALG`
    pub fn header<'m>(&self, types: &[&str], memory: &'m mut [u8; spec::jwt::KID_MAX]) -> Result<Header<'m>, Error> {
        let mut json = [0; HEADER_MAX];
        let json = base64::url_decode(self.header, &mut json).map_err(|_| Error::JwtFormat)?;
        let mut nodes = [Node::default(); 40];
        let document = Document::parse(json, &Limits::JWT_HEADER, &mut nodes).map_err(|_| Error::JwtHeader)?;
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Error::JwtHeader);
        }
        if !root.get("alg").and_then(|alg| alg.as_text()).is_some_and(|alg| alg == *spec::ALG) {
            return Err(Error::JwtAlg);
        }
        let typ_good =
            root.get("typ").is_none_or(|typ| typ.as_text().is_some_and(|typ| types.iter().any(|known| typ == **known)));
        if !typ_good || spec::jwt::REFUSED.iter().any(|name| root.get(name).is_some()) {
            return Err(Error::JwtHeader);
        }
        let Some(kid) = root.get("kid") else { return Ok(Header { kid: None }) };
        let kid = kid.as_text().ok_or(Error::JwtHeader)?;
        Ok(Header { kid: Some(copy(kid, memory).filter(|kid| !kid.is_empty()).ok_or(Error::JwtHeader)?) })
    }

    /// Decodes the claims.
    ///
    /// # Errors
    /// `JWT_FORMAT`
    pub fn claims<'m>(&self, memory: &'m mut [u8; CLAIMS_MAX]) -> Result<&'m [u8], Error> {
        base64::url_decode(self.claims, memory).map_err(|_| Error::JwtFormat)
    }

    /// What was signed: the SHA-256 of the first two parts.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.signed)
    }

    /// `r || s`
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

/// The signature of what may be a token, if it ends like one. Nothing else of it is looked at.
pub(crate) fn signature_of(text: &[u8]) -> Option<[u8; 64]> {
    let (_, signature) = text.split_at_checked(text.len().checked_sub(spec::jwt::SIGNATURE_LEN)?)?;
    let mut bytes = [0; 64];
    base64::url_decode(signature, &mut bytes).is_ok_and(|bytes| bytes.len() == 64).then_some(bytes)
}

/// Copies a text into `memory`, escapes resolved; none if it does not fit.
pub(crate) fn copy<'m>(text: Text<'_>, memory: &'m mut [u8]) -> Option<&'m str> {
    let len = match text.plain() {
        Some(plain) => {
            memory.get_mut(..plain.len())?.copy_from_slice(plain.as_bytes());
            plain.len()
        }
        None => text.chars().try_fold(0_usize, |len, c| {
            let end = len.checked_add(c.len_utf8())?;
            c.encode_utf8(memory.get_mut(len..end)?);
            Some(end)
        })?,
    };
    core::str::from_utf8(memory.get(..len)?).ok()
}

/// Where a token goes, once its length is known. Whoever has no room answers `BUFFER_TOO_SMALL`.
pub trait Place<'o>: FnOnce(usize) -> Result<&'o mut [u8], Error> {}

impl<'o, F: FnOnce(usize) -> Result<&'o mut [u8], Error>> Place<'o> for F {}

/// The front of a buffer.
pub(crate) fn front<'o>(out: &'o mut [u8]) -> impl Place<'o> {
    move |len| out.get_mut(..len).ok_or(Error::BufferTooSmall)
}

/// Signs a token: header and claims as they are, then the signature. On an error nothing is written.
///
/// # Errors
/// `BUFFER_TOO_SMALL`, `JWT_TOO_LARGE`, `SIGN_FAULT`
pub fn sign<'o>(
    key: &KeyPair,
    header: &str,
    claims: &str,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<&'o str, Error> {
    sign_at(key, header, claims, signing, front(out))
}

/// As [`sign`], into a place that is asked for once the length is known.
///
/// # Errors
/// As [`sign`], and those of `place`.
pub fn sign_at<'o>(
    key: &KeyPair,
    header: &str,
    claims: &str,
    signing: Signing<'_>,
    place: impl Place<'o>,
) -> Result<&'o str, Error> {
    let out = place(signed_len(header.len(), claims.len())?)?;
    let (mut first, mut second) = ([0; spec::jwt::HEADER_MAX], [0; spec::jwt::PAYLOAD_MAX]);
    let header = base64::url_encode(header.as_bytes(), &mut first)?;
    let claims = base64::url_encode(claims.as_bytes(), &mut second)?;
    let digest = Sha256::new().chain_update(header).chain_update(".").chain_update(claims).finalize().into();
    let mut third = [0; spec::jwt::SIGNATURE_LEN];
    let signature = base64::url_encode(&key.sign(&digest, signing)?, &mut third)?;
    let mut writer = Writer::new(out);
    for part in [header, ".", claims, ".", signature] {
        writer.text(part);
    }
    Ok(writer.finish()?.0)
}

/// Characters of a token with a header and claims of these lengths.
fn signed_len(header: usize, claims: usize) -> Result<usize, Error> {
    let (header, claims) = (base64::url_encoded_len(header), base64::url_encoded_len(claims));
    // Three parts, two dots.
    let parts = [header, 1, claims, 1, spec::jwt::SIGNATURE_LEN];
    let len = parts.into_iter().fold(0, usize::saturating_add);
    let good = header <= spec::jwt::HEADER_MAX && claims <= spec::jwt::PAYLOAD_MAX && len <= spec::request::JWT_MAX;
    if good { Ok(len) } else { Err(Error::JwtTooLarge) }
}
