//! ECDSA on P-256 with SHA-256 digests, for keys that are used again and again.
//!
//! A verifier that sees few keys and many signatures can *prepare* a key: a table of its multiples, made once in memory
//! of the caller, after which [`verify_prepared`] needs almost no doublings. [`verify`] is for the first sight of a
//! key, [`verify_batch`] for many signatures at once, [`SecretScalar::sign`] for the other side.
//!
//! The layers, each of which knows those before it only:
//! `word` 256-bit numbers · `montgomery` arithmetic modulo anything · `field` `scalar` modulo p and n, `inverse` ·
//! `point` the group · `comb` which bits an entry stands for · `table` `generator` entries · `verify` `wnaf` `batch`
//! `sign` `nonce`.
//!
//! No allocation, no unsafe code, no panic. Verification runs in variable time, as all its inputs are public. Whatever
//! touches a secret has no branch, index or variable-time instruction that depends on it. docs/design-ec.md has the
//! formulas' sources, the bounds, and why no exceptional case is missed.

// Fixed loops over fixed arrays: that no index and no sum can fail is proven by the optimiser (`make panic-free`), and
// by the tests, which run with overflow checks.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]
// What is no cast on one width of word is one on the other.
#![allow(clippy::unnecessary_cast)]

mod batch;
mod comb;
mod field;
mod generator;
mod inverse;
mod montgomery;
mod nonce;
mod point;
mod scalar;
mod sign;
mod table;
#[cfg(feature = "ec-testing")]
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod wnaf;
mod word;

pub use batch::{BatchItem, verify_batch};
pub use sign::SecretScalar;
pub use table::Shape;
pub use verify::{verify, verify_inverted, verify_prepared, verify_prepared_inverted};

use field::Fe;
use point::Affine;
use scalar::Scalar;

/// A public key: a point on the curve, not infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Point(Affine);

impl Point {
    /// From affine coordinates, 32 bytes each, big-endian. `None` if one is not below p, or the point is not on the
    /// curve (SEC 1 section 3.2.2.1; the curve has no points of small order).
    #[must_use]
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = Affine { x: Fe::from_bytes(x)?, y: Fe::from_bytes(y)? };
        point.is_on_curve().then_some(Self(point))
    }

    /// `x || y`, big-endian.
    #[must_use]
    pub fn coordinates(&self) -> [u8; 64] {
        join(&self.0.x.to_bytes(), &self.0.y.to_bytes())
    }

    /// The point as eight words, to be kept in memory of the caller: the same on every target.
    #[must_use]
    pub fn to_words(&self) -> [u64; 8] {
        self.0.to_entry()
    }

    /// From what [`Point::to_words`] gave. `None` for words that are no point on the curve.
    #[must_use]
    pub fn from_words(words: &[u64; 8]) -> Option<Self> {
        let point = Affine::from_entry(words);
        (point.x.is_reduced() && point.y.is_reduced() && point.is_on_curve()).then_some(Self(point))
    }
}

impl core::fmt::Debug for Point {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Point(")?;
        self.coordinates().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A signature: r and s, each between 1 and n - 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    r: Scalar,
    s: Scalar,
}

impl Signature {
    /// From `r || s`, big-endian (RFC 7518 section 3.4). `None` if one is zero, or not below n. A high s is as good as
    /// a low one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (halves, _) = bytes.as_chunks::<32>();
        let [r, s] = halves else { return None };
        Some(Self { r: Scalar::from_bytes(r)?, s: Scalar::from_bytes(s)? })
    }

    /// `r || s`, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        join(&self.r.to_bytes(), &self.s.to_bytes())
    }

    /// With 1/s: for who verifies the same signature more than once.
    #[must_use]
    pub fn invert(&self) -> Inverted {
        Inverted { r: self.r, s_inverse: self.s.invert_vartime() }
    }

    /// Both with 1/s, for one inversion and three multiplications.
    #[must_use]
    pub fn invert_both(&self, other: &Self) -> [Inverted; 2] {
        // Montgomery's products: this is R/(s·t), which times t is 1/s again.
        let inverse = self.s.mul_over_r(&other.s).invert_vartime();
        [(self.r, &other.s), (other.r, &self.s)].map(|(r, rest)| Inverted { r, s_inverse: inverse.mul_over_r(rest) })
    }
}

/// A signature with 1/s, which is a tenth of the cost of its verification.
#[derive(Clone, Copy)]
pub struct Inverted {
    r: Scalar,
    s_inverse: Scalar,
}

impl core::fmt::Debug for Inverted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Inverted")
    }
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Signature(")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Makes the table of a key in the first [`Shape::words`] words of `table`. `false` if there are fewer; nothing is
/// written then.
///
/// The table holds no addresses: it may be copied, mapped or sent to another process, at any alignment of 8 bytes (64
/// is faster). It is no secret, but whoever can write to it decides what verifies.
#[must_use]
pub fn prepare(point: &Point, shape: Shape, table: &mut [u64]) -> bool {
    let Some(words) = table.get_mut(..shape.words()) else { return false };
    let (entries, _) = words.as_chunks_mut();
    table::build(&point.0, shape.comb(), entries);
    true
}

fn join(a: &[u8; 32], b: &[u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(a);
    second.copy_from_slice(b);
    bytes
}
