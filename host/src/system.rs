//! The clock and the random source of the system.

use std::time::{SystemTime, UNIX_EPOCH};

use imagxp::UnixMillis;

/// The time now; 1970 if the system's clock stands before that, which every verdict refuses as `CLOCK_UNKNOWN`.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Random bytes from the operating system.
///
/// # Errors
/// The system has none: nothing that signs or remembers should start then.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
