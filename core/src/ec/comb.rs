//! Combs: which bits of a scalar one table entry stands for (C. H. Lim, P. J. Lee, "More flexible exponentiation with
//! precomputation", 1994; signed as in M. Hamburg, "Fast and compact elliptic-curve cryptography", 2012, section 3).
//!
//! A comb with D passes has 256/D teeth: tooth k is the point 2^(kD)·P. The teeth are dealt, in order, to blocks of at
//! most w teeth. A block's entries are all sums of its teeth with signs, up to the sign of the whole: 2^(w-1) points.
//! In pass d, the bits kD + d of the scalar choose a signed entry of every block; between passes the sum is doubled.
//! So u·P costs one addition a block a pass, and D - 1 doublings.
//!
//! The bits are signed ([`super::scalar::Scalar::signed_bits`]): no digit is zero. Exactly 256 bits are used, never
//! more, so every sum of teeth is an integer combination below 2^256 in size: `table.rs` and `sign.rs` rely on it.

use super::scalar::SignedBits;
use super::word::to_u64;

/// The layout of a comb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comb {
    /// D: 4, 8 or 16. Passes, one doubling between them.
    pub(super) passes: usize,
    /// Blocks: additions a pass.
    pub(super) blocks: usize,
    /// The first `wide` blocks have `width` teeth, the others one less.
    wide: usize,
    width: usize,
}

/// Blocks of the comb that has most.
pub(super) const MAX_BLOCKS: usize = 11;
/// Teeth of the comb that has most.
pub(super) const MAX_TEETH: usize = 64;
/// Additions of the comb that needs most: passes times blocks.
pub(super) const MAX_DIGITS: usize = 64;

impl Comb {
    /// Deals 256/`passes` teeth to `blocks` blocks, the wider blocks first.
    pub(super) const fn new(passes: usize, blocks: usize) -> Self {
        let teeth = 256 / passes;
        let width = teeth.div_ceil(blocks);
        let comb = Self { passes, blocks, wide: blocks - (width * blocks - teeth), width };
        assert!(passes * teeth == 256 && teeth <= MAX_TEETH);
        assert!(blocks <= MAX_BLOCKS && passes * blocks <= MAX_DIGITS);
        assert!(comb.width >= 3 && comb.width <= 12);
        comb
    }

    /// Teeth of a block.
    pub(super) const fn width(self, block: usize) -> usize {
        self.width - (block >= self.wide) as usize
    }

    /// The first tooth of a block.
    pub(super) const fn first_tooth(self, block: usize) -> usize {
        block * self.width - block.saturating_sub(self.wide)
    }

    /// The first entry of a block.
    pub(super) const fn first_entry(self, block: usize) -> usize {
        let narrow = block.saturating_sub(self.wide);
        ((block - narrow) << (self.width - 1)) + (narrow << (self.width - 2))
    }

    /// Entries of the whole table, of 64 bytes.
    pub(super) const fn entries(self) -> usize {
        self.first_entry(self.blocks)
    }

    /// The bits of one pass: bit k is the scalar's bit kD + `pass`.
    pub(super) fn teeth_of_pass(self, scalar: &SignedBits, pass: usize) -> u64 {
        let mut teeth = 0;
        for word in to_u64(&scalar.0).iter().rev() {
            teeth = teeth << (64 / self.passes % 64) | every_nth_bit(word >> (pass % 64), self.passes);
        }
        teeth
    }

    /// The digit of `block` in a pass.
    pub(super) fn digit(self, teeth: u64, block: usize) -> Digit {
        let bits = teeth >> (self.first_tooth(block) % 64);
        let sign = 1 << (self.width(block) - 1);
        // With the highest tooth negative the entry is minus the one with all signs turned.
        let positive = bits & sign != 0;
        let signs = if positive { bits } else { !bits } & (sign - 1);
        Digit { entry: self.first_entry(block) as u16 + signs as u16, negative: !positive }
    }
}

/// One term of a comb's sum: an entry of its table, or minus that entry.
#[derive(Clone, Copy, Default)]
pub(super) struct Digit {
    pub(super) entry: u16,
    pub(super) negative: bool,
}

/// Bits 0, n, 2n … of a word, together. n is 4, 8 or 16.
fn every_nth_bit(word: u64, n: usize) -> u64 {
    match n {
        4 => {
            let x = word & 0x1111_1111_1111_1111;
            let x = (x | x >> 3) & 0x0303_0303_0303_0303;
            let x = (x | x >> 6) & 0x000f_000f_000f_000f;
            let x = (x | x >> 12) & 0x0000_00ff_0000_00ff;
            (x | x >> 24) & 0xffff
        }
        // Bit 8i times 2^(56 - 7i) lands on bit 56 + i; no two of the products meet.
        8 => (word & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56,
        _ => (word & 0x0001_0001_0001_0001).wrapping_mul(0x1000_2000_4000_8000) >> 60,
    }
}
