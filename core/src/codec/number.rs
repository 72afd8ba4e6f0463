//! JSON numbers as ECMAScript writes them (RFC 8785 section 3.2.2.3, ECMA-262 Number::toString).
//!
//! A whole number of at most 15 digits is its own canonical form, and that is every number that
//! requests carry in practice. The rest goes through a double: feature `float`. Without the feature
//! such a number is read, but has no canonical form, so what holds it cannot be signed or verified; that spares a chip
//! the code of correct decimal conversion. Money and dates never need it: they are decimals.

use crate::Error;

/// The longest run of digits that a double holds exactly, whatever the digits.
const EXACT_DIGITS: usize = 15;

/// Whether the number, grammar already checked, is one that can be written: finite as a double.
pub(super) fn is_finite(text: &[u8]) -> bool {
    is_short_integer(text) || double::is_finite(text)
}

fn is_short_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.len() <= EXACT_DIGITS && digits.iter().all(u8::is_ascii_digit)
}

/// Hands the canonical form of a number to `put`.
///
/// # Errors
/// `JSON_NUMBER_RANGE` without feature `float`, and those of `put`.
pub(super) fn write(text: &str, put: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    match text {
        // RFC 8785: minus zero is zero.
        "-0" => put(b"0"),
        _ if is_short_integer(text.as_bytes()) => put(text.as_bytes()),
        _ => double::write(text, put),
    }
}

#[cfg(feature = "float")]
mod double {
    use crate::Error;

    pub(super) fn is_finite(text: &[u8]) -> bool {
        parse(text).is_some_and(f64::is_finite)
    }

    pub(super) fn write(text: &str, put: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let value = parse(text.as_bytes()).unwrap_or_default();
        put(ryu_js::Buffer::new().format(value).as_bytes())
    }

    fn parse(text: &[u8]) -> Option<f64> {
        core::str::from_utf8(text).ok()?.parse().ok()
    }
}

#[cfg(not(feature = "float"))]
mod double {
    use crate::Error;

    /// Nobody will ask for its value.
    pub(super) fn is_finite(_: &[u8]) -> bool {
        true
    }

    pub(super) fn write(_: &str, _: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        Err(Error::JsonNumberRange)
    }
}
