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
        assert!((passes == 4 || passes == 8 || passes == 16) && teeth <= MAX_TEETH);
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
    #[inline]
    pub(super) fn teeth_of_pass(self, scalar: &SignedBits, pass: usize) -> u64 {
        let words = to_u64(&scalar.0).map(|word| word >> (pass % 64));
        match self.passes {
            4 => join(words.map(every_4th_bit), 16),
            8 => join(words.map(every_8th_bit), 8),
            _ => join(words.map(every_16th_bit), 4),
        }
    }

    /// The bits of all passes, one pass after the other.
    pub(super) fn transposed(self, scalar: &SignedBits) -> Transposed {
        let mut words = [0; 4];
        for pass in 0..self.passes {
            let at = pass * self.teeth();
            words[at / 64 % 4] |= self.teeth_of_pass(scalar, pass) << (at % 64);
        }
        Transposed(words)
    }

    /// What [`Comb::teeth_of_pass`] gives for the pass; above its bits may be some of the next one.
    #[inline(always)]
    pub(super) fn transposed_pass(self, scalar: &Transposed, pass: usize) -> u64 {
        let at = pass * self.teeth();
        scalar.0[at / 64 % 4] >> (at % 64)
    }

    const fn teeth(self) -> usize {
        match self.passes {
            4 => 64,
            8 => 32,
            _ => 16,
        }
    }

    /// The digit of `block` in a pass.
    #[inline(always)]
    pub(super) fn digit(self, teeth: u64, block: usize) -> Digit {
        let bits = teeth >> (self.first_tooth(block) % 64);
        let sign = 1 << (self.width(block) - 1);
        // With the highest tooth negative the entry is minus the one with all signs turned.
        let positive = bits & sign != 0;
        let signs = if positive { bits } else { !bits } & (sign - 1);
        Digit { entry: self.first_entry(block) as u16 + signs as u16, negative: !positive }
    }
}

/// [`Comb::transposed`].
#[derive(Clone, Copy, Default)]
pub(super) struct Transposed([u64; 4]);

/// One term of a comb's sum: an entry of its table, or minus that entry.
#[derive(Clone, Copy, Default)]
pub(super) struct Digit {
    pub(super) entry: u16,
    pub(super) negative: bool,
}

/// Four groups of `bits` bits, one after the other, the first lowest.
fn join(groups: [u64; 4], bits: u32) -> u64 {
    groups.iter().rev().fold(0, |joined, group| joined << bits | group)
}

fn every_4th_bit(word: u64) -> u64 {
    let x = word & 0x1111_1111_1111_1111;
    let x = (x | x >> 3) & 0x0303_0303_0303_0303;
    let x = (x | x >> 6) & 0x000f_000f_000f_000f;
    let x = (x | x >> 12) & 0x0000_00ff_0000_00ff;
    (x | x >> 24) & 0xffff
}

/// Bit 8i times 2^(56 - 7i) lands on bit 56 + i, and no two of the other products meet.
fn every_8th_bit(word: u64) -> u64 {
    (word & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Bit 16i times 2^(60 - 15i) lands on bit 60 + i.
fn every_16th_bit(word: u64) -> u64 {
    (word & 0x0001_0001_0001_0001).wrapping_mul(0x1000_2000_4000_8000) >> 60
}
