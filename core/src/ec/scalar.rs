//! Integers modulo n, the order of P-256 (SP 800-186 section 3.2.1.3), and what ECDSA computes with them.

use zeroize::DefaultIsZeroes;

use super::inverse;
use super::montgomery::{Modulus, subtract};
use super::word::{self, BITS, WORDS, Word, Words};

/// n.
pub(super) const N: Modulus =
    Modulus::new([0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, u64::MAX, 0xffff_ffff_0000_0000]);

const ONE: Words = word::from_u64(&[1, 0, 0, 0]);

/// 1/2 in Montgomery form. (n + 1)/2 is n/2 rounded up.
const HALF: Words = {
    let mut half = [0; WORDS];
    let mut i = 0;
    while i < WORDS {
        let above = if i + 1 < WORDS { N.m[i + 1] } else { 0 };
        half[i] = N.m[i] >> 1 | above << (BITS - 1);
        i += 1;
    }
    N.mul(&N.add(&half, &ONE), &N.r2)
};

/// R^2/2: a multiplication by it converts to Montgomery form and halves.
const R2_HALVED: Words = N.mul(&HALF, &N.r2);

/// (2^256 - 1)/2 mod n, with 2^256 - 1 = R - 1.
const ALL_ONES_HALVED: Words = N.mul(&HALF, &N.sub(&N.r, &ONE));

/// An integer below n.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scalar(Words);

impl Scalar {
    pub(super) const ONE: Self = Self(ONE);

    /// 32 bytes, big-endian. `None` unless 0 < value < n. Only that outcome shows in the time.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = word::from_bytes(bytes);
        let (_, below) = subtract(&value, &N.m);
        (below & (word::is_zero(&value) ^ 1) == 1).then_some(Self(value))
    }

    /// 32 bytes, big-endian, modulo n: 2^256 < 2n, so one subtraction does it.
    pub(super) fn from_bytes_reduced(bytes: &[u8; 32]) -> Self {
        Self::from_words_reduced(&word::from_bytes(bytes))
    }

    /// 32 bytes, but for the highest and the lowest bit: a number between 0 and 2^255 < n, both left out, without a verdict.
    pub(super) fn from_bytes_below_2_255(bytes: &[u8; 32]) -> Self {
        let mut words = word::from_bytes(bytes);
        words[0] |= 1;
        words[WORDS - 1] &= Word::MAX >> 1;
        Self(words)
    }

    /// Any number below 2^256, modulo n.
    pub(super) fn from_words_reduced(words: &Words) -> Self {
        Self(N.reduce_once(words, 0))
    }

    /// 32 bytes, big-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        word::to_bytes(&self.0)
    }

    /// The value.
    pub(super) fn words(&self) -> &Words {
        &self.0
    }

    /// 1 if it is 0, else 0, without a branch.
    pub(super) fn zero_bit(&self) -> Word {
        word::is_zero(&self.0)
    }

    /// a + b.
    pub(super) fn add(&self, b: &Self) -> Self {
        Self(N.add(&self.0, &b.0))
    }

    /// a·b.
    pub(super) fn mul(&self, b: &Self) -> Self {
        Self(montgomery(&montgomery(&self.0, &N.r2), &b.0))
    }

    /// a·b / R: for products that the caller keeps account of.
    pub(super) fn mul_over_r(&self, b: &Self) -> Self {
        Self(montgomery(&self.0, &b.0))
    }

    /// 1/a, and 0 for 0. The time depends on a.
    pub(super) fn invert_vartime(&self) -> Self {
        Self(inverse::vartime(&self.0, &inverse::N))
    }

    /// 1/a, and 0 for 0, in constant time.
    pub(super) fn invert(&self) -> Self {
        Self(inverse::constant_time(&self.0, &inverse::N))
    }

    /// The scalar as a comb reads it: `v` = (a + 2^256 - 1)/2 mod n.
    ///
    /// Then a = 2v - (2^256 - 1) = Σ (2·v_i - 1)·2^i modulo n: every bit of v stands for +2^i or -2^i, and no digit is
    /// ever zero (M. Hedabou, P. Pinel, L. Bénéteau, 2005; M. Hamburg, "Fast and compact elliptic-curve cryptography",
    /// 2012, section 3.3).
    pub(super) fn signed_bits(&self) -> SignedBits {
        SignedBits(N.add(&montgomery(&HALF, &self.0), &ALL_ONES_HALVED))
    }
}

impl Default for Scalar {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl DefaultIsZeroes for Scalar {}

/// A scalar whose bits mean +2^i (1) and -2^i (0): [`Scalar::signed_bits`].
#[derive(Clone, Copy, Default)]
pub(super) struct SignedBits(pub(super) Words);

impl DefaultIsZeroes for SignedBits {}

/// u1 = digest/s and u2 = r/s (FIPS 186-5 section 6.4.2), as combs read them. `s_inverse` is 1/s.
///
/// The halving of [`Scalar::signed_bits`] costs nothing: it is in the constant that converts 1/s. The digest may be
/// n or more, as [`Modulus::mul`] allows.
pub(super) fn signed_bits_of_u1_u2(digest: &[u8; 32], r: &Scalar, s_inverse: &Scalar) -> [SignedBits; 2] {
    let half_w = montgomery(&s_inverse.0, &R2_HALVED);
    [word::from_bytes(digest), r.0].map(|factor| SignedBits(N.add(&montgomery(&factor, &half_w), &ALL_ONES_HALVED)))
}

#[inline(never)]
fn montgomery(a: &Words, b: &Words) -> Words {
    N.mul(a, b)
}
