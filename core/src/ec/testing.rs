//! The arithmetic, opened for vectors of others. Numbers are 32 bytes, big-endian, in Montgomery form (a·2^256 mod m)
//! as BoringSSL's `p256-nistz_tests.txt` has them; `None` for one that is not below its modulus.

use super::field::Fe;
use super::inverse;
use super::montgomery::subtract;
use super::point::{Affine, Jacobian, Xyzz};
use super::scalar::N;
use super::word::{self, Words, to_u64};

/// 32 bytes, big-endian.
pub type Number = [u8; 32];

/// A field element, to time its operations.
#[derive(Clone, Copy)]
pub struct Element(Fe);

impl Element {
    /// `None` for a number that is not below p.
    #[must_use]
    pub fn new(a: &Number) -> Option<Self> {
        element(a).map(Self)
    }

    /// a·b / 2^256 mod p.
    #[must_use]
    pub fn mul(&self, b: &Self) -> Self {
        Self(self.0.mul(&b.0))
    }

    /// a^2 / 2^256 mod p.
    #[must_use]
    pub fn square(&self) -> Self {
        Self(self.0.square())
    }
}

/// a·b / 2^256 mod p: `MulMont`.
#[must_use]
pub fn field_mul(a: &Number, b: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.mul(&element(b)?)))
}

/// a^2 / 2^256 mod p.
#[must_use]
pub fn field_square(a: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.square()))
}

/// a·b - c·d, over 2^256, mod p.
#[must_use]
pub fn field_mul_sub(a: &Number, b: &Number, c: &Number, d: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.mul_sub_inline(&element(b)?, &element(c)?, &element(d)?)))
}

/// a + b mod p.
#[must_use]
pub fn field_add(a: &Number, b: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.add(&element(b)?)))
}

/// a - b mod p.
#[must_use]
pub fn field_sub(a: &Number, b: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.sub(&element(b)?)))
}

/// -a mod p: `Negate`.
#[must_use]
pub fn field_negate(a: &Number) -> Option<Number> {
    Some(bytes(&element(a)?.negate()))
}

/// 2^512 / a mod p, so that a times it is one in Montgomery form; 0 for 0. Both inversions, which must agree.
#[must_use]
pub fn field_invert(a: &Number) -> Option<Number> {
    let a = element(a)?;
    let inverse = a.invert();
    (inverse == a.invert_vartime()).then(|| bytes(&inverse))
}

/// a·b / 2^256 mod n: `OrdMulMont`.
#[must_use]
pub fn order_mul(a: &Number, b: &Number) -> Option<Number> {
    Some(word::to_bytes(&N.mul(&below_n(a)?, &below_n(b)?)))
}

/// 1/a mod n, of plain numbers; 0 for 0. Both inversions, which must agree.
#[must_use]
pub fn order_invert(a: &Number) -> Option<Number> {
    let a = below_n(a)?;
    let inverse = inverse::constant_time(&a, &inverse::N);
    (inverse == inverse::vartime(&a, &inverse::N)).then(|| word::to_bytes(&inverse))
}

/// The sum of two points in Jacobian coordinates (Z = 0 is infinity), affine, or zeros for infinity: `PointAdd`.
///
/// It is computed by every addition there is; `None` if two disagree.
#[must_use]
pub fn point_add(a: [&Number; 3], b: [&Number; 3]) -> Option<[Number; 2]> {
    let (a, b) = (jacobian(a)?, jacobian(b)?);
    let Some(b) = affine(&b.to_xyzz()) else { return Some(coordinates(&a.to_xyzz())) };
    let mut sums = [a.to_xyzz(); 3];
    let mut jacobian = a;
    jacobian.add_affine(&b);
    sums[0].add_affine(&b);
    sums[1].add_affine_complete(&b);
    sums[2] = jacobian.to_xyzz();
    let [first, others @ ..] = sums.map(|sum| coordinates(&sum));
    others.iter().all(|other| *other == first).then_some(first)
}

/// The double of a point in Jacobian coordinates, by every doubling there is.
#[must_use]
pub fn point_double(a: [&Number; 3]) -> Option<[Number; 2]> {
    let mut jacobian = jacobian(a)?;
    let mut xyzz = jacobian.to_xyzz();
    let affine = affine(&xyzz).map_or(Xyzz::INFINITY, |point| Xyzz::double_affine(&point));
    jacobian.double();
    xyzz.double();
    let double = coordinates(&xyzz);
    (double == coordinates(&jacobian.to_xyzz()) && double == coordinates(&affine)).then_some(double)
}

fn element(bytes: &Number) -> Option<Fe> {
    let element = Fe::from_u64(&to_u64(&word::from_bytes(bytes)));
    element.is_reduced().then_some(element)
}

fn bytes(element: &Fe) -> Number {
    word::to_bytes(&word::from_u64(&element.to_u64()))
}

fn below_n(bytes: &Number) -> Option<Words> {
    let words = word::from_bytes(bytes);
    (subtract(&words, &N.m).1 == 1).then_some(words)
}

fn jacobian([x, y, z]: [&Number; 3]) -> Option<Jacobian> {
    let point = Jacobian { x: element(x)?, y: element(y)?, z: element(z)? };
    Some(if point.z.is_zero() { Jacobian::INFINITY } else { point })
}

fn affine(point: &Xyzz) -> Option<Affine> {
    let affine = Affine { x: point.x.mul(&point.zz.invert()), y: point.y.mul(&point.zzz.invert()) };
    (!point.zz.is_zero()).then_some(affine)
}

fn coordinates(point: &Xyzz) -> [Number; 2] {
    affine(point).map_or([[0; 32]; 2], |Affine { x, y }| [bytes(&x), bytes(&y)])
}
