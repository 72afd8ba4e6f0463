//! Where a response's content comes from, signed by the publisher.

use imagxp_core::provenance::{self, Origin, ProvenanceHeaders};
use imagxp_core::{Error, UnixMillis};

use crate::agent_keys::{Signer, public};
use crate::memory::{Output, Region, disjoint, read_bytes};
use crate::status::{OK, answer, answer_and_wipe};
use crate::texts::Texts;
use crate::types::*;

/// The buffer that the headers of every response fit.
pub const IMAGXP_PROVENANCE_LEN: usize = 152;
const _: () = assert!(IMAGXP_PROVENANCE_LEN == ProvenanceHeaders::BYTES_MAX + ORIGIN_MAX);
const ORIGIN_MAX: usize = Origin::Synthetic.name().len();

/// Signs where a response's content comes from: the headers to send, in `out`, which is `IMAGXP_PROVENANCE_LEN` long or
/// longer. `origin` is `IMAGXP_ORIGIN_*`, the key the publisher's. `hedge` and `flags` as in `imagxp_request_sign`.
///
/// Errors: `BUFFER_TOO_SMALL`, with `headers->needed`; `CLOCK_UNKNOWN`; `SIGN_FAULT`; `ABI_ARGUMENT`; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_provenance_sign(
    key: *const imagxp_key,
    origin: i32,
    hedge: *const u8,
    flags: u32,
    now_ms: i64,
    out: imagxp_buf,
    headers: *mut imagxp_provenance,
) -> imagxp_status {
    answer_and_wipe(|| {
        let (out, headers) = (Output::buf(out)?, Output::sized(headers)?);
        let outputs = [out.region(), headers.region()];
        disjoint(&outputs, &[])?;
        let signer = Signer::new(key, hedge, flags, &outputs)?;
        let origin = Origin::ALL.into_iter().find(|known| *known as i32 == origin).ok_or(Error::AbiArgument)?;
        // SAFETY: checked, and apart from the outputs.
        let ((pair, signing), now) = (unsafe { signer.read()? }, UnixMillis::from_ms(now_ms));
        let mut memory = [0; ProvenanceHeaders::BYTES_MAX];
        let signed = provenance::sign(&pair, origin, now, signing, &mut memory)?;
        // SAFETY: checked, and apart from everything else.
        unsafe { write(&signed, &out, &headers) }
    })
}

/// # Safety
/// The contract of the preamble; both are apart from everything else.
unsafe fn write(
    signed: &ProvenanceHeaders<'_>,
    out: &Output<u8>,
    headers: &Output<imagxp_provenance>,
) -> Result<imagxp_status, Error> {
    let texts = [signed.origin, signed.signature, signed.ts];
    let needed = texts.iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
    // SAFETY: the caller's.
    let (out, before) = unsafe { (out.slice(), headers.read()) };
    let Some(place) = out.get_mut(..needed) else {
        // SAFETY: the caller's.
        unsafe { headers.write(imagxp_provenance { needed, ..before }) };
        return Err(Error::BufferTooSmall);
    };
    let (_, mut texts) = Texts::new(place, needed);
    let found = imagxp_provenance {
        size: size_of::<imagxp_provenance>(),
        needed,
        origin: texts.span(signed.origin)?,
        signature: texts.span(signed.signature)?,
        ts: texts.span(signed.ts)?,
    };
    // SAFETY: the caller's.
    unsafe { headers.write(found) };
    Ok(OK)
}

/// Verifies what a response says of its content's origin: the three headers as they came, and that the time is within
/// the windows. `public_key` is the publisher's, `IMAGXP_FORMAT_TEXT` or `_PEM`. `origin` and `ts_ms` get what they say;
/// either may be NULL. The reference sends no time: who knows it otherwise passes its digits as `ts`, and as `now_ms`.
///
/// Errors: `FIELD_MISSING`: a header is absent; `FIELD_TYPE`: no such origin; `SIGNATURE_FORMAT`; `TIMESTAMP_INVALID`,
/// `TIMESTAMP_STALE`, `TIMESTAMP_FUTURE`; `SIGNATURE_INVALID`; `KEY_FORMAT`, `KEY_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_provenance_verify(
    public_key: imagxp_str,
    content_origin: imagxp_str,
    signature: imagxp_str,
    ts: imagxp_str,
    now_ms: i64,
    window_ms: u32,
    skew_ms: u32,
    origin: *mut i32,
    ts_ms: *mut i64,
) -> imagxp_status {
    answer(|| {
        let (origin, ts_ms) = (optional(origin)?, optional(ts_ms)?);
        let outputs = [region(&origin), region(&ts_ms)];
        disjoint(&outputs, &[])?;
        let read = |text| read_bytes(text, &outputs);
        let key = public(read(public_key)?)?;
        let (content_origin, signature, ts) = (read(content_origin)?, read(signature)?, read(ts)?);
        let now = UnixMillis::from_ms(now_ms);
        let (found, at) = provenance::verify(&key, content_origin, signature, ts, now, window_ms, skew_ms)?;
        // SAFETY: checked, and apart from everything else.
        unsafe {
            if let Some(origin) = origin {
                origin.write(found as i32);
            }
            if let Some(ts_ms) = ts_ms {
                ts_ms.write(at.ms());
            }
        }
        Ok(OK)
    })
}

fn optional<T>(ptr: *mut T) -> Result<Option<Output<T>>, Error> {
    if ptr.is_null() { Ok(None) } else { Output::one(ptr).map(Some) }
}

fn region<T>(output: &Option<Output<T>>) -> Region {
    output.as_ref().map_or(Region::EMPTY, Output::region)
}
