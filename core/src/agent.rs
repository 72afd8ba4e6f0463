//! The agent's side: it signs requests, and publishes the manifest that proves whose key it is.

use crate::claims::{self, Payload};
use crate::codec::{base64, hex, writer::Writer};
use crate::headers::SignedHeaders;
use crate::key::{Digest, KeyPair, PublicKey, Signing};
use crate::time::UnixMillis;
use crate::{Claims, Error, canonical, spec};

/// Signs one request: the headers to send, in `out` ([`SignedHeaders::BYTES_MAX`] always suffices; 900 bytes do for
/// most). `nonce` is 16 random bytes, fresh for each request; they become a UUIDv4. Nothing is written but on success.
///
/// # Errors
/// `BUFFER_TOO_SMALL` (see [`signed_len`]); `PAYLOAD_TOO_LARGE` (a resource of many non-ASCII characters);
/// `SIGN_FAULT` with [`Signing::check`]; and what a verifier would refuse of the claims: `AGENT_ID_INVALID`,
/// `RESOURCE_INVALID`, `CLOCK_UNKNOWN`.
pub fn sign_request<'o>(
    key: &KeyPair,
    claims: &Claims<'_>,
    nonce: &[u8; 16],
    now: UnixMillis,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<SignedHeaders<'o>, Error> {
    let mut json = [0; spec::request::PAYLOAD_JSON_MAX];
    let (json, digest) = compose(claims, nonce, now, &mut json)?;
    let signature = key.sign(&digest, signing)?;
    lay_out(json, digest, key.public(), out)?.attach(&signature)
}

/// The first half of signing, for a key in hardware or behind an API: sign [`Prepared::digest`] there (ECDSA P-256
/// over the 32 bytes as they are), then [`Prepared::attach`] the result.
///
/// # Errors
/// As [`sign_request`].
pub fn prepare<'o>(
    key: &PublicKey,
    claims: &Claims<'_>,
    nonce: &[u8; 16],
    now: UnixMillis,
    out: &'o mut [u8],
) -> Result<Prepared<'o>, Error> {
    let mut json = [0; spec::request::PAYLOAD_JSON_MAX];
    let (json, digest) = compose(claims, nonce, now, &mut json)?;
    lay_out(json, digest, key, out)
}

/// How many bytes of `out` signing takes for these claims.
///
/// # Errors
/// As [`sign_request`].
pub fn signed_len(claims: &Claims<'_>, now: UnixMillis) -> Result<usize, Error> {
    let mut writer = Writer::new(&mut []);
    write_payload(claims, &[0; 16], now, &mut writer)?;
    if writer.needed() > spec::request::PAYLOAD_JSON_MAX {
        return Err(Error::PayloadTooLarge);
    }
    let fixed = spec::request::PUBLIC_KEY_LEN.saturating_add(spec::request::SIGNATURE_LEN);
    Ok(base64::encoded_len(writer.needed()).saturating_add(fixed))
}

/// The payload, and what is to be signed.
fn compose<'j>(
    claims: &Claims<'_>,
    nonce: &[u8; 16],
    now: UnixMillis,
    json: &'j mut [u8],
) -> Result<(&'j str, Digest), Error> {
    let mut writer = Writer::new(json);
    write_payload(claims, nonce, now, &mut writer)?;
    let (json, _) = writer.finish().map_err(|_| Error::PayloadTooLarge)?;
    Ok((json, canonical::digest_of_text(json.as_bytes())?))
}

fn write_payload(claims: &Claims<'_>, nonce: &[u8; 16], now: UnixMillis, writer: &mut Writer<'_>) -> Result<(), Error> {
    if now.ms() <= 0 {
        return Err(Error::ClockUnknown);
    }
    let mut uuid = [0; 36];
    let mut ts = [0; 24];
    let payload =
        Payload { claims: *claims, nonce: write_uuid(nonce, &mut uuid)?, ts: now, ts_text: now.write(&mut ts)? };
    claims::write(&payload, writer)
}

/// The headers, with room for the signature.
fn lay_out<'o>(json: &str, digest: Digest, key: &PublicKey, out: &'o mut [u8]) -> Result<Prepared<'o>, Error> {
    let (text, rest) = out.split_at_mut_checked(base64::encoded_len(json.len())).ok_or(Error::BufferTooSmall)?;
    let (public_key, rest) = rest.split_first_chunk_mut().ok_or(Error::BufferTooSmall)?;
    let signature = rest.get_mut(..spec::request::SIGNATURE_LEN).ok_or(Error::BufferTooSmall)?;
    let payload = base64::encode(json.as_bytes(), text)?;
    *public_key = *key.to_text().as_bytes();
    let public_key = core::str::from_utf8(public_key).map_err(|_| Error::KeyFormat)?;
    Ok(Prepared { digest, payload, public_key, signature })
}

/// A request that lacks only its signature.
#[derive(Debug)]
pub struct Prepared<'o> {
    digest: Digest,
    payload: &'o str,
    public_key: &'o str,
    signature: &'o mut [u8],
}

impl<'o> Prepared<'o> {
    /// What is to be signed.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The headers, with `r || s` from wherever it was made.
    ///
    /// # Errors
    /// None in practice: the place was reserved.
    pub fn attach(self, signature: &[u8; 64]) -> Result<SignedHeaders<'o>, Error> {
        let signature = hex::encode(signature, self.signature)?;
        Ok(SignedHeaders { payload: self.payload, signature, public_key: self.public_key })
    }
}

/// A version 4 UUID from 16 random bytes (RFC 9562 section 5.4).
fn write_uuid<'o>(random: &[u8; 16], out: &'o mut [u8; 36]) -> Result<&'o str, Error> {
    let mut bytes = *random;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0F | 0x40;
    *variant = *variant & 0x3F | 0x80;
    let mut digits = [0; 32];
    let mut digits = hex::encode(&bytes, &mut digits)?;
    let mut writer = Writer::new(out);
    for (index, len) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        let (group, rest) = digits.split_at_checked(len).ok_or(Error::BufferTooSmall)?;
        writer.text(if index == 0 { "" } else { "-" });
        writer.text(group);
        digits = rest;
    }
    Ok(writer.finish()?.0)
}

/// A key that the manifest lists beside the current one, with the time in which it is good.
#[derive(Clone, Copy, Debug)]
pub struct ListedKey<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// Not before, seconds since 1970.
    pub nbf_s: Option<u64>,
    /// Good until, seconds since 1970, exclusive.
    pub exp_s: Option<u64>,
}

/// A key that is good no more.
#[derive(Clone, Copy, Debug)]
pub struct RevokedKey<'a> {
    /// Its `kid`: the thumbprint.
    pub kid: &'a str,
    /// Revoked from this time on, seconds since 1970.
    pub at_s: u64,
}

/// What an agent publishes at `/.well-known/imagxp-agent.json` (protocol.md section 3).
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    /// The agent's domain.
    pub agent_id: &'a str,
    /// The current key.
    pub public_key: &'a PublicKey,
    /// Whom to write to.
    pub contact_email: Option<&'a str>,
    /// Up to four keys for rotation: the next one, the last one.
    pub keys: &'a [ListedKey<'a>],
    /// Up to sixteen keys that are good no more.
    pub revoked: &'a [RevokedKey<'a>],
}

/// Writes the manifest document. Nothing is written but on success.
///
/// # Errors
/// `BUFFER_TOO_SMALL` (see [`manifest_len`]); `AGENT_ID_INVALID`; `MANIFEST_INVALID` (more keys than a verifier reads);
/// `MANIFEST_TOO_LARGE` (above 8,192 bytes).
pub fn write_manifest<'o>(manifest: &Manifest<'_>, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let out = out.get_mut(..manifest_len(manifest)?).ok_or(Error::BufferTooSmall)?;
    let mut writer = Writer::new(out);
    write_document(manifest, &mut writer)?;
    Ok(writer.finish()?.0)
}

/// How many bytes the manifest takes.
///
/// # Errors
/// As [`write_manifest`].
pub fn manifest_len(manifest: &Manifest<'_>) -> Result<usize, Error> {
    crate::host::check_agent_id(manifest.agent_id, crate::host::Mode::Development)?;
    if manifest.keys.len() > spec::document::MANIFEST_KEYS_MAX || manifest.revoked.len() > spec::document::REVOKED_MAX {
        return Err(Error::ManifestInvalid);
    }
    let mut writer = Writer::new(&mut []);
    write_document(manifest, &mut writer)?;
    if writer.needed() > spec::document::MANIFEST_MAX { Err(Error::ManifestTooLarge) } else { Ok(writer.needed()) }
}

fn write_document(manifest: &Manifest<'_>, writer: &mut Writer<'_>) -> Result<(), Error> {
    writer.text("{\"agent_id\":");
    writer.string(manifest.agent_id);
    writer.text(",\"public_key\":");
    writer.string(manifest.public_key.to_text().as_str());
    if let Some(contact) = manifest.contact_email {
        writer.text(",\"contact_email\":");
        writer.ascii_string(contact);
    }
    writer.text(",\"version\":\"1.1\"");
    write_keys(manifest.keys, writer)?;
    write_revoked(manifest.revoked, writer);
    writer.text("}");
    Ok(())
}

fn write_keys(keys: &[ListedKey<'_>], writer: &mut Writer<'_>) -> Result<(), Error> {
    for (index, listed) in keys.iter().enumerate() {
        writer.text(if index == 0 { ",\"keys\":[" } else { "," });
        crate::jose::jwk::write_listed(listed.key, listed.nbf_s, listed.exp_s, writer)?;
    }
    writer.text(if keys.is_empty() { "" } else { "]" });
    Ok(())
}

fn write_revoked(revoked: &[RevokedKey<'_>], writer: &mut Writer<'_>) {
    for (index, key) in revoked.iter().enumerate() {
        writer.text(if index == 0 { ",\"revoked\":[{\"kid\":" } else { ",{\"kid\":" });
        writer.string(key.kid);
        writer.text(",\"at\":");
        writer.integer(i64::try_from(key.at_s).unwrap_or(i64::MAX));
        writer.text("}");
    }
    writer.text(if revoked.is_empty() { "" } else { "]" });
}
