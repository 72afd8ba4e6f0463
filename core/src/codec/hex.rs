//! Hexadecimal, strict: lower case, an even number of digits, nothing else (RFC 4648 section 8, in lower case).
//!
//! Reading and writing are constant-time for a given length: digits are classified by arithmetic, without a
//! table or a branch, and the verdict falls at the end. So the same calls serve public texts and secrets.

use super::writer::ascii;
use crate::Error;

/// Digits of `bytes` bytes.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    bytes.saturating_mul(2)
}

/// Bytes that `digits` digits hold.
#[must_use]
pub const fn decoded_len(digits: usize) -> usize {
    digits >> 1
}

/// Reads lower-case hex, in constant time for a given length.
///
/// Returns the bytes, a view into `out`; exactly [`decoded_len`] of the text's length.
///
/// # Errors
/// `HEX_INVALID` for any other text, `BUFFER_TOO_SMALL`. What `out` then holds is not defined: wipe it if it was a secret.
pub fn decode<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    if !text.len().is_multiple_of(2) {
        return Err(Error::HexInvalid);
    }
    let out = out.get_mut(..decoded_len(text.len())).ok_or(Error::BufferTooSmall)?;
    read(text, out)?;
    Ok(out)
}

/// Reads exactly `2 N` digits of lower-case hex, in constant time. For a secret prefer [`decode`], which leaves no copies.
///
/// # Errors
/// `HEX_INVALID` for any other text, also for one that is shorter or longer.
pub fn decode_array<const N: usize>(text: &[u8]) -> Result<[u8; N], Error> {
    if text.len() != encoded_len(N) {
        return Err(Error::HexInvalid);
    }
    let mut bytes = [0; N];
    read(text, &mut bytes).map(|()| bytes)
}

/// Writes lower-case hex, in constant time for a given length.
///
/// Returns the text, a view into `out`; exactly [`encoded_len`] of the bytes' length.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn encode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, Error> {
    let out = out.get_mut(..encoded_len(bytes.len())).ok_or(Error::BufferTooSmall)?;
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (byte, pair) in bytes.iter().zip(pairs) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    // Never an error: only ASCII was written.
    ascii(out)
}

/// Reads half as many bytes as there are digits; `out` has that length.
fn read(digits: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let (blocks, rest) = digits.as_chunks::<32>();
    let (places, last_place) = out.as_chunks_mut::<16>();
    let mut invalid = 0;
    for (block, place) in blocks.iter().zip(places) {
        invalid |= read_block(block, place);
    }

    let mut block = [b'0'; 32];
    block.iter_mut().zip(rest).for_each(|(place, digit)| *place = *digit);
    let mut bytes = [0; 16];
    invalid |= read_block(&block, &mut bytes);
    last_place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);

    if invalid & INVALID == 0 { Ok(()) } else { Err(Error::HexInvalid) }
}

/// The bit that [`value`] sets for what is not a digit.
const INVALID: u8 = 0x80;

/// Thirty-two digits to sixteen bytes, in loops that compilers turn into vector code. The result has the bit
/// [`INVALID`] if one of them is no digit.
#[inline]
fn read_block(digits: &[u8; 32], out: &mut [u8; 16]) -> u8 {
    let mut values = [0; 32];
    for (nibble, digit) in values.iter_mut().zip(digits) {
        *nibble = value(*digit);
    }
    let (pairs, _) = values.as_chunks::<2>();
    for ([high, low], byte) in pairs.iter().zip(out) {
        *byte = high << 4 | low;
    }
    values.iter().fold(0, |all, value| all | value)
}

/// The value of a digit, 0 to 15, or [`INVALID`] and more.
#[inline]
const fn value(digit: u8) -> u8 {
    let decimal = digit.wrapping_sub(b'0');
    let letter = digit.wrapping_sub(b'a');
    let is_decimal = below(decimal, 10);
    let is_letter = below(letter, 6);
    decimal & is_decimal | letter.wrapping_add(10) & is_letter | !(is_decimal | is_letter)
}

/// The digit of a value below 16.
#[inline]
const fn digit(value: u8) -> u8 {
    const GAP: u8 = b'a' - b'0' - 10;
    value.wrapping_add(b'0').wrapping_add(GAP & !below(value, 10))
}

/// 0xFF if `a < b`, else 0: the borrow of the subtraction.
#[inline]
const fn below(a: u8, b: u8) -> u8 {
    let [_, borrow] = u16::from_le_bytes([a, 0]).wrapping_sub(u16::from_le_bytes([b, 0])).to_le_bytes();
    borrow
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10_in_lower_case() {
        let mut out = [0; 16];
        for (raw, text) in [("", ""), ("f", "66"), ("fo", "666f"), ("foobar", "666f6f626172")] {
            assert_eq!(encode(raw.as_bytes(), &mut out), Ok(text));
            assert_eq!(decode(text.as_bytes(), &mut out), Ok(raw.as_bytes()));
        }
    }

    #[test]
    fn every_pair_of_bytes() {
        let digits = b"0123456789abcdef";
        let place = |byte: u8| digits.iter().position(|digit| *digit == byte).map(|at| u8::try_from(at).unwrap());
        for high in 0..=255 {
            for low in 0..=255 {
                let expected =
                    place(high).zip(place(low)).map(|(high, low)| [high * 16 + low]).ok_or(Error::HexInvalid);
                assert_eq!(decode_array(&[high, low]), expected);
                let mut text = [0; 64];
                encode(&[low; 32], &mut text).unwrap();
                assert_eq!(decode_array(&text), Ok([low; 32]));
            }
        }
    }

    #[test]
    fn lengths() {
        let mut out = [0; 4];
        for text in ["0", "000", "0x00", "00\n", "0\u{e9}"] {
            assert_eq!(decode(text.as_bytes(), &mut out), Err(Error::HexInvalid), "{text}");
        }
        assert_eq!(decode(b"0011", &mut out[..1]), Err(Error::BufferTooSmall));
        assert_eq!(encode(&[0, 1], &mut out[..3]), Err(Error::BufferTooSmall));
        assert_eq!(decode_array::<2>(b"001122"), Err(Error::HexInvalid));
        assert_eq!(decode_array::<2>(b"00112"), Err(Error::HexInvalid));
        assert_eq!(decode_array::<2>(b"00"), Err(Error::HexInvalid));
        assert_eq!(decode_array::<0>(b""), Ok([]));
        assert_eq!((encoded_len(64), decoded_len(128)), (128, 64));
    }
}
