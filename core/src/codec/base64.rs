//! Base64, strict: one text for each byte string (RFC 4648 sections 3.5, 4 and 5).
//!
//! No white space, no other alphabet, padding exactly where the form has it, and the bits that
//! the last character carries beyond the data are zero. Nothing else is read.
//!
//! Two decoders, because two things are wanted:
//! - [`decode`] and [`url_decode`] are for **public** texts. They look characters up in a table, eight at a time, and
//!   judge all of them at the end: the cache may learn the text.
//! - [`decode_secret`] and [`url_decode_secret`] are for **private keys**. They are crate base64ct, which is written to be
//!   constant-time.
//!
//! Encoding is base64ct for both: constant-time, and as fast as anything else.

use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding};

use crate::Error;

/// Characters of the padded text of `bytes` bytes.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// The most bytes that `chars` characters of padded text can hold.
#[must_use]
pub const fn decoded_len_max(chars: usize) -> usize {
    chars.div_ceil(4).saturating_mul(3)
}

/// Characters of the unpadded text of `bytes` bytes.
#[must_use]
pub const fn url_encoded_len(bytes: usize) -> usize {
    bytes.saturating_add(bytes.div_ceil(3))
}

/// Bytes that `chars` characters of unpadded text hold.
#[must_use]
pub const fn url_decoded_len(chars: usize) -> usize {
    chars.saturating_sub(chars.div_ceil(4))
}

/// Reads padded standard base64 of public data: by a table, so never a secret's.
///
/// Returns the bytes, a view into `out`; [`decoded_len_max`] of the text's length is always enough.
///
/// # Errors
/// `BASE64_INVALID` for any other text, `BUFFER_TOO_SMALL`. What `out` then holds is not defined.
pub fn decode<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    if !text.len().is_multiple_of(4) {
        return Err(Error::Base64Invalid);
    }
    let characters = match text {
        [characters @ .., b'=', b'='] | [characters @ .., b'='] => characters,
        characters => characters,
    };
    read::<b'+', b'/'>(characters, out, Error::Base64Invalid)
}

/// Reads unpadded base64url of public data: by a table, so never a secret's.
///
/// Returns the bytes, a view into `out`; exactly [`url_decoded_len`] of the text's length.
///
/// # Errors
/// `BASE64URL_INVALID` for any other text, `BUFFER_TOO_SMALL`. What `out` then holds is not defined.
pub fn url_decode<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    read::<b'-', b'_'>(text, out, Error::Base64urlInvalid)
}

/// Reads padded standard base64 of a secret, in constant time for a given length.
///
/// The same texts as [`decode`]. The caller wipes `out` after use, and after a refusal, too.
///
/// # Errors
/// `BASE64_INVALID`, `BUFFER_TOO_SMALL`
pub fn decode_secret<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    read_secret::<Base64>(text, out, Error::Base64Invalid)
}

/// Reads standard base64 of a secret that has no padding as it has none to need: a part of a longer text.
///
/// Whether there is padding shows in the time of [`decode_secret`]. In the middle of a text that would be a question
/// about the secret.
///
/// # Errors
/// `BASE64_INVALID`, `BUFFER_TOO_SMALL`
pub fn decode_secret_whole<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    if !text.len().is_multiple_of(4) {
        return Err(Error::Base64Invalid);
    }
    read_secret::<Base64Unpadded>(text, out, Error::Base64Invalid)
}

/// Reads unpadded base64url of a secret, in constant time for a given length.
///
/// The same texts as [`url_decode`]. The caller wipes `out` after use, and after a refusal, too.
///
/// # Errors
/// `BASE64URL_INVALID`, `BUFFER_TOO_SMALL`
pub fn url_decode_secret<'o>(text: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Error> {
    read_secret::<Base64UrlUnpadded>(text, out, Error::Base64urlInvalid)
}

/// Writes padded standard base64, in constant time for a given length: fit for secrets, too.
///
/// Returns the text, a view into `out`; exactly [`encoded_len`] of the bytes' length.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn encode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, Error> {
    Base64::encode(bytes, out).map_err(|_| Error::BufferTooSmall)
}

/// Writes unpadded base64url, in constant time for a given length: fit for secrets, too.
///
/// Returns the text, a view into `out`; exactly [`url_encoded_len`] of the bytes' length.
///
/// # Errors
/// `BUFFER_TOO_SMALL`
pub fn url_encode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, Error> {
    Base64UrlUnpadded::encode(bytes, out).map_err(|_| Error::BufferTooSmall)
}

/// Decodes characters without padding; `C62` and `C63` are the two that the alphabets differ in.
fn read<'o, const C62: u8, const C63: u8>(chars: &[u8], out: &'o mut [u8], error: Error) -> Result<&'o [u8], Error> {
    if chars.len() & 3 == 1 {
        return Err(error);
    }
    let out = out.get_mut(..url_decoded_len(chars.len())).ok_or(Error::BufferTooSmall)?;

    let (blocks, rest) = chars.as_chunks::<8>();
    let (places, last_place) = out.as_chunks_mut::<6>();
    let mut invalid = 0;
    for (block, place) in blocks.iter().zip(places) {
        (*place, invalid) = read_block::<C62, C63>(block, invalid);
    }

    // The rest is filled up with 'A', which is zero: so whatever lies behind the data must be zero,
    // and that is the rule about trailing bits (RFC 4648 section 3.5).
    let mut block = [b'A'; 8];
    block.iter_mut().zip(rest).for_each(|(place, character)| *place = *character);
    let (bytes, invalid) = read_block::<C62, C63>(&block, invalid);
    last_place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    let spare = bytes.iter().skip(last_place.len()).fold(0, |all, byte| all | byte);

    if invalid & INVALID == 0 && spare == 0 { Ok(out) } else { Err(error) }
}

/// What [`values`] has for a character outside the alphabet. Shifted by up to 18 bits, as the fourth of four, and
/// gathered in a `u64`, it stays above the 24 bits of four characters.
const INVALID_VALUE: u32 = 1 << 31;
/// Where [`INVALID_VALUE`] may end up.
const INVALID: u64 = !0xFF_FFFF;

/// Eight characters to six bytes, and `invalid` with more than 24 bits if one of them is not in the alphabet.
#[inline]
fn read_block<const C62: u8, const C63: u8>(chars: &[u8; 8], invalid: u64) -> ([u8; 6], u64) {
    let [a, b, c, d, e, f, g, h] = *chars;
    let high = read_four::<C62, C63>([a, b, c, d]);
    let low = read_four::<C62, C63>([e, f, g, h]);
    let [_, _, bytes @ ..] = (high << 24 | low).to_be_bytes();
    (bytes, invalid | high | low)
}

/// Four characters to 24 bits.
#[inline]
fn read_four<const C62: u8, const C63: u8>(chars: [u8; 4]) -> u64 {
    let value = |character: u8| Alphabet::<C62, C63>::VALUES.get(usize::from(character)).copied();
    let [a, b, c, d] = chars.map(|character| u64::from(value(character).unwrap_or(INVALID_VALUE)));
    a << 18 | b << 12 | c << 6 | d
}

/// An alphabet of base64; `C62` and `C63` are the two characters that alphabets differ in.
struct Alphabet<const C62: u8, const C63: u8>;

impl<const C62: u8, const C63: u8> Alphabet<C62, C63> {
    /// What each byte stands for, 0 to 63, or [`INVALID_VALUE`].
    const VALUES: &'static [u32; 256] = &values(C62, C63);
}

#[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "when compiling: a byte is an index below 256")]
const fn values(c62: u8, c63: u8) -> [u32; 256] {
    let mut values = [INVALID_VALUE; 256];
    let mut rest: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut value = 0;
    while let [character, behind @ ..] = rest {
        values[*character as usize] = value;
        value = value.saturating_add(1);
        rest = behind;
    }
    values[c62 as usize] = 62;
    values[c63 as usize] = 63;
    values
}

fn read_secret<'o, E: Encoding>(text: &[u8], out: &'o mut [u8], error: Error) -> Result<&'o [u8], Error> {
    E::decode(text, out).map_err(|refused| match refused {
        base64ct::Error::InvalidLength => Error::BufferTooSmall,
        base64ct::Error::InvalidEncoding => error,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// RFC 4648 section 10.
    const RFC: [(&str, &str, &str); 7] = [
        ("", "", ""),
        ("f", "Zg==", "Zg"),
        ("fo", "Zm8=", "Zm8"),
        ("foo", "Zm9v", "Zm9v"),
        ("foob", "Zm9vYg==", "Zm9vYg"),
        ("fooba", "Zm9vYmE=", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy", "Zm9vYmFy"),
    ];

    /// Both decoders, which must agree.
    fn standard(text: &str) -> Option<Vec<u8>> {
        let (mut fast, mut slow) = ([0; 4096], [0; 4096]);
        let fast = decode(text.as_bytes(), &mut fast);
        assert_eq!(fast, decode_secret(text.as_bytes(), &mut slow), "{text}");
        fast.ok().map(<[u8]>::to_vec)
    }

    fn url(text: &str) -> Option<Vec<u8>> {
        let (mut fast, mut slow) = ([0; 4096], [0; 4096]);
        let fast = url_decode(text.as_bytes(), &mut fast);
        assert_eq!(fast, url_decode_secret(text.as_bytes(), &mut slow), "{text}");
        fast.ok().map(<[u8]>::to_vec)
    }

    #[test]
    fn rfc_4648_section_10() {
        let mut out = [0; 16];
        for (raw, padded, unpadded) in RFC {
            assert_eq!(encode(raw.as_bytes(), &mut out), Ok(padded));
            assert_eq!(url_encode(raw.as_bytes(), &mut out), Ok(unpadded));
            assert_eq!(standard(padded).as_deref(), Some(raw.as_bytes()));
            assert_eq!(url(unpadded).as_deref(), Some(raw.as_bytes()));
        }
    }

    #[test]
    fn refuses_every_second_text_for_the_same_bytes() {
        for text in [
            "Zg",
            "Zg=",
            "Zg===",
            "Zh==",
            "Zm8",
            "Zm9=",
            "Zm8==",
            "=",
            "==",
            "===",
            "====",
            "Z===",
            "Z",
            "Zm9v=",
            "Zm9v====",
            "Zm=v",
            "Z=g=",
            "Zg==Zg==",
            "Zm9v\n",
            "Zm9\n",
            " Zm9v",
            "Zm 9",
            "Zm9-",
            "Zm9_",
            "Zm9.",
            "Zm9v\r\n",
            "\u{FEFF}Zm9",
        ] {
            assert_eq!(standard(text), None, "{text}");
        }
        for text in ["Zg==", "Zg=", "Zh", "Zm9", "Z", "Zm9vZ", "Zm9+", "Zm9/", "Zm9=", "Zm9v\n", "Zm 9", "="] {
            assert_eq!(url(text), None, "{text}");
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for len in [4, 16, 20, 32] {
            for place in 0..len {
                for byte in 0..=255_u8 {
                    let (mut text, mut fast, mut slow) = ([b'A'; 32], [0; 32], [0; 32]);
                    text[place] = byte;
                    let text = &text[..len];
                    assert_eq!(decode(text, &mut fast), decode_secret(text, &mut slow));
                    assert_eq!(url_decode(text, &mut fast), url_decode_secret(text, &mut slow));
                    let (plain, other) = (byte.is_ascii_alphanumeric(), len - place == 1 && byte == b'=');
                    assert_eq!(decode(text, &mut fast).is_ok(), plain || other || b"+/".contains(&byte), "{byte}");
                    assert_eq!(url_decode(text, &mut fast).is_ok(), plain || b"-_".contains(&byte), "{byte}");
                }
            }
        }
    }

    #[test]
    fn reads_what_it_wrote_and_counts_right() {
        let bytes: [u8; 200] = core::array::from_fn(|i| u8::try_from(i * 151 % 256).unwrap());
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            let (mut text, mut out) = ([0; 300], [0; 200]);
            let written = encode(bytes, &mut text).unwrap();
            assert_eq!(written.len(), encoded_len(len));
            assert!((len..len + 3).contains(&decoded_len_max(written.len())));
            assert_eq!(decode(written.as_bytes(), &mut out), Ok(bytes));
            assert_eq!(decode_secret(written.as_bytes(), &mut out[..len]), Ok(bytes));
            let written = url_encode(bytes, &mut text).unwrap();
            assert_eq!(written.len(), url_encoded_len(len));
            assert_eq!(url_decoded_len(written.len()), len);
            assert_eq!(url_decode(written.as_bytes(), &mut out[..len]), Ok(bytes));
            assert_eq!(url_decode_secret(written.as_bytes(), &mut out), Ok(bytes));
        }
    }

    #[test]
    fn every_short_buffer_is_said() {
        let mut out = [0; 8];
        for len in 0..6 {
            assert_eq!(decode(b"Zm9vYmFy", &mut out[..len]), Err(Error::BufferTooSmall));
            assert_eq!(decode_secret(b"Zm9vYmFy", &mut out[..len]), Err(Error::BufferTooSmall));
            assert_eq!(url_decode(b"Zm9vYmFy", &mut out[..len]), Err(Error::BufferTooSmall));
            assert_eq!(encode(b"foobar", &mut out[..len]), Err(Error::BufferTooSmall));
            assert_eq!(url_encode(b"foobar", &mut out[..len]), Err(Error::BufferTooSmall));
        }
    }
}
