//! ECDSA verification (FIPS 186-5 section 6.4.2). Every input is public: the time may depend on all of them.

use super::comb::{Comb, Digit, MAX_DIGITS};
use super::field::{Fe, P};
use super::generator;
use super::montgomery::subtract;
use super::point::{Affine, Entry, Xyzz};
use super::scalar::{N, Scalar, SignedBits, signed_bits_of_u1_u2};
use super::table::Shape;
use super::word::{WORDS, add_carry};
use super::{Inverted, Point, Signature, wnaf};

/// Whether `signature` is that of `point`'s owner over `digest`, for a key without a table.
#[must_use]
pub fn verify(point: &Point, digest: &[u8; 32], signature: &Signature) -> bool {
    verify_inverted(point, digest, &signature.invert())
}

/// As [`verify`], of a signature whose 1/s is there already.
#[must_use]
pub fn verify_inverted(point: &Point, digest: &[u8; 32], signature: &Inverted) -> bool {
    let [u1, _] = signed_bits_of_u1_u2(digest, &signature.r, &signature.s_inverse);
    let u2 = signature.r.mul(&signature.s_inverse);
    let sum = wnaf::multiply(&point.0, &u2, &Terms::new(generator::COMB, &u1));
    has_x(&sum, &signature.r)
}

/// Whether `signature` is that of the owner of the prepared key over `digest`.
///
/// `table` is what [`prepare`](super::prepare) made for `shape`; a shorter one verifies nothing. A table that was
/// damaged or made for another shape gives a wrong verdict, and does no other harm.
#[must_use]
pub fn verify_prepared(table: &[u64], shape: Shape, digest: &[u8; 32], signature: &Signature) -> bool {
    verify_prepared_inverted(table, shape, digest, &signature.invert())
}

/// As [`verify_prepared`], of a signature whose 1/s is there already.
#[must_use]
pub fn verify_prepared_inverted(table: &[u64], shape: Shape, digest: &[u8; 32], signature: &Inverted) -> bool {
    let Some(words) = table.get(..shape.words()) else { return false };
    let (entries, _) = words.as_chunks();
    let [u1, u2] = signed_bits_of_u1_u2(digest, &signature.r, &signature.s_inverse);
    let sum = add_combs(&Terms::new(generator::COMB, &u1), &Terms::new(shape.comb(), &u2), entries);
    has_x(&sum, &signature.r)
}

/// The terms of a comb's sum, those of the last pass first.
pub(super) struct Terms {
    pub(super) comb: Comb,
    digits: [Digit; MAX_DIGITS],
}

impl Terms {
    #[inline]
    pub(super) fn new(comb: Comb, scalar: &SignedBits) -> Self {
        let mut digits = [Digit::default(); MAX_DIGITS];
        for (pass, digits) in digits.chunks_exact_mut(comb.blocks.max(1)).enumerate().take(comb.passes) {
            let teeth = comb.teeth_of_pass(scalar, pass);
            for (block, digit) in digits.iter_mut().enumerate() {
                *digit = comb.digit(teeth, block);
            }
        }
        Self { comb, digits }
    }

    /// The terms that are added in a pass: none before the comb's own passes begin.
    #[inline(always)]
    pub(super) fn of_pass(&self, pass: usize) -> &[Digit] {
        let first = pass * self.comb.blocks;
        if pass < self.comb.passes { self.digits.get(first..first + self.comb.blocks).unwrap_or_default() } else { &[] }
    }

    /// Reads one word of every entry that will be needed, so that all waits for memory run at the same time.
    #[inline]
    fn touch(&self, entries: &[Entry]) {
        let used = self.digits.iter().take(self.comb.passes * self.comb.blocks);
        let words = used.map(|digit| entries.get(usize::from(digit.entry)).map_or(0, |entry| entry[0]));
        core::hint::black_box(words.fold(0, |sum, word| sum ^ word));
    }
}

/// The point of a digit. An entry outside the table is no point: damaged tables only.
#[inline(always)]
pub(super) fn term(entries: &[Entry], digit: Digit) -> Affine {
    let entry = entries.get(usize::from(digit.entry)).unwrap_or(&[0; 8]);
    Affine::from_entry(entry).negate_if(digit.negative)
}

/// The sum of both combs, with shared doublings.
#[inline(never)]
fn add_combs(g: &Terms, q: &Terms, q_entries: &[Entry]) -> Xyzz {
    g.touch(&generator::TABLE.0);
    q.touch(q_entries);
    let mut sum = Xyzz::INFINITY;
    let passes = g.comb.passes.max(q.comb.passes);
    for pass in (0..passes).rev() {
        if pass + 1 < passes {
            sum.double();
        }
        let g_terms = g.of_pass(pass).iter().map(|digit| term(&generator::TABLE.0, *digit));
        let q_terms = q.of_pass(pass).iter().map(|digit| term(q_entries, *digit));
        for point in q_terms.chain(g_terms) {
            sum.add_affine(&point);
        }
    }
    sum
}

/// Whether the point is not infinity and its x, modulo n, is r.
///
/// x = X/ZZ is below p, and n < p < 2n: x is r, or r + n if that is below p. Both are compared without a division.
#[inline]
pub(super) fn has_x(point: &Xyzz, r: &Scalar) -> bool {
    if point.zz.is_zero() {
        return false;
    }
    Fe::from_value(r.words()).mul(&point.zz) == point.x || r_plus_n(r).is_some_and(|x| x.mul(&point.zz) == point.x)
}

/// r + n, if that is below p.
#[cold]
fn r_plus_n(r: &Scalar) -> Option<Fe> {
    let mut sum = [0; WORDS];
    let mut carry = 0;
    for (sum, (r, n)) in sum.iter_mut().zip(r.words().iter().zip(&N.m)) {
        (*sum, carry) = add_carry(*r, *n, carry);
    }
    let (_, below) = subtract(&sum, &P.m);
    (carry == 0 && below == 1).then(|| Fe::from_value(&sum))
}
