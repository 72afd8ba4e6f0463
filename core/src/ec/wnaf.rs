//! u·Q for a key without a table, by width-5 non-adjacent form (J. A. Solinas, "Efficient arithmetic on Koblitz
//! curves", 2000), while the terms of a comb of G are added in the last passes. Variable time.

use super::field::invert_all_vartime;
use super::generator;
use super::point::{Affine, Jacobian, Xyzz};
use super::scalar::Scalar;
use super::verify::{Terms, term};
use super::word::to_u64;

const WIDTH: usize = 5;
/// Odd multiples Q, 3Q … 15Q.
const MULTIPLES: usize = 1 << (WIDTH - 2);
/// A 256-bit number has at most 257 digits.
const DIGITS: usize = 257;

/// u·q plus the terms of G.
pub(super) fn multiply(q: &Affine, u: &Scalar, g: &Terms) -> Xyzz {
    let multiples = odd_multiples(q);
    let digits = digits(u);
    let (low, high) = digits.split_at(g.comb.passes.min(DIGITS));
    let mut sum = Jacobian::INFINITY;
    for digit in high.iter().rev().skip_while(|digit| **digit == 0) {
        sum.double();
        if *digit != 0 {
            sum.add_affine(&multiple(&multiples, *digit));
        }
    }
    let mut sum = sum.to_xyzz();
    for (pass, digit) in low.iter().enumerate().rev() {
        sum.double();
        let own = (*digit != 0).then(|| multiple(&multiples, *digit));
        let g_terms = g.of_pass(pass).iter().map(|digit| term(&generator::TABLE.0, *digit));
        for point in own.into_iter().chain(g_terms) {
            sum.add_affine(&point);
        }
    }
    sum
}

/// The multiple for an odd digit between -15 and 15.
#[inline(always)]
fn multiple(multiples: &[Affine; MULTIPLES], digit: i8) -> Affine {
    let index = usize::from(digit.unsigned_abs() / 2) % MULTIPLES;
    multiples[index].negate_if(digit < 0)
}

/// Digits that are zero or odd, |digit| < 16, with at least four zeros after each that is not; least significant first.
fn digits(u: &Scalar) -> [i8; DIGITS] {
    let words = to_u64(u.words());
    let mut digits = [0; DIGITS];
    let mut carry = 0;
    let mut skip = 0;
    for (i, digit) in digits.iter_mut().enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let window = bits(&words, i) + carry;
        if window & 1 == 0 {
            // Bit i plus the carry is 0 or 2: the carry stays as it is.
            continue;
        }
        let value = window & 31;
        carry = value >> 4;
        *digit = value as i8 - (carry << 5) as i8;
        skip = WIDTH - 1;
    }
    digits
}

/// Bits i to i + 4.
fn bits(words: &[u64; 4], i: usize) -> u64 {
    let low = words.get(i / 64).map_or(0, |word| word >> (i % 64));
    let high = words.get(i / 64 + 1).map_or(0, |word| word << 1 << (63 - i % 64));
    (low | high) & 31
}

/// Q, 3Q … 15Q, affine.
///
/// 2Q has Z = 2y, so on the isomorphic curve where that Z is one (x·Z^2, y·Z^3) both 2Q and Q are affine, and additions
/// do not know a curve's coefficients: the multiples are made there, and carried back with one inversion (the
/// "effective affine" table of libsecp256k1). n is prime and large: no sum of these is exceptional.
fn odd_multiples(q: &Affine) -> [Affine; MULTIPLES] {
    let double = Xyzz::double_affine(q);
    let step = Affine { x: double.x, y: double.y };
    let mut sum = Xyzz::from_affine(&Affine { x: q.x.mul(&double.zz), y: q.y.mul(&double.zzz) });
    let mut sums = [sum; MULTIPLES];
    for multiple in sums.iter_mut().skip(1) {
        sum.add_affine_distinct(&step);
        *multiple = sum;
    }
    let mut inverses = sums.map(|sum| sum.zzz.mul(&double.zzz));
    invert_all_vartime(&mut inverses);
    let mut multiples = [*q; MULTIPLES];
    for ((multiple, sum), inverse) in multiples.iter_mut().zip(&sums).zip(&inverses) {
        // 1/Z = ZZ/ZZZ, and its square is 1/ZZ.
        let z_inverse = sum.zz.mul(&double.zz).mul(inverse);
        *multiple = Affine { x: sum.x.mul(&z_inverse.square()), y: sum.y.mul(inverse) };
    }
    multiples
}
