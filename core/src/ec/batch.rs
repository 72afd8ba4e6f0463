//! Many signatures at once, each verdict exact: what [`verify_prepared`] says, in less time.
//!
//! No random combination is formed, so an invalid signature is found by name. The gain is in the additions: affine ones
//! (2M + 1S with the inverse of a difference) beat XYZZ (8M + 2S) as soon as enough of them run side by side to share
//! an inversion (Montgomery's trick, 3M each). A lane is one pass of one signature's combs; all lanes of a group add
//! their next term at the same time. What passes have in common, the doublings between them, comes after.

use core::ops::Range;

use super::Signature;
use super::comb::{Comb, Transposed};
use super::field::{Fe, Products};
use super::generator;
use super::point::{Affine, Xyzz};
use super::scalar::{Scalar, signed_bits_of_u1_u2};
use super::table::{Shape, add_with};
use super::verify::{has_x, term, verify_prepared};

/// One signature to verify.
#[derive(Clone, Copy, Debug)]
pub struct BatchItem<'a> {
    /// The prepared key: what [`prepare`](super::prepare) made for `shape`.
    pub table: &'a [u64],
    /// The table's shape.
    pub shape: Shape,
    /// The SHA-256 digest that was signed.
    pub digest: &'a [u8; 32],
    /// The signature over it.
    pub signature: &'a Signature,
}

/// Signatures that share inversions.
const GROUP: usize = 16;
/// Sums that advance together.
const LANES: usize = 64;

/// Verifies every item and writes its verdict to the same place of `valid`; `true` if all are valid.
///
/// Keys and shapes may differ from item to item; most is gained by 16 items of one shape at a time. Places of `valid`
/// past the last item are left alone; with fewer places than items the rest is not verified, and the answer is `false`.
#[must_use]
pub fn verify_batch(items: &[BatchItem<'_>], valid: &mut [bool]) -> bool {
    let mut all = items.len() <= valid.len();
    for (items, valid) in items.chunks(GROUP).zip(valid.chunks_mut(GROUP)) {
        verify_group(items, valid);
        all &= valid.iter().zip(items).all(|(valid, _)| *valid);
    }
    all
}

/// At most [`GROUP`] items.
fn verify_group(items: &[BatchItem<'_>], valid: &mut [bool]) {
    let mut sums = [Sum::default(); GROUP];
    start(items, &mut sums);
    let at_once = LANES / items.len().clamp(1, GROUP);
    let mut end = items.iter().map(|item| item.shape.comb().passes).fold(generator::COMB.passes, usize::max);
    while end > 0 {
        let first = end.saturating_sub(at_once);
        add_passes(items, &mut sums, first..end);
        end = first;
    }
    for ((item, sum), valid) in items.iter().zip(&sums).zip(valid) {
        *valid = if sum.exceptional {
            verify_prepared(item.table, item.shape, item.digest, item.signature)
        } else {
            has_x(&sum.point, &item.signature.r)
        };
    }
}

/// The sum of one item's combs. All zero is the start: infinity.
#[derive(Clone, Copy, Default)]
struct Sum {
    u1: Transposed,
    u2: Transposed,
    point: Xyzz,
    /// Two terms had the same x, or the table is too short: this one is verified alone.
    exceptional: bool,
}

/// u1 and u2 of every item, with one inversion modulo n.
///
/// Products are Montgomery's, so that s_i counts as s_i/R; the R goes again when 1/s_i is taken out.
#[inline(never)]
fn start(items: &[BatchItem<'_>], sums: &mut [Sum; GROUP]) {
    let mut before = [Scalar::default(); GROUP];
    let mut product = Scalar::ONE;
    for (item, before) in items.iter().zip(&mut before) {
        *before = product;
        product = product.mul_over_r(&item.signature.s);
    }
    let mut inverse = product.invert_vartime();
    for ((item, sum), before) in items.iter().zip(sums).zip(&before).rev() {
        let s_inverse = inverse.mul_over_r(before);
        inverse = inverse.mul_over_r(&item.signature.s);
        let [u1, u2] = signed_bits_of_u1_u2(item.digest, &item.signature.r, &s_inverse);
        sum.u1 = generator::COMB.transposed(&u1);
        sum.u2 = item.shape.comb().transposed(&u2);
        sum.exceptional = item.table.len() < item.shape.words();
    }
}

/// Adds some passes to all sums: one lane a pass, those of an item side by side.
#[inline(never)]
fn add_passes(items: &[BatchItem<'_>], sums: &mut [Sum; GROUP], passes: Range<usize>) {
    let mut lanes = [Affine::default(); LANES];
    let per_item = passes.len().max(1);
    let mut rounds = 0;
    for ((item, sum), lanes) in items.iter().zip(sums.iter()).zip(lanes.chunks_mut(per_item)) {
        for (lane, pass) in lanes.iter_mut().zip(passes.clone()) {
            let terms = Lane { item, sum, comb: item.shape.comb(), pass };
            *lane = terms.get(0);
            rounds = rounds.max(terms.len());
        }
    }
    for round in 1..rounds {
        add_round(items, sums, &mut lanes, &passes, round);
    }
    for ((item, sum), lanes) in items.iter().zip(sums).zip(lanes.chunks(per_item)) {
        for (lane, pass) in lanes.iter().zip(passes.clone()).rev() {
            let some = Lane { item, sum, comb: item.shape.comb(), pass }.len() > 0;
            double_and_add(&mut sum.point, some.then_some(lane));
        }
    }
}

#[inline(never)]
fn double_and_add(sum: &mut Xyzz, lane: Option<&Affine>) {
    if !sum.zz.is_zero() {
        sum.double();
    }
    if let Some(lane) = lane {
        sum.add_affine(lane);
    }
}

/// The terms of one pass of one item: those of the key first, then those of G.
struct Lane<'a> {
    item: &'a BatchItem<'a>,
    sum: &'a Sum,
    comb: Comb,
    pass: usize,
}

impl Lane<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.of_key() + if self.pass < generator::COMB.passes { generator::COMB.blocks } else { 0 }
    }

    #[inline(always)]
    fn of_key(&self) -> usize {
        if self.pass < self.comb.passes { self.comb.blocks } else { 0 }
    }

    #[inline(always)]
    fn get(&self, round: usize) -> Affine {
        let of_key = self.of_key();
        if round < of_key {
            let (entries, _) = self.item.table.as_chunks();
            let teeth = self.comb.transposed_pass(&self.sum.u2, self.pass);
            term(entries, self.comb.digit(teeth, round))
        } else {
            let teeth = generator::COMB.transposed_pass(&self.sum.u1, self.pass);
            term(&generator::TABLE.0, generator::COMB.digit(teeth, round - of_key))
        }
    }
}

/// Every lane adds its next term, all with one inversion.
///
/// Equal and opposite points have no place in the formula: their difference of x is zero. The item is marked, and the
/// lane left out. A hostile signer can bring that about, and gains one verification for one signature.
fn add_round(
    items: &[BatchItem<'_>],
    sums: &mut [Sum; GROUP],
    lanes: &mut [Affine; LANES],
    passes: &Range<usize>,
    round: usize,
) {
    let per_item = passes.len().max(1);
    let mut before = [Fe::ONE; LANES];
    let mut product = Products::new();
    let groups = lanes.chunks(per_item).zip(before.chunks_mut(per_item));
    for ((item, sum), (lanes, before)) in items.iter().zip(sums.iter_mut()).zip(groups) {
        let comb = item.shape.comb();
        for ((lane, before), pass) in lanes.iter().zip(before).zip(passes.clone()) {
            let terms = Lane { item, sum, comb, pass };
            if round < terms.len() {
                let difference = lane.x.sub(&terms.get(round).x);
                if difference.is_zero() {
                    sum.exceptional = true;
                } else {
                    *before = product.append(&difference);
                }
            }
        }
    }
    let mut inverses = product.invert();
    let groups = lanes.chunks_mut(per_item).zip(before.chunks(per_item));
    for ((item, sum), (lanes, before)) in items.iter().zip(sums.iter()).zip(groups).rev() {
        let comb = item.shape.comb();
        for ((lane, before), pass) in lanes.iter_mut().zip(before).zip(passes.clone()).rev() {
            let terms = Lane { item, sum, comb, pass };
            if round < terms.len() {
                let term = terms.get(round);
                let difference = lane.x.sub(&term.x);
                if !difference.is_zero() {
                    let inverse = inverses.take(before, &difference);
                    *lane = add_with(lane, &term.x, &term.y, &inverse);
                }
            }
        }
    }
}
