//! Texts that results point to: spans into the scratch, copied there when they come from elsewhere.

use imagxp_core::{Error, Need};

use crate::types::{IMAGXP_NEED_JWKS, IMAGXP_NEED_MANIFEST, imagxp_need, imagxp_span};

/// Where the next text goes, at the end of the scratch.
pub(crate) struct Texts<'s> {
    /// The address of the scratch, and of its end.
    base: usize,
    end: usize,
    free: &'s mut [u8],
}

impl<'s> Texts<'s> {
    /// Takes `room` bytes off the end of the scratch, or all there is. The rest comes back.
    pub(crate) fn new(scratch: &'s mut [u8], room: usize) -> (&'s mut [u8], Self) {
        let base = scratch.as_ptr().addr();
        let end = base.saturating_add(scratch.len());
        let head = scratch.len().saturating_sub(room);
        // The head is no longer than the scratch: the split always succeeds.
        let (head, free) = scratch.split_at_mut_checked(head).unwrap_or_default();
        (head, Self { base, end, free })
    }

    /// The span of a text: where it lies, if that is in the scratch, or where it is copied to.
    pub(crate) fn span(&mut self, text: &str) -> Result<imagxp_span, Error> {
        let at = text.as_ptr().addr();
        if text.is_empty() {
            return Ok(imagxp_span::default());
        }
        if self.base <= at && at < self.end {
            return span(at.wrapping_sub(self.base), text.len());
        }
        let free = core::mem::take(&mut self.free);
        let (place, rest) = free.split_at_mut_checked(text.len()).ok_or(Error::BufferTooSmall)?;
        place.copy_from_slice(text.as_bytes());
        self.free = rest;
        span(place.as_ptr().addr().wrapping_sub(self.base), text.len())
    }

    pub(crate) fn need(&mut self, need: &Need<'_>) -> Result<imagxp_need, Error> {
        let url = self.span(need.url)?;
        let host = need.host.as_ptr().addr().wrapping_sub(need.url.as_ptr().addr());
        let host = imagxp_span {
            at: url.at.saturating_add(u32::try_from(host).unwrap_or_default()),
            len: u32::try_from(need.host.len()).unwrap_or_default(),
        };
        let kind = match need.kind {
            imagxp_core::Kind::Manifest => IMAGXP_NEED_MANIFEST,
            imagxp_core::Kind::Jwks => IMAGXP_NEED_JWKS,
        };
        let max_len = u32::try_from(need.max_len).unwrap_or(u32::MAX);
        Ok(imagxp_need {
            kind,
            configured: need.configured.into(),
            max_len,
            check: check(&[need.url.as_bytes()]),
            url,
            host,
        })
    }
}

/// By what a result is known to belong to the texts in a scratch: a scratch that was used again since shows. Never 0.
pub(crate) fn check(parts: &[&[u8]]) -> u32 {
    let [a, b, c, d, ..] = imagxp_core::key::sha256_of(parts);
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// A scratch longer than 4 GiB has no spans beyond.
fn span(at: usize, len: usize) -> Result<imagxp_span, Error> {
    match (u32::try_from(at), u32::try_from(len)) {
        (Ok(at), Ok(len)) => Ok(imagxp_span { at, len }),
        _ => Err(Error::AbiLength),
    }
}

/// The text that a span names in a scratch.
///
/// # Errors
/// `ABI_STATE`: this is not the scratch that the span is of, or it has been written to since.
pub(crate) fn text(scratch: &[u8], span: imagxp_span) -> Result<&str, Error> {
    let (Ok(at), Ok(len)) = (usize::try_from(span.at), usize::try_from(span.len)) else {
        return Err(Error::AbiState);
    };
    let bytes = at.checked_add(len).and_then(|end| scratch.get(at..end)).ok_or(Error::AbiState)?;
    core::str::from_utf8(bytes).map_err(|_| Error::AbiState)
}
