//! Tables of prepared keys: who owns which, and for how long. A table belongs to a key, not to a slot: a stranger who
//! pushes an agent out of its slot does not get its table (house rule: a live lease is never taken).

use crate::curve::Point;

use super::layout::Layout;

/// Words of an owner: its point, and the end of its lease, seconds since 1970.
pub(super) const OWNER_WORDS: usize = 9;
/// A link has twelve bits.
pub(super) const MAX: u32 = 4_095;
/// The lease of a configured issuer.
pub(super) const PINNED: u64 = u64::MAX;

/// Up to five table numbers in a word, twelve bits each; zero is none.
#[derive(Clone, Copy)]
pub(super) struct Links(pub(super) u64);

impl Links {
    pub(super) fn get(self, index: usize) -> Option<usize> {
        let shift = u32::try_from(index).ok()?.checked_mul(12).filter(|shift| *shift < 60)?;
        usize::try_from(self.0 >> shift & 0xFFF).ok()?.checked_sub(1)
    }

    pub(super) fn set(self, index: usize, table: usize) -> Self {
        let place = u32::try_from(index).ok().and_then(|index| index.checked_mul(12)).filter(|shift| *shift < 60);
        match (place, u64::try_from(table.saturating_add(1))) {
            (Some(shift), Ok(link @ 0..=0xFFF)) => Self(self.0 & !(0xFFF << shift) | link << shift),
            _ => self,
        }
    }
}

/// The point and the lease of a table; none if it was never built.
pub(super) fn owner(words: &[u64], layout: &Layout, table: usize) -> Option<([u64; 8], u64)> {
    let start = layout.owners.at(table)?;
    let [point @ .., lease_s] = words.get(start..)?.first_chunk::<OWNER_WORDS>()?;
    let point: &[u64; 8] = point.first_chunk()?;
    (*lease_s > 0).then_some((*point, *lease_s))
}

/// The table of this point, if it has one.
pub(super) fn find(words: &[u64], layout: &Layout, point: &[u64; 8]) -> Option<usize> {
    (0..layout.owners.slots).find(|table| owner(words, layout, *table).is_some_and(|(owned, _)| owned == *point))
}

/// A table for this point, built now unless it has one, leased until `lease_s`. None if every lease is alive.
pub(super) fn lease(words: &mut [u64], layout: &Layout, point: &Point, lease_s: u64, now_s: u64) -> Option<usize> {
    let owned = point.to_words();
    if let Some(table) = find(words, layout, &owned) {
        let (_, before) = owner(words, layout, table)?;
        write_owner(words, layout, table, &owned, lease_s.max(before))?;
        return Some(table);
    }
    let table = free(words, layout, now_s)?;
    // Nobody's while it is being built.
    write_owner(words, layout, table, &[0; 8], 0)?;
    let start = layout.tables.at(table)?;
    let space = words.get_mut(start..start.checked_add(layout.tables.stride)?)?;
    if !crate::curve::prepare(point, layout.shape, space) {
        return None;
    }
    write_owner(words, layout, table, &owned, lease_s)?;
    Some(table)
}

/// The table whose lease ended first, or one never built.
fn free(words: &[u64], layout: &Layout, now_s: u64) -> Option<usize> {
    let ended = |table: usize| (owner(words, layout, table).map_or(0, |(_, lease_s)| lease_s), table);
    (0..layout.owners.slots).map(ended).min().filter(|(lease_s, _)| *lease_s < now_s).map(|(_, table)| table)
}

/// Ends the pinned lease of a point that no issuer uses any more.
pub(super) fn unpin(words: &mut [u64], layout: &Layout, point: &[u64; 8], now_s: u64) {
    if let Some(table) = find(words, layout, point) {
        let _ = write_owner(words, layout, table, point, now_s);
    }
}

fn write_owner(words: &mut [u64], layout: &Layout, table: usize, point: &[u64; 8], lease_s: u64) -> Option<()> {
    let start = layout.owners.at(table)?;
    let place: &mut [u64; OWNER_WORDS] = words.get_mut(start..)?.first_chunk_mut()?;
    for (place, word) in place.iter_mut().zip(point.iter().chain([&lease_s])) {
        *place = *word;
    }
    Some(())
}
