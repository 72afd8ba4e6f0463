//! What a response says of where its content comes from.

use super::imagxp_span;

/// `imagxp_provenance_sign`: made by people.
pub const IMAGXP_ORIGIN_HUMAN: i32 = 1;
/// Made by machines.
pub const IMAGXP_ORIGIN_SYNTHETIC: i32 = 2;
/// Both.
pub const IMAGXP_ORIGIN_HYBRID: i32 = 3;

/// The headers to send with a response: spans of the buffer that the call was given. Begin with
/// `IMAGXP_INIT(&provenance)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_provenance {
    /// `sizeof (imagxp_provenance)`
    pub size: usize,
    /// How long the buffer must be: stored with `IMAGXP_OK`, and with `IMAGXP_BUFFER_TOO_SMALL`.
    pub needed: usize,
    /// `IMAGXP_HEADER_CONTENT_ORIGIN`
    pub origin: imagxp_span,
    /// `IMAGXP_HEADER_PROVENANCE_SIG`
    pub signature: imagxp_span,
    /// `IMAGXP_HEADER_PROVENANCE_TS`
    pub ts: imagxp_span,
}
