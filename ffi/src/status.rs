//! What the numbers mean.

use imagxp_core::Error;

use crate::types::{imagxp_status, imagxp_str};

pub(crate) const OK: imagxp_status = 0;
pub(crate) const NEED: imagxp_status = 1;
pub(crate) const VERIFIED: imagxp_status = 2;
pub(crate) const FAULT: imagxp_status = 3;

/// Version of this interface: what `imagxp_abi_version` says in a library of the same age.
pub const IMAGXP_ABI: u32 = 1;

/// The answer of a call.
pub(crate) fn answer(call: impl FnOnce() -> Result<imagxp_status, Error>) -> imagxp_status {
    call().unwrap_or_else(|error| error as imagxp_status)
}

/// The answer of a call that has a private key in its hands. What it left on the stack is overwritten: drops wipe what a
/// variable holds at its end, not the copies that moves and spilled registers leave (threats.md K4).
pub(crate) fn answer_and_wipe(call: impl FnOnce() -> Result<imagxp_status, Error>) -> imagxp_status {
    let status = leaving_traces(call);
    wipe_stack::<KEY_DEPTH>();
    status
}

/// The same for a call that signs a token: its parts lie on the stack above the signature.
pub(crate) fn answer_and_wipe_deep(call: impl FnOnce() -> Result<imagxp_status, Error>) -> imagxp_status {
    let status = leaving_traces(call);
    wipe_stack::<TOKEN_DEPTH>();
    status
}

/// Words, as deep as a signature or the reader of a key goes, and as the signature of a token does: ffi/tests/wipe.c looks
/// whether that is enough.
const KEY_DEPTH: usize = 1_024;
const TOKEN_DEPTH: usize = 1_664;

#[inline(never)]
fn leaving_traces(call: impl FnOnce() -> Result<imagxp_status, Error>) -> imagxp_status {
    answer(call)
}

#[inline(never)]
fn wipe_stack<const WORDS: usize>() {
    let mut dead = [0_u64; WORDS];
    core::hint::black_box(&mut dead);
}

/// A text that lives for ever.
pub(crate) fn constant(text: &'static str) -> imagxp_str {
    imagxp_str { ptr: text.as_ptr().cast(), len: text.len() }
}

/// The `IMAGXP_ABI` of the library that was linked. It grows when functions or members are added; a program
/// runs with any library whose number is at least that of its header.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_abi_version() -> u32 {
    IMAGXP_ABI
}

/// The name of a status, as the wire and the logs show it: `TIMESTAMP_STALE`. It lives for ever; empty for an unknown number.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_name(status: imagxp_status) -> imagxp_str {
    constant(match status {
        OK => "OK",
        NEED => "NEED",
        VERIFIED => "VERIFIED",
        FAULT => "FAULT",
        _ => Error::from_number(status).map_or("", Error::name),
    })
}

/// A sentence for the log and for tools: what was wrong, and what to mend. It lives for ever; empty for an unknown
/// number. Never send it to a remote client.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_help(status: imagxp_status) -> imagxp_str {
    constant(match status {
        OK => "done",
        NEED => "fetch the document, supply it to the key cache, and call again",
        VERIFIED => "every check holds but one: imagxp_request_admit makes it",
        FAULT => "this line of the evidence is not good: the result says why",
        _ => Error::from_number(status).map_or("", Error::help),
    })
}

/// The HTTP status to answer with. 200 for `IMAGXP_OK` only: `IMAGXP_VERIFIED` that was not admitted is the host's
/// mistake, and so is an unknown number (500); `IMAGXP_NEED` that is not met is 503.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_http(status: imagxp_status) -> i32 {
    match status {
        OK => 200,
        NEED => 503,
        _ => Error::from_number(status).map_or(500, |error| error.status().into()),
    }
}

/// The status that a remote client may be told by name: every failure of an identity looks alike there. All others stay
/// as they are.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_public(status: imagxp_status) -> imagxp_status {
    Error::from_number(status).map_or(status, |error| error.public() as imagxp_status)
}

/// 1 if a key or a signature was checked before this was found, else 0: such a message costs as much each time that it is
/// sent, so charge its client for it. 0 for what this site alone is to blame for: a restart, a store that is full or down.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_is_behind_signature(status: imagxp_status) -> i32 {
    Error::from_number(status).is_some_and(Error::is_behind_signature).into()
}

/// Seconds for `Retry-After`; 0 for none. For `IMAGXP_REPLAY_CACHE_FULL` see `imagxp_replay_cache_retry_after_s`.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_status_retry_after_s(status: imagxp_status) -> u32 {
    Error::from_number(status).and_then(Error::retry_after_s).unwrap_or(0)
}
