//! Inverses modulo p and n: D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd computation and modular inversion"
//! (2019), in the half-delta form and with the batched steps of libsecp256k1 (P. Wuille, doc/safegcd_implementation.md).
//!
//! Two loops of the same arithmetic: one whose steps depend on the number (verification, all inputs public), one that
//! always makes the same steps (signing). Numbers are held in signed limbs of 62 bits (30 on 32-bit targets).

use zeroize::{Zeroize, Zeroizing};

use super::montgomery::Modulus;
use super::word::{self, BITS, Signed, SignedWide, WORDS, Word, Words};
use super::{field, scalar};

/// Bits of a limb, and steps of a full batch.
const LIMB_BITS: usize = BITS - 2;
const LIMBS: usize = 256usize.div_ceil(LIMB_BITS);
const LIMB_MASK: Signed = Signed::MAX >> 1;

/// Divsteps a batch makes in constant time: 59 of 62, as 10·59 = 590; or 30 of 30, as 20·30 = 600.
const BATCH_STEPS: usize = if BITS == 64 { 59 } else { 30 };
/// 590 divsteps suffice for any 256-bit modulus (Wuille, computed by convex hulls; the proof is machine-checked in Coq,
/// https://github.com/sipa/safegcd-bounds and https://github.com/bitcoin-core/secp256k1 doc).
const BATCHES: usize = 590usize.div_ceil(BATCH_STEPS);
/// The variable-time loop starts at delta = 1, as the paper does: 741 divsteps suffice (its section 11).
const BATCHES_VARTIME: usize = 741usize.div_ceil(LIMB_BITS);

/// A number in signed limbs: all but the highest are between 0 and 2^LIMB_BITS.
type Limbs = [Signed; LIMBS];

/// A modulus as this file needs it.
pub(super) struct InverseModulus {
    limbs: Limbs,
    /// 1/m modulo 2^LIMB_BITS.
    inverse: Word,
}

pub(super) const P: InverseModulus = InverseModulus::new(&field::P);
pub(super) const N: InverseModulus = InverseModulus::new(&scalar::N);

impl InverseModulus {
    const fn new(modulus: &Modulus) -> Self {
        let mut inverse = modulus.m[0];
        let mut correct_bits = 3;
        while correct_bits < BITS {
            inverse = inverse.wrapping_mul((2 as Word).wrapping_sub(modulus.m[0].wrapping_mul(inverse)));
            correct_bits *= 2;
        }
        Self { limbs: to_limbs(&modulus.m), inverse: inverse & LIMB_MASK as Word }
    }
}

/// 2^steps times the matrix of a batch of divsteps: (f, g) becomes (u·f + v·g, q·f + r·g) / 2^LIMB_BITS.
struct Matrix {
    u: Signed,
    v: Signed,
    q: Signed,
    r: Signed,
}

/// 1/x modulo m in variable time; 0 for 0. x is any number below 2^256.
pub(super) fn vartime(x: &Words, m: &InverseModulus) -> Words {
    let (mut d, mut e) = ([0; LIMBS], [0; LIMBS]);
    e[0] = 1;
    let (mut f, mut g) = (m.limbs, to_limbs(x));
    let mut eta = -1;
    for _ in 0..BATCHES_VARTIME {
        let matrix;
        (eta, matrix) = batch_vartime(eta, f[0] as Word, g[0] as Word);
        update_de(&mut d, &mut e, &matrix, m);
        update_fg(&mut f, &mut g, &matrix);
        if g == [0; LIMBS] {
            break;
        }
    }
    normalize(&d, f[LIMBS - 1], m)
}

/// 1/x modulo m in constant time; 0 for 0. x is below m.
pub(super) fn constant_time(x: &Words, m: &InverseModulus) -> Words {
    let mut d = Zeroizing::new([0; LIMBS]);
    let mut e = Zeroizing::new([0; LIMBS]);
    let mut f = Zeroizing::new(m.limbs);
    let mut g = Zeroizing::new(to_limbs(x));
    e[0] = 1;
    let mut zeta = -1;
    for _ in 0..BATCHES {
        let mut matrix;
        (zeta, matrix) = batch(zeta, f[0] as Word, g[0] as Word);
        update_de(&mut d, &mut e, &matrix, m);
        update_fg(&mut f, &mut g, &matrix);
        matrix.zeroize();
    }
    normalize(&d, f[LIMBS - 1], m)
}

/// `LIMB_BITS` divsteps on the low limbs of f (odd) and g. eta is -delta.
///
/// Zeros at the bottom of g are taken off together, and up to six of its bits (four while eta is small) are cancelled
/// at a time by adding the right multiple of f.
fn batch_vartime(mut eta: Signed, f: Word, g: Word) -> (Signed, Matrix) {
    let (mut u, mut v, mut q, mut r): (Word, Word, Word, Word) = (1, 0, 0, 1);
    let (mut f, mut g) = (f, g);
    let mut left = LIMB_BITS as Signed;
    loop {
        // The sentinel stops the count at the steps left.
        let zeros = (g | Word::MAX << left).trailing_zeros() as Signed;
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= zeros;
        left -= zeros;
        if left <= 0 {
            break;
        }
        let multiple;
        if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            let bits = (eta + 1).min(left).min(6);
            // -1/f modulo 64 is f·(f^2 - 2).
            multiple = f.wrapping_mul(g).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)) & !(Word::MAX << bits);
        } else {
            let bits = (eta + 1).min(left).min(4);
            // 1/f modulo 16 is f + 8·[f = 3 or 5 mod 8].
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            multiple = inverse.wrapping_neg().wrapping_mul(g) & !(Word::MAX << bits);
        }
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q = q.wrapping_add(u.wrapping_mul(multiple));
        r = r.wrapping_add(v.wrapping_mul(multiple));
    }
    (eta, Matrix { u: u as Signed, v: v as Signed, q: q as Signed, r: r as Signed })
}

/// `BATCH_STEPS` divsteps in constant time. zeta is -(delta + 1/2). The matrix is scaled to LIMB_BITS steps.
fn batch(zeta: Signed, f: Word, g: Word) -> (Signed, Matrix) {
    let (zeta, f, g, first) = steps(BATCH_STEPS.min(30), zeta, f, g);
    if BATCH_STEPS <= 30 {
        return (zeta, first);
    }
    let (zeta, _, _, second) = steps(BATCH_STEPS - 30, zeta, f, g);
    let entry = |a: Signed, b: Signed, c: Signed, d: Signed| (a * b + c * d) << (LIMB_BITS - BATCH_STEPS);
    let u = entry(second.u, first.u, second.v, first.q);
    let v = entry(second.u, first.v, second.v, first.r);
    let q = entry(second.q, first.u, second.r, first.q);
    let r = entry(second.q, first.v, second.r, first.r);
    (zeta, Matrix { u, v, q, r })
}

/// At most 30 divsteps in constant time, and their matrix.
///
/// A row of the matrix, two numbers of at most 2^30 in size, is one integer u + v·2^32: everything done to it is linear
/// (T. Pornin, "Optimized binary GCD for modular inversion", 2020, section 3.1).
#[inline(always)]
fn steps(count: usize, mut zeta: Signed, mut f: Word, mut g: Word) -> (Signed, Word, Word, Matrix) {
    let (mut uv, mut qr): (u64, u64) = (1, 1 << 32);
    for _ in 0..count {
        // If delta > 0 and g is odd: (f, g) = (g, (g - f)/2). Else g = (g + (g odd)·f)/2.
        let negative = word::mask((zeta as Word) >> (BITS - 1));
        let odd = word::mask(g & 1);
        g = g.wrapping_add((f ^ negative).wrapping_sub(negative) & odd);
        qr = qr.wrapping_add((uv ^ extend(negative)).wrapping_sub(extend(negative)) & extend(odd));
        let swap = negative & odd;
        zeta = (zeta ^ swap as Signed).wrapping_sub(1);
        f = f.wrapping_add(g & swap);
        uv = uv.wrapping_add(qr & extend(swap));
        g >>= 1;
        uv <<= 1;
    }
    let ((u, v), (q, r)) = (unpack(uv), unpack(qr));
    (zeta, f, g, Matrix { u, v, q, r })
}

/// A mask of a word as one of 64 bits.
#[inline(always)]
fn extend(mask: Word) -> u64 {
    mask as Signed as i64 as u64
}

/// u and v of u + v·2^32, for |u| < 2^31.
#[inline(always)]
fn unpack(packed: u64) -> (Signed, Signed) {
    let u = packed as i32;
    let v = (packed.wrapping_sub(u as i64 as u64) >> 32) as i32;
    (u as Signed, v as Signed)
}

/// (f, g) = matrix·(f, g) / 2^LIMB_BITS, exactly.
#[inline]
fn update_fg(f: &mut Limbs, g: &mut Limbs, t: &Matrix) {
    let mut sum_f = (wide(t.u, f[0]) + wide(t.v, g[0])) >> LIMB_BITS;
    let mut sum_g = (wide(t.q, f[0]) + wide(t.r, g[0])) >> LIMB_BITS;
    for i in 1..LIMBS {
        sum_f += wide(t.u, f[i]) + wide(t.v, g[i]);
        sum_g += wide(t.q, f[i]) + wide(t.r, g[i]);
        f[i - 1] = sum_f as Signed & LIMB_MASK;
        g[i - 1] = sum_g as Signed & LIMB_MASK;
        sum_f >>= LIMB_BITS;
        sum_g >>= LIMB_BITS;
    }
    f[LIMBS - 1] = sum_f as Signed;
    g[LIMBS - 1] = sum_g as Signed;
}

/// (d, e) = matrix·(d, e) / 2^LIMB_BITS modulo m: multiples of m make the low limb zero.
///
/// d and e stay between -2m and m. |u| + |v| and |q| + |r| are at most 2^LIMB_BITS, so no sum reaches the wide type's end.
#[inline]
fn update_de(d: &mut Limbs, e: &mut Limbs, t: &Matrix, m: &InverseModulus) {
    let negative_d = d[LIMBS - 1] >> (BITS - 1);
    let negative_e = e[LIMBS - 1] >> (BITS - 1);
    let mut multiple_d = (t.u & negative_d).wrapping_add(t.v & negative_e);
    let mut multiple_e = (t.q & negative_d).wrapping_add(t.r & negative_e);
    let mut sum_d = wide(t.u, d[0]) + wide(t.v, e[0]);
    let mut sum_e = wide(t.q, d[0]) + wide(t.r, e[0]);
    let clear = |sum: SignedWide, multiple: Signed| {
        multiple.wrapping_sub(
            (m.inverse.wrapping_mul(sum as Word).wrapping_add(multiple as Word) & LIMB_MASK as Word) as Signed,
        )
    };
    multiple_d = clear(sum_d, multiple_d);
    multiple_e = clear(sum_e, multiple_e);
    sum_d = (sum_d + wide(m.limbs[0], multiple_d)) >> LIMB_BITS;
    sum_e = (sum_e + wide(m.limbs[0], multiple_e)) >> LIMB_BITS;
    for i in 1..LIMBS {
        sum_d += wide(t.u, d[i]) + wide(t.v, e[i]) + wide(m.limbs[i], multiple_d);
        sum_e += wide(t.q, d[i]) + wide(t.r, e[i]) + wide(m.limbs[i], multiple_e);
        d[i - 1] = sum_d as Signed & LIMB_MASK;
        e[i - 1] = sum_e as Signed & LIMB_MASK;
        sum_d >>= LIMB_BITS;
        sum_e >>= LIMB_BITS;
    }
    d[LIMBS - 1] = sum_d as Signed;
    e[LIMBS - 1] = sum_e as Signed;
}

/// d, negated if `sign` is negative, brought from between -2m and m to between 0 and m.
fn normalize(d: &Limbs, sign: Signed, m: &InverseModulus) -> Words {
    let negate = core::hint::black_box(sign >> (BITS - 1));
    let mut d = Zeroizing::new(add_if_negative(d, m));
    for limb in d.iter_mut() {
        *limb = (*limb ^ negate).wrapping_sub(negate);
    }
    carry(&mut d);
    d = Zeroizing::new(add_if_negative(&d, m));
    from_limbs(&d)
}

fn add_if_negative(d: &Limbs, m: &InverseModulus) -> Limbs {
    let negative = core::hint::black_box(d[LIMBS - 1] >> (BITS - 1));
    let mut sum = *d;
    for (limb, m) in sum.iter_mut().zip(&m.limbs) {
        *limb = limb.wrapping_add(m & negative);
    }
    carry(&mut sum);
    sum
}

/// Brings all limbs but the highest back between 0 and 2^LIMB_BITS.
fn carry(d: &mut Limbs) {
    let mut over = 0;
    for limb in &mut d[..LIMBS - 1] {
        *limb = limb.wrapping_add(over);
        over = *limb >> LIMB_BITS;
        *limb &= LIMB_MASK;
    }
    d[LIMBS - 1] = d[LIMBS - 1].wrapping_add(over);
}

#[inline(always)]
fn wide(a: Signed, b: Signed) -> SignedWide {
    a as SignedWide * b as SignedWide
}

const fn to_limbs(x: &Words) -> Limbs {
    let mut limbs = [0; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        let (at, shift) = (i * LIMB_BITS / BITS, i * LIMB_BITS % BITS);
        let mut limb = x[at] >> shift;
        if shift > BITS - LIMB_BITS && at + 1 < WORDS {
            limb |= x[at + 1] << (BITS - shift);
        }
        limbs[i] = limb as Signed & LIMB_MASK;
        i += 1;
    }
    limbs
}

const fn from_limbs(limbs: &Limbs) -> Words {
    let mut x = [0; WORDS];
    let mut i = 0;
    while i < WORDS {
        let (at, shift) = (i * BITS / LIMB_BITS, i * BITS % LIMB_BITS);
        x[i] = limbs[at] as Word >> shift | (limbs[at + 1] as Word) << (LIMB_BITS - shift);
        i += 1;
    }
    x
}

impl Zeroize for Matrix {
    fn zeroize(&mut self) {
        [&mut self.u, &mut self.v, &mut self.q, &mut self.r].into_iter().for_each(Zeroize::zeroize);
    }
}
