//! Tables of the generator G, computed by the compiler from G's coordinates: nothing to trust, nothing to check in.
//!
//! The same construction as in `table.rs`, in the small language that can run at compile time. A test makes the tables
//! again with `table.rs` and compares.

use super::comb::{Comb, MAX_BLOCKS, MAX_TEETH};
use super::field::{Fe, P};
use super::point::{Affine, Entry, GENERATOR};
use super::word::{Words, from_u64, to_u64};

/// The comb that verification uses for G.
pub(super) const COMB: Comb = if cfg!(feature = "table-g-large") { Comb::new(4, 8) } else { Comb::new(8, 6) };
/// 64 KB, or 8 KB without the feature `table-g-large`.
pub(super) static TABLE: [Entry; COMB.entries()] = build(COMB);

/// The comb for signing, which reads every entry: small blocks pay.
#[cfg(feature = "table-g-large")]
pub(super) const SIGNING_COMB: Comb = Comb::new(4, 11);
/// 20 KB, or the table of verification where flash is scarce.
#[cfg(feature = "table-g-large")]
pub(super) static SIGNING_TABLE: [Entry; SIGNING_COMB.entries()] = build(SIGNING_COMB);
#[cfg(not(feature = "table-g-large"))]
pub(super) use {COMB as SIGNING_COMB, TABLE as SIGNING_TABLE};

/// G.
pub(super) const G: Affine = {
    let [x, y] = GENERATOR;
    Affine { x: Fe::from_u64(&to_u64(&montgomery_form(x))), y: Fe::from_u64(&to_u64(&montgomery_form(y))) }
};

const fn montgomery_form(value: [u64; 4]) -> Words {
    P.mul(&from_u64(&value), &P.r2)
}

/// Affine coordinates in Montgomery form.
#[derive(Clone, Copy)]
struct Point {
    x: Words,
    y: Words,
}

const ZERO: Words = from_u64(&[0; 4]);


const fn build<const N: usize>(comb: Comb) -> [Entry; N] {
    let mut points = [Point { x: ZERO, y: ZERO }; N];
    place_teeth(comb, &mut points);
    let mut level = 0;
    while level + 1 < comb.width(0) {
        add_level(comb, level, &mut points);
        level += 1;
    }
    let mut entries = [[0; 8]; N];
    let mut i = 0;
    while i < N {
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (to_u64(&points[i].x), to_u64(&points[i].y));
        entries[i] = [x0, x1, x2, x3, y0, y1, y2, y3];
        i += 1;
    }
    entries
}

const fn place_teeth<const N: usize>(comb: Comb, points: &mut [Point; N]) {
    let [x, y] = GENERATOR;
    let mut tooth = Point { x: montgomery_form(x), y: montgomery_form(y) };
    let mut z = P.r;
    let mut zs = [P.r; MAX_TEETH];
    let mut places = [0; MAX_TEETH];
    let (mut k, mut block) = (0, 0);
    while block < comb.blocks {
        let mut j = 0;
        while j < comb.width(block) {
            places[k] = comb.first_entry(block) + if j + 1 == comb.width(block) { 0 } else { 1 << j };
            points[places[k]] = tooth;
            zs[k] = z;
            let mut doublings = 0;
            while doublings < comb.passes {
                (tooth, z) = double(&tooth, &z);
                doublings += 1;
            }
            k += 1;
            j += 1;
        }
        block += 1;
    }
    let mut before = [P.r; MAX_TEETH];
    let mut product = P.r;
    let mut i = 0;
    while i < k {
        before[i] = product;
        product = P.mul(&product, &zs[i]);
        i += 1;
    }
    let mut inverse = P.invert(&product);
    while i > 0 {
        i -= 1;
        let this = P.mul(&inverse, &before[i]);
        inverse = P.mul(&inverse, &zs[i]);
        let square = P.mul(&this, &this);
        let point = &mut points[places[i]];
        point.x = P.mul(&point.x, &square);
        point.y = P.mul(&point.y, &P.mul(&square, &this));
    }
}

/// EFD dbl-2001-b, Jacobian coordinates.
const fn double(p: &Point, z: &Words) -> (Point, Words) {
    let delta = P.mul(z, z);
    let gamma = P.mul(&p.y, &p.y);
    let alpha = P.mul(&P.sub(&p.x, &delta), &P.add(&p.x, &delta));
    let alpha = P.add(&P.add(&alpha, &alpha), &alpha);
    let beta = P.mul(&p.x, &gamma);
    let beta2 = P.add(&beta, &beta);
    let beta4 = P.add(&beta2, &beta2);
    let x = P.sub(&P.sub(&P.mul(&alpha, &alpha), &beta4), &beta4);
    let gamma2 = P.add(&gamma, &gamma);
    let y = P.sub(&P.mul(&alpha, &P.sub(&beta4, &x)), &P.mul(&gamma2, &P.add(&gamma2, &gamma2)));
    let z = P.mul(&p.y, z);
    (Point { x, y }, P.add(&z, &z))
}

const fn add_level<const N: usize>(comb: Comb, level: usize, points: &mut [Point; N]) {
    let sums = 1 << level;
    let mut teeth = [Point { x: ZERO, y: ZERO }; MAX_BLOCKS];
    let mut product = P.r;
    let mut block = 0;
    // The wider blocks come first.
    while block < comb.blocks && level + 1 < comb.width(block) {
        let first = comb.first_entry(block);
        teeth[block] = points[first + sums];
        let mut i = 0;
        while i < sums {
            points[first + sums + i].x = product;
            product = P.mul(&product, &P.sub(&points[first + i].x, &teeth[block].x));
            i += 1;
        }
        block += 1;
    }
    let mut inverse = P.invert(&product);
    while block > 0 {
        block -= 1;
        let first = comb.first_entry(block);
        let tooth = teeth[block];
        let minus = Point { x: tooth.x, y: P.sub(&ZERO, &tooth.y) };
        let mut i = sums;
        while i > 0 {
            i -= 1;
            let sum = points[first + i];
            let this = P.mul(&inverse, &points[first + sums + i].x);
            inverse = P.mul(&inverse, &P.sub(&sum.x, &tooth.x));
            points[first + sums + i] = add_with(&sum, &tooth, &this);
            points[first + i] = add_with(&sum, &minus, &this);
        }
    }
}

/// p + q in affine coordinates, given 1/(x1 - x2).
const fn add_with(p: &Point, q: &Point, inverse: &Words) -> Point {
    let slope = P.mul(&P.sub(&p.y, &q.y), inverse);
    let x = P.sub(&P.sub(&P.mul(&slope, &slope), &p.x), &q.x);
    Point { x, y: P.sub(&P.mul(&slope, &P.sub(&p.x, &x)), &p.y) }
}
