//! What hosts and tools ask on the side.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use imagxp_core::codec::jcs;
use imagxp_core::codec::json::{Document, Limits, Node};
use imagxp_core::{Error, host};

use crate::memory::{Input, disjoint};
use crate::out::Text;
use crate::status::{OK, answer};
use crate::types::*;

/// Whether `name` can be an agent: a public domain name in lower case. `mode` is `IMAGXP_MODE_PRODUCTION` or
/// `IMAGXP_MODE_DEVELOPMENT`.
///
/// Errors: `AGENT_ID_INVALID`, `ABI_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_host_check_agent_id(name: imagxp_str, mode: i32) -> imagxp_status {
    answer(|| {
        let name = Input::text(name)?;
        let mode = match mode {
            IMAGXP_MODE_PRODUCTION => host::Mode::Production,
            IMAGXP_MODE_DEVELOPMENT => host::Mode::Development,
            _ => return Err(Error::AbiArgument),
        };
        // SAFETY: checked; nothing is written.
        let name = core::str::from_utf8(unsafe { name.slice() }).map_err(|_| Error::AgentIdInvalid)?;
        host::check_agent_id(name, mode)?;
        Ok(OK)
    })
}

/// Whether a verifier may connect to an address that a stranger's name resolved to: `IMAGXP_OK` for a public one.
/// `address` has 4 bytes (IPv4) or 16 (IPv6), in network order. Ask about every address of the name, and connect to one
/// that was asked about: a second look-up may give another.
///
/// Errors: `HOST_FORBIDDEN`; `ABI_ARGUMENT`: another length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_host_may_connect(address: *const u8, address_len: usize) -> imagxp_status {
    answer(|| {
        let address = Input::many(address, address_len)?;
        // SAFETY: checked; nothing is written.
        let address = unsafe { address.slice() };
        let address = if let Ok(octets) = <[u8; 4]>::try_from(address) {
            IpAddr::V4(Ipv4Addr::from(octets))
        } else if let Ok(octets) = <[u8; 16]>::try_from(address) {
            IpAddr::V6(Ipv6Addr::from(octets))
        } else {
            return Err(Error::AbiArgument);
        };
        host::may_connect(address)?;
        Ok(OK)
    })
}

/// Writes the canonical form (RFC 8785) of a JSON object or value within the bounds of a payload: what signatures are
/// made over. `needed`, which may be NULL, gets its length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `JSON_*`, `BUFFER_TOO_SMALL`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_jcs(json: imagxp_str, out: imagxp_buf, needed: *mut usize) -> imagxp_status {
    answer(|| {
        let json = Input::text(json)?;
        let out = Text::new(out, needed)?;
        disjoint(&out.regions(), &[json.region()])?;
        let mut nodes = [Node::default(); Limits::PAYLOAD.nodes];
        // SAFETY: checked, and apart from the outputs.
        let document = Document::parse(unsafe { json.slice() }, &Limits::PAYLOAD, &mut nodes)?;
        // SAFETY: checked.
        unsafe { out.fill(|writer| jcs::write(&document.root(), writer))? };
        Ok(OK)
    })
}
