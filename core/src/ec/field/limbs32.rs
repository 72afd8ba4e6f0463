//! p = 2^256 - 2^224 + 2^192 + 2^96 - 1 with eight 32-bit limbs, for microcontrollers: small code, no table.
//!
//! Numbers are below p on entry and on exit. Entries of a damaged table may be anything below 2^256: the results are
//! then wrong, and nothing else. Masks, not conditions: these cores have no conditional move.

use crate::ec::word::{add_carry, mask, mul_add, sub_borrow};

pub(super) type Limbs = [u32; 8];

const P: Limbs = [u32::MAX, u32::MAX, u32::MAX, 0, 0, 0, 1, u32::MAX];

/// a·b / R mod p.
#[inline(never)]
pub(super) fn mul(a: &Limbs, b: &Limbs) -> Limbs {
    reduce(&product(a, b))
}

/// a^2 / R mod p. A squaring of its own would save a quarter of the time for 600 bytes of flash.
#[inline(always)]
pub(super) fn square(a: &Limbs) -> Limbs {
    mul(a, a)
}

/// (a·b - c·d) / R mod p.
#[inline(always)]
pub(super) fn mul_sub(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
    sub(&mul(a, b), &mul(c, d))
}

/// a + b mod p.
#[inline(never)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let mut sum = [0; 8];
    let mut carry = 0;
    for i in 0..8 {
        (sum[i], carry) = add_carry(a[i], b[i], carry);
    }
    subtract_p_once(&sum, carry)
}

/// a - b mod p.
#[inline(never)]
pub(super) fn sub(a: &Limbs, b: &Limbs) -> Limbs {
    let mut difference = [0; 8];
    let mut borrow = 0;
    for i in 0..8 {
        (difference[i], borrow) = sub_borrow(a[i], b[i], borrow);
    }
    add_p_masked(&difference, mask(borrow))
}

/// -a if `condition`, else a: for a that is public.
#[inline(always)]
pub(super) fn negate_if(a: &Limbs, condition: bool) -> Limbs {
    if condition { sub(&[0; 8], a) } else { *a }
}

#[inline(always)]
fn product(a: &Limbs, b: &Limbs) -> [u32; 16] {
    let mut t = [0; 16];
    for i in 0..8 {
        let mut carry = 0;
        for j in 0..8 {
            (t[i + j], carry) = mul_add(t[i + j], a[j], b[i], carry);
        }
        t[i + 8] = carry;
    }
    t
}

/// t / R mod p, for t < p·R: the multiples of p by rows, as p is -1 modulo 2^32 each quotient digit is the lowest limb.
///
/// q·p = q·2^256 - q·2^224 + q·2^192 + q·2^96 - q. Each round adds q at the limbs 3, 6 and 8 above its own and takes
/// it away at 7; the last term clears the lowest limb. (t + q·p) / R < 2p, so one subtraction ends it.
#[inline(always)]
fn reduce(t: &[u32; 16]) -> Limbs {
    let mut t = *t;
    // What goes over limb i + 8, signed: it enters with the next round.
    let mut top: i64 = 0;
    for i in 0..8 {
        let q = i64::from(t[i]);
        let mut sum: i64 = 0;
        for (place, factor) in [(3, 1), (4, 0), (5, 0), (6, 1), (7, -1)] {
            sum += i64::from(t[i + place]) + factor * q;
            t[i + place] = sum as u32;
            sum >>= 32;
        }
        sum += i64::from(t[i + 8]) + q + top;
        t[i + 8] = sum as u32;
        top = sum >> 32;
    }
    let mut high = [0; 8];
    high.copy_from_slice(&t[8..]);
    subtract_p_once(&high, top as u32)
}

#[inline(always)]
fn subtract_p_once(a: &Limbs, carry: u32) -> Limbs {
    let mut difference = [0; 8];
    let mut borrow = 0;
    for i in 0..8 {
        (difference[i], borrow) = sub_borrow(a[i], P[i], borrow);
    }
    let (_, below) = sub_borrow(carry, 0, borrow);
    add_p_masked(&difference, mask(below))
}

#[inline(always)]
fn add_p_masked(a: &Limbs, mask: u32) -> Limbs {
    let mut sum = [0; 8];
    let mut carry = 0;
    for i in 0..8 {
        (sum[i], carry) = add_carry(a[i], P[i] & mask, carry);
    }
    sum
}
