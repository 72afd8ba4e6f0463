//! Tables of prepared keys: the entries of a comb, made in the caller's memory.

use super::comb::{Comb, MAX_BLOCKS, MAX_TEETH};
use super::field::{Fe, Products, invert_all_vartime};
use super::point::{Affine, Entry, Jacobian};

/// Size of a prepared key's table: the more bytes, the fewer additions a verification needs.
///
/// docs/design-ec.md has the cost of each: what a verification takes, and after how many a table is repaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Shape {
    /// 2 KiB: for microcontrollers.
    Kib2,
    /// 8 KiB.
    Kib8,
    /// 16 KiB: repaid soonest.
    Kib16,
    /// 32 KiB.
    Kib32,
    /// 64 KiB: for a server's busy keys.
    Kib64,
    /// 320 KiB: for one key that outweighs all others, if the processor's second-level cache holds it.
    Kib320,
}

impl Shape {
    /// All of them, smallest first.
    pub const ALL: [Self; 6] = [Self::Kib2, Self::Kib8, Self::Kib16, Self::Kib32, Self::Kib64, Self::Kib320];

    /// The table's length, in `u64` words.
    #[must_use]
    pub const fn words(self) -> usize {
        self.comb().entries() * 8
    }

    /// Chosen by the multiplications a verification costs at each size (docs/design-ec.md, "Shapes").
    pub(super) const fn comb(self) -> Comb {
        const { assert!(Comb::new(16, 4).entries() == 32 && Comb::new(8, 6).entries() == 128) }
        match self {
            Self::Kib2 => const { Comb::new(16, 4) },
            Self::Kib8 => const { Comb::new(8, 6) },
            Self::Kib16 => const { Comb::new(16, 2) },
            Self::Kib32 => const { Comb::new(8, 4) },
            Self::Kib64 => const { Comb::new(4, 8) },
            Self::Kib320 => const { Comb::new(4, 6) },
        }
    }
}

/// Fills `entries` with the comb's table of `point`.
///
/// First the teeth, each in a place of its block that the block's own sums do not need before it: tooth 2^j at place
/// 2^j, the highest at place 0. Then level by level: with S the sums so far (places 0 to 2^j) and B = tooth j, the sums
/// S - B take the place of S, and S + B the places from 2^j on.
pub(super) fn build(point: &Affine, comb: Comb, entries: &mut [Entry]) {
    place_teeth(point, comb, entries);
    for level in 0..comb.width(0) - 1 {
        add_level(comb, level, entries);
    }
}

/// The doubling chain, made affine with one inversion. Multiples by powers of two are never infinity: n is prime.
fn place_teeth(point: &Affine, comb: Comb, entries: &mut [Entry]) {
    let mut z = [Fe::ONE; MAX_TEETH];
    let mut tooth = Jacobian::from_affine(point);
    for (k, (place, z)) in tooth_places(comb).zip(&mut z).enumerate() {
        for _ in 0..if k > 0 { comb.passes } else { 0 } {
            double(&mut tooth);
        }
        if let Some(entry) = entries.get_mut(place) {
            *entry = Affine { x: tooth.x, y: tooth.y }.to_entry();
        }
        *z = tooth.z;
    }
    // Past the last tooth z is one.
    invert_all_vartime(&mut z);
    for (place, z) in tooth_places(comb).zip(&z) {
        if let Some(entry) = entries.get_mut(place) {
            let Affine { x, y } = Affine::from_entry(entry);
            let zz = z.square();
            *entry = Affine { x: x.mul(&zz), y: y.mul(&zz.mul(z)) }.to_entry();
        }
    }
}

#[inline(never)]
fn double(point: &mut Jacobian) {
    point.double();
}

/// Where each tooth waits, in order.
fn tooth_places(comb: Comb) -> impl Iterator<Item = usize> {
    (0..comb.blocks).flat_map(move |block| {
        let highest = comb.width(block) - 1;
        (0..=highest).map(move |j| comb.first_entry(block) + if j == highest { 0 } else { 1 << j })
    })
}

/// Adds tooth `level` to the sums of every block that has it below its highest, all with one inversion.
///
/// S + B and S - B share the inverse of x_S - x_B. It is zero only if one of the two results is infinity. Those are
/// sums of distinct powers of two, signed, times the point: odd multiples of the lowest power, so not zero, and below
/// 2^253 in size as the highest tooth is 2^252 at most (D is at least 4); n divides neither.
fn add_level(comb: Comb, level: usize, entries: &mut [Entry]) {
    let mut teeth = [Affine::default(); MAX_BLOCKS];
    let mut product = Products::new();
    for (block, tooth) in teeth.iter_mut().enumerate().take(comb.blocks) {
        let Some((sums, free)) = halves(comb, block, level, entries) else { continue };
        // The tooth waits in the first free place.
        let Some(first) = free.first() else { continue };
        *tooth = Affine::from_entry(first);
        for (sum, free) in sums.iter().zip(free) {
            let before = product.append(&Affine::from_entry(sum).x.sub(&tooth.x));
            *free = Affine { x: before, y: Fe::ZERO }.to_entry();
        }
    }
    let mut inverses = product.invert();
    for (block, tooth) in teeth.iter().enumerate().take(comb.blocks).rev() {
        let Some((sums, free)) = halves(comb, block, level, entries) else { continue };
        for (sum, free) in sums.iter_mut().zip(free).rev() {
            let s = Affine::from_entry(sum);
            let inverse = inverses.take(&Affine::from_entry(free).x, &s.x.sub(&tooth.x));
            *free = add_with(&s, &tooth.x, &tooth.y, &inverse).to_entry();
            *sum = add_with(&s, &tooth.x, &tooth.y.negate(), &inverse).to_entry();
        }
    }
}

/// The sums of a block before a level, and as many free places. `None` if the block has no such level.
fn halves(comb: Comb, block: usize, level: usize, entries: &mut [Entry]) -> Option<(&mut [Entry], &mut [Entry])> {
    if level + 1 >= comb.width(block) {
        return None;
    }
    let sums = 1 << level;
    entries.get_mut(comb.first_entry(block)..)?.get_mut(..2 * sums)?.split_at_mut_checked(sums)
}

/// (x1, y1) + (x2, y2) in affine coordinates, given 1/(x1 - x2). 2M + 1S.
#[inline(always)]
pub(super) fn add_with(p: &Affine, x2: &Fe, y2: &Fe, inverse: &Fe) -> Affine {
    let slope = p.y.sub(y2).mul_inline(inverse);
    let x = slope.square_inline().sub(&p.x).sub(x2);
    Affine { x, y: slope.mul_inline(&p.x.sub(&x)).sub(&p.y) }
}
