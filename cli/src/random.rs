//! Random bytes of the system, and names made of them.

use imagxp_host::system;

use crate::failure::Failure;
use crate::print::hex;

/// So many bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    system::random().map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}"), ""))
}

/// The name that was given, or one that nobody else has: 32 hex digits.
pub(crate) fn name_or(given: Option<&str>) -> Result<String, Failure> {
    given.map_or_else(|| Ok(hex(&bytes::<16>()?)), |name| Ok(name.to_owned()))
}
