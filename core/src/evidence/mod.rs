//! Evidence: an append-only log of what a publisher saw and decided, and its offline verification (protocol.md section 9).
//!
//! A log is lines of canonical JSON (RFC 8785), each of which names the SHA-256 of the line before, so that none can be
//! changed, removed, added or swapped unseen. There are three kinds:
//!
//! - `document`: a fetched document as it came, with its URL and time; once a fetch.
//! - `decision`: a request as it came, the documents that the decision rests on, and the verdict.
//! - `checkpoint`: how many lines there are and which is the last, signed by the publisher.
//!
//! Write with [`write_document`], [`write_decision`], [`write_checkpoint`]; each gives a line with its newline, to be
//! appended in one piece, and then [`Head::after`] moves on. Verify with a [`Log`], line by line, and prove a [`Decision`]
//! with its documents. There is one chain a writer.
//!
//! # What is proven, and what is not
//!
//! - [`Finding::Proven`] of a signature: the owner of this key signed these bytes. Not when, but for the time in them.
//! - of a manifest: by this log, this host served this key for this name, to this observer, at this time. The observer is
//!   the log's writer: who doubts it compares with another archive ([`Decision::check_manifest`]).
//! - of a visa: the owner of the recorded key signed it, and the recorded key set lists that key.
//! - of a log: nothing up to the last checkpoint was altered since the publisher signed it. A publisher can sign another
//!   log: checkpoints that were handed to others in time are what stands against that. Lines behind the last checkpoint
//!   are [`Summary::unsealed`]: the end of a log can be cut off there, and an unsigned last line altered.

mod checks;
mod log;
mod prove;
mod record;
mod write;

use sha2::{Digest as _, Sha256};

use crate::key::{Digest, PublicKey};
use crate::spec;

pub use checks::{Check, Checks, Tables, verify_checks};
pub use log::{Fault, Log, State, Summary, What};
pub use prove::{Finding, Findings};
pub use record::{Checkpoint, Decision, Document, Outcome, Record, Target};
pub use write::{Decided, Fetched, write_checkpoint, write_decision, write_document};

/// Where a chain ends: what the next line follows on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The SHA-256 of the last line, without its newline; zeros before the first.
    pub hash: Digest,
    /// How many lines there are.
    pub count: u64,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { hash: [0; 32], count: 0 };

    /// The head when this line, with or without its newline, has been appended.
    #[must_use]
    pub fn after(&self, line: &str) -> Self {
        let line = line.strip_suffix('\n').unwrap_or(line);
        Self { hash: crate::key::sha256(line.as_bytes()), count: self.count.saturating_add(1) }
    }

    /// Whether a checkpoint is due: every 1,000 records, or every second with news. `sealed` is the head that the last
    /// checkpoint left, `elapsed_ms` the time since.
    #[must_use]
    pub fn wants_checkpoint(&self, sealed: &Self, elapsed_ms: i64) -> bool {
        let news = self.count.saturating_sub(sealed.count);
        news >= spec::evidence::CHECKPOINT_RECORDS || news > 0 && elapsed_ms >= spec::evidence::CHECKPOINT_MS
    }
}

/// The key in a JWK Set that a token names, by the rules of verification: by `kid`, or the only usable one. For
/// [`Decided::visa_key`], and for whoever holds a recorded set.
#[must_use]
pub fn find_key(jwks: &[u8], token: &[u8]) -> Option<PublicKey> {
    prove::find_key(jwks, token)
}

/// The SHA-256 of base64 text's bytes, decoded piece by piece; none if it is not strict base64.
fn body_digest(text: &str) -> Option<Digest> {
    let mut sha = Sha256::new();
    let mut bytes = [0; PIECE / 4 * 3];
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let decoded = crate::codec::base64::decode(piece, &mut bytes).ok()?;
        // Padding only at the end of all.
        if pieces.peek().is_some() && decoded.len() != PIECE / 4 * 3 {
            return None;
        }
        sha.update(decoded);
    }
    Some(sha.finalize().into())
}

/// Characters of base64 that are decoded at once.
const PIECE: usize = 1_024;
