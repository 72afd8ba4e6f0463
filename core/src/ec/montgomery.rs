//! Arithmetic modulo any odd number between 2^255 and 2^256, in Montgomery form (P. L. Montgomery, "Modular
//! multiplication without trial division", 1985), for both word sizes.
//!
//! It is the arithmetic of scalars, and of constants; the field has its own ([`super::field`]), which knows the shape of
//! p. R is 2^256. No branch depends on a value.

use super::word::{WORDS, Word, Words, add_carry, from_u64, mask, mul_add, sub_borrow};

/// A modulus m with what reduction needs.
pub(super) struct Modulus {
    pub(super) m: Words,
    /// -1/m modulo the word.
    negated_inverse: Word,
    /// R mod m: one in Montgomery form.
    pub(super) r: Words,
    /// R^2 mod m: `mul` by it converts to Montgomery form.
    pub(super) r2: Words,
}

impl Modulus {
    /// From four `u64`, least significant first.
    pub(super) const fn new(m: [u64; 4]) -> Self {
        let m = from_u64(&m);
        // Newton: each step doubles the number of correct low bits, from 3 (m·m = 1 mod 8) past 64.
        let mut inverse = m[0];
        let mut bits = 3;
        while bits < 64 {
            inverse = inverse.wrapping_mul((2 as Word).wrapping_sub(m[0].wrapping_mul(inverse)));
            bits *= 2;
        }
        let mut modulus = Self { m, negated_inverse: inverse.wrapping_neg(), r: [0; WORDS], r2: [0; WORDS] };
        // R mod m = R - m, because m > R/2.
        modulus.r = subtract(&[0; WORDS], &m).0;
        modulus.r2 = modulus.r;
        let mut doublings = 0;
        while doublings < 256 {
            modulus.r2 = modulus.add(&modulus.r2, &modulus.r2);
            doublings += 1;
        }
        modulus
    }

    /// a + b, for a, b < m.
    pub(super) const fn add(&self, a: &Words, b: &Words) -> Words {
        let mut sum = [0; WORDS];
        let mut carry = 0;
        let mut i = 0;
        while i < WORDS {
            (sum[i], carry) = add_carry(a[i], b[i], carry);
            i += 1;
        }
        self.reduce_once(&sum, carry)
    }

    /// a - b, for a, b < m.
    pub(super) const fn sub(&self, a: &Words, b: &Words) -> Words {
        let (difference, borrow) = subtract(a, b);
        self.add_masked(&difference, mask(borrow))
    }

    /// a·b / R. One factor may be any number below R if the other is below m; the result is below m.
    ///
    /// Coarsely integrated operand scanning (Koç, Acar, Kaliski, 1996). The running sum stays below 2R:
    /// (a·b + q·m) / R < (R·m + R·m) / R = 2m, so one subtraction ends it.
    pub(super) const fn mul(&self, a: &Words, b: &Words) -> Words {
        let mut t = [0; WORDS];
        let mut top = 0;
        let mut i = 0;
        while i < WORDS {
            let mut carry = 0;
            let mut j = 0;
            while j < WORDS {
                (t[j], carry) = mul_add(t[j], a[j], b[i], carry);
                j += 1;
            }
            let (high, over) = add_carry(top, carry, 0);
            let q = t[0].wrapping_mul(self.negated_inverse);
            let (_, mut carry) = mul_add(t[0], q, self.m[0], 0);
            let mut j = 1;
            while j < WORDS {
                (t[j - 1], carry) = mul_add(t[j], q, self.m[j], carry);
                j += 1;
            }
            (t[WORDS - 1], carry) = add_carry(high, carry, 0);
            top = over + carry;
            i += 1;
        }
        self.reduce_once(&t, top)
    }

    /// a mod m, for a < 2m given as `high`·R + `low`.
    pub(super) const fn reduce_once(&self, low: &Words, high: Word) -> Words {
        let (difference, borrow) = subtract(low, &self.m);
        let (_, borrow) = sub_borrow(high, 0, borrow);
        self.add_masked(&difference, mask(borrow))
    }

    /// Adds m where `mask` is all ones, modulo R.
    const fn add_masked(&self, a: &Words, mask: Word) -> Words {
        let mut sum = [0; WORDS];
        let mut carry = 0;
        let mut i = 0;
        while i < WORDS {
            (sum[i], carry) = add_carry(a[i], self.m[i] & mask, carry);
            i += 1;
        }
        sum
    }
}

/// a - b modulo R, and the borrow.
pub(super) const fn subtract(a: &Words, b: &Words) -> (Words, Word) {
    let mut difference = [0; WORDS];
    let mut borrow = 0;
    let mut i = 0;
    while i < WORDS {
        (difference[i], borrow) = sub_borrow(a[i], b[i], borrow);
        i += 1;
    }
    (difference, borrow)
}
