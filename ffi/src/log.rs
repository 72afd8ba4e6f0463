//! Verifying the evidence: a whole log line by line, and what one decision proves.

use imagxp_core::evidence::{Decision, Document, Fault, Finding, Head, Log, Outcome, Record, State, What};
use imagxp_core::{Error, PublicKey, UnixMillis};

use crate::agent_keys::public;
use crate::memory::{Output, disjoint, read_array, read_bytes};
use crate::status::{FAULT, OK, answer};
use crate::types::*;

/// Keys under which a publisher's checkpoints may be.
const KEYS_MAX: usize = 8;
/// Documents that one decision may rest on.
const DOCUMENTS: usize = imagxp_core::spec::evidence::DOCUMENTS_MAX;

/// Verifies the next line of a log, given without its newline; a checkpoint's signature, too. `keys` are the publisher's,
/// at most eight, in `IMAGXP_FORMAT_TEXT` or `_PEM`. `IMAGXP_FAULT`: `record->fault` says what is wrong with the line. Go on
/// with the next all the same: every fault is found and named once. Both fill `log` and `record`.
///
/// What is left behind the last newline is a line that was torn while being written: no record, and no fault.
///
/// Errors: `KEY_FORMAT`, `KEY_INVALID`; `ABI_ARGUMENT`: more keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_log_line(
    log: *mut imagxp_log,
    keys: *const imagxp_str,
    keys_len: usize,
    line: imagxp_str,
    record: *mut imagxp_record,
) -> imagxp_status {
    answer(|| {
        let (log, record) = (Output::sized(log)?, Output::sized(record)?);
        let outputs = [log.region(), record.region()];
        disjoint(&outputs, &[])?;
        let line = read_bytes(line, &outputs)?;
        let keys = read_array(keys, keys_len, &outputs)?;
        let key = |text: &imagxp_str| public(read_bytes(*text, &outputs)?);
        // SAFETY: checked, and apart from everything else.
        let before = unsafe { log.read() };
        let (state, found) = match keys {
            [] => step(&before, &[], line),
            [first, rest @ ..] => {
                let mut known = [key(first)?; KEYS_MAX];
                let (_, places) = known.split_first_mut().ok_or(Error::AbiArgument)?;
                for (place, text) in places.get_mut(..rest.len()).ok_or(Error::AbiArgument)?.iter_mut().zip(rest) {
                    *place = key(text)?;
                }
                step(&before, known.get(..keys.len()).unwrap_or_default(), line)
            }
        };
        // SAFETY: checked.
        unsafe {
            log.write(imagxp_log { size: before.size, ..flat(&state) });
            record.write(found);
        }
        Ok(if found.fault == IMAGXP_FAULT_NONE { OK } else { FAULT })
    })
}

/// One line further.
fn step(log: &imagxp_log, keys: &[PublicKey], line: &[u8]) -> (State, imagxp_record) {
    let head = Head { hash: log.head.hash, count: log.head.count };
    let imagxp_log { before, sealed, shift, bytes, faults, .. } = *log;
    let mut log = Log::with_state(keys, State { head, before, sealed, shift, bytes, faults });
    let found = match log.line(line) {
        Ok(record) => read_record(&record, line),
        Err(fault) => read_fault(&fault),
    };
    (log.state(), imagxp_record { line: log.head().count, ..found })
}

fn flat(state: &State) -> imagxp_log {
    let Head { hash, count } = state.head;
    let State { before, sealed, shift, bytes, faults, .. } = *state;
    imagxp_log { size: 0, head: imagxp_head { hash, count }, before, sealed, shift, bytes, faults }
}

fn empty() -> imagxp_record {
    imagxp_record { size: size_of::<imagxp_record>(), ..imagxp_record::default() }
}

fn read_fault(fault: &Fault) -> imagxp_record {
    let (stated, found) = match fault.what {
        What::Count { stated, found } => (stated, found),
        _ => (0, 0),
    };
    imagxp_record { fault: number(fault.what), stated, found, ..empty() }
}

fn number(what: What) -> i32 {
    match what {
        What::NotARecord => IMAGXP_FAULT_NOT_A_RECORD,
        What::NotCanonical => IMAGXP_FAULT_NOT_CANONICAL,
        What::Body => IMAGXP_FAULT_BODY,
        What::Chain => IMAGXP_FAULT_CHAIN,
        What::Previous => IMAGXP_FAULT_PREVIOUS,
        What::Count { .. } => IMAGXP_FAULT_COUNT,
        What::Key => IMAGXP_FAULT_KEY,
        What::Signature => IMAGXP_FAULT_SIGNATURE,
        What::Document => IMAGXP_FAULT_DOCUMENT,
    }
}

fn read_record(record: &Record<'_>, line: &[u8]) -> imagxp_record {
    match record {
        Record::Document(document) => imagxp_record {
            kind: IMAGXP_RECORD_DOCUMENT,
            at_ms: document.at.ms(),
            sha256: document.sha256,
            url: span(document.url, line),
            ..empty()
        },
        Record::Decision(decision) => {
            let mut documents = [[0; 32]; DOCUMENTS];
            for (place, digest) in documents.iter_mut().zip(&decision.documents) {
                *place = *digest;
            }
            imagxp_record {
                kind: IMAGXP_RECORD_DECISION,
                at_ms: decision.received.ms(),
                decided_ms: decision.decided.ms(),
                status: match decision.outcome {
                    Outcome::Admitted { .. } => OK,
                    Outcome::Refused(error) => error as i32,
                },
                documents_len: u32::try_from(decision.documents.len()).unwrap_or_default(),
                documents,
                ..empty()
            }
        }
        Record::Checkpoint(checkpoint) => {
            imagxp_record { kind: IMAGXP_RECORD_CHECKPOINT, at_ms: checkpoint.at.ms(), ..empty() }
        }
    }
}

/// Where a text of the line lies.
fn span(text: &str, line: &[u8]) -> imagxp_span {
    let at = text.as_ptr().addr().wrapping_sub(line.as_ptr().addr());
    match (u32::try_from(at), u32::try_from(text.len())) {
        (Ok(at), Ok(len)) if len > 0 => imagxp_span { at, len },
        _ => imagxp_span::default(),
    }
}

/// Proves a decision, offline: `line` is its line, `documents` are the lines of the documents that it rests on
/// (`imagxp_record.documents`), as many of at most four as are at hand; all without their newlines. Chain and checkpoints
/// are `imagxp_log_line`'s. `scratch` takes a document's body: 65,536 bytes, or 8,192 where only manifests are given.
/// `IMAGXP_OK`: the verdict is borne out. `IMAGXP_FAULT`: it is not. Both fill `findings`.
///
/// Errors: `BUFFER_TOO_SMALL`, of `scratch`; `ABI_ARGUMENT`: `line` is no decision, or one of `documents` no document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_prove(
    line: imagxp_str,
    documents: *const imagxp_str,
    documents_len: usize,
    scratch: imagxp_buf,
    findings: *mut imagxp_findings,
) -> imagxp_status {
    answer(|| {
        let (scratch, findings) = (Output::buf(scratch)?, Output::sized(findings)?);
        let outputs = [scratch.region(), findings.region()];
        disjoint(&outputs, &[])?;
        let line = read_bytes(line, &outputs)?;
        let lines = read_array(documents, documents_len, &outputs)?;
        let mut memory = [Document { url: "", at: UnixMillis::EPOCH, sha256: [0; 32], base64: "" }; DOCUMENTS];
        let documents = memory.get_mut(..lines.len()).ok_or(Error::AbiArgument)?;
        for (place, text) in documents.iter_mut().zip(lines) {
            *place = read_document(read_bytes(*text, &outputs)?)?;
        }
        let decision = read_decision(line)?;
        // SAFETY: checked, and apart from everything else.
        let proven = decision.prove(documents, unsafe { scratch.slice() })?;
        let fault = proven.bear_out(decision.outcome).map_or_else(number, |()| IMAGXP_FAULT_NONE);
        let found = imagxp_findings {
            size: size_of::<imagxp_findings>(),
            signature: finding(proven.signature),
            manifest: finding(proven.manifest),
            visa: finding(proven.visa),
            visa_key: finding(proven.visa_key),
            bound: finding(proven.bound),
            fault,
        };
        // SAFETY: checked.
        unsafe { findings.write(found) };
        Ok(if fault == IMAGXP_FAULT_NONE { OK } else { FAULT })
    })
}

#[inline(never)] // a line's nodes leave the stack before the next is read
fn read_document(line: &[u8]) -> Result<Document<'_>, Error> {
    match Record::parse(line) {
        Ok((Record::Document(document), _)) => Ok(document),
        _ => Err(Error::AbiArgument),
    }
}

#[inline(never)]
fn read_decision(line: &[u8]) -> Result<Decision<'_>, Error> {
    match Record::parse(line) {
        Ok((Record::Decision(decision), _)) => Ok(decision),
        _ => Err(Error::AbiArgument),
    }
}

fn finding(finding: Finding) -> i32 {
    match finding {
        Finding::Absent => IMAGXP_FINDING_ABSENT,
        Finding::Unknown => IMAGXP_FINDING_UNKNOWN,
        Finding::Proven => IMAGXP_FINDING_PROVEN,
        Finding::Refuted(error) => error as i32,
    }
}

/// A decision against any copy of the agent's manifest, such as another archive's: `IMAGXP_OK` if it lists the key that
/// signed, for the agent that is named, as good at some second between arrival and decision. It proves what the copy's archive vouches
/// for. `line` as in `imagxp_evidence_prove`.
///
/// Errors: `KEY_MISMATCH`, `KEY_REVOKED`, `MANIFEST_*`: it does not; `ABI_ARGUMENT`: `line` is no decision on a signed request;
/// and what is wrong with the recorded request itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_evidence_check_manifest(line: imagxp_str, manifest: imagxp_str) -> imagxp_status {
    answer(|| {
        let (line, body) = (read_bytes(line, &[])?, read_bytes(manifest, &[])?);
        match read_decision(line)?.check_manifest(body) {
            Finding::Proven => Ok(OK),
            Finding::Refuted(error) => Err(error),
            Finding::Absent | Finding::Unknown => Err(Error::AbiArgument),
        }
    })
}
