//! A JSON string as it stands in its document: compared, walked and unescaped without being copied.

use core::cmp::Ordering;

use crate::Error;

/// A JSON string between its quotes, already checked by the reader.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    raw: &'t str,
    escaped: bool,
}

impl<'t> Text<'t> {
    pub(super) fn new(raw: &'t str, escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The text itself, if it holds no escapes.
    #[must_use]
    pub fn plain(&self) -> Option<&'t str> {
        (!self.escaped).then_some(self.raw)
    }

    #[cold]
    fn eq_escaped(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }

    /// Its characters, escapes resolved.
    #[must_use]
    pub fn chars(&self) -> Chars<'t> {
        Chars { rest: self.raw.chars(), escaped: self.escaped }
    }

    /// The text without escapes: itself, or written into the front of `memory`, the rest of which
    /// comes back for the next one.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn unescape<'m>(&self, memory: &'m mut [u8]) -> Result<(&'m str, &'m mut [u8]), Error>
    where
        't: 'm,
    {
        if let Some(plain) = self.plain() {
            return Ok((plain, memory));
        }
        let len = self.chars().map(char::len_utf8).sum();
        let (text, rest) = memory.split_at_mut_checked(len).ok_or(Error::BufferTooSmall)?;
        let mut space = &mut *text;
        for c in self.chars() {
            let (place, left) = space.split_at_mut_checked(c.len_utf8()).ok_or(Error::BufferTooSmall)?;
            c.encode_utf8(place);
            space = left;
        }
        core::str::from_utf8(text).map(|text| (text, rest)).map_err(|_| Error::JsonUtf8)
    }
}

impl PartialEq<str> for Text<'_> {
    #[inline(always)]
    fn eq(&self, other: &str) -> bool {
        if self.escaped { self.eq_escaped(other) } else { self.raw == other }
    }
}

/// The characters of a [`Text`].
#[derive(Clone, Debug)]
pub struct Chars<'t> {
    rest: core::str::Chars<'t>,
    escaped: bool,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' if self.escaped => self.escape(),
            c => Some(c),
        }
    }
}

impl Chars<'_> {
    /// RFC 8259 section 7. The reader has seen that the escape is whole.
    fn escape(&mut self) -> Option<char> {
        match self.rest.next()? {
            'b' => Some('\u{8}'),
            'f' => Some('\u{C}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => self.unicode(),
            c => Some(c),
        }
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high);
        }
        // RFC 8259 section 7: the low half follows as an escape of its own.
        self.rest.nth(1)?;
        let low = self.hex()?;
        let code = high.wrapping_sub(0xD800).wrapping_shl(10) | low.wrapping_sub(0xDC00);
        char::from_u32(code.wrapping_add(0x1_0000))
    }

    fn hex(&mut self) -> Option<u32> {
        let mut unit = 0_u32;
        for _ in 0..4 {
            unit = unit.wrapping_shl(4) | self.rest.next()?.to_digit(16)?;
        }
        Some(unit)
    }
}

/// How many bytes come before the first quote, backslash or control byte; none if there is none of them.
///
/// Eight bytes at a time: a byte that is zero, or below 32, borrows from its highest bit (Bit Twiddling Hacks,
/// "Determine if a word has a byte less than n"). The lowest byte that shows is exact, and no other is looked at.
pub(super) fn plain_run(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    let (words, rest) = text.as_chunks::<8>();
    let below = |word: u64, least: u8| word.wrapping_sub(ONES.wrapping_mul(least.into())) & !word;
    let is = |word: u64, byte: u8| below(word ^ ONES.wrapping_mul(byte.into()), 1);
    let mut len = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let found = (below(word, 0x20) | is(word, b'"') | is(word, b'\\')) & ONES.wrapping_mul(0x80);
        if found != 0 {
            return usize::try_from(found.trailing_zeros() / 8).ok().map(|at| len.saturating_add(at));
        }
        len = len.saturating_add(8);
    }
    let at = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
    Some(len.saturating_add(at))
}

/// The order of RFC 8785 section 3.2.3: by UTF-16 code units.
pub(super) fn compare_utf16(a: Text<'_>, b: Text<'_>) -> Ordering {
    match (a.plain(), b.plain()) {
        (Some(a), Some(b)) => compare_plain(a.as_bytes(), b.as_bytes()),
        _ => first_units(a.chars()).cmp(first_units(b.chars())),
    }
}

/// UTF-8 sorts as UTF-16 does but for one thing: U+E000..U+FFFF (lead bytes EE, EF) come after the
/// surrogate pairs of UTF-16 (lead bytes F0 and up).
pub(super) fn compare_plain(a: &[u8], b: &[u8]) -> Ordering {
    match a.iter().zip(b).find(|(a, b)| a != b) {
        None => a.len().cmp(&b.len()),
        Some((0xEE | 0xEF, 0xF0..)) => Ordering::Greater,
        Some((0xF0.., 0xEE | 0xEF)) => Ordering::Less,
        Some((a, b)) => a.cmp(b),
    }
}

fn first_units(chars: Chars<'_>) -> impl Iterator<Item = u16> {
    chars.flat_map(|c| {
        let mut units = [0; 2];
        let len = c.encode_utf16(&mut units).len();
        units.into_iter().take(len)
    })
}
