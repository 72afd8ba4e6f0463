//! Tables of the generator G.
//!
//! The files beside this one hold the entries, as little-endian words. The test `tables_of_g_are_what_prepare_makes`
//! makes them again with `table.rs` and compares. (The compiler could make them, and takes five seconds at every build.)

use super::comb::Comb;
use super::point::Entry;

/// A table whose entries each fill one line of the cache.
#[repr(align(64))]
pub(super) struct Table<const N: usize>(pub(super) [Entry; N]);

/// The comb of G for verification.
#[cfg(feature = "table-g-large")]
pub(super) const COMB: Comb = Comb::new(4, 8);
/// 64 KB.
#[cfg(feature = "table-g-large")]
pub(super) static TABLE: Table<{ COMB.entries() }> = read(include_bytes!("generator/large.bin"));

/// The comb of G for verification and signing, where flash is scarce.
#[cfg(not(feature = "table-g-large"))]
pub(super) const COMB: Comb = Comb::new(8, 6);
/// 8 KB.
#[cfg(not(feature = "table-g-large"))]
pub(super) static TABLE: Table<{ COMB.entries() }> = read(include_bytes!("generator/small.bin"));

/// The comb for signing, which reads every entry of a block: small blocks pay.
#[cfg(feature = "table-g-large")]
pub(super) const SIGNING_COMB: Comb = Comb::new(4, 11);
/// 20 KB.
#[cfg(feature = "table-g-large")]
pub(super) static SIGNING_TABLE: Table<{ SIGNING_COMB.entries() }> = read(include_bytes!("generator/signing.bin"));
#[cfg(not(feature = "table-g-large"))]
pub(super) use {COMB as SIGNING_COMB, TABLE as SIGNING_TABLE};

const fn read<const N: usize>(bytes: &[u8]) -> Table<N> {
    let (words, rest) = bytes.as_chunks::<8>();
    assert!(words.len() == 8 * N && rest.is_empty());
    let mut table = Table([[0; 8]; N]);
    let mut i = 0;
    while i < words.len() {
        table.0[i / 8][i % 8] = u64::from_le_bytes(words[i]);
        i += 1;
    }
    table
}
