//! Writing the evidence: lines of a log that cannot be changed unseen.

use imagxp_core::evidence::{self, Decided, Fetched, Head};
use imagxp_core::key::{self, Digest};
use imagxp_core::{Error, UnixMillis, spec};

use crate::agent_keys::Signer;
use crate::decision::Decision;
use crate::memory::{Input, Output, Region, disjoint, read_bytes, read_str};
use crate::out::Text;
use crate::publisher::{Pieces, Visitor};
use crate::status::{OK, answer, answer_and_wipe};
use crate::types::*;
use crate::verdict;

const DOCUMENTS: usize = spec::evidence::DOCUMENTS_MAX;

/// Where a line goes, and what it follows on.
struct Line {
    head: Output<imagxp_head>,
    out: Text,
}

impl Line {
    fn new(head: *mut imagxp_head, out: imagxp_buf, needed: *mut usize) -> Result<Self, Error> {
        Ok(Self { head: Output::one(head)?, out: Text::new(out, needed)? })
    }

    fn regions(&self) -> [Region; 3] {
        let [out, needed] = self.out.regions();
        [self.head.region(), out, needed]
    }

    /// # Safety
    /// The contract of the preamble; `regions` are apart from everything else.
    unsafe fn head(&self) -> Head {
        // SAFETY: the caller's.
        let imagxp_head { hash, count } = unsafe { self.head.read() };
        Head { hash, count }
    }

    /// The line is written: the head moves on.
    ///
    /// # Safety
    /// As [`Self::head`].
    unsafe fn advance(&self, head: &Head, line: &str) -> imagxp_status {
        let Head { hash, count } = head.after(line);
        // SAFETY: the caller's.
        unsafe { self.head.write(imagxp_head { hash, count }) };
        OK
    }
}

/// Writes the line that records a fetched document, with its newline: append it as it is, in one piece. `head` moves on;
/// where the line could not be appended, put the former head back. Record each document once a fetch, before the
/// decision that waited for it. 512 bytes, the URL, and four thirds of the body always suffice. `sha256`, which may be
/// NULL, gets 32 bytes: the document's name in decisions. `needed`, which may be NULL, gets the length, with
/// `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_LENGTH`: a body above 65,536 bytes, a URL above 2,048 or not plain ASCII;
/// `TIMESTAMP_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_document(
    url: imagxp_str,
    body: imagxp_str,
    at_ms: i64,
    head: *mut imagxp_head,
    out: imagxp_buf,
    needed: *mut usize,
    sha256: *mut u8,
) -> imagxp_status {
    answer(|| {
        let line = Line::new(head, out, needed)?;
        let digest = Output::many(sha256.cast::<Digest>(), usize::from(!sha256.is_null()))?;
        let [head, out, needed] = line.regions();
        let outputs = [head, out, needed, digest.region()];
        disjoint(&outputs, &[])?;
        let (url, body) = (read_str(url, &outputs, Error::AbiLength)?, read_bytes(body, &outputs)?);
        let document = Fetched { url, body, at: UnixMillis::from_ms(at_ms) };
        // SAFETY: checked, and apart from everything else.
        unsafe {
            let head = line.head();
            let text = line.out.fill(|writer| document.write_to(&head, writer))?;
            digest.slice().fill(key::sha256(body));
            Ok(line.advance(&head, text))
        }
    })
}

/// Writes the line that records a decision: the request as it came, the documents that it rests on, and the verdict. Call
/// it when the decision has fallen; `verified` is that of `imagxp_request_verify`, or NULL when that refused. It names the
/// manifest and the key set that the key cache had verified with, whenever they were fetched, and those in
/// `decision->fetches` that were recorded. A log that begins while the key cache is warm does not hold the former: keep
/// the documents to record them once more, or begin with an empty cache. 24,576 bytes always suffice, 2,500 do for most.
/// `head` and `needed` as in `imagxp_evidence_document`.
///
/// What was refused before its signature was checked proves nothing: there is no need to record it.
///
/// Errors: `BUFFER_TOO_SMALL`; `TIMESTAMP_INVALID`; `ABI_ARGUMENT`; `ABI_STATE`: `IMAGXP_OK` for what is not verified; and what
/// `imagxp_request_parse` says of headers that cannot be taken in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_decision(
    visit: *const imagxp_visit,
    verified: *const imagxp_verified,
    decision: *const imagxp_decision,
    head: *mut imagxp_head,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let line = Line::new(head, out, needed)?;
        let outputs = line.regions();
        disjoint(&outputs, &[])?;
        let visitor = Pieces::new(visit, &outputs)?;
        let decision = Decision::read(decision, verified, &outputs)?;
        // SAFETY: checked, and apart from the outputs.
        let visit = unsafe { visitor.read()? };
        let mut memory = [Digest::default(); DOCUMENTS];
        let found = decision.found.filter(|found| found.jwks_sha256 != Digest::default());
        let visa_key = found.as_ref().map(verdict::token_key).transpose()?;
        let decided = Decided {
            visit: &visit,
            received: decision.received,
            decided: decision.decided,
            documents: documents(&decision, &mut memory),
            visa_key: visa_key.as_ref(),
            verdict: decision.verdict.as_ref().map_err(|error| *error),
        };
        // SAFETY: checked, and apart from everything else.
        unsafe {
            let head = line.head();
            let text = line.out.fill(|writer| decided.write_to(&head, writer))?;
            Ok(line.advance(&head, text))
        }
    })
}

/// The documents that the verdict rests on, then those that were fetched for it; each once.
fn documents<'m>(decision: &Decision<'_>, memory: &'m mut [Digest; DOCUMENTS]) -> &'m [Digest] {
    let used = decision.found.map(|found| [found.manifest_sha256, found.jwks_sha256]).unwrap_or_default();
    let all = used.into_iter().chain(decision.fetches.iter().map(|fetch| fetch.sha256));
    let mut len = 0;
    for digest in all.filter(|digest| *digest != Digest::default()) {
        let (taken, free) = memory.split_at_mut_checked(len).unwrap_or_default();
        if let (false, Some(place)) = (taken.contains(&digest), free.first_mut()) {
            *place = digest;
            len += 1;
        }
    }
    memory.get(..len).unwrap_or_default()
}

/// Writes a checkpoint: how many lines there are and which is the last, signed with the publisher's key. 512 bytes always
/// suffice. `hedge` and `flags` as in `imagxp_request_sign`, `head` and `needed` as in `imagxp_evidence_document`.
///
/// Errors: `BUFFER_TOO_SMALL`; `TIMESTAMP_INVALID`; `SIGN_FAULT`; `ABI_ARGUMENT`; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_checkpoint(
    key: *const imagxp_key,
    hedge: *const u8,
    flags: u32,
    now_ms: i64,
    head: *mut imagxp_head,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer_and_wipe(|| {
        let line = Line::new(head, out, needed)?;
        let outputs = line.regions();
        disjoint(&outputs, &[])?;
        let signer = Signer::new(key, hedge, flags, &outputs)?;
        let mut memory = [0; 512];
        // SAFETY: checked, and apart from each other.
        unsafe {
            let ((pair, signing), head) = (signer.read()?, line.head());
            let text = evidence::write_checkpoint(&pair, &head, UnixMillis::from_ms(now_ms), signing, &mut memory)?;
            line.out.put(text.as_bytes())?;
            Ok(line.advance(&head, text))
        }
    })
}

/// Whether a checkpoint is due: after 1,000 lines, or a second with news; 1 or 0. `sealed` is the head that the last
/// checkpoint left, `elapsed_ms` the time since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_wants_checkpoint(
    head: *const imagxp_head,
    sealed: *const imagxp_head,
    elapsed_ms: i64,
) -> i32 {
    let read = |head| {
        // SAFETY: checked; nothing is written.
        Input::one(head).map(|head| unsafe { head.read() }).map(|imagxp_head { hash, count }| Head { hash, count })
    };
    let (Ok(head), Ok(sealed)) = (read(head), read(sealed)) else { return 0 };
    head.wants_checkpoint(&sealed, elapsed_ms).into()
}
