//! The reader: fills the slots of a document in one pass.

use core::cmp::Ordering;

use super::{Document, Kind, Limits, Link, Node, Span};
use crate::Error;
use crate::codec::json_text::{self, compare_plain, compare_utf16};

/// Reads `text` into `nodes`. Returns how many slots were used.
///
/// # Errors
/// `JSON_*`
pub(super) fn read(text: &str, limits: &Limits, nodes: &mut [Node]) -> Result<usize, Error> {
    Reader { text, rest: text.as_bytes(), limits, nodes, used: 0, open: Link::NONE, depth: 0 }.document()
}

/// The state of one parse: what is left of the text, and which container is open.
struct Reader<'t, 'l, 'n> {
    text: &'t str,
    rest: &'t [u8],
    limits: &'l Limits,
    nodes: &'n mut [Node],
    used: usize,
    open: Link,
    depth: usize,
}

impl<'t> Reader<'t, '_, '_> {
    /// A value, then nothing but white space. Returns how many slots were used.
    fn document(mut self) -> Result<usize, Error> {
        self.space();
        self.begin_value(Name::default())?;
        while let Some(open) = self.open.index() {
            self.space();
            match self.nodes.get(open).map(|n| (n.kind, n.count)) {
                Some((Kind::Array, count)) => self.element(count)?,
                Some((_, count)) => self.member(count)?,
                None => return Err(Error::JsonTooManyMembers),
            }
        }
        self.space();
        if self.rest.is_empty() { Ok(self.used) } else { Err(Error::JsonSyntax) }
    }

    /// `]`, or the next element with its comma.
    fn element(&mut self, count: u16) -> Result<(), Error> {
        if self.take(b']') {
            return self.close();
        }
        self.comma(count)?;
        self.begin_value(Name::default())
    }

    /// `}`, or the next member with its comma.
    fn member(&mut self, count: u16) -> Result<(), Error> {
        if self.take(b'}') {
            return self.close();
        }
        self.comma(count)?;
        if usize::from(count) >= self.limits.members {
            return Err(Error::JsonTooManyMembers);
        }
        let (span, escaped) = self.string(self.limits.name, Error::JsonKeyTooLong)?;
        self.space();
        self.expect(b':')?;
        self.space();
        self.begin_value(Name { span, escaped })
    }

    /// The comma before every child but the first.
    fn comma(&mut self, count: u16) -> Result<(), Error> {
        if count > 0 {
            self.expect(b',')?;
            self.space();
        }
        Ok(())
    }

    /// A whole scalar, or the opening bracket of a container, which becomes the open one.
    fn begin_value(&mut self, name: Name) -> Result<(), Error> {
        let first = *self.rest.first().ok_or(Error::JsonSyntax)?;
        let link = self.push(name)?;
        match first {
            b'{' => self.open(link, Kind::Object),
            b'[' => self.open(link, Kind::Array),
            b'"' => {
                let (value, escaped) = self.string(self.limits.string, Error::JsonStringTooLong)?;
                self.fill(link, |node| (node.kind, node.value, node.escaped) = (Kind::String, value, escaped))
            }
            b'-' | b'0'..=b'9' => {
                let value = self.number()?;
                self.fill(link, |node| (node.kind, node.value) = (Kind::Number, value))
            }
            b't' => self.literal(link, b"true", Kind::True),
            b'f' => self.literal(link, b"false", Kind::False),
            b'n' => self.literal(link, b"null", Kind::Null),
            _ => Err(Error::JsonSyntax),
        }
    }

    /// Takes the next slot and hangs it into the open container.
    fn push(&mut self, name: Name) -> Result<Link, Error> {
        if self.used >= self.limits.nodes {
            return Err(Error::JsonTooManyMembers);
        }
        let link = Link::to(self.used)?;
        let node = self.nodes.get_mut(self.used).ok_or(Error::JsonTooManyMembers)?;
        *node = Node { name: name.span, name_escaped: name.escaped, parent: self.open, ..Node::default() };
        self.used = self.used.saturating_add(1);
        match self.node(self.open).map(|n| n.kind) {
            Some(Kind::Object) => self.insert_member(link)?,
            Some(_) => self.append_element(link)?,
            None => {}
        }
        Ok(link)
    }

    /// Into the sorted list of the open object; an equal name met on the way is a duplicate.
    fn insert_member(&mut self, link: Link) -> Result<(), Error> {
        let (mut before, mut after) = (Link::NONE, self.node(self.open).map_or(Link::NONE, |n| n.first));
        while let Some(other) = self.node(after) {
            match self.compare(link, after) {
                Ordering::Greater => (before, after) = (after, other.next),
                Ordering::Less => break,
                Ordering::Equal => return Err(Error::JsonDuplicateKey),
            }
        }
        self.fill(link, |node| node.next = after)?;
        match before {
            Link::NONE => self.fill(self.open, |node| node.first = link)?,
            _ => self.fill(before, |node| node.next = link)?,
        }
        self.count()
    }

    fn append_element(&mut self, link: Link) -> Result<(), Error> {
        let Some(array) = self.node(self.open).copied() else { return Err(Error::JsonSyntax) };
        if usize::from(array.count) >= self.limits.elements {
            return Err(Error::JsonTooManyMembers);
        }
        match array.last {
            Link::NONE => self.fill(self.open, |node| node.first = link)?,
            _ => self.fill(array.last, |node| node.next = link)?,
        }
        self.fill(self.open, |node| node.last = link)?;
        self.count()
    }

    fn count(&mut self) -> Result<(), Error> {
        let count = self.node(self.open).and_then(|n| n.count.checked_add(1)).ok_or(Error::JsonTooManyMembers)?;
        self.fill(self.open, |node| node.count = count)
    }

    fn compare(&self, a: Link, b: Link) -> Ordering {
        if let (Some(a), Some(b)) = (self.plain_name(a), self.plain_name(b)) {
            return compare_plain(a, b);
        }
        let document = Document { text: self.text, nodes: self.nodes };
        match (document.value(a), document.value(b)) {
            (Some(a), Some(b)) => compare_utf16(a.name(), b.name()),
            _ => Ordering::Equal,
        }
    }

    /// The bytes of a name that holds no escapes.
    fn plain_name(&self, link: Link) -> Option<&'t [u8]> {
        let node = self.node(link).filter(|node| !node.name_escaped)?;
        self.text.as_bytes().get(usize::try_from(node.name.start).ok()?..usize::try_from(node.name.end).ok()?)
    }

    fn open(&mut self, link: Link, kind: Kind) -> Result<(), Error> {
        if self.depth >= self.limits.depth {
            return if self.limits.opaque { self.pass_over(link) } else { Err(Error::JsonDepth) };
        }
        self.depth = self.depth.saturating_add(1);
        let start = self.position()?;
        self.fill(link, |node| (node.kind, node.value.start) = (kind, start))?;
        self.skip(1);
        self.open = link;
        Ok(())
    }

    /// To the bracket that closes the one at hand. Strings are read as strings; the rest is left to another parse.
    fn pass_over(&mut self, link: Link) -> Result<(), Error> {
        let start = self.position()?;
        let mut brackets = 0_usize;
        loop {
            match self.rest.first().ok_or(Error::JsonSyntax)? {
                b'"' => {
                    self.string(usize::MAX, Error::JsonStringTooLong)?;
                    continue;
                }
                b'{' | b'[' => brackets = brackets.saturating_add(1),
                b'}' | b']' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            self.skip(1);
            if brackets == 0 {
                break;
            }
        }
        let end = self.position()?;
        self.fill(link, |node| (node.kind, node.value) = (Kind::Opaque, Span { start, end }))
    }

    fn close(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_sub(1);
        let end = self.position()?;
        let closed = self.open;
        self.open = self.node(closed).map_or(Link::NONE, |n| n.parent);
        self.fill(closed, |node| node.value.end = end)
    }

    fn literal(&mut self, link: Link, word: &[u8], kind: Kind) -> Result<(), Error> {
        let start = self.position()?;
        self.rest = self.rest.strip_prefix(word).ok_or(Error::JsonSyntax)?;
        let end = self.position()?;
        self.fill(link, |node| (node.kind, node.value) = (kind, Span { start, end }))
    }

    /// A string from its opening to its closing quote: where it lies, and whether it holds escapes.
    fn string(&mut self, limit: usize, too_long: Error) -> Result<(Span, bool), Error> {
        self.expect(b'"')?;
        let start = self.position()?;
        let (mut len, mut escaped) = (0_usize, false);
        loop {
            let run = json_text::plain_run(self.rest).ok_or(Error::JsonSyntax)?;
            self.skip(run);
            len = len.saturating_add(run);
            if self.rest.first() == Some(&b'\\') {
                escaped = true;
                len = len.saturating_add(self.escape()?);
            }
            if len > limit {
                return Err(too_long);
            }
            match self.rest.first() {
                Some(b'"') => break,
                Some(0..0x20) => return Err(Error::JsonSyntax),
                _ => {}
            }
        }
        let end = self.position()?;
        self.skip(1);
        Ok((Span { start, end }, escaped))
    }

    /// One escape; returns how many bytes of UTF-8 it stands for.
    fn escape(&mut self) -> Result<usize, Error> {
        match self.rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.skip(2);
                Ok(1)
            }
            Some(b'u') => self.unicode_escape(),
            _ => Err(Error::JsonSyntax),
        }
    }

    /// `\uXXXX`, or two of them that make a surrogate pair.
    fn unicode_escape(&mut self) -> Result<usize, Error> {
        let unit = self.hex_escape()?;
        match unit {
            0xDC00..=0xDFFF => Err(Error::JsonLoneSurrogate),
            0xD800..=0xDBFF => match self.rest.starts_with(b"\\u").then(|| self.hex_escape()) {
                Some(Ok(0xDC00..=0xDFFF)) => Ok(4),
                Some(Err(error)) => Err(error),
                _ => Err(Error::JsonLoneSurrogate),
            },
            0..0x80 => Ok(1),
            0x80..0x800 => Ok(2),
            _ => Ok(3),
        }
    }

    fn hex_escape(&mut self) -> Result<u16, Error> {
        let digits = self.rest.get(2..6).ok_or(Error::JsonSyntax)?;
        let unit = digits.iter().try_fold(0_u16, |unit, &digit| {
            let value = char::from(digit).to_digit(16).and_then(|d| u16::try_from(d).ok())?;
            Some(unit.wrapping_shl(4) | value)
        });
        self.skip(6);
        unit.ok_or(Error::JsonSyntax)
    }

    /// RFC 8259 section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Result<Span, Error> {
        let start = self.position()?;
        let before = self.rest;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = before.get(..before.len().saturating_sub(self.rest.len())).unwrap_or_default();
        if text.len() > self.limits.number || !crate::codec::number::is_finite(text) {
            return Err(Error::JsonNumberRange);
        }
        Ok(Span { start, end: self.position()? })
    }

    fn digits(&mut self) -> Result<(), Error> {
        let run = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.skip(run);
        if run > 0 { Ok(()) } else { Err(Error::JsonSyntax) }
    }

    fn space(&mut self) {
        let run = self.rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.skip(run);
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.skip(1);
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { Err(Error::JsonSyntax) }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn position(&self) -> Result<u32, Error> {
        u32::try_from(self.text.len().saturating_sub(self.rest.len())).map_err(|_| Error::JsonSyntax)
    }

    fn node(&self, link: Link) -> Option<&Node> {
        link.index().and_then(|i| self.nodes.get(i))
    }

    fn fill(&mut self, link: Link, set: impl FnOnce(&mut Node)) -> Result<(), Error> {
        let node = link.index().and_then(|i| self.nodes.get_mut(i)).ok_or(Error::JsonTooManyMembers)?;
        set(node);
        Ok(())
    }
}

#[derive(Clone, Copy, Default)]
struct Name {
    span: Span,
    escaped: bool,
}
