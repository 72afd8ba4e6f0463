//! Time on the command line.

use imagxp::UnixMillis;
use imagxp_host::system;

/// `--now`: RFC 3339 in UTC, or milliseconds since 1970.
pub(crate) fn parse(text: &str) -> Result<UnixMillis, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(UnixMillis::from_ms(ms));
    }
    UnixMillis::parse(text.as_bytes())
        .map_err(|_| "write it as 2026-01-26T12:00:00Z, or in milliseconds since 1970".to_owned())
}

/// The time given, or the system's.
pub(crate) fn or_now(given: Option<UnixMillis>) -> UnixMillis {
    given.unwrap_or_else(system::now)
}

/// `2026-01-26T12:00:00.000Z`
pub(crate) fn text(time: UnixMillis) -> String {
    let mut out = [0; UnixMillis::TEXT_LEN];
    time.write(&mut out).map_or_else(|_| format!("{} ms", time.ms()), str::to_owned)
}

/// `3 min 20 s`, `200 ms`
pub(crate) fn span(ms: i64) -> String {
    let ms = ms.unsigned_abs();
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        7_200_000..172_800_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} days", ms / 86_400_000),
    }
}
