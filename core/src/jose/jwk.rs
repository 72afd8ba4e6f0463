//! JSON Web Keys: EC P-256 only (RFC 7517; RFC 7518 section 6.2; thumbprint RFC 7638).

use zeroize::Zeroizing;

use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::codec::json_text::Text;
use crate::codec::{base64, writer::Writer};
use crate::key::{Digest, KeyPair, PublicKey, sha256};
use crate::{Error, spec};

/// What an entry of a key set is to a verifier of ES256.
#[derive(Clone, Copy, Debug)]
pub enum Jwk<'t> {
    /// A key that may verify, and its `kid`.
    Usable(PublicKey, Option<Text<'t>>),
    /// Another kind of key, or one that is not for verifying: passed over in silence (threats.md 4.5).
    Other,
    /// A private key published by mistake, its public half and its `kid` as far as they can be read: nothing signed with it
    /// proves anything any more, and its owner should be told.
    PrivateExposed(Option<PublicKey>, Option<Text<'t>>),
}

/// Reads one JWK.
///
/// # Errors
/// `JWKS_INVALID`: not an object.
pub fn read<'t>(jwk: &Value<'t, '_>) -> Result<Jwk<'t>, Error> {
    if jwk.kind() != Kind::Object {
        return Err(Error::JwksInvalid);
    }
    if jwk.get("d").is_some() {
        return Ok(Jwk::PrivateExposed(public(jwk), kid(jwk)));
    }
    Ok(usable(jwk).unwrap_or(Jwk::Other))
}

/// The rules of threats.md 4.5; none if one of them is broken.
fn usable<'t>(jwk: &Value<'t, '_>) -> Option<Jwk<'t>> {
    let is = |name: &str, value: &str| jwk.get(name)?.as_text().filter(|text| *text == *value);
    let absent_or = |name: &str, value: &str| jwk.get(name).is_none() || is(name, value).is_some();
    is("kty", "EC")?;
    is("crv", "P-256")?;
    let for_verifying = match jwk.get("key_ops") {
        None => true,
        Some(ops) => {
            ops.kind() == Kind::Array && ops.children().any(|op| op.as_text().is_some_and(|op| op == *"verify"))
        }
    };
    if !absent_or("use", "sig") || !absent_or("alg", spec::ALG) || !for_verifying {
        return None;
    }
    let kid = if jwk.get("kid").is_some() { Some(kid(jwk)?) } else { None };
    Some(Jwk::Usable(public(jwk)?, kid))
}

fn kid<'t>(jwk: &Value<'t, '_>) -> Option<Text<'t>> {
    jwk.get("kid")?.as_text().filter(|kid| (1..=spec::jwt::KID_MAX).contains(&utf8_len(kid)))
}

fn public(jwk: &Value<'_, '_>) -> Option<PublicKey> {
    PublicKey::from_coordinates(&*coordinate(jwk, "x")?, &*coordinate(jwk, "y")?).ok()
}

fn utf8_len(text: &Text<'_>) -> usize {
    text.chars().map(char::len_utf8).sum()
}

/// RFC 7518 section 6.2.1.2: 32 bytes in exactly 43 characters of base64url.
fn coordinate(jwk: &Value<'_, '_>, name: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = jwk.get(name)?.as_text()?.plain()?;
    let mut bytes = Zeroizing::new([0; 32]);
    let whole = base64::url_decode_secret(text.as_bytes(), &mut *bytes).is_ok_and(|bytes| bytes.len() == 32);
    whole.then_some(bytes)
}

/// The SHA-256 of `{"crv":"P-256","kty":"EC","x":"…","y":"…"}` (RFC 7638 section 3).
#[must_use]
pub fn thumbprint(key: &PublicKey) -> Digest {
    let mut text = [0; 128];
    let mut writer = Writer::new(&mut text);
    let written = write_required(key, &mut writer).and_then(|()| {
        writer.text("}");
        writer.finish()
    });
    written.map_or([0; 32], |(text, _)| sha256(text.as_bytes()))
}

/// Writes the public JWK: `{"crv","kty","x","y","kid","use","alg"}`.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write(key: &PublicKey, kid: &str, writer: &mut Writer<'_>) -> Result<(), Error> {
    write_required(key, writer)?;
    writer.text(",\"kid\":");
    writer.string(kid);
    writer.text(",\"use\":\"sig\",\"alg\":\"ES256\"}");
    Ok(())
}

/// Writes the JWK of a manifest's `keys`: the public one under its thumbprint, with `nbf` and `exp` (protocol.md section 3).
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write_listed(
    key: &PublicKey,
    nbf_s: Option<u64>,
    exp_s: Option<u64>,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    write_required(key, writer)?;
    writer.text(",\"kid\":");
    writer.string(key.kid().as_str());
    for (name, seconds) in [(",\"nbf\":", nbf_s), (",\"exp\":", exp_s)] {
        if let Some(seconds) = seconds {
            writer.text(name);
            writer.integer(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }
    writer.text("}");
    Ok(())
}

/// Writes the private JWK: `{"crv","kty","x","y","d"}`.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn write_private(key: &KeyPair, writer: &mut Writer<'_>) -> Result<(), Error> {
    write_required(key.public(), writer)?;
    let mut text = Zeroizing::new([0; 43]);
    writer.text(",\"d\":\"");
    writer.text(base64::url_encode(&*key.to_scalar(), &mut *text)?);
    writer.text("\"}");
    Ok(())
}

/// The members that make the thumbprint, in its order, without the closing brace.
fn write_required(key: &PublicKey, writer: &mut Writer<'_>) -> Result<(), Error> {
    let coordinates = key.to_coordinates();
    let (x, y) = coordinates.split_at_checked(32).ok_or(Error::BufferTooSmall)?;
    let mut text = [0; 43];
    writer.text("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
    writer.text(base64::url_encode(x, &mut text)?);
    writer.text("\",\"y\":\"");
    writer.text(base64::url_encode(y, &mut text)?);
    writer.text("\"");
    Ok(())
}

/// The parts of a private JWK, not yet known to belong together. Wiped when dropped.
pub struct PrivateJwk {
    pub(crate) scalar: Zeroizing<[u8; 32]>,
    pub(crate) x: [u8; 32],
    pub(crate) y: [u8; 32],
}

/// Reads a JWK with `d`: EC P-256, `x` and `y` present and matching (the caller checks that they do).
///
/// # Errors
/// `PRIVKEY_INVALID`
pub fn read_private(text: &[u8]) -> Result<PrivateJwk, Error> {
    private(text).ok_or(Error::PrivkeyInvalid)
}

/// The reader of JSON is not made for secrets: it gets the text with the value of `d` painted over.
fn private(text: &[u8]) -> Option<PrivateJwk> {
    let (before, d, after) = around_d(text)?;
    let mut public = Zeroizing::new([0; spec::document::PRIVATE_JWK_MAX]);
    let mut places = public.iter_mut();
    let painted = before.iter().chain(&PAINT).chain(after);
    painted.zip(&mut places).for_each(|(byte, place)| *place = *byte);

    let mut nodes = [Node::default(); 24];
    let document = Document::parse(public.get(..text.len())?, &Limits::PAYLOAD, &mut nodes).ok()?;
    let jwk = document.root();
    let is = |name: &str, value: &str| jwk.get(name)?.as_text().filter(|text| *text == *value);
    is("kty", "EC")?;
    is("crv", "P-256")?;
    jwk.get("d")?.as_text()?.plain().filter(|text| text.as_bytes() == PAINT)?;
    let mut scalar = Zeroizing::new([0; 32]);
    base64::url_decode_secret(d, &mut *scalar).ok()?;
    Some(PrivateJwk { scalar, x: *coordinate(&jwk, "x")?, y: *coordinate(&jwk, "y")? })
}

/// Instead of the 43 characters of `d`: a character that JSON takes and base64 does not.
const PAINT: [u8; 43] = [0x7F; 43];

/// What is before the 43 characters of `d`, they, and what is after: found without a look at them, or behind.
fn around_d(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut rest = text;
    loop {
        let name = rest.windows(3).position(|three| three == b"\"d\"")?;
        rest = rest.get(name.saturating_add(3)..)?;
        let value =
            rest.trim_ascii_start().strip_prefix(b":").and_then(|rest| rest.trim_ascii_start().strip_prefix(b"\""));
        if let Some(value) = value {
            let (d, after) = value.split_at_checked(PAINT.len())?;
            return Some((text.get(..text.len().saturating_sub(value.len()))?, d, after));
        }
    }
}
