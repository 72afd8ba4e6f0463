//! Writing the lines of a log, each into the caller's buffer.

use super::Head;
use crate::codec::writer::{Writer, write_whole};
use crate::codec::{base64, hex};
use crate::headers::{Headers, Name};
use crate::key::{Digest, KeyPair, PublicKey, Signing, sha256};
use crate::time::UnixMillis;
use crate::verdict::Grant;
use crate::{Error, Visit, spec};

/// A document as it was fetched.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// Where from.
    pub url: &'a str,
    /// The body as it came.
    pub body: &'a [u8],
    /// When it came.
    pub at: UnixMillis,
}

/// A decision, with what it rests on.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// The request as it came.
    pub visit: &'a Visit<'a>,
    /// When it came: the `now` of verification.
    pub received: UnixMillis,
    /// When it was decided.
    pub decided: UnixMillis,
    /// The SHA-256 of the documents used, at most four: the manifest, the key sets.
    pub documents: &'a [Digest],
    /// The key that verified the visa or ad proof ([`super::find_key`] finds it in the key set).
    pub visa_key: Option<&'a PublicKey>,
    /// The verdict.
    pub verdict: Result<&'a Grant<'a>, Error>,
}

impl Fetched<'_> {
    /// As [`write_document`], into a writer.
    ///
    /// # Errors
    /// As [`write_document`].
    pub fn write_to(&self, head: &Head, writer: &mut Writer<'_>) -> Result<(), Error> {
        let good_url = self.url.len() <= spec::evidence::URL_MAX && is_plain(self.url.as_bytes());
        if self.body.len() > spec::document::JWKS_MAX || !good_url {
            return Err(Error::AbiLength);
        }
        writer.text("{\"body\":\"");
        write_base64(self.body, writer)?;
        writer.text("\",\"kind\":\"document\"");
        write_hex(",\"prev\":", &head.hash, writer)?;
        write_hex(",\"sha256\":", &sha256(self.body), writer)?;
        write_time(",\"time\":", self.at, writer)?;
        writer.text(",\"url\":");
        writer.string(self.url);
        writer.text("}\n");
        Ok(())
    }
}

impl Decided<'_> {
    /// As [`write_decision`], into a writer.
    ///
    /// # Errors
    /// As [`write_decision`].
    pub fn write_to(&self, head: &Head, writer: &mut Writer<'_>) -> Result<(), Error> {
        if self.documents.len() > spec::evidence::DOCUMENTS_MAX {
            return Err(Error::AbiLength);
        }
        let visit = self.visit;
        write_text("{\"authority", visit.authority, spec::evidence::NAME_MAX, writer)?;
        write_time(",\"decided\":", self.decided, writer)?;
        writer.text(",\"documents\":[");
        for (index, digest) in self.documents.iter().enumerate() {
            write_hex(if index == 0 { "" } else { "," }, digest, writer)?;
        }
        writer.text("],\"headers\":{");
        write_headers(&visit.headers, writer)?;
        writer.text("},\"kind\":\"decision\"");
        write_text(",\"method", visit.method, spec::evidence::NAME_MAX, writer)?;
        write_hex(",\"prev\":", &head.hash, writer)?;
        write_time(",\"received\":", self.received, writer)?;
        write_text(",\"scheme", visit.scheme, spec::evidence::NAME_MAX, writer)?;
        write_text(",\"target", visit.target, spec::evidence::TARGET_MAX, writer)?;
        write_verdict(self.verdict, writer);
        if let Some(key) = self.visa_key {
            write_key(key, writer)?;
        }
        writer.text("}\n");
        Ok(())
    }
}

/// Writes a `document` line with its newline, in `out`: 512 bytes, the URL, and four thirds of the body always suffice.
///
/// # Errors
/// `BUFFER_TOO_SMALL`: nothing is written. `ABI_LENGTH`: a body above 65,536 bytes, a URL above 2,048 or not ASCII.
/// `TIMESTAMP_INVALID`.
pub fn write_document<'o>(document: &Fetched<'_>, head: &Head, out: &'o mut [u8]) -> Result<&'o str, Error> {
    write_whole(out, |writer| document.write_to(head, writer))
}

/// Writes a `decision` line with its newline, in `out`: 24,576 bytes always suffice, 2,500 do for most.
///
/// A target of more than 2,048 bytes or outside plain ASCII is recorded by its SHA-256, as is a header value that could
/// not be any good one.
///
/// # Errors
/// `BUFFER_TOO_SMALL`: nothing is written. `ABI_LENGTH`: more than four documents. `TIMESTAMP_INVALID`.
pub fn write_decision<'o>(decided: &Decided<'_>, head: &Head, out: &'o mut [u8]) -> Result<&'o str, Error> {
    write_whole(out, |writer| decided.write_to(head, writer))
}

/// Writes a `checkpoint` line with its newline, signed by the publisher's key: how many lines are before it, and the last
/// of them. 512 bytes always suffice.
///
/// # Errors
/// `BUFFER_TOO_SMALL`: nothing is written. `TIMESTAMP_INVALID`; `SIGN_FAULT` with [`Signing::check`].
pub fn write_checkpoint<'o>(
    key: &KeyPair,
    head: &Head,
    now: UnixMillis,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<&'o str, Error> {
    let kid = key.public().kid();
    let signature = key.sign(&checkpoint_digest(head, kid.as_str(), now)?, signing)?;
    write_whole(out, |writer| {
        write_checkpoint_members(head, kid.as_str(), now, Some(&signature), writer)?;
        writer.text("\n");
        Ok(())
    })
}

/// What a checkpoint's signature is over: its line without `signature`.
pub(super) fn checkpoint_digest(head: &Head, kid: &str, at: UnixMillis) -> Result<Digest, Error> {
    let mut text = [0; 512];
    let text = write_whole(&mut text, |writer| write_checkpoint_members(head, kid, at, None, writer))?;
    Ok(sha256(text.as_bytes()))
}

fn write_checkpoint_members(
    head: &Head,
    kid: &str,
    at: UnixMillis,
    signature: Option<&[u8; 64]>,
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    writer.text("{\"count\":");
    writer.integer(i64::try_from(head.count).map_err(|_| Error::AbiLength)?);
    writer.text(",\"key\":");
    writer.string(kid);
    writer.text(",\"kind\":\"checkpoint\"");
    write_hex(",\"prev\":", &head.hash, writer)?;
    if let Some(signature) = signature {
        let mut digits = [0; spec::request::SIGNATURE_LEN];
        writer.text(",\"signature\":\"");
        writer.text(hex::encode(signature, &mut digits)?);
        writer.text("\"");
    }
    write_time(",\"time\":", at, writer)?;
    writer.text("}");
    Ok(())
}

/// The headers by name, in the order of RFC 8785.
pub(super) const HEADERS: [(&str, Name); 11] = [
    (spec::header::AGENT_ID, Name::AgentId),
    (spec::header::ALG, Name::Alg),
    (spec::header::CREDENTIAL, Name::Credential),
    (spec::header::FEEDBACK, Name::Feedback),
    (spec::header::KEY, Name::Key),
    (spec::header::PAYLOAD, Name::Payload),
    (spec::header::PAYMENT, Name::Payment),
    (spec::header::PROOF, Name::Proof),
    (spec::header::PUBLIC_KEY, Name::PublicKey),
    (spec::header::SIGNATURE, Name::Signature),
    (spec::header::TIMESTAMP, Name::Timestamp),
];

/// Every header that is there, raw. A value that needs escapes is no base64, hex or token: only feedback of the
/// reference's form may have them; anything else so is recorded by its SHA-256, which keeps the line within its bound.
fn write_headers(headers: &Headers<'_>, writer: &mut Writer<'_>) -> Result<(), Error> {
    let present = HEADERS.iter().map(|(text, name)| (text, *name, headers.get(*name)));
    for (index, (text, name, value)) in present.filter(|(.., value)| !value.is_empty()).enumerate() {
        writer.text(if index == 0 { "\"" } else { ",\"" });
        writer.text(text);
        writer.text("\":");
        let escapes = name == Name::Feedback && value.len() <= spec::request::FEEDBACK_MAX;
        match core::str::from_utf8(value) {
            Ok(value) if escapes || is_plain(value.as_bytes()) => writer.string(value),
            _ => {
                write_hex("{\"sha256\":", &sha256(value), writer)?;
                writer.text("}");
            }
        }
    }
    Ok(())
}

/// The verdict with what was bound; of a refusal its code.
fn write_verdict(verdict: Result<&Grant<'_>, Error>, writer: &mut Writer<'_>) {
    writer.text(",\"verdict\":{");
    match verdict {
        Ok(grant) => {
            writer.text("\"bound\":");
            writer.string(grant.bound.name());
            writer.text(",\"code\":\"OK\",\"proof\":");
            writer.string(grant.proof.name());
            writer.text(",\"visitor\":");
            writer.string(grant.visitor.name());
        }
        Err(error) => {
            writer.text("\"code\":");
            writer.string(error.name());
        }
    }
    writer.text("}");
}

/// The JWK that verified the visa, in the members of its thumbprint (RFC 7638).
fn write_key(key: &PublicKey, writer: &mut Writer<'_>) -> Result<(), Error> {
    let coordinates = key.to_coordinates();
    let (x, y) = coordinates.split_at_checked(32).ok_or(Error::KeyInvalid)?;
    let mut text = [0; 43];
    writer.text(",\"visa_key\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
    writer.text(base64::url_encode(x, &mut text)?);
    writer.text("\",\"y\":\"");
    writer.text(base64::url_encode(y, &mut text)?);
    writer.text("\"}");
    Ok(())
}

/// `name":"text"`, or `name_sha256":"…"` when the text is too long or not plain.
fn write_text(name: &str, text: &str, max: usize, writer: &mut Writer<'_>) -> Result<(), Error> {
    writer.text(name);
    if text.len() <= max && is_plain(text.as_bytes()) {
        writer.text("\":");
        writer.string(text);
        return Ok(());
    }
    write_hex("_sha256\":", &sha256(text.as_bytes()), writer)
}

fn write_hex(name: &str, digest: &Digest, writer: &mut Writer<'_>) -> Result<(), Error> {
    let mut digits = [0; 64];
    writer.text(name);
    writer.text("\"");
    writer.text(hex::encode(digest, &mut digits)?);
    writer.text("\"");
    Ok(())
}

fn write_time(name: &str, at: UnixMillis, writer: &mut Writer<'_>) -> Result<(), Error> {
    let mut text = [0; UnixMillis::TEXT_LEN];
    writer.text(name);
    writer.string(at.write(&mut text)?);
    Ok(())
}

/// Base64 in pieces: no buffer of the body's size.
fn write_base64(body: &[u8], writer: &mut Writer<'_>) -> Result<(), Error> {
    let mut text = [0; super::PIECE];
    for piece in body.chunks(super::PIECE / 4 * 3) {
        writer.text(base64::encode(piece, &mut text)?);
    }
    Ok(())
}

/// Printable ASCII that JSON writes without escapes.
pub(super) fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| spec::request::BYTES.contains(byte) && *byte != b'"' && *byte != b'\\')
}
