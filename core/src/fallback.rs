//! The interface of [`crate::ec`] over crate p256, for builds without feature `ec`: no tables, the same verdicts.

use ecdsa::hazmat::{sign_prehashed_rfc6979, verify_prehashed};
use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::{AffinePoint, NistP256, ProjectivePoint, Sec1Point, SecretKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A point of the curve other than infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point(AffinePoint);

impl Point {
    /// The point with these coordinates, big-endian, if it lies on the curve.
    #[must_use]
    pub(crate) fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let encoded = Sec1Point::from_affine_coordinates(&(*x).into(), &(*y).into(), false);
        AffinePoint::from_sec1_point(&encoded).into_option().map(Self)
    }

    /// `x || y`, big-endian.
    #[must_use]
    pub(crate) fn coordinates(&self) -> [u8; 64] {
        let encoded = self.0.to_sec1_point(false);
        let mut out = [0; 64];
        if let Some(xy) = encoded.as_bytes().get(1..).filter(|xy| xy.len() == out.len()) {
            out.copy_from_slice(xy);
        }
        out
    }

    /// The point as eight words, for caller memory.
    #[must_use]
    pub(crate) fn to_words(self) -> [u64; 8] {
        let bytes = self.coordinates();
        let mut words = [0; 8];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*chunk);
        }
        words
    }

    /// The point of [`Self::to_words`]; none if the words are not a point.
    #[must_use]
    pub(crate) fn from_words(words: &[u64; 8]) -> Option<Self> {
        let (mut x, mut y) = ([0; 32], [0; 32]);
        let bytes = x.as_chunks_mut::<8>().0.iter_mut().chain(y.as_chunks_mut::<8>().0);
        for (chunk, word) in bytes.zip(words) {
            *chunk = word.to_be_bytes();
        }
        Self::from_coordinates(&x, &y)
    }
}

/// `r` and `s`, both between 1 and n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature(p256::ecdsa::Signature);

impl Signature {
    /// `r || s`, 32 bytes each, big-endian.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        p256::ecdsa::Signature::from_slice(bytes).ok().map(Self)
    }

    /// `r || s`
    #[must_use]
    pub(crate) fn to_bytes(self) -> [u8; 64] {
        self.0.to_bytes().into()
    }

    /// Nothing is computed ahead here.
    #[must_use]
    pub(crate) fn invert(&self) -> Inverted {
        *self
    }

    /// Both as they are.
    #[must_use]
    pub(crate) fn invert_both(&self, other: &Self) -> [Inverted; 2] {
        [*self, *other]
    }
}

/// With feature `ec`: a signature with 1/s.
pub(crate) type Inverted = Signature;

/// Whether `signature` is `point`'s over `digest` (FIPS 186-5 section 6.4.2).
#[must_use]
pub(crate) fn verify(point: &Point, digest: &[u8; 32], signature: &Signature) -> bool {
    verify_prehashed(&ProjectivePoint::from(point.0), digest, &signature.0).is_ok()
}

/// As [`verify`].
#[must_use]
pub(crate) fn verify_inverted(point: &Point, digest: &[u8; 32], signature: &Inverted) -> bool {
    verify(point, digest, signature)
}

/// A private key, wiped when dropped.
pub(crate) struct SecretScalar(SecretKey);

impl SecretScalar {
    /// `1 <= d < n`, big-endian.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_slice(bytes).ok().map(Self)
    }

    /// `d`, big-endian.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// `d` times G.
    #[must_use]
    pub(crate) fn public(&self) -> Point {
        Point(*self.0.public_key().as_affine())
    }

    /// Signs a digest: RFC 6979, with `extra` as the additional data of its section 3.6.
    #[must_use]
    pub(crate) fn sign(&self, digest: &[u8; 32], extra: &[u8]) -> Signature {
        let (signature, _) = sign_prehashed_rfc6979::<NistP256, Sha256>(&self.0.to_nonzero_scalar(), digest, extra);
        Signature(signature)
    }
}

/// Size of a prepared key's table. Without feature `ec` there are no tables: every shape takes no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Shape {
    /// 2 KiB with feature `ec`.
    Kib2,
    /// 8 KiB.
    Kib8,
    /// 16 KiB.
    Kib16,
    /// 32 KiB.
    Kib32,
    /// 64 KiB.
    Kib64,
    /// 320 KiB.
    Kib320,
}

impl Shape {
    /// All of them, smallest first.
    pub const ALL: [Self; 6] = [Self::Kib2, Self::Kib8, Self::Kib16, Self::Kib32, Self::Kib64, Self::Kib320];

    /// Words of a table: none.
    #[must_use]
    pub const fn words(self) -> usize {
        0
    }
}

/// No table is made.
pub(crate) fn prepare(_: &Point, _: Shape, _: &mut [u64]) -> bool {
    false
}

/// As in [`crate::ec`]; there are no tables to verify with.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "never read: no table is ever made")]
pub(crate) struct BatchItem<'a> {
    pub(crate) table: &'a [u64],
    pub(crate) shape: Shape,
    pub(crate) digest: &'a [u8; 32],
    pub(crate) signature: &'a Signature,
}

/// No table, no verdict: never reached.
pub(crate) fn verify_batch(_: &[BatchItem<'_>], _: &mut [bool]) -> bool {
    false
}

/// No table, no verdict: never reached, since [`prepare`] makes none.
pub(crate) fn verify_prepared_inverted(_: &[u64], _: Shape, _: &[u8; 32], _: &Inverted) -> bool {
    false
}
