//! Time as this protocol knows it: milliseconds since 1970, and one text form of them.
//!
//! There is no clock here. `now` is always an argument.

use crate::Error;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds, as every clock API gives it.
///
/// Arithmetic saturates at the ends of `i64`, some 292 million years away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// The first millisecond that [`UnixMillis::parse`] reads: 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(0);
    /// The last one: 9999-12-31T23:59:59.999Z.
    pub const LAST: Self = Self(253_402_300_799_999);
    /// Bytes of what [`UnixMillis::write`] writes.
    pub const TEXT_LEN: usize = 24;

    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// From whole seconds since 1970.
    #[must_use]
    pub const fn from_s(s: i64) -> Self {
        Self(s.saturating_mul(1_000))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn s(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// `ms` milliseconds later.
    #[must_use]
    pub const fn saturating_add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// `ms` milliseconds earlier.
    #[must_use]
    pub const fn saturating_sub(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to here; negative if `earlier` is the later one.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads `YYYY-MM-DDTHH:MM:SS[.d{1,9}]Z`, the years 1970 to 9999, a day that the calendar has; the fraction is cut
    /// (not rounded) to milliseconds. A subset of RFC 3339: no offsets, no lower case, no leap seconds (threats.md 4.3).
    ///
    /// # Errors
    /// `TIMESTAMP_INVALID` for any other text.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        parse(text).map(Self).ok_or(Error::TimestampInvalid)
    }

    /// Writes `2026-01-26T12:00:00.000Z`, [`UnixMillis::TEXT_LEN`] bytes, and returns it, a view into `out`.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`; `TIMESTAMP_INVALID` for a time before 1970 or after 9999.
    pub fn write(self, out: &mut [u8]) -> Result<&str, Error> {
        let text = self.text().ok_or(Error::TimestampInvalid)?;
        let out = out.get_mut(..Self::TEXT_LEN).ok_or(Error::BufferTooSmall)?;
        out.copy_from_slice(&text);
        // Never an error: only ASCII was written.
        core::str::from_utf8(out).map_err(|_| Error::TimestampInvalid)
    }

    fn text(self) -> Option<[u8; Self::TEXT_LEN]> {
        let ms = u64::try_from(self.0).ok().filter(|_| self <= Self::LAST)?;
        let (days, ms) = (ms / DAY_MS, ms % DAY_MS);
        let (year, month, day) = civil(days)?;
        let [y0, y1, y2, y3] = decimal(year);
        let [m0, m1] = decimal(month);
        let [d0, d1] = decimal(day);
        let [h0, h1] = decimal(ms / HOUR_MS);
        let [i0, i1] = decimal(ms / MINUTE_MS % 60);
        let [s0, s1] = decimal(ms / SECOND_MS % 60);
        let [f0, f1, f2] = decimal(ms % SECOND_MS);
        Some([
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, b'.', f0, f1, f2,
            b'Z',
        ])
    }
}

/// Whether `ts` is fresh: `now - window_ms <= ts <= now + skew_ms`, both inclusive (protocol.md section 2).
///
/// # Errors
/// `TIMESTAMP_STALE` before, `TIMESTAMP_FUTURE` after.
pub fn fresh(now: UnixMillis, ts: UnixMillis, window_ms: u32, skew_ms: u32) -> Result<(), Error> {
    if ts < now.saturating_sub(window_ms.into()) {
        Err(Error::TimestampStale)
    } else if ts > now.saturating_add(skew_ms.into()) {
        Err(Error::TimestampFuture)
    } else {
        Ok(())
    }
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

fn parse(text: &[u8]) -> Option<i64> {
    #[rustfmt::skip]
    let [
        y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T',
        h0, h1, b':', i0, i1, b':', s0, s1, rest @ ..
    ] = text else { return None };
    let day = days(number(&[*y0, *y1, *y2, *y3])?, number(&[*m0, *m1])?, number(&[*d0, *d1])?)?;
    let hour = number(&[*h0, *h1]).filter(|hour| *hour < 24)?;
    let minute = number(&[*i0, *i1]).filter(|minute| *minute < 60)?;
    let second = number(&[*s0, *s1]).filter(|second| *second < 60)?;
    let ms = match rest {
        [b'Z'] => 0,
        [b'.', fraction @ .., b'Z'] => milliseconds(fraction)?,
        _ => return None,
    };
    let parts = [(day, DAY_MS), (hour, HOUR_MS), (minute, MINUTE_MS), (second, SECOND_MS), (ms, 1)];
    parts.iter().try_fold(0_i64, |sum, (count, unit)| sum.checked_add_unsigned(count.checked_mul(*unit)?))
}

/// The value of a few decimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit < 10 { value.checked_mul(10)?.checked_add(digit.into()) } else { None }
    })
}

/// One to nine digits behind the point, cut after the third.
fn milliseconds(fraction: &[u8]) -> Option<u64> {
    let value = number(fraction)?;
    match fraction.len() {
        1 => Some(value.saturating_mul(100)),
        2 => Some(value.saturating_mul(10)),
        3..=9 => number(fraction.get(..3)?),
        _ => None,
    }
}

/// Days from 1970 to a day of the calendar; `None` if there is no such day from then to 9999.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let in_year = DAYS_BEFORE.iter().zip(1..).find_map(|(before, number)| (number == month).then_some(before))?;
    let leap = u64::from(is_leap(year));
    let in_month = match month {
        2 => leap.saturating_add(28),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || day < 1 || day > in_month {
        return None;
    }
    let leap_day = if month > 2 { leap } else { 0 };
    days_before_year(year)?.checked_add(*in_year)?.checked_add(leap_day)?.checked_add(day)?.checked_sub(1)
}

/// Days of a common year before each month.
const DAYS_BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 to the first of January of a year from 1970 on (Gregorian calendar).
fn days_before_year(year: u64) -> Option<u64> {
    const fn leap_years(until: u64) -> u64 {
        (until / 4).saturating_sub(until / 100).saturating_add(until / 400)
    }
    let past = year.checked_sub(1)?;
    let leap_days = leap_years(past).checked_sub(const { leap_years(1969) })?;
    year.checked_sub(1970)?.checked_mul(365)?.checked_add(leap_days)
}

/// Year, month and day of a number of days since 1970: the inverse of [`days`].
fn civil(days: u64) -> Option<(u64, u64, u64)> {
    // 146,097 days are 400 years: at most one year too early or too late.
    let guess = days.checked_mul(400)?.checked_div(146_097)?.checked_add(1971)?;
    let year = (0..3)
        .map_while(|less| guess.checked_sub(less))
        .find(|year| days_before_year(*year).is_some_and(|before| before <= days))?;
    let day_of_year = days.checked_sub(days_before_year(year)?)?;
    let leap = u64::from(is_leap(year));
    let starts = DAYS_BEFORE
        .iter()
        .zip(1_u64..)
        .map(|(before, month)| (before.saturating_add(if month > 2 { leap } else { 0 }), month));
    let (start, month) = starts.take_while(|(start, _)| *start <= day_of_year).last()?;
    Some((year, month, day_of_year.checked_sub(start)?.checked_add(1)?))
}

/// The last `N` decimal digits of a value.
fn decimal<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = u8::try_from(value % 10).unwrap_or_default() | b'0';
        value /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn ms(text: &str) -> Result<i64, Error> {
        UnixMillis::parse(text.as_bytes()).map(UnixMillis::ms)
    }

    #[test]
    fn reads() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2024-02-29T23:59:59.9Z", 1_709_251_199_900),
            ("2024-02-29T23:59:59.98Z", 1_709_251_199_980),
            ("2026-01-26T12:00:00.000Z", 1_769_428_800_000),
            ("2026-03-01T00:00:00.999999999Z", 1_772_323_200_999),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
            ("9999-12-31T23:59:59.999999999Z", UnixMillis::LAST.ms()),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "2026-01-26",
            "2026-01-26T12:00Z",
            "2026-01-26T12:00:00",
            "2026-01-26t12:00:00Z",
            "2026-01-26T12:00:00z",
            "2026-01-26 12:00:00Z",
            "2026-01-26T12:00:00+00:00",
            "2026-01-26T12:00:00Z\n",
            "2026-01-26T12:00:00.Z",
            "2026-01-26T12:00:00.1234567890Z",
            "2026-01-26T12:00:00,000Z",
            "2026-01-26T12:00:00.-1Z",
            "2026-01-26T24:00:00Z",
            "2026-01-26T23:60:00Z",
            "1998-12-31T23:59:60Z",
            "2026-00-10T00:00:00Z",
            "2026-13-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "+002026-01-26T12:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-1-26T12:00:00Z",
            "20260126T120000Z",
            "2026-01-26T-1:00:00Z",
            "2026-01-26T12:00:0\u{660}Z",
            "1769428800000",
            "2026-01-26T12:00:00.000ZZ",
        ] {
            assert_eq!(ms(text), Err(Error::TimestampInvalid), "{text}");
        }
    }

    #[test]
    fn reads_what_it_wrote_on_every_day() {
        let mut out = [0; UnixMillis::TEXT_LEN];
        for day in (0..=2_932_896).step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
            let time = UnixMillis::from_ms(day * 86_400_000 + day * 7919 % 86_400_000);
            let text = time.write(&mut out).unwrap();
            assert_eq!(UnixMillis::parse(text.as_bytes()), Ok(time), "{text}");
        }
        assert_eq!(UnixMillis::LAST.write(&mut out), Ok("9999-12-31T23:59:59.999Z"));
        assert_eq!(UnixMillis::from_ms(1_769_428_800_000).write(&mut out), Ok("2026-01-26T12:00:00.000Z"));
    }

    #[test]
    fn writes_only_what_it_can() {
        let mut out = [0; UnixMillis::TEXT_LEN];
        for ms in [-1, i64::MIN, i64::MAX, UnixMillis::LAST.ms() + 1] {
            assert_eq!(UnixMillis::from_ms(ms).write(&mut out), Err(Error::TimestampInvalid));
        }
        for len in 0..UnixMillis::TEXT_LEN {
            assert_eq!(UnixMillis::EPOCH.write(&mut out[..len]), Err(Error::BufferTooSmall));
        }
    }

    #[test]
    fn the_window_is_inclusive_and_saturates() {
        let at = UnixMillis::from_ms;
        let now = at(1_769_428_800_000);
        for (ts, expected) in [
            (-300_001, Err(Error::TimestampStale)),
            (-300_000, Ok(())),
            (0, Ok(())),
            (60_000, Ok(())),
            (60_001, Err(Error::TimestampFuture)),
        ] {
            assert_eq!(fresh(now, now.saturating_add(ts), 300_000, 60_000), expected, "{ts}");
        }
        assert_eq!(fresh(at(i64::MIN), UnixMillis::LAST, u32::MAX, u32::MAX), Err(Error::TimestampFuture));
        assert_eq!(fresh(at(i64::MAX), UnixMillis::LAST, u32::MAX, u32::MAX), Err(Error::TimestampStale));
        assert_eq!(fresh(at(i64::MIN), at(i64::MIN), 1, 1), Ok(()));
        assert_eq!(fresh(at(i64::MAX), at(i64::MAX), 1, 1), Ok(()));
    }

    #[test]
    fn seconds() {
        assert_eq!(UnixMillis::from_ms(1_999).s(), 1);
        assert_eq!(UnixMillis::from_ms(-1).s(), -1);
        assert_eq!(UnixMillis::from_s(i64::MAX).ms(), i64::MAX);
        assert_eq!(UnixMillis::from_s(2).ms_since(UnixMillis::from_s(5)), -3_000);
    }
}
