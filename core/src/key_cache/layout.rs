//! Where everything lies in a key cache's words. Offsets count from the array's start: a copy of it is a clone.

use crate::Error;
use crate::curve::Shape;

/// How much a key cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Agents, the refused ones included. 4,096 suit a server, 256 a gateway.
    pub names: u32,
    /// Issuers of tokens: at least as many as the policies name.
    pub issuers: u32,
    /// Prepared keys.
    pub tables: u32,
    /// Bytes of a table: what one more multiplication costs in memory.
    pub shape: Shape,
}

impl Sizes {
    /// A server: 4,096 names, 4 issuers, 128 tables of 64 KB. About 10 MB.
    pub const HOSTED: Self = Self { names: 4_096, issuers: 4, tables: 128, shape: Shape::Kib64 };
    /// A gateway: 256 names, 2 issuers, 8 tables of 8 KB. About 200 KB.
    pub const EMBEDDED: Self = Self { names: 256, issuers: 2, tables: 8, shape: Shape::Kib8 };
}

/// `imagxpK2`: what the words are, and the version of their layout.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"imagxpK2");

/// Words of the header.
pub(super) mod header {
    pub(in crate::key_cache) const MAGIC: usize = 0;
    pub(in crate::key_cache) const WORDS: usize = 1;
    pub(in crate::key_cache) const NAMES_ISSUERS: usize = 2;
    pub(in crate::key_cache) const TABLES_SHAPE: usize = 3;
    pub(in crate::key_cache) const SEED: usize = 4;
    pub(in crate::key_cache) const LEN: usize = 8;
}

/// A row of equal slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) slots: usize,
    pub(super) stride: usize,
}

impl Region {
    fn end(self) -> Option<usize> {
        self.slots.checked_mul(self.stride)?.checked_add(self.start)
    }

    /// Where a slot begins; none beyond the last.
    pub(super) fn at(self, slot: usize) -> Option<usize> {
        (slot < self.slots).then_some(self.start.saturating_add(slot.saturating_mul(self.stride)))
    }

    /// The slots in which a tag may lie: one bucket.
    pub(super) fn bucket(self, tag: super::Tag) -> core::ops::Range<usize> {
        let ways = WAYS.min(self.slots).max(1);
        let buckets = self.slots.checked_div(ways).unwrap_or(1).max(1);
        let hash = usize::try_from(tag.0 >> 33).unwrap_or_default();
        let first = hash.checked_rem(buckets).unwrap_or_default().saturating_mul(ways);
        // The last bucket takes the remainder, so that no slot is idle.
        let last = first.saturating_add(ways.saturating_mul(2)) > self.slots;
        first..if last { self.slots } else { first.saturating_add(ways) }
    }
}

/// Slots looked at for one name.
const WAYS: usize = 8;

/// A shape as a number, for the header: its place among all.
pub(super) fn shape_number(shape: Shape) -> u32 {
    (0..).zip(Shape::ALL).find(|(_, known)| *known == shape).map_or(0, |(number, _)| number)
}

/// Every region of a cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) agents: Region,
    pub(super) refused: Region,
    pub(super) issuers: Region,
    /// Whose each table is.
    pub(super) owners: Region,
    pub(super) tables: Region,
    pub(super) shape: Shape,
    pub(super) words: usize,
}

impl Layout {
    /// A quarter of the names is for refusals (threats.md section 8), the rest for agents.
    pub(super) fn new(sizes: &Sizes) -> Option<Self> {
        let count = |n: u32| usize::try_from(n).ok();
        let names = count(sizes.names)?.max(2);
        let refused = names.checked_div(4)?.max(1);
        let agents = Region { start: header::LEN, slots: names.checked_sub(refused)?, stride: super::agents::WORDS };
        let refused = Region { start: agents.end()?, slots: refused, stride: super::refused::WORDS };
        let issuers = Region { start: refused.end()?, slots: count(sizes.issuers)?, stride: super::issuers::WORDS };
        let tables = count(sizes.tables.min(super::tables::MAX))?;
        let owners = Region { start: issuers.end()?, slots: tables, stride: super::tables::OWNER_WORDS };
        let tables = Region { start: owners.end()?, slots: tables, stride: sizes.shape.words() };
        Some(Self { agents, refused, issuers, owners, tables, shape: sizes.shape, words: tables.end()? })
    }

    /// The layout that a header tells, if the words hold all of it.
    pub(super) fn read(words: &[u64]) -> Result<Self, Error> {
        let word = |at| words.get(at).copied().unwrap_or_default();
        let halves = |at| {
            let low = u32::try_from(word(at) & 0xFFFF_FFFF).unwrap_or_default();
            (low, u32::try_from(word(at) >> 32).unwrap_or_default())
        };
        let ((names, issuers), (tables, shape)) = (halves(header::NAMES_ISSUERS), halves(header::TABLES_SHAPE));
        let shape = Shape::ALL.into_iter().find(|known| shape_number(*known) == shape).ok_or(Error::AbiState)?;
        let layout = Self::new(&Sizes { names, issuers, tables, shape }).ok_or(Error::AbiState)?;
        let whole = word(header::MAGIC) == MAGIC
            && usize::try_from(word(header::WORDS)) == Ok(layout.words)
            && layout.words <= words.len();
        if whole { Ok(layout) } else { Err(Error::AbiState) }
    }
}
