//! The types of the header, in the order in which a reader meets them: those of all roles here, the rest by role.

mod agent;
mod broker;
mod evidence;
mod feedback;
mod provenance;
mod publisher;
mod story;

use core::ffi::c_char;

pub use agent::*;
pub use broker::*;
pub use evidence::*;
pub use feedback::*;
pub use provenance::*;
pub use publisher::*;
pub use story::*;

/// What a call says: 0 done, above 0 one more step, below 0 refused, by the numbers of `enum imagxp_code`.
pub type imagxp_status = i32;

/// Bytes to read. NULL with length 0 is empty; the text need not end in NUL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// Bytes.
    pub len: usize,
}

/// Bytes to write.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_buf {
    /// The first byte.
    pub ptr: *mut u8,
    /// Bytes.
    pub len: usize,
}

/// A text inside a buffer that the same call was given: `IMAGXP_TEXT(buffer, span)` is its `imagxp_str`.
/// It holds no pointer, so whatever holds spans can be copied, kept, and live in any memory; the buffer must live as long.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct imagxp_span {
    /// Where it begins.
    pub at: u32,
    /// Bytes; 0 is no text.
    pub len: u32,
}

/// Who came.
pub const IMAGXP_VERIFIED_AGENT: i32 = 1;
/// No IMAGXP headers, but the signs of a browser.
pub const IMAGXP_LIKELY_HUMAN: i32 = 2;
/// Anything else that the policy admits.
pub const IMAGXP_UNIDENTIFIED_BOT: i32 = 3;

/// What the agent wants the content for.
pub const IMAGXP_CRAWL_TRAINING: i32 = 1;
/// To answer a question with retrieved text.
pub const IMAGXP_RAG_RETRIEVAL: i32 = 2;
/// To summarise.
pub const IMAGXP_SUMMARY: i32 = 3;
/// To quote.
pub const IMAGXP_QUOTATION: i32 = 4;
/// To compute embeddings.
pub const IMAGXP_EMBEDDING: i32 = 5;

/// The signature binds nothing of the request: the policy says `resource_binding: off`.
pub const IMAGXP_BOUND_NOTHING: i32 = 0;
/// It binds scheme and authority.
pub const IMAGXP_BOUND_AUTHORITY: i32 = 1;
/// It binds scheme, authority, path and query.
pub const IMAGXP_BOUND_EXACT: i32 = 2;

/// Nothing was paid: the policy does not ask.
pub const IMAGXP_PROOF_NONE: i32 = 0;
/// Paid by a visa.
pub const IMAGXP_PROOF_VISA: i32 = 1;
/// On the host's whitelist.
pub const IMAGXP_PROOF_WHITELIST: i32 = 2;
/// Paid by showing ads.
pub const IMAGXP_PROOF_AD: i32 = 3;
