//! Keys: a pair that signs, a public key that verifies.

mod kid;
mod texts;

use core::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::curve;
use crate::inverted::Inverted;
use crate::jose::jwk;

pub use kid::Kid;
pub use texts::KeyText;
pub(crate) use texts::read_coordinates;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A public key: a point on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    point: curve::Point,
}

impl PublicKey {
    /// The key with these coordinates, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// `KEY_INVALID`: not a point on the curve.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, Error> {
        curve::Point::from_coordinates(x, y).map(|point| Self { point }).ok_or(Error::KeyInvalid)
    }

    /// `x || y`, big-endian.
    #[must_use]
    pub fn to_coordinates(&self) -> [u8; 64] {
        self.point.coordinates()
    }

    /// The JWK thumbprint's SHA-256 (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> Digest {
        jwk::thumbprint(self)
    }

    /// The `kid`: the thumbprint in base64url, 43 characters.
    #[must_use]
    pub fn kid(&self) -> Kid {
        Kid::from_thumbprint(&self.thumbprint())
    }

    /// Whether `signature` (`r || s`) is this key's over `digest`. High `s` is accepted (protocol.md section 1).
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`
    pub fn verify(&self, digest: &Digest, signature: &[u8; 64]) -> Result<(), Error> {
        self.verify_inverted(digest, &Inverted::of(signature))
    }

    pub(crate) fn verify_inverted(&self, digest: &Digest, signature: &Inverted) -> Result<(), Error> {
        let signature = signature.get().ok_or(Error::SignatureInvalid)?;
        checks::count();
        if curve::verify_inverted(&self.point, digest, signature) { Ok(()) } else { Err(Error::SignatureInvalid) }
    }

    pub(crate) fn point(&self) -> &curve::Point {
        &self.point
    }

    pub(crate) fn from_point(point: curve::Point) -> Self {
        Self { point }
    }
}

/// How a signature's nonce is made and whether the result is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signing<'a> {
    /// 32 fresh random bytes hedge the RFC 6979 nonce (its section 3.6) against faults and a known key, and blind the
    /// computation against what power or radiation tell (threats.md K5); empty is deterministic. Bad randomness does no harm.
    pub hedge: &'a [u8],
    /// Verify before the signature leaves, so that a fault cannot leak the key (threats.md K3).
    pub check: bool,
}

/// A private key and its public key. Not `Clone`, shows nothing, wiped when dropped.
///
/// Use a key for this protocol only: the payload is JSON without a domain tag (threats.md K7).
pub struct KeyPair {
    secret: curve::SecretScalar,
    public: PublicKey,
}

impl KeyPair {
    /// Words of [`Self::to_words`].
    pub const WORDS: usize = 12;

    /// A new key from 32 random bytes of the caller's: they become the private scalar.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID` once in 2^32: the bytes are zero or not below the group order. Draw others.
    pub fn from_random(random: &[u8; 32]) -> Result<Self, Error> {
        Self::from_scalar(random)
    }

    /// From the private scalar, big-endian (SEC1).
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`: zero, or not below the group order.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, Error> {
        let secret = curve::SecretScalar::from_bytes(scalar).ok_or(Error::PrivkeyInvalid)?;
        let public = PublicKey { point: secret.public() };
        Ok(Self { secret, public })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private scalar, big-endian; wiped when dropped.
    #[must_use]
    pub fn to_scalar(&self) -> Zeroizing<[u8; 32]> {
        self.secret.to_bytes()
    }

    /// The pair as words, for memory of the caller's (the C ABI): scalar, then point; wiped when dropped. The form is
    /// this build's own: to keep a key, use [`Self::to_text`] or its like.
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<[u64; Self::WORDS]> {
        let mut words = Zeroizing::new([0; Self::WORDS]);
        let scalar = self.to_scalar();
        let (place, point) = words.split_at_mut(4);
        for (word, bytes) in place.iter_mut().zip(scalar.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        point.copy_from_slice(&self.public.point.to_words());
        words
    }

    /// The pair of [`Self::to_words`]. The public half is taken as it is, not computed anew.
    ///
    /// # Errors
    /// `PRIVKEY_INVALID`: the words are not a scalar and a point.
    pub fn from_words(words: &[u64; Self::WORDS]) -> Result<Self, Error> {
        let (scalar_words, point) = words.split_at(4);
        let mut scalar = Zeroizing::new([0; 32]);
        for (bytes, word) in scalar.as_chunks_mut::<8>().0.iter_mut().zip(scalar_words) {
            *bytes = word.to_le_bytes();
        }
        let secret = curve::SecretScalar::from_bytes(&scalar).ok_or(Error::PrivkeyInvalid)?;
        let point = point.first_chunk().and_then(curve::Point::from_words).ok_or(Error::PrivkeyInvalid)?;
        Ok(Self { secret, public: PublicKey { point } })
    }

    /// Signs a digest: `r || s`, deterministic as RFC 6979 says, or hedged.
    ///
    /// # Errors
    /// `SIGN_FAULT`: the check was asked for, and failed.
    pub fn sign(&self, digest: &Digest, signing: Signing<'_>) -> Result<[u8; 64], Error> {
        let signature = self.secret.sign(digest, signing.hedge);
        if signing.check && !curve::verify(&self.public.point, digest, &signature) {
            return Err(Error::SignFault);
        }
        Ok(signature.to_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public.kid().as_str())
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// SHA-256 of several parts, each behind its length, so that no two lists of parts read alike.
#[must_use]
pub fn sha256_of(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Counts signature checks for the test-suite: the order of checks is a promise (threats.md section 5).
#[doc(hidden)]
pub mod checks {
    #[cfg(feature = "count-checks")]
    use core::sync::atomic::{AtomicU64, Ordering};

    #[cfg(feature = "count-checks")]
    static CHECKS: AtomicU64 = AtomicU64::new(0);

    pub(crate) fn count() {
        #[cfg(feature = "count-checks")]
        CHECKS.fetch_add(1, Ordering::Relaxed);
    }

    /// How many signature checks this process has made.
    #[cfg(feature = "count-checks")]
    pub fn counted() -> u64 {
        CHECKS.load(Ordering::Relaxed)
    }
}
