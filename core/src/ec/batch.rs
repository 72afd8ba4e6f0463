//! Many signatures at once, each verdict exact: what [`verify_prepared`] says, for about two thirds of the time.
//!
//! No random combination is formed, so an invalid signature is found by name. The gain is in the additions: affine ones
//! (2M + 1S with the inverse of a difference) beat XYZZ (8M + 2S) as soon as enough of them run side by side to share
//! an inversion (Montgomery's trick, 3M each). A lane is one pass of one signature's combs; all lanes of a group add
//! their next term at the same time.

use super::comb::Comb;
use super::field::{Fe, Products};
use super::generator;
use super::point::{Affine, Xyzz};
use super::scalar::{Scalar, SignedBits, signed_bits_of_u1_u2};
use super::table::{Shape, add_with};
use super::verify::{has_x, term, verify_prepared};
use super::Signature;

/// One signature to verify.
#[derive(Clone, Copy)]
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
        add_passes(items, &mut sums, first, end);
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
    u1: SignedBits,
    u2: SignedBits,
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
        [sum.u1, sum.u2] = signed_bits_of_u1_u2(item.digest, &item.signature.r, &s_inverse);
        sum.exceptional = item.table.len() < item.shape.words();
    }
}

/// Adds the passes from `first` up to `end` to all sums.
#[inline(never)]
fn add_passes(items: &[BatchItem<'_>], sums: &mut [Sum; GROUP], first: usize, end: usize) {
    let mut lanes = [Lane::default(); LANES];
    let per_item = (end - first).max(1);
    let mut rounds = 0;
    for (lanes, (item, sum)) in lanes.chunks_mut(per_item).zip(items.iter().zip(sums.iter())) {
        for (lane, pass) in lanes.iter_mut().zip(first..end) {
            *lane = Lane::new(item, sum, pass);
            rounds = rounds.max(lane.terms());
        }
    }
    for round in 1..rounds {
        add_round(items, sums, &mut lanes, per_item, round);
    }
    for (lanes, sum) in lanes.chunks(per_item).zip(sums.iter_mut()).take(items.len()) {
        for lane in lanes.iter().rev() {
            double_and_add(&mut sum.point, lane);
        }
    }
}

#[inline(never)]
fn double_and_add(point: &mut Xyzz, lane: &Lane) {
    point.double();
    if lane.terms() > 0 {
        point.add_affine(&lane.sum);
    }
}

/// One pass of one item: the sum of its terms so far, and the bits that choose them.
#[derive(Clone, Copy, Default)]
struct Lane {
    sum: Affine,
    q_teeth: u64,
    g_teeth: u64,
    q_terms: u8,
    g_terms: u8,
}

impl Lane {
    /// With the first term, if the pass has any.
    fn new(item: &BatchItem<'_>, sum: &Sum, pass: usize) -> Self {
        let mut lane = Self::default();
        let comb = item.shape.comb();
        if pass < comb.passes {
            lane.q_teeth = comb.teeth_of_pass(&sum.u2, pass);
            lane.q_terms = comb.blocks as u8;
        }
        if pass < generator::COMB.passes {
            lane.g_teeth = generator::COMB.teeth_of_pass(&sum.u1, pass);
            lane.g_terms = generator::COMB.blocks as u8;
        }
        lane.sum = lane.term(item, comb, 0);
        lane
    }

    fn terms(&self) -> usize {
        usize::from(self.q_terms) + usize::from(self.g_terms)
    }

    /// The term of a round: those of the key first, then those of G.
    #[inline(always)]
    fn term(&self, item: &BatchItem<'_>, comb: Comb, round: usize) -> Affine {
        let q_terms = usize::from(self.q_terms);
        if round < q_terms {
            let (entries, _) = item.table.as_chunks();
            term(entries, comb.digit(self.q_teeth, round))
        } else {
            term(&generator::TABLE.0, generator::COMB.digit(self.g_teeth, round - q_terms))
        }
    }
}

/// Every lane adds its next term, all with one inversion.
///
/// Equal and opposite points have no place in the formula: their difference of x is zero. The item is marked, and the
/// lane left out. A hostile signer can bring that about, and gains one verification for one signature.
fn add_round(items: &[BatchItem<'_>], sums: &mut [Sum; GROUP], lanes: &mut [Lane; LANES], per_item: usize, round: usize) {
    let mut before = [Fe::ONE; LANES];
    let mut product = Products::new();
    let groups = lanes.chunks(per_item).zip(before.chunks_mut(per_item));
    for ((lanes, before), (item, sum)) in groups.zip(items.iter().zip(sums.iter_mut())) {
        let comb = item.shape.comb();
        for (lane, before) in lanes.iter().zip(before).filter(|(lane, _)| round < lane.terms()) {
            let difference = lane.sum.x.sub(&lane.term(item, comb, round).x);
            if difference.is_zero() {
                sum.exceptional = true;
            } else {
                *before = product.append(&difference);
            }
        }
    }
    let mut inverses = product.invert();
    let groups = lanes.chunks_mut(per_item).zip(before.chunks(per_item));
    for ((lanes, before), item) in groups.zip(items).rev() {
        let comb = item.shape.comb();
        for (lane, before) in lanes.iter_mut().zip(before).filter(|(lane, _)| round < lane.terms()).rev() {
            let term = lane.term(item, comb, round);
            let difference = lane.sum.x.sub(&term.x);
            if !difference.is_zero() {
                let inverse = inverses.take(before, &difference);
                lane.sum = add_with(&lane.sum, &term.x, &term.y, &inverse);
            }
        }
    }
}
