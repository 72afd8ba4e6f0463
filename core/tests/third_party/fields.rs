//! The `Name = value` files of NIST and BoringSSL, and Wycheproof's DER signatures.

/// One block between empty lines: its names and values.
pub(crate) struct Block<'t> {
    fields: Vec<(&'t str, &'t str)>,
}

impl<'t> Block<'t> {
    /// The value of a field; empty if it has none, or is not there.
    pub(crate) fn get(&self, name: &str) -> &'t str {
        self.fields.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| *other == name)
    }
}

/// The blocks of a file.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut fields = Vec::new();
    for line in text.lines().chain([""]).map(str::trim) {
        match line.split_once('=') {
            _ if line.starts_with(['#', '[']) => {}
            Some((name, value)) => fields.push((name.trim(), value.trim())),
            None if !fields.is_empty() => blocks.push(Block { fields: std::mem::take(&mut fields) }),
            None => {}
        }
    }
    blocks
}

/// `r || s` of a strict DER `ECDSA-Sig-Value` (RFC 3279 section 2.2.3, X.690 section 8.3); none if it is anything else.
pub(crate) fn raw_signature(der: &[u8]) -> Option<[u8; 64]> {
    let (r, s) = two_integers(der)?;
    let mut raw = [0; 64];
    for (place, number) in raw.chunks_mut(32).zip([r, s]) {
        place.get_mut(32_usize.checked_sub(number.len())?..)?.copy_from_slice(number);
    }
    Some(raw)
}

fn two_integers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    // Two integers of 33 bytes and their headers: the length is always one byte.
    let [0x30, len, rest @ ..] = der else { return None };
    if rest.len() != usize::from(*len) || *len > 0x7F {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then_some((r, s))
}

/// A positive integer of minimal length, without its sign byte.
fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x02, len @ 1..=0x7F, rest @ ..] = der else { return None };
    let (number, rest) = rest.split_at_checked(usize::from(*len))?;
    match number {
        [0, second, ..] if *second < 0x80 => None,
        [0, number @ ..] => Some((number, rest)),
        [first, ..] if *first >= 0x80 => None,
        number => Some((number, rest)),
    }
}
