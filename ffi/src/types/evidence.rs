//! The evidence: lines of a log, and what they prove.

use super::imagxp_span;

/// Where a log ends: what its next line follows on. Of an empty log all is 0.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_head {
    /// The SHA-256 of the last line, without its newline.
    pub hash: [u8; 32],
    /// How many lines there are.
    pub count: u64,
}

/// A log that is being verified. Begin with `IMAGXP_INIT(&log)`; to go on from a head that is trusted, set `head`, `before` to
/// its `hash`, and `sealed` to its `count`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_log {
    /// `sizeof (imagxp_log)`
    pub size: usize,
    /// Where the chain is: a writer goes on from here.
    pub head: imagxp_head,
    /// The hash of the line before the last.
    pub before: [u8; 32],
    /// The last good checkpoint's line: what lies behind it is chained, but not signed.
    pub sealed: u64,
    /// The library's own.
    pub shift: i64,
    /// Bytes of the lines: a writer cuts the file here before it goes on, for a last line without a newline is torn.
    pub bytes: u64,
    /// How many faults were found.
    pub faults: u64,
}

/// `imagxp_record.kind`: a document as it was fetched.
pub const IMAGXP_RECORD_DOCUMENT: i32 = 1;
/// A request and its verdict.
pub const IMAGXP_RECORD_DECISION: i32 = 2;
/// What the publisher signed: the lines before.
pub const IMAGXP_RECORD_CHECKPOINT: i32 = 3;

/// `imagxp_record.fault`: none.
pub const IMAGXP_FAULT_NONE: i32 = 0;
/// Not a line that this library writes: its bytes were changed.
pub const IMAGXP_FAULT_NOT_A_RECORD: i32 = 1;
/// The content of a record in another spelling: its bytes were changed.
pub const IMAGXP_FAULT_NOT_CANONICAL: i32 = 2;
/// The document's body is not the one whose SHA-256 it states.
pub const IMAGXP_FAULT_BODY: i32 = 3;
/// It does not follow on the line before: that one was changed, or lines between the two are gone.
pub const IMAGXP_FAULT_CHAIN: i32 = 4;
/// It follows on the line before the previous one: the previous one does not belong there.
pub const IMAGXP_FAULT_PREVIOUS: i32 = 5;
/// A checkpoint states another number of lines: some were added, or are gone.
pub const IMAGXP_FAULT_COUNT: i32 = 6;
/// A checkpoint by a key that is none of the publisher's.
pub const IMAGXP_FAULT_KEY: i32 = 7;
/// A signature does not verify.
pub const IMAGXP_FAULT_SIGNATURE: i32 = 8;
/// The recorded documents do not bear out the verdict.
pub const IMAGXP_FAULT_DOCUMENT: i32 = 9;

/// One line, read. Begin with `IMAGXP_INIT(&record)`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_record {
    /// `sizeof (imagxp_record)`
    pub size: usize,
    /// `IMAGXP_RECORD_*`; 0 with a fault.
    pub kind: i32,
    /// `IMAGXP_FAULT_*`
    pub fault: i32,
    /// Which line it is, from 1.
    pub line: u64,
    /// With `IMAGXP_FAULT_COUNT`: how many lines the checkpoint states, and how many there are before it.
    pub stated: u64,
    /// See `stated`.
    pub found: u64,
    /// When the document was fetched, the request came, or the checkpoint was signed.
    pub at_ms: i64,
    /// A decision: when it fell.
    pub decided_ms: i64,
    /// A decision: `IMAGXP_OK`, or the refusal.
    pub status: i32,
    /// A decision: how many documents it rests on.
    pub documents_len: u32,
    /// A decision: their SHA-256, by which to find their lines.
    pub documents: [[u8; 32]; 4],
    /// A document: its own.
    pub sha256: [u8; 32],
    /// A document: where from; a span of the line.
    pub url: imagxp_span,
}

/// `imagxp_findings`: the record holds nothing to ask about: no signature, no visa.
pub const IMAGXP_FINDING_ABSENT: i32 = 0;
/// It cannot be told: the document is not among those given.
pub const IMAGXP_FINDING_UNKNOWN: i32 = 1;
/// It is so. What is not so is the code that says why, below 0.
pub const IMAGXP_FINDING_PROVEN: i32 = 2;

/// What one decision proves: each an `IMAGXP_FINDING_*`, or a code below 0. Begin with `IMAGXP_INIT(&findings)`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_findings {
    /// `sizeof (imagxp_findings)`
    pub size: usize,
    /// This key signed this payload.
    pub signature: i32,
    /// This host served this key for this name, to the log's writer, at the time of the document.
    pub manifest: i32,
    /// The recorded key signed the visa or ad proof.
    pub visa: i32,
    /// The recorded key set lists that key under the token's `kid`.
    pub visa_key: i32,
    /// The signed `resource` is the recorded request's, as far as the verdict says.
    pub bound: i32,
    /// `IMAGXP_FAULT_SIGNATURE` or `_DOCUMENT` if they do not bear out the verdict.
    pub fault: i32,
}
