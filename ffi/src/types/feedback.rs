//! What an agent says of what it got.

use super::{imagxp_span, imagxp_str};

/// Made for search engines.
pub const IMAGXP_REASON_SEO_SPAM: i32 = 1;
/// Wrong.
pub const IMAGXP_REASON_INACCURATE: i32 = 2;
/// Hateful.
pub const IMAGXP_REASON_HATE_SPEECH: i32 = 3;
/// Good.
pub const IMAGXP_REASON_HIGH_QUALITY: i32 = 4;
/// Poor.
pub const IMAGXP_REASON_LOW_QUALITY_SPAM: i32 = 5;

/// `imagxp_judgement.outcome`: the score is above a half, and the publisher gets the payment.
pub const IMAGXP_OUTCOME_RELEASE: i32 = 1;
/// It is below, and the publisher does not.
pub const IMAGXP_OUTCOME_WITHHOLD: i32 = 2;
/// It is exactly a half.
pub const IMAGXP_OUTCOME_UNCHANGED: i32 = 3;

/// What an agent has to say. Begin with `IMAGXP_INIT(&feedback)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_feedback {
    /// `sizeof (imagxp_feedback)`
    pub size: usize,
    /// Who says it.
    pub agent_id: imagxp_str,
    /// What was fetched, at most 2,048 bytes.
    pub url: imagxp_str,
    /// Whom it is for: the broker, or the publisher.
    pub audience: imagxp_str,
    /// Its own name, 1 to 128 bytes: by it a broker knows a repetition.
    pub jti: imagxp_str,
    /// The `jti` of the visa that paid for it; may be empty.
    pub visa: imagxp_str,
    /// The request that is judged: the value that it had for `IMAGXP_HEADER_PAYLOAD`; may be empty.
    pub payload: imagxp_str,
    /// How good it was, in millionths: 0 to 1,000,000.
    pub score: u32,
    /// Why: `IMAGXP_REASON_*`.
    pub reason: i32,
}

/// Verified feedback. The texts lie in the scratch of the call. Begin with `IMAGXP_INIT(&judgement)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_judgement {
    /// `sizeof (imagxp_judgement)`
    pub size: usize,
    /// How good it was, in millionths, rounded down.
    pub score: u32,
    /// What that does to the payment, `IMAGXP_OUTCOME_*`: the exact score decides, not the rounded one.
    pub outcome: i32,
    /// Why: bit `n` stands for the reason of number `n`.
    pub reasons: u32,
    /// 0
    pub reserved: u32,
    /// When it was written.
    pub ts_ms: i64,
    /// What was fetched. Any text: print it with care.
    pub url: imagxp_span,
    /// Its own name; none in the reference's form.
    pub jti: imagxp_span,
    /// The `jti` of the visa that paid for it: the payment that the outcome is about.
    pub visa: imagxp_span,
    /// The SHA-256 of the payload JSON (`imagxp_verified.payload`) that is judged; zeros if it names none.
    pub request: [u8; 32],
}
