//! A strict RFC 8259 document: read with bounds, without recursion, into node slots that the caller gives.
//!
//! The reader refuses what lenient readers let pass: duplicate member names (compared after unescaping),
//! lone surrogates, invalid UTF-8, a BOM, numbers that overflow a double, and whatever exceeds its
//! [`Limits`]. The members of an object are kept sorted by UTF-16 code units, the order of RFC 8785,
//! so that [`super::jcs`] writes the canonical form by walking the list, and a duplicate is met on the way in.

mod reader;

use super::json_text::Text;
use crate::Error;

/// Bounds of a document. Lengths are bytes; those of names and strings count after unescaping.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of nesting; the root container is level 1.
    pub depth: usize,
    /// Members of an object.
    pub members: usize,
    /// Elements of an array.
    pub elements: usize,
    /// Values in all, containers and the root included, names not.
    pub nodes: usize,
    /// Bytes of a member name.
    pub name: usize,
    /// Bytes of a string.
    pub string: usize,
    /// Characters of a number.
    pub number: usize,
    /// Whether a container below `depth` is passed over as [`Kind::Opaque`], to be read on its own, instead of refused.
    pub opaque: bool,
}

impl Limits {
    /// The payload of a request, a manifest, the claims of a token (threats.md 4.2).
    pub const PAYLOAD: Self =
        Self { depth: 4, members: 32, elements: 16, nodes: 64, name: 64, string: 2_048, number: 64, opaque: false };
    /// The same for a chip: half the members, values and string bytes.
    pub const EMBEDDED: Self = Self { members: 16, nodes: 32, string: 1_024, ..Self::PAYLOAD };
    /// A token's header (threats.md 4.4).
    pub const JWT_HEADER: Self = Self { depth: 2, members: 16, ..Self::PAYLOAD };
    /// One entry of a JWK Set, with certificate chains (threats.md 4.5). Its depth within the set is 3.
    pub const JWK: Self = Self { depth: 4, string: 16_384, ..Self::PAYLOAD };
    /// A JWK Set without its entries (threats.md 4.5).
    pub const JWKS: Self = Self { depth: 2, elements: 32, nodes: 80, opaque: true, ..Self::JWK };
    /// Any public document: depth 64, everything else as large as the caller's slots.
    pub const WIDE: Self = Self {
        depth: 64,
        members: usize::MAX,
        elements: usize::MAX,
        nodes: usize::MAX,
        name: usize::MAX,
        string: usize::MAX,
        number: usize::MAX,
        opaque: false,
    };
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    #[default]
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number, kept as its text.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// A container that was passed over: see [`Limits::opaque`]. Only its brackets were counted.
    Opaque,
}

/// One slot: a value, its name if it is a member, and its place in the tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    pub(super) kind: Kind,
    name_escaped: bool,
    escaped: bool,
    /// Where the name lies, without its quotes.
    name: Span,
    /// Where the value lies; a string without its quotes.
    value: Span,
    pub(super) parent: Link,
    pub(super) next: Link,
    pub(super) first: Link,
    /// The last element while an array is open.
    last: Link,
    count: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// The number of a node plus one; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(u16);

impl Link {
    const NONE: Self = Self(0);

    fn to(index: usize) -> Result<Self, Error> {
        index.checked_add(1).and_then(|n| u16::try_from(n).ok()).map(Self).ok_or(Error::JsonTooManyMembers)
    }

    fn index(self) -> Option<usize> {
        self.0.checked_sub(1).map(usize::from)
    }
}

/// A parsed document: its text and its filled slots.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t, 'n> {
    text: &'t str,
    nodes: &'n [Node],
}

impl<'t, 'n> Document<'t, 'n> {
    /// Reads `text` into `nodes`. Any value may stand at the top.
    ///
    /// # Errors
    /// `JSON_*`: the first rule that the text breaks. More values than `nodes` has slots is
    /// `JSON_TOO_MANY_MEMBERS` as well.
    pub fn parse(text: &'t [u8], limits: &Limits, nodes: &'n mut [Node]) -> Result<Self, Error> {
        let text = utf8(text)?;
        let used = reader::read(text, limits, nodes)?;
        Ok(Self { text, nodes: nodes.get(..used).unwrap_or_default() })
    }

    /// The document of nodes that were filled before.
    pub(crate) fn reopen(text: &'t str, nodes: &'n [Node]) -> Self {
        Self { text, nodes }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The value at the top.
    #[must_use]
    pub fn root(&self) -> Value<'t, 'n> {
        self.value(Link(1)).unwrap_or(Value { document: *self, node: &NULL })
    }

    pub(super) fn value(&self, link: Link) -> Option<Value<'t, 'n>> {
        link.index().and_then(|i| self.nodes.get(i)).map(|node| Value { document: *self, node })
    }

    fn slice(&self, span: Span) -> &'t str {
        usize::try_from(span.start)
            .ok()
            .zip(usize::try_from(span.end).ok())
            .and_then(|(start, end)| self.text.get(start..end))
            .unwrap_or_default()
    }
}

static NULL: Node = Node {
    kind: Kind::Null,
    name_escaped: false,
    escaped: false,
    name: Span { start: 0, end: 0 },
    value: Span { start: 0, end: 0 },
    parent: Link::NONE,
    next: Link::NONE,
    first: Link::NONE,
    last: Link::NONE,
    count: 0,
};

fn utf8(text: &[u8]) -> Result<&str, Error> {
    let text = core::str::from_utf8(text).map_err(|_| Error::JsonUtf8)?;
    if text.starts_with('\u{FEFF}') { Err(Error::JsonUtf8) } else { Ok(text) }
}

/// One value of a document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t, 'n> {
    document: Document<'t, 'n>,
    pub(super) node: &'n Node,
}

impl<'t, 'n> Value<'t, 'n> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    /// Its bytes as received; a string without its quotes, escapes not resolved.
    #[must_use]
    pub fn raw(&self) -> &'t str {
        self.document.slice(self.node.value)
    }

    /// Its name, if it is a member of an object.
    #[must_use]
    pub fn name(&self) -> Text<'t> {
        Text::new(self.document.slice(self.node.name), self.node.name_escaped)
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<Text<'t>> {
        (self.node.kind == Kind::String).then(|| Text::new(self.raw(), self.node.escaped))
    }

    /// The text of the number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&'t str> {
        (self.node.kind == Kind::Number).then(|| self.raw())
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.node.kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The member of this name; none if it is not an object.
    #[must_use]
    #[inline(always)] // the names are constants: compared as numbers, not by a call
    pub fn get(&self, name: &str) -> Option<Self> {
        if self.node.kind != Kind::Object {
            return None;
        }
        self.children().find(|child| child.name() == *name)
    }

    /// The members of these names, each where its name is, found in one walk.
    #[must_use]
    #[inline(always)] // as in `get`
    pub fn members<const N: usize>(&self, names: [&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        if self.node.kind == Kind::Object {
            for child in self.children() {
                let mut places = names.iter().zip(&mut found);
                if let Some((_, place)) = places.find(|(name, _)| child.name() == ***name) {
                    *place = Some(child);
                }
            }
        }
        found
    }

    /// A member from the first quote to its end, if it stands in the text as RFC 8785 writes it. None of a number or a
    /// container: they take more than a look.
    pub(super) fn canonical_member(&self) -> Option<&'t str> {
        let Node { kind, name, value, name_escaped, escaped, .. } = *self.node;
        // Between name and value: a quote and a colon, and the quote of a string.
        let (between, behind) = match kind {
            Kind::String => (3, 1),
            Kind::Null | Kind::True | Kind::False => (2, 0),
            _ => return None,
        };
        let as_is = !name_escaped && !escaped && name.end.checked_add(between) == Some(value.start);
        let span = Span { start: name.start.checked_sub(1)?, end: value.end.checked_add(behind)? };
        as_is.then(|| self.document.slice(span))
    }

    /// Members in the order of RFC 8785, or elements in their own.
    pub fn children(&self) -> Children<'t, 'n> {
        Children { document: self.document, next: self.node.first }
    }

    /// Members in the order in which they were written.
    pub fn as_written(&self) -> impl Iterator<Item = Self> + use<'t, 'n> {
        let parent = self.document.link_of(self.node);
        let document = self.document;
        let nodes = document.nodes.iter().filter(move |node| node.parent == parent && parent != Link::NONE);
        nodes.map(move |node| Value { document, node })
    }

    /// How many members or elements it has.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.node.count)
    }

    pub(super) fn first(&self) -> Option<Self> {
        self.document.value(self.node.first)
    }

    pub(super) fn next(&self) -> Option<Self> {
        self.document.value(self.node.next)
    }

    pub(super) fn parent(&self) -> Option<Self> {
        self.document.value(self.node.parent)
    }

    /// Whether both are the same place of the same document.
    pub(crate) fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self.node, other.node)
    }
}

impl Document<'_, '_> {
    /// Children carry a link to their parent; the first child's is the parent's own.
    fn link_of(&self, node: &Node) -> Link {
        self.value(node.first).map_or(Link::NONE, |child| child.node.parent)
    }
}

/// Walks the members or elements of one value.
#[derive(Clone, Debug)]
pub struct Children<'t, 'n> {
    document: Document<'t, 'n>,
    next: Link,
}

impl<'t, 'n> Iterator for Children<'t, 'n> {
    type Item = Value<'t, 'n>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.document.value(self.next)?;
        self.next = value.node.next;
        Some(value)
    }
}
