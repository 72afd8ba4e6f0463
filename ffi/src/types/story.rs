//! What the story and the evidence of a decision are made from.

use super::imagxp_str;

/// `imagxp_story_*`: for people, `12:00:00.000 | CRYPTO | CHECK: ECDSA P-256 signature VALID`.
pub const IMAGXP_STORY_TEXT: i32 = 0;
/// For machines, a JSON object a line: `at`, `module`, `event`, and the event's own members.
pub const IMAGXP_STORY_JSON: i32 = 1;

/// A document that was fetched while a request waited.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_fetch {
    /// `imagxp_need.kind`
    pub kind: i32,
    /// `imagxp_answer.kind`
    pub found: i32,
    /// The text of `imagxp_need.url`.
    pub url: imagxp_str,
    /// Bytes of the body.
    pub len: u64,
    /// When `imagxp_request_verify` asked for it.
    pub asked_ms: i64,
    /// When it was supplied.
    pub answered_ms: i64,
    /// For the evidence: what `imagxp_evidence_document` gave when it was recorded; zeros if it was not.
    pub sha256: [u8; 32],
}

/// How a request was decided. Begin with `IMAGXP_INIT(&decision)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_decision {
    /// `sizeof (imagxp_decision)`
    pub size: usize,
    /// `IMAGXP_OK` of `imagxp_request_admit`, or the refusal that ended it.
    pub status: i32,
    /// 0
    pub reserved: u32,
    /// When the request came: the `now_ms` of `imagxp_request_verify`.
    pub received_ms: i64,
    /// When the decision fell.
    pub decided_ms: i64,
    /// The documents that were fetched for it, in their order; at most four.
    pub fetches: *const imagxp_fetch,
    /// How many.
    pub fetches_len: usize,
}

/// How an agent's request went. Begin with `IMAGXP_INIT(&sent)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_sent {
    /// `sizeof (imagxp_sent)`
    pub size: usize,
    /// When it was signed.
    pub signed_ms: i64,
    /// When it was sent; 0 if it was not.
    pub sent_ms: i64,
    /// When the answer came; 0 if none did.
    pub answered_ms: i64,
    /// The `error` of the answer's body; empty if it has none.
    pub error: imagxp_str,
    /// The HTTP status of the answer.
    pub http_status: u32,
    /// 0
    pub reserved: u32,
}

/// How a broker's sale went. Begin with `IMAGXP_INIT(&sale)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_sale {
    /// `sizeof (imagxp_sale)`
    pub size: usize,
    /// Who buys.
    pub agent_id: imagxp_str,
    /// For which publisher.
    pub audience: imagxp_str,
    /// The visa's `jti`; empty if it has none, or if there is no visa.
    pub jti: imagxp_str,
    /// What it costs, millionths of the unit.
    pub amount_micros: i64,
    /// When it was asked for.
    pub asked_ms: i64,
    /// When it was answered.
    pub answered_ms: i64,
    /// `IMAGXP_OK`, or why there is no visa.
    pub status: i32,
    /// 0
    pub reserved: u32,
}
