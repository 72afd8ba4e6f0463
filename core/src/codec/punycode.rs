//! Punycode (RFC 3492), as far as a verifier of names needs it: is this the encoding of a label?

/// Whether `encoded`, what follows `xn--` in a lower-case label of letters, digits and hyphens, is the
/// Punycode of a label that DNS and people could mistake for no other:
///
/// - it decodes (RFC 3492 section 6.2) without overflow to Unicode scalar values;
/// - at least one of them is not ASCII: else `xn--example-` would be a second name of `example` (RUSTSEC-2024-0421);
/// - none is a C1 control, U+0080 to U+009F;
/// - encoding it again gives the same text.
///
/// The last rule needs no work: a lower-case text that decodes has one pre-image only. Insertions are ordered by code
/// point and place in either direction, and a generalised variable-length integer ends at its first digit below the threshold,
/// so no number has two forms (RFC 3492 section 3.3). Nor need the label be built: code points alone are judged.
#[must_use]
pub fn is_label(encoded: &[u8]) -> bool {
    decode(encoded, |_, _| {}).is_some_and(|inserted| inserted > 0)
}

/// Decodes; `insert(place, character)` is called for each character beyond the basic ones, of which there are as many
/// as bytes before the last hyphen. Returns how many it inserted. `None`: not the Punycode of a label.
fn decode(encoded: &[u8], mut insert: impl FnMut(u32, char)) -> Option<u32> {
    let (basic, digits) = match encoded.iter().rposition(|byte| *byte == b'-') {
        // A hyphen in front delimits nothing (section 6.2: only if more than zero were consumed) and is not a digit.
        None | Some(0) => (0, encoded),
        Some(hyphen) => (u32::try_from(hyphen).ok()?, encoded.get(hyphen..)?.get(1..)?),
    };
    let mut digits = digits.iter();
    let (mut code, mut place, mut bias) = (INITIAL_CODE, 0_u32, INITIAL_BIAS);
    let (mut inserted, mut len) = (0_u32, basic);
    while !digits.as_slice().is_empty() {
        let delta = integer(&mut digits, bias)?;
        len = len.checked_add(1)?;
        bias = adapt(delta, len, inserted == 0);
        let total = place.checked_add(delta)?;
        code = code.checked_add(total.checked_div(len)?)?;
        place = total.checked_rem(len)?;
        insert(place, char::from_u32(code).filter(|character| !character.is_control())?);
        place = place.checked_add(1)?;
        inserted = inserted.checked_add(1)?;
    }
    Some(inserted)
}

// RFC 3492 section 5.
const BASE: u32 = 36;
const THRESHOLD_MIN: u32 = 1;
const THRESHOLD_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_CODE: u32 = 0x80;

/// One generalised variable-length integer (RFC 3492 section 3.3).
fn integer(digits: &mut core::slice::Iter<'_, u8>, bias: u32) -> Option<u32> {
    let (mut value, mut weight, mut position) = (0_u32, 1_u32, BASE);
    loop {
        let digit = digit(*digits.next()?)?;
        value = value.checked_add(digit.checked_mul(weight)?)?;
        let threshold = position.saturating_sub(bias).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
        if digit < threshold {
            return Some(value);
        }
        weight = weight.checked_mul(BASE.checked_sub(threshold)?)?;
        position = position.checked_add(BASE)?;
    }
}

/// RFC 3492 section 6.1.
fn adapt(delta: u32, len: u32, first: bool) -> u32 {
    let delta = if first { delta / DAMP } else { delta >> 1 };
    let mut delta = delta.saturating_add(delta.checked_div(len).unwrap_or_default());
    let mut bias = 0_u32;
    while delta > const { (BASE - THRESHOLD_MIN) * THRESHOLD_MAX / 2 } {
        delta /= BASE - THRESHOLD_MIN;
        bias = bias.saturating_add(BASE);
    }
    const { BASE - THRESHOLD_MIN + 1 }
        .saturating_mul(delta)
        .checked_div(delta.saturating_add(SKEW))
        .map_or(bias, |more| bias.saturating_add(more))
}

/// RFC 3492 section 5: a to z are 0 to 25, 0 to 9 are 26 to 35. Upper case is not read.
fn digit(byte: u8) -> Option<u32> {
    match byte {
        b'a'..=b'z' => Some(u32::from(byte.wrapping_sub(b'a'))),
        b'0'..=b'9' => Some(u32::from(byte.wrapping_sub(b'0').wrapping_add(26))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{string::String, vec::Vec};

    fn decoded(encoded: &str) -> Option<String> {
        let basic = encoded.rfind('-').unwrap_or(0);
        let mut label: Vec<char> = encoded[..basic].chars().collect();
        decode(encoded.as_bytes(), |place, character| label.insert(usize::try_from(place).unwrap(), character))?;
        Some(label.into_iter().collect())
    }

    /// RFC 3492 section 6.3.
    fn encoded(label: &str) -> String {
        let label: Vec<u32> = label.chars().map(u32::from).collect();
        let mut out: String = label.iter().filter_map(|code| char::from_u32(*code).filter(char::is_ascii)).collect();
        let basic = u32::try_from(out.len()).unwrap();
        if basic > 0 {
            out.push('-');
        }
        let (mut code, mut delta, mut bias, mut done) = (INITIAL_CODE, 0, INITIAL_BIAS, basic);
        while let Some(next) = label.iter().copied().filter(|other| *other >= code).min() {
            delta += (next - code) * (done + 1);
            code = next;
            for other in &label {
                delta += u32::from(*other < code);
                if *other == code {
                    write_integer(delta, bias, &mut out);
                    bias = adapt(delta, done + 1, done == basic);
                    delta = 0;
                    done += 1;
                }
            }
            delta += 1;
            code += 1;
        }
        out
    }

    fn write_integer(mut value: u32, bias: u32, out: &mut String) {
        let mut position = BASE;
        loop {
            let threshold = position.saturating_sub(bias).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
            let digits = b"abcdefghijklmnopqrstuvwxyz0123456789";
            let digit = if value < threshold { value } else { threshold + (value - threshold) % (BASE - threshold) };
            out.push(digits[usize::try_from(digit).unwrap()].into());
            if value < threshold {
                return;
            }
            value = (value - threshold) / (BASE - threshold);
            position += BASE;
        }
    }

    #[test]
    fn rfc_3492_section_7_1() {
        for (text, label) in [
            ("egbpdaj6bu4bxfgehfvwxn", "ليهمابتكلموشعربي؟"),
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("ihqwctvzc91f659drss3x8bo0yb", "他們爲什麽不說中文"),
            ("n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa", "なぜみんな日本語を話してくれないのか"),
            ("b1abfaaepdrnnbgefbadotcwatmq2g4l", "почемужеонинеговорятпорусски"),
            ("d9juau41awczczp", "そのスピードで"),
            ("de-jg4avhby1noc0d", "パフィーdeルンバ"),
            ("bcher-kva", "bücher"),
            ("p1ai", "рф"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(label));
            assert_eq!(encoded(label), text);
            assert!(is_label(text.as_bytes()));
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "-",
            "--",
            "a",
            "z",
            "example-",
            "-example-",
            "a-",
            "999999999999",
            "99999999",
            "bcher-kv",
            "bcher-KVA",
            "BCHER-!",
            "-kva",
            "\u{e9}",
            "p1ai.",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(!is_label(text.as_bytes()), "{text}");
        }
        for code in (0x80..=0x9F).chain([0xA0]) {
            let label: String = ['a', char::from_u32(code).unwrap()].into_iter().collect();
            assert_eq!(is_label(encoded(&label).as_bytes()), code > 0x9F, "{code:x}");
        }
    }

    #[test]
    fn encodes_again_to_itself() {
        // Every text of up to four of these, and longer ones at random: what decodes has one text.
        let alphabet = b"abkz09-";
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        let mut accepted = 0;
        for _ in 0..200_000 {
            let text: String = (0..random() % 12).map(|_| char::from(alphabet[random() % alphabet.len()])).collect();
            if is_label(text.as_bytes()) {
                accepted += 1;
                assert_eq!(encoded(&decoded(&text).unwrap()), text);
            }
        }
        assert!(accepted > 1000, "{accepted}");
    }
}
