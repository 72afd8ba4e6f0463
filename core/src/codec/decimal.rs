//! Decimal numbers without binary floating point: money and dates, from JSON number text.

/// `text × 10^scale`, rounded down, and whether that was exact. None if it is negative, not a JSON number, or
/// does not fit 63 bits.
///
/// Exponents are read too: `1e-3` is 0.001 (RFC 8259 section 6).
#[must_use]
pub fn scaled(text: &str, scale: i32) -> Option<(i64, bool)> {
    let (mantissa, exponent) = match split_at_byte(text, |byte| byte | 0x20 == b'e') {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = split_at_byte(mantissa, |byte| byte == b'.').unwrap_or((mantissa, ""));
    if whole.trim_start_matches('-').is_empty() || mantissa.ends_with('.') {
        return None;
    }
    let whole = match whole.strip_prefix('-') {
        // Minus zero is zero; anything else below zero is refused.
        Some(digits) if digits.bytes().chain(fraction.bytes()).all(|d| d == b'0') => digits,
        Some(_) => return None,
        None => whole,
    };
    // How many of the digits of `whole` and `fraction` stand before the point once it has moved.
    let kept = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(scale)?;
    accumulate(whole.bytes().chain(fraction.bytes()), kept)
}

/// What stands before the first such byte, an ASCII one, and behind it. (`str::split_once` keeps checks that can panic.)
pub(crate) fn split_at_byte(text: &str, is: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let at = text.bytes().position(is)?;
    Some((text.get(..at)?, text.get(at.checked_add(1)?..)?))
}

fn accumulate(digits: impl Iterator<Item = u8>, kept: i32) -> Option<(i64, bool)> {
    let (mut value, mut exact, mut left) = (0_i64, true, kept);
    for digit in digits {
        let digit = i64::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?);
        if left > 0 {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else {
            exact &= digit == 0;
        }
        left = left.saturating_sub(1);
    }
    // Zeros that the text does not spell: at most 18 of them fit unless the value is zero.
    while left > 0 && value > 0 {
        value = value.checked_mul(10)?;
        left = left.saturating_sub(1);
    }
    Some((value, exact))
}

/// An exponent; one of more than six digits is cut to where it no longer matters.
fn parse_exponent(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.bytes().try_fold(0_i32, |value, digit| {
        let digit = i32::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?);
        Some(value.checked_mul(10)?.checked_add(digit)?.min(1_000_000))
    })?;
    magnitude.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn money_is_exact() {
        assert_eq!(scaled("0.001", 6), Some((1_000, true)));
        assert_eq!(scaled("1e-3", 6), Some((1_000, true)));
        assert_eq!(scaled("1E+1", 6), Some((10_000_000, true)));
        assert_eq!(scaled("0.0000001", 6), Some((0, false)));
        assert_eq!(scaled("12.3456789", 6), Some((12_345_678, false)));
        assert_eq!(scaled("1.10", 1), Some((11, true)));
        assert_eq!(scaled("100e-2", 0), Some((1, true)));
    }

    #[test]
    fn bounds() {
        assert_eq!(scaled("-0", 0), Some((0, true)));
        assert_eq!(scaled("-0.0e5", 6), Some((0, true)));
        assert_eq!(scaled("-1", 0), None);
        for nothing in ["", ".", "-", "e5", "-.0", ".5", "1.", "1.e2"] {
            assert_eq!(scaled(nothing, 6), None, "{nothing}");
        }
        assert_eq!(scaled("9223372036854775807", 0), Some((i64::MAX, true)));
        assert_eq!(scaled("9223372036854775808", 0), None);
        assert_eq!(scaled("1e999999999999999999999", 0), None);
        assert_eq!(scaled("0e999999999999999999999", 0), Some((0, true)));
        assert_eq!(scaled("1e-999999999999999999999", 0), Some((0, false)));
    }
}
