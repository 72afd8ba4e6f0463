//! Nonces of ECDSA by RFC 6979 section 3.2: HMAC-DRBG with SHA-256, seeded with the private key and the digest.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::scalar::Scalar;

pub(super) type Block = Zeroizing<[u8; 32]>;

/// The candidates for k, one after the other.
///
/// The hashes' own states are on the stack of the signature that uses this; `sign.rs` wipes that.
pub(super) struct Nonces {
    key: Hmac,
    v: Block,
}

impl Nonces {
    /// Steps a to g. `extra` is the additional data of section 3.6: none gives the deterministic signature.
    pub(super) fn new(secret: &Scalar, digest: &Scalar, extra: &[u8]) -> Self {
        let secret = Zeroizing::new(secret.to_bytes());
        let mut nonces = Self { key: Hmac::new(&[0; 32]), v: Zeroizing::new([1; 32]) };
        nonces.update(0, &[&*secret, &digest.to_bytes(), extra]);
        nonces.update(1, &[&*secret, &digest.to_bytes(), extra]);
        nonces
    }

    /// Step h: the next number, and how the sequence goes on if it does not serve.
    pub(super) fn next(&mut self) -> Zeroizing<Scalar> {
        loop {
            self.v = self.key.mac(&[&*self.v]);
            let k = Scalar::from_bytes(&self.v).map(Zeroizing::new);
            // Whether a candidate is refused depends on that candidate only, and it is not used.
            match k {
                Some(k) => return k,
                None => self.update(0, &[]),
            }
        }
    }

    /// A number for other use than as a nonce: HMAC(K, V || 2 || `number`), which no step of the RFC computes. The
    /// sequence of nonces is not changed by it.
    pub(super) fn aside(&self, number: u8) -> Block {
        self.key.mac(&[&*self.v, &[2, number]])
    }

    /// K = HMAC(K, V || separator || seed), V = HMAC(K, V).
    pub(super) fn update(&mut self, separator: u8, seed: &[&[u8]]) {
        let mut hash = self.key.inner.clone();
        hash.update(*self.v);
        hash.update([separator]);
        seed.iter().for_each(|part| hash.update(part));
        self.key = Hmac::new(&self.key.finish(hash));
        self.v = self.key.mac(&[&*self.v]);
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key of 32 bytes: both hashes, with the key's block taken in.
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8; 32]) -> Self {
        let keyed = |pad: u8| {
            let mut block = Zeroizing::new([pad; 64]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            Sha256::new_with_prefix(*block)
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    fn mac(&self, message: &[&[u8]]) -> Block {
        let mut hash = self.inner.clone();
        message.iter().for_each(|part| hash.update(part));
        self.finish(hash)
    }

    fn finish(&self, inner: Sha256) -> Block {
        let mut outer = self.outer.clone();
        outer.update(*Zeroizing::new(<[u8; 32]>::from(inner.finalize())));
        Zeroizing::new(outer.finalize().into())
    }
}
