//! The field of P-256: integers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1 (FIPS 186-5; SP 800-186 section 3.2.1.3).
//!
//! An element a is held as a·R mod p with R = 2^256 (Montgomery form), always below p, so that equality is equality of
//! limbs. No operation but [`Fe::invert_vartime`] and the `==` of public values has a branch that depends on a value.

#[cfg(all(target_pointer_width = "64", not(imagxp_force_32)))]
#[path = "field/limbs64.rs"]
mod limbs;
#[cfg(not(all(target_pointer_width = "64", not(imagxp_force_32))))]
#[path = "field/limbs32.rs"]
mod limbs;

use zeroize::DefaultIsZeroes;

use super::inverse;
use super::montgomery::{Modulus, subtract};
use super::word::{self, Word, Words};

/// p, for conversions and for what the compiler computes.
pub(super) const P: Modulus = Modulus::new([u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001]);
const R3: Fe = Fe(P.mul(&P.r2, &P.r2));

/// A field element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fe(Words);

impl Fe {
    pub(super) const ZERO: Self = Self([0; word::WORDS]);
    pub(super) const ONE: Self = Self(P.r);

    /// a·b. Inlined: for the two or three formulas that a verification spends its time in.
    #[inline(always)]
    pub(super) fn mul_inline(&self, b: &Self) -> Self {
        Self(limbs::mul(&self.0, &b.0))
    }

    /// a^2, inlined.
    #[inline(always)]
    pub(super) fn square_inline(&self) -> Self {
        Self(limbs::square(&self.0))
    }

    /// a·b - c·d, inlined, one reduction.
    #[inline(always)]
    pub(super) fn mul_sub_inline(&self, b: &Self, c: &Self, d: &Self) -> Self {
        Self(limbs::mul_sub(&self.0, &b.0, &c.0, &d.0))
    }

    /// a·b.
    #[inline(never)]
    pub(super) fn mul(&self, b: &Self) -> Self {
        self.mul_inline(b)
    }

    /// a^2.
    #[inline(never)]
    pub(super) fn square(&self) -> Self {
        self.square_inline()
    }

    /// a + b.
    #[inline(always)]
    pub(super) fn add(&self, b: &Self) -> Self {
        Self(limbs::add(&self.0, &b.0))
    }

    /// a - b.
    #[inline(always)]
    pub(super) fn sub(&self, b: &Self) -> Self {
        Self(limbs::sub(&self.0, &b.0))
    }

    /// 2·a.
    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    /// 3·a.
    #[inline(always)]
    pub(super) fn triple(&self) -> Self {
        self.double().add(self)
    }

    /// -a.
    #[inline(always)]
    pub(super) fn negate(&self) -> Self {
        Self::ZERO.sub(self)
    }

    /// -a where `mask` is all ones, a where it is zero.
    #[inline(always)]
    pub(super) fn negate_masked(&self, mask: Word) -> Self {
        Self::select(mask, &self.negate(), self)
    }

    /// -a if `condition`, else a, in variable time. For coordinates y, which are never zero: no point has order 2.
    #[inline(always)]
    pub(super) fn negate_if(&self, condition: bool) -> Self {
        Self(limbs::negate_if(&self.0, condition))
    }

    /// 1/a, and 0 for 0. The time depends on a.
    pub(super) fn invert_vartime(&self) -> Self {
        // What is inverted is a·R: its inverse is short of R^2.
        R3.mul(&Self(inverse::vartime(&self.0, &inverse::P)))
    }

    /// 1/a, and 0 for 0, in constant time.
    pub(super) fn invert(&self) -> Self {
        R3.mul(&Self(inverse::constant_time(&self.0, &inverse::P)))
    }

    /// Whether a is 0. A branch on it is for public values only.
    #[inline(always)]
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().fold(0, |any, limb| any | limb) == 0
    }

    /// 1 if a is 0, else 0, without a branch.
    #[inline(always)]
    pub(super) fn zero_bit(&self) -> Word {
        word::is_zero(&self.0)
    }

    /// `a` where `mask` is all ones, `b` where it is zero.
    #[inline(always)]
    pub(super) fn select(mask: Word, a: &Self, b: &Self) -> Self {
        Self(word::select(mask, &a.0, &b.0))
    }

    /// The element with this value. `None` if it is not below p.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let value = word::from_bytes(bytes);
        let (_, below) = subtract(&value, &P.m);
        (below == 1).then(|| Self::from_value(&value))
    }

    /// The element with this value, below p.
    #[inline]
    pub(super) fn from_value(value: &Words) -> Self {
        Self(limbs::mul(value, &P.r2))
    }

    /// The value, below p.
    #[inline]
    pub(super) fn value(&self) -> Words {
        limbs::mul(&self.0, &word::from_u64(&[1, 0, 0, 0]))
    }

    /// The value, 32 bytes, big-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        word::to_bytes(&self.value())
    }

    /// From what [`Fe::to_u64`] gave. Any other four words give some element: see the limbs for what that means.
    #[inline(always)]
    pub(super) const fn from_u64(words: &[u64; 4]) -> Self {
        Self(word::from_u64(words))
    }

    /// The Montgomery form as four words, the same on every target.
    #[inline(always)]
    pub(super) const fn to_u64(self) -> [u64; 4] {
        word::to_u64(&self.0)
    }

    /// Whether the limbs are below p, as they always are but in damaged memory.
    pub(super) fn is_reduced(&self) -> bool {
        subtract(&self.0, &P.m).1 == 1
    }
}

impl Default for Fe {
    fn default() -> Self {
        Self::ZERO
    }
}

impl DefaultIsZeroes for Fe {}

/// Many inversions for one (Montgomery's trick): 3 multiplications an element. None may be zero.
///
/// [`Products::append`] every element; it gives what [`Inverses::take`] needs, which takes them in reverse order. The
/// elements go to two chains in turn, as each multiplication of a chain has to wait for the one before.
pub(super) struct Products {
    /// The chain of the next element first.
    chains: [Fe; 2],
}

/// What is left of [`Products`] after the inversion.
pub(super) struct Inverses {
    /// 1/product of each chain, that of the last element second.
    chains: [Fe; 2],
}

impl Products {
    pub(super) const fn new() -> Self {
        Self { chains: [Fe::ONE; 2] }
    }

    /// Takes in an element; gives the product of those before it in its chain.
    #[inline(always)]
    pub(super) fn append(&mut self, element: &Fe) -> Fe {
        let [before, other] = self.chains;
        self.chains = [other, before.mul(element)];
        before
    }

    /// In variable time.
    pub(super) fn invert(&self) -> Inverses {
        let [a, b] = &self.chains;
        let inverse = a.mul(b).invert_vartime();
        Inverses { chains: [inverse.mul(b), inverse.mul(a)] }
    }
}

impl Inverses {
    /// The inverse of the last element that is left. `before` is what [`Products::append`] gave for it.
    #[inline(always)]
    pub(super) fn take(&mut self, before: &Fe, element: &Fe) -> Fe {
        let [other, last] = self.chains;
        self.chains = [last.mul(element), other];
        last.mul(before)
    }
}

/// Inverts all elements in variable time. None may be zero.
pub(super) fn invert_all_vartime<const N: usize>(elements: &mut [Fe; N]) {
    let mut product = Products::new();
    let mut before = [Fe::ZERO; N];
    for (before, element) in before.iter_mut().zip(elements.iter()) {
        *before = product.append(element);
    }
    let mut inverses = product.invert();
    for (element, before) in elements.iter_mut().zip(&before).rev() {
        *element = inverses.take(before, element);
    }
}
