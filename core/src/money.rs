//! Money as text: exact decimals, no floating point (house rule on money).

use crate::policy::Micros;

/// Room for the longest amount: `-9223372036854.775808`.
pub type Decimal = heapless::String<24>;

/// The decimal text of an amount, without needless zeros: 1,000 is `0.001`, 2,000,000 is `2`.
#[must_use]
pub fn decimal(amount: Micros) -> Decimal {
    let mut text = Decimal::new();
    // Nothing here can fail: the longest amount fits.
    let _ = write(amount, &mut text);
    text
}

fn write(amount: Micros, text: &mut Decimal) -> Option<()> {
    let magnitude = amount.unsigned_abs();
    if amount < 0 {
        text.push('-').ok()?;
    }
    push_digits(magnitude / UNIT, 1_000_000_000_000, text)?;
    let mut fraction = magnitude % UNIT;
    let mut place = UNIT / 10;
    if fraction > 0 {
        text.push('.').ok()?;
    }
    while fraction > 0 {
        push_digit(fraction.checked_div(place)?, text)?;
        fraction = fraction.checked_rem(place)?;
        place /= 10;
    }
    Some(())
}

/// Micros of one whole unit.
const UNIT: u64 = 1_000_000;

/// The digits from `place` down to the ones, without leading zeros.
fn push_digits(value: u64, place: u64, text: &mut Decimal) -> Option<()> {
    let mut place = place;
    while place > 1 && value < place {
        place /= 10;
    }
    let mut rest = value;
    while place > 0 {
        push_digit(rest.checked_div(place)?, text)?;
        rest = rest.checked_rem(place)?;
        place /= 10;
    }
    Some(())
}

fn push_digit(digit: u64, text: &mut Decimal) -> Option<()> {
    text.push(char::from_digit(u32::try_from(digit).ok()?, 10)?).ok()
}

#[cfg(test)]
mod tests {
    use super::decimal;
    use crate::codec::decimal::scaled;

    #[test]
    fn exact_text() {
        for (amount, text) in [
            (0, "0"),
            (1, "0.000001"),
            (1_000, "0.001"),
            (100_000, "0.1"),
            (1_000_000, "1"),
            (1_500_000, "1.5"),
            (10_000_001, "10.000001"),
            (-1_000, "-0.001"),
            (i64::MAX, "9223372036854.775807"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(decimal(amount).as_str(), text);
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut amount = 1_i64;
        while amount < i64::MAX / 3 {
            for amount in [amount, amount - 1, amount + 1] {
                assert_eq!(scaled(decimal(amount).as_str(), 6), Some((amount, true)));
            }
            amount = amount * 3 - 1;
        }
    }
}
