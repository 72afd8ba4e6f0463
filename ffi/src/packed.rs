//! A request in one piece of memory, for languages to which every pointer that they hand over costs something.

use imagxp_core::{Error, Headers, Visit};

use crate::memory::{Input, Region, disjoint};
use crate::publisher::{Visitor, verify};
use crate::status::answer;
use crate::types::*;

/// What separates the fields: HTTP forbids it in every one of them (RFC 9110 section 5.5).
const SEPARATOR: u8 = 0;
/// Method, scheme, authority, target.
const FIXED: usize = 4;

/// A packed visit's bytes, checked.
pub(crate) struct Packed {
    visit: imagxp_packed,
    fields: Input<u8>,
}

impl Packed {
    fn new(visit: *const imagxp_packed, outputs: &[Region]) -> Result<Self, Error> {
        let input = Input::sized(visit)?;
        // SAFETY: checked.
        let visit = unsafe { input.read() };
        let fields = Input::text(visit.fields)?;
        disjoint(outputs, &[input.region(), fields.region()])?;
        Ok(Self { visit, fields })
    }
}

impl Visitor for Packed {
    unsafe fn read<'a>(&self) -> Result<Visit<'a>, Error> {
        // SAFETY: checked by `new`, and apart from every output.
        let bytes: &[u8] = unsafe { self.fields.slice() };
        let count = self.visit.count as usize;
        if count < FIXED || !count.is_multiple_of(2) {
            return Err(Error::AbiArgument);
        }
        // A separator within a field would move all that follow: then their number is another.
        let separators = bytes.iter().filter(|byte| **byte == SEPARATOR).count();
        if separators.checked_add(1) != Some(count) {
            return Err(Error::HeaderBytes);
        }
        let mut fields = bytes.split(|byte| *byte == SEPARATOR);
        let mut text = || core::str::from_utf8(fields.next().unwrap_or_default()).unwrap_or_default();
        let (method, scheme, authority, target) = (text(), text(), text(), text());
        let mut headers = Headers::new();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            headers.add(name, value)?;
        }
        Ok(Visit { method, scheme, authority, target, vouched: self.visit.vouched, headers })
    }
}

/// As `imagxp_request_verify`, of a request in one piece of memory.
///
/// Errors: as `imagxp_request_verify`; `HEADER_BYTES`: a field holds a NUL; `ABI_ARGUMENT`: `count` is less than 4 or odd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_verify_packed(
    visit: *const imagxp_packed,
    policy: *const imagxp_policy,
    keys: *const imagxp_key_cache,
    now_ms: i64,
    scratch: imagxp_buf,
    verified: *mut imagxp_verified,
) -> imagxp_status {
    answer(|| {
        // SAFETY: the contract of the preamble.
        unsafe { verify(|outputs| Packed::new(visit, outputs), policy, keys, now_ms, scratch, verified) }
    })
}
