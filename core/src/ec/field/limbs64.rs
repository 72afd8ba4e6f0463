//! p = 2^256 - 2^224 + 2^192 + 2^96 - 1 with four 64-bit limbs.
//!
//! Numbers are below p on entry and on exit. Entries of a damaged table may be anything below 2^256: the results are
//! then wrong, and nothing else.

use crate::ec::word::choose;

pub(super) type Limbs = [u64; 4];

const P: Limbs = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];

// `carrying_add` says the same, but LLVM keeps a whole chain in the carry flag of x86-64 only for the intrinsics.
#[cfg(target_arch = "x86_64")]
mod carry {
    use core::arch::x86_64::{_addcarry_u64, _subborrow_u64};

    pub(super) type Carry = u8;
    pub(super) const NONE: Carry = 0;

    #[inline(always)]
    pub(super) fn add(a: u64, b: u64, carry: Carry) -> (u64, Carry) {
        let mut sum = 0;
        let carry = _addcarry_u64(carry, a, b, &mut sum);
        (sum, carry)
    }

    #[inline(always)]
    pub(super) fn sub(a: u64, b: u64, borrow: Carry) -> (u64, Carry) {
        let mut difference = 0;
        let borrow = _subborrow_u64(borrow, a, b, &mut difference);
        (difference, borrow)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod carry {
    pub(super) type Carry = bool;
    pub(super) const NONE: Carry = false;

    #[inline(always)]
    pub(super) fn add(a: u64, b: u64, carry: Carry) -> (u64, Carry) {
        a.carrying_add(b, carry)
    }

    #[inline(always)]
    pub(super) fn sub(a: u64, b: u64, borrow: Carry) -> (u64, Carry) {
        a.borrowing_sub(b, borrow)
    }
}

use carry::{Carry, NONE, add as adc, sub as sbb};

/// a·b / R mod p.
#[inline(always)]
pub(super) fn mul(a: &Limbs, b: &Limbs) -> Limbs {
    reduce(product(a, b))
}

/// a^2 / R mod p.
#[inline(always)]
pub(super) fn square(a: &Limbs) -> Limbs {
    reduce(square_product(a))
}

/// (a·b - c·d) / R mod p with one reduction.
///
/// The difference lies between -p^2 and p^2. A negative one gets p·R > p^2 added, so what is reduced is below p·R.
#[inline(always)]
pub(super) fn mul_sub(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
    let [a0, a1, a2, a3, a4, a5, a6, a7] = product(a, b);
    let [b0, b1, b2, b3, b4, b5, b6, b7] = product(c, d);
    let (t0, c) = sbb(a0, b0, NONE);
    let (t1, c) = sbb(a1, b1, c);
    let (t2, c) = sbb(a2, b2, c);
    let (t3, c) = sbb(a3, b3, c);
    let (t4, c) = sbb(a4, b4, c);
    let (t5, c) = sbb(a5, b5, c);
    let (t6, c) = sbb(a6, b6, c);
    let (t7, c) = sbb(a7, b7, c);
    let [t4, t5, t6, t7] = add_p_if(&[t4, t5, t6, t7], c);
    reduce([t0, t1, t2, t3, t4, t5, t6, t7])
}

/// a + b mod p.
#[inline(always)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let (sum, carry) = add_limbs(a, b);
    subtract_p_once(&sum, carry)
}

/// a - b mod p.
#[inline(always)]
pub(super) fn sub(a: &Limbs, b: &Limbs) -> Limbs {
    let (t0, c) = sbb(a[0], b[0], NONE);
    let (t1, c) = sbb(a[1], b[1], c);
    let (t2, c) = sbb(a[2], b[2], c);
    let (t3, c) = sbb(a[3], b[3], c);
    add_p_if(&[t0, t1, t2, t3], c)
}

/// p - a if `condition`, else a: for a that is public, and not zero.
#[inline(always)]
pub(super) fn negate_if(a: &Limbs, condition: bool) -> Limbs {
    let (t0, c) = sbb(P[0], a[0], NONE);
    let (t1, c) = sbb(P[1], a[1], c);
    let (t2, c) = sbb(P[2], a[2], c);
    let (t3, _) = sbb(P[3], a[3], c);
    [choose(condition, t0, a[0]), choose(condition, t1, a[1]), choose(condition, t2, a[2]), choose(condition, t3, a[3])]
}

/// The eight limbs of a·b, row by row.
#[inline(always)]
fn product(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let [p0, x1, x2, x3, x4] = row(a, b[0]);
    let [p1, x2, x3, x4, x5] = add_row([x1, x2, x3, x4], row(a, b[1]));
    let [p2, x3, x4, x5, x6] = add_row([x2, x3, x4, x5], row(a, b[2]));
    let [p3, p4, p5, p6, p7] = add_row([x3, x4, x5, x6], row(a, b[3]));
    [p0, p1, p2, p3, p4, p5, p6, p7]
}

/// a·y.
#[inline(always)]
fn row(a: &Limbs, y: u64) -> [u64; 5] {
    let (t0, h0) = wide(a[0], y);
    let (l1, h1) = wide(a[1], y);
    let (l2, h2) = wide(a[2], y);
    let (l3, h3) = wide(a[3], y);
    let (t1, c) = adc(l1, h0, NONE);
    let (t2, c) = adc(l2, h1, c);
    let (t3, c) = adc(l3, h2, c);
    let (t4, _) = adc(h3, 0, c);
    [t0, t1, t2, t3, t4]
}

#[inline(always)]
fn add_row(x: Limbs, row: [u64; 5]) -> [u64; 5] {
    let (t0, c) = adc(row[0], x[0], NONE);
    let (t1, c) = adc(row[1], x[1], c);
    let (t2, c) = adc(row[2], x[2], c);
    let (t3, c) = adc(row[3], x[3], c);
    let (t4, _) = adc(row[4], 0, c);
    [t0, t1, t2, t3, t4]
}

/// The eight limbs of a^2: the six mixed products once, doubled, and the four squares.
#[inline(always)]
fn square_product(a: &Limbs) -> [u64; 8] {
    let (t1, h) = wide(a[0], a[1]);
    let (l, h2) = wide(a[0], a[2]);
    let (t2, c) = adc(l, h, NONE);
    let (l, h3) = wide(a[0], a[3]);
    let (t3, c) = adc(l, h2, c);
    let (t4, _) = adc(h3, 0, c);
    let (l, h) = wide(a[1], a[2]);
    let (l2, h2) = wide(a[1], a[3]);
    let (t3, c) = adc(t3, l, NONE);
    let (t4, c) = adc(t4, h, c);
    let (t5, _) = adc(h2, 0, c);
    let (t4, c) = adc(t4, l2, NONE);
    let (l, h) = wide(a[2], a[3]);
    let (t5, c) = adc(t5, l, c);
    let (t6, _) = adc(h, 0, c);

    let (t1, c) = adc(t1, t1, NONE);
    let (t2, c) = adc(t2, t2, c);
    let (t3, c) = adc(t3, t3, c);
    let (t4, c) = adc(t4, t4, c);
    let (t5, c) = adc(t5, t5, c);
    let (t6, c) = adc(t6, t6, c);
    let (t7, _) = adc(0, 0, c);

    let (t0, h0) = wide(a[0], a[0]);
    let (l1, h1) = wide(a[1], a[1]);
    let (l2, h2) = wide(a[2], a[2]);
    let (l3, h3) = wide(a[3], a[3]);
    let (t1, c) = adc(t1, h0, NONE);
    let (t2, c) = adc(t2, l1, c);
    let (t3, c) = adc(t3, h1, c);
    let (t4, c) = adc(t4, l2, c);
    let (t5, c) = adc(t5, h2, c);
    let (t6, c) = adc(t6, l3, c);
    let (t7, _) = adc(t7, h3, c);
    [t0, t1, t2, t3, t4, t5, t6, t7]
}

/// t / R mod p, for t < p·R: Montgomery reduction after Gueron and Krasnov, "Fast prime field elliptic-curve
/// cryptography with 256-bit primes" (2015).
///
/// p is -1 modulo 2^64, so the quotient digit of a round is the lowest limb itself. Four rounds fold the low half of t
/// into a number below 2^256 (at most (R - 1)(1 + p) / R), then one addition takes in the high half. The sum is
/// (t + q·p) / R < 2p, so one subtraction ends it.
#[inline(always)]
fn reduce(t: [u64; 8]) -> Limbs {
    let low = round([t[0], t[1], t[2], t[3]]);
    let low = round(low);
    let low = round(low);
    let low = round(low);
    let (sum, carry) = add_limbs(&low, &[t[4], t[5], t[6], t[7]]);
    subtract_p_once(&sum, carry)
}

/// (t + t0·p) / 2^64.
///
/// t0·p = t0·2^256 - t0·2^224 + t0·2^192 + t0·2^96 - t0; the last term removes the lowest limb.
#[inline(always)]
fn round([t0, t1, t2, t3]: Limbs) -> Limbs {
    let low = t0 << 32;
    let high = t0 >> 32;
    let (t1, c) = adc(t1, low, NONE);
    let (t2, c) = adc(t2, high, c);
    let (t3, c) = adc(t3, t0, c);
    let (t4, _) = adc(t0, 0, c);
    let (t3, c) = sbb(t3, low, NONE);
    let (t4, _) = sbb(t4, high, c);
    [t1, t2, t3, t4]
}

#[inline(always)]
fn wide(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    (product as u64, (product >> 64) as u64)
}

#[inline(always)]
fn add_limbs(a: &Limbs, b: &Limbs) -> (Limbs, Carry) {
    let (t0, c) = adc(a[0], b[0], NONE);
    let (t1, c) = adc(a[1], b[1], c);
    let (t2, c) = adc(a[2], b[2], c);
    let (t3, c) = adc(a[3], b[3], c);
    ([t0, t1, t2, t3], c)
}

/// `carry`·2^256 + a, less p if it is p or more: below p for anything below 2p.
#[inline(always)]
fn subtract_p_once(a: &Limbs, carry: Carry) -> Limbs {
    let (s0, c) = sbb(a[0], P[0], NONE);
    let (s1, c) = sbb(a[1], P[1], c);
    let (s2, c) = sbb(a[2], P[2], c);
    let (s3, c) = sbb(a[3], P[3], c);
    let (_, below) = sbb(u64::from(carry), 0, c);
    let below = below != NONE;
    [choose(below, a[0], s0), choose(below, a[1], s1), choose(below, a[2], s2), choose(below, a[3], s3)]
}

#[inline(always)]
fn add_p_if(a: &Limbs, carry: Carry) -> Limbs {
    let mask = 0u64.wrapping_sub(u64::from(carry));
    let (t0, c) = adc(a[0], mask, NONE);
    let (t1, c) = adc(a[1], mask & P[1], c);
    let (t2, c) = adc(a[2], 0, c);
    let (t3, _) = adc(a[3], mask & P[3], c);
    [t0, t1, t2, t3]
}
