//! Tables of the generator G, computed by the compiler from G's coordinates: nothing to trust, nothing to check in.
//!
//! The same construction as in `table.rs`, in the small language that can run at compile time. A test makes the tables
//! again with `table.rs` and compares.

use super::comb::{Comb, MAX_BLOCKS, MAX_TEETH};
use super::field::P;
use super::point::{Entry, GENERATOR};
use super::word::{from_u64, to_u64};

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

type Number = [u64; 4];

const ZERO: Number = [0; 4];
const ONE: Number = to_u64(&P.r);

/// Affine coordinates in Montgomery form.
#[derive(Clone, Copy)]
struct Point {
    x: Number,
    y: Number,
}

const fn montgomery_form(value: Number) -> Number {
    to_u64(&P.mul(&from_u64(&value), &P.r2))
}

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
        let Point { x: [x0, x1, x2, x3], y: [y0, y1, y2, y3] } = points[i];
        entries[i] = [x0, x1, x2, x3, y0, y1, y2, y3];
        i += 1;
    }
    entries
}

const fn place_teeth<const N: usize>(comb: Comb, points: &mut [Point; N]) {
    let [x, y] = GENERATOR;
    let mut tooth = Point { x: montgomery_form(x), y: montgomery_form(y) };
    let mut z = ONE;
    let mut zs = [ONE; MAX_TEETH];
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
    let mut before = [ONE; MAX_TEETH];
    let mut product = ONE;
    let mut i = 0;
    while i < k {
        before[i] = product;
        product = mul(&product, &zs[i]);
        i += 1;
    }
    let mut inverse = invert(&product);
    while i > 0 {
        i -= 1;
        let this = mul(&inverse, &before[i]);
        inverse = mul(&inverse, &zs[i]);
        let square = mul(&this, &this);
        let point = &mut points[places[i]];
        point.x = mul(&point.x, &square);
        point.y = mul(&point.y, &mul(&square, &this));
    }
}

/// EFD dbl-2001-b, Jacobian coordinates.
const fn double(p: &Point, z: &Number) -> (Point, Number) {
    let delta = mul(z, z);
    let gamma = mul(&p.y, &p.y);
    let alpha = mul(&sub(&p.x, &delta), &add(&p.x, &delta));
    let alpha = add(&add(&alpha, &alpha), &alpha);
    let beta = mul(&p.x, &gamma);
    let beta2 = add(&beta, &beta);
    let beta4 = add(&beta2, &beta2);
    let x = sub(&sub(&mul(&alpha, &alpha), &beta4), &beta4);
    let gamma2 = add(&gamma, &gamma);
    let y = sub(&mul(&alpha, &sub(&beta4, &x)), &mul(&gamma2, &add(&gamma2, &gamma2)));
    let z = mul(&p.y, z);
    (Point { x, y }, add(&z, &z))
}

const fn add_level<const N: usize>(comb: Comb, level: usize, points: &mut [Point; N]) {
    let sums = 1 << level;
    let mut teeth = [Point { x: ZERO, y: ZERO }; MAX_BLOCKS];
    let mut product = ONE;
    let mut block = 0;
    // The wider blocks come first.
    while block < comb.blocks && level + 1 < comb.width(block) {
        let first = comb.first_entry(block);
        teeth[block] = points[first + sums];
        let mut i = 0;
        while i < sums {
            points[first + sums + i].x = product;
            product = mul(&product, &sub(&points[first + i].x, &teeth[block].x));
            i += 1;
        }
        block += 1;
    }
    let mut inverse = invert(&product);
    while block > 0 {
        block -= 1;
        let first = comb.first_entry(block);
        let tooth = teeth[block];
        let minus = Point { x: tooth.x, y: sub(&ZERO, &tooth.y) };
        let mut i = sums;
        while i > 0 {
            i -= 1;
            let sum = points[first + i];
            let this = mul(&inverse, &points[first + sums + i].x);
            inverse = mul(&inverse, &sub(&sum.x, &tooth.x));
            points[first + sums + i] = add_with(&sum, &tooth, &this);
            points[first + i] = add_with(&sum, &minus, &this);
        }
    }
}

/// p + q in affine coordinates, given 1/(x1 - x2).
const fn add_with(p: &Point, q: &Point, inverse: &Number) -> Point {
    let slope = mul(&sub(&p.y, &q.y), inverse);
    let x = sub(&sub(&mul(&slope, &slope), &p.x), &q.x);
    Point { x, y: sub(&mul(&slope, &sub(&p.x, &x)), &p.y) }
}

// The field again, without loops, calls or arrays inside: what the compiler interprets is counted in statements, and
// `Modulus` would take it ten seconds.

const P1: u64 = 0xffff_ffff;
const P3: u64 = 0xffff_ffff_0000_0001;

/// a·b / R mod p: rows of the product as in any textbook, then `limbs64.rs`'s reduction.
const fn mul(a: &Number, b: &Number) -> Number {
    let [a0, a1, a2, a3] = *a;
    let [b0, b1, b2, b3] = *b;
    let [a0, a1, a2, a3] = [a0 as u128, a1 as u128, a2 as u128, a3 as u128];

    let (mut t0, mut t1, mut t2, mut t3);
    let (t4, t5, t6, t7);
    let y = b0 as u128;
    let x = a0 * y;
    t0 = x as u64;
    let x = a1 * y + (x >> 64);
    t1 = x as u64;
    let x = a2 * y + (x >> 64);
    t2 = x as u64;
    let x = a3 * y + (x >> 64);
    t3 = x as u64;
    let top = (x >> 64) as u64;
    let y = b1 as u128;
    let x = a0 * y + t1 as u128;
    t1 = x as u64;
    let x = a1 * y + t2 as u128 + (x >> 64);
    t2 = x as u64;
    let x = a2 * y + t3 as u128 + (x >> 64);
    t3 = x as u64;
    let x = a3 * y + top as u128 + (x >> 64);
    let u4 = x as u64;
    let top = (x >> 64) as u64;
    let y = b2 as u128;
    let x = a0 * y + t2 as u128;
    t2 = x as u64;
    let x = a1 * y + t3 as u128 + (x >> 64);
    t3 = x as u64;
    let x = a2 * y + u4 as u128 + (x >> 64);
    let u4 = x as u64;
    let x = a3 * y + top as u128 + (x >> 64);
    let u5 = x as u64;
    let top = (x >> 64) as u64;
    let y = b3 as u128;
    let x = a0 * y + t3 as u128;
    t3 = x as u64;
    let x = a1 * y + u4 as u128 + (x >> 64);
    t4 = x as u64;
    let x = a2 * y + u5 as u128 + (x >> 64);
    t5 = x as u64;
    let x = a3 * y + top as u128 + (x >> 64);
    t6 = x as u64;
    t7 = (x >> 64) as u64;

    let mut round = 0;
    while round < 4 {
        // t0·(2^32, 2^192, 2^256 - 2^224) onto the limbs above, by one multiplication with p's highest limb.
        let x = t1 as u128 + ((t0 as u128) << 32);
        let y = t2 as u128 + (x >> 64);
        let z = t3 as u128 + (t0 as u128) * (P3 as u128) + (y >> 64);
        (t0, t1, t2, t3) = (x as u64, y as u64, z as u64, (z >> 64) as u64);
        round += 1;
    }
    let x = t0 as u128 + t4 as u128;
    t0 = x as u64;
    let x = t1 as u128 + t5 as u128 + (x >> 64);
    t1 = x as u64;
    let x = t2 as u128 + t6 as u128 + (x >> 64);
    t2 = x as u64;
    let x = t3 as u128 + t7 as u128 + (x >> 64);
    subtract_p_once(&[t0, t1, t2, x as u64], x >> 64 != 0)
}

/// a + b mod p.
const fn add(a: &Number, b: &Number) -> Number {
    let x = a[0] as u128 + b[0] as u128;
    let y = a[1] as u128 + b[1] as u128 + (x >> 64);
    let z = a[2] as u128 + b[2] as u128 + (y >> 64);
    let w = a[3] as u128 + b[3] as u128 + (z >> 64);
    subtract_p_once(&[x as u64, y as u64, z as u64, w as u64], w >> 64 != 0)
}

/// a - b mod p.
const fn sub(a: &Number, b: &Number) -> Number {
    if below(a, b) { sum_modulo_r(&difference(a, b), &[u64::MAX, P1, 0, P3]) } else { difference(a, b) }
}

const fn subtract_p_once(a: &Number, carry: bool) -> Number {
    let p = [u64::MAX, P1, 0, P3];
    if !carry && below(a, &p) { *a } else { difference(a, &p) }
}
