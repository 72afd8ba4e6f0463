//! The JSON Canonicalization Scheme, RFC 8785, of a document as it was received.
//!
//! Members come sorted from the reader; this walks the tree once, without recursion, and hands the
//! canonical bytes to a [`Sink`]: a hash, a buffer, or a counter.

use super::json::{Kind, Value};
use super::json_text::Text;
use super::number;
use crate::Error;

/// Takes bytes as they come.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL` of a buffer that is full.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// Writes the canonical form of `value`.
///
/// # Errors
/// Those of the sink.
pub fn write(value: &Value<'_, '_>, sink: &mut impl Sink) -> Result<(), Error> {
    let mut at = *value;
    loop {
        begin(&at, value, sink)?;
        if let Some(child) = at.first() {
            at = child;
            continue;
        }
        end(&at, sink)?;
        loop {
            if at.is(value) {
                return Ok(());
            }
            if let Some(next) = at.next() {
                sink.put(b",")?;
                at = next;
                break;
            }
            let Some(parent) = at.parent() else { return Ok(()) };
            at = parent;
            end(&at, sink)?;
        }
    }
}

/// The name, if the value is a member below the root, and the value up to its first child.
fn begin(value: &Value<'_, '_>, root: &Value<'_, '_>, sink: &mut impl Sink) -> Result<(), Error> {
    if !value.is(root) && value.parent().is_some_and(|parent| parent.kind() == Kind::Object) {
        // Agents send canonical members as a rule: those pass in one piece.
        if let Some(canonical) = value.canonical_member() {
            return sink.put(canonical.as_bytes());
        }
        string(value.name(), sink)?;
        sink.put(b":")?;
    }
    match value.kind() {
        Kind::Object => sink.put(b"{"),
        Kind::Array => sink.put(b"["),
        Kind::Number => number::write(value.raw(), |bytes| sink.put(bytes)),
        Kind::String => value.as_text().map_or(Ok(()), |text| string(text, sink)),
        Kind::True => sink.put(b"true"),
        Kind::False => sink.put(b"false"),
        Kind::Null => sink.put(b"null"),
        // Never in a document that is to be signed: its limits have no opaque values.
        Kind::Opaque => Err(Error::JsonDepth),
    }
}

fn end(value: &Value<'_, '_>, sink: &mut impl Sink) -> Result<(), Error> {
    match value.kind() {
        Kind::Object => sink.put(b"}"),
        Kind::Array => sink.put(b"]"),
        _ => Ok(()),
    }
}

/// RFC 8785 section 3.2.2.2: as few escapes as there can be. A text that came without escapes needs none.
fn string(text: Text<'_>, sink: &mut impl Sink) -> Result<(), Error> {
    sink.put(b"\"")?;
    match text.plain() {
        Some(plain) => sink.put(plain.as_bytes())?,
        None => text.chars().try_for_each(|c| character(c, sink))?,
    }
    sink.put(b"\"")
}

/// One character of a JSON string, escaped where RFC 8785 asks for it.
pub(crate) fn character(c: char, sink: &mut impl Sink) -> Result<(), Error> {
    match c {
        '"' => sink.put(b"\\\""),
        '\\' => sink.put(b"\\\\"),
        '\u{8}' => sink.put(b"\\b"),
        '\t' => sink.put(b"\\t"),
        '\n' => sink.put(b"\\n"),
        '\u{C}' => sink.put(b"\\f"),
        '\r' => sink.put(b"\\r"),
        '\0'..='\x1F' => unicode_escape(u32::from(c), sink),
        _ => sink.put(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// `\uXXXX` in lower case.
pub(crate) fn unicode_escape(unit: u32, sink: &mut impl Sink) -> Result<(), Error> {
    sink.put(b"\\u")?;
    [12, 8, 4, 0].into_iter().try_for_each(|shift| {
        let digit = char::from_digit(unit.wrapping_shr(shift) & 0xF, 16).unwrap_or('0');
        sink.put(digit.encode_utf8(&mut [0; 4]).as_bytes())
    })
}
