//! Where a response's content comes from, signed by the publisher (protocol.md section 5).

use crate::codec::writer::Writer;
use crate::codec::{decimal, hex};
use crate::key::{Digest, KeyPair, PublicKey, Signing, sha256};
use crate::time::{self, UnixMillis};
use crate::{Error, spec};

/// Who made the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Origin {
    /// People.
    Human = 1,
    /// Machines.
    Synthetic = 2,
    /// Both.
    Hybrid = 3,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 3] = [Self::Human, Self::Synthetic, Self::Hybrid];

    /// The name as the wire shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "HUMAN",
            Self::Synthetic => "SYNTHETIC",
            Self::Hybrid => "HYBRID",
        }
    }

    /// The origin of this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name().as_bytes() == name)
    }
}

/// What the publisher sends beside its content: views into the buffer that it gave.
#[derive(Clone, Copy, Debug)]
pub struct ProvenanceHeaders<'o> {
    /// `x-imagxp-content-origin`
    pub origin: &'static str,
    /// `x-imagxp-provenance-sig`
    pub signature: &'o str,
    /// `x-imagxp-provenance-ts`
    pub ts: &'o str,
}

impl<'o> ProvenanceHeaders<'o> {
    /// The buffer that every answer fits: the signature, and 15 digits.
    pub const BYTES_MAX: usize = spec::request::SIGNATURE_LEN + 15;

    /// Name and value of each header to send.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'o str)> {
        [
            (spec::header::CONTENT_ORIGIN, self.origin),
            (spec::header::PROVENANCE_SIG, self.signature),
            (spec::header::PROVENANCE_TS, self.ts),
        ]
        .into_iter()
    }
}

/// Signs an origin at a time with the publisher's key, into `out` ([`ProvenanceHeaders::BYTES_MAX`]).
///
/// # Errors
/// `BUFFER_TOO_SMALL`, `CLOCK_UNKNOWN`, `SIGN_FAULT` with [`Signing::check`].
pub fn sign<'o>(
    key: &KeyPair,
    origin: Origin,
    now: UnixMillis,
    signing: Signing<'_>,
    out: &'o mut [u8],
) -> Result<ProvenanceHeaders<'o>, Error> {
    if now.ms() <= 0 || now > UnixMillis::LAST {
        return Err(Error::ClockUnknown);
    }
    let signature = key.sign(&digest(origin, now)?, signing)?;
    let (place, rest) = out.split_at_mut_checked(spec::request::SIGNATURE_LEN).ok_or(Error::BufferTooSmall)?;
    let mut writer = Writer::new(rest);
    writer.integer(now.ms());
    let (ts, _) = writer.finish()?;
    Ok(ProvenanceHeaders { origin: origin.name(), signature: hex::encode(&signature, place)?, ts })
}

/// Verifies the three headers of an answer as they came, and that it is fresh. The key is the publisher's, from its
/// manifest or configuration. One signature check, and none for what is malformed or not fresh.
///
/// # Errors
/// `FIELD_MISSING` (a header is absent; the reference sends no time: see [`verify_at`]), `FIELD_TYPE` (the origin is none
/// of the three), `SIGNATURE_FORMAT`, `TIMESTAMP_INVALID`, `TIMESTAMP_STALE`, `TIMESTAMP_FUTURE`, `SIGNATURE_INVALID`.
pub fn verify(
    key: &PublicKey,
    origin: &[u8],
    signature: &[u8],
    ts: &[u8],
    now: UnixMillis,
    window_ms: u32,
    skew_ms: u32,
) -> Result<(Origin, UnixMillis), Error> {
    if [origin, signature, ts].iter().any(|value| value.is_empty()) {
        return Err(Error::FieldMissing);
    }
    let ts = read_ts(ts).ok_or(Error::TimestampInvalid)?;
    time::fresh(now, ts, window_ms, skew_ms)?;
    verify_at(key, origin, signature, ts).map(|origin| (origin, ts))
}

/// Verifies an origin whose time is known otherwise: the reference signs a time and does not send it.
///
/// # Errors
/// `FIELD_TYPE`, `SIGNATURE_FORMAT`, `TIMESTAMP_INVALID`, `SIGNATURE_INVALID`
pub fn verify_at(key: &PublicKey, origin: &[u8], signature: &[u8], ts: UnixMillis) -> Result<Origin, Error> {
    let origin = Origin::from_name(origin).ok_or(Error::FieldType)?;
    let signature = hex::decode_array(signature).map_err(|_| Error::SignatureFormat)?;
    if ts < UnixMillis::EPOCH || ts > UnixMillis::LAST {
        return Err(Error::TimestampInvalid);
    }
    key.verify(&digest(origin, ts)?, &signature)?;
    Ok(origin)
}

/// Digits only, no leading zero: one text for each time.
fn read_ts(text: &[u8]) -> Option<UnixMillis> {
    let text = core::str::from_utf8(text).ok()?;
    let one_of_its_kind = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let (ms, _) = decimal::scaled(text, 0).filter(|_| one_of_its_kind)?;
    Some(UnixMillis::from_ms(ms))
}

/// The SHA-256 of the canonical form of `{"origin":…,"ts":…}`.
fn digest(origin: Origin, ts: UnixMillis) -> Result<Digest, Error> {
    let mut text = [0; 64];
    let mut writer = Writer::new(&mut text);
    writer.text("{\"origin\":");
    writer.string(origin.name());
    writer.text(",\"ts\":");
    writer.integer(ts.ms());
    writer.text("}");
    Ok(sha256(writer.finish()?.0.as_bytes()))
}
