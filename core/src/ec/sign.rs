//! Signing (FIPS 186-5 section 6.4.1) with nonces by RFC 6979. Constant time: no branch, no address and no
//! variable-time instruction depends on the private scalar, the nonce or its inverse.

use core::hint::black_box;

use zeroize::{DefaultIsZeroes, Zeroize, Zeroizing};

use super::comb::Comb;
use super::field::Fe;
use super::generator::{SIGNING_COMB, SIGNING_TABLE};
use super::nonce::Nonces;
use super::point::{Affine, Entry, Xyzz};
use super::scalar::Scalar;
use super::word::{Word, mask};
use super::{Point, Signature};

/// A private key: 1 <= d < n. Not `Clone`, shows nothing, wiped when dropped.
pub struct SecretScalar(Scalar);

impl SecretScalar {
    /// From 32 bytes, big-endian. `None` if it is zero or not below n; only that shows in the time.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Scalar::from_bytes(bytes).map(Self)
    }

    /// 32 bytes, big-endian, wiped when dropped.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key, d·G.
    #[must_use]
    pub fn public(&self) -> Point {
        let public = self.public_leaving_traces();
        wipe_stack();
        public
    }

    #[inline(never)]
    fn public_leaving_traces(&self) -> Point {
        let point = Zeroizing::new(multiply_generator(&self.0, None));
        let inverse = Zeroizing::new(point.zzz.invert());
        // 1/Z = ZZ/ZZZ, and its square is 1/ZZ.
        let z_inverse = Zeroizing::new(point.zz.mul(&inverse));
        Point(Affine { x: point.x.mul(&z_inverse.square()), y: point.y.mul(&inverse) })
    }

    /// The signature of a SHA-256 digest.
    ///
    /// `extra` goes into the nonce (RFC 6979 section 3.6). Empty, the signature is the deterministic one. 32 fresh
    /// random bytes hedge it against faults, and blind what is computed with the key and the nonce (see `Blinding`): no
    /// two runs work on the same numbers. Bytes that repeat or are all zero do no harm.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32], extra: &[u8]) -> Signature {
        let signature = self.sign_leaving_traces(digest, extra);
        wipe_stack();
        signature
    }

    #[inline(never)]
    fn sign_leaving_traces(&self, digest: &[u8; 32], extra: &[u8]) -> Signature {
        let digest = Scalar::from_bytes_reduced(digest);
        let mut nonces = Nonces::new(&self.0, &digest, extra);
        loop {
            let k = nonces.next();
            let blinding = Zeroizing::new(if extra.is_empty() { Blinding::NONE } else { Blinding::new(&nonces) });
            let signature = self.sign_with(&k, &digest, &blinding);
            // Step h again: probability 2^-256.
            if signature.r.zero_bit() | signature.s.zero_bit() == 0 {
                return signature;
            }
            nonces.update(0, &[]);
        }
    }

    /// r = x(k·G) mod n, s = (b·digest + r·(b·d)) / (b·k).
    fn sign_with(&self, k: &Scalar, digest: &Scalar, blinding: &Blinding) -> Signature {
        let point = Zeroizing::new(multiply_generator(k, blinding.z.as_ref()));
        let zz_inverse = Zeroizing::new(point.zz.invert());
        let r = Scalar::from_words_reduced(&point.x.mul(&zz_inverse).value());
        let blind = |number: &Scalar| Zeroizing::new(blinding.b.map_or(*number, |b| b.mul(number)));
        let k_inverse = Zeroizing::new(blind(k).invert());
        let rd = Zeroizing::new(r.mul(&blind(&self.0)));
        let sum = Zeroizing::new(rd.add(&blind(digest)));
        Signature { r, s: sum.mul(&k_inverse) }
    }
}

/// Factors that cancel out, for signatures with fresh randomness (threats.md K5): the sum's coordinates start at
/// (z²·x, z³·y, z², z³) in place of (x, y, 1, 1) (J.-S. Coron, "Resistance against differential power analysis for elliptic
/// curve cryptosystems", 1999, section 5.3), and d, the digest and k are multiplied by b before they meet.
#[derive(Clone, Copy, Default)]
struct Blinding {
    z: Option<Fe>,
    b: Option<Scalar>,
}

impl DefaultIsZeroes for Blinding {}

impl Blinding {
    const NONE: Self = Self { z: None, b: None };

    /// From the state that the nonce came from, which the caller's bytes went into.
    fn new(nonces: &Nonces) -> Self {
        let [z, b] = [0, 1].map(|number| Zeroizing::new(Scalar::from_bytes_below_2_255(&nonces.aside(number))));
        Self { z: Some(Fe::from_value(z.words())), b: Some(*b) }
    }
}

impl Drop for SecretScalar {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// k·G for 0 < k < n, in constant time, with coordinates scaled by powers of `z`, if there is one.
///
/// Every partial sum is a·G with a sum a of distinct powers of two, signed, so a is not zero; and before the last
/// addition |a| < 2^256 - 2^248 < n. An addition fails only if the result is infinity, or if sum and entry are equal, so
/// that subtracting the entry would give it. Both results are again such sums: of the last addition only they can reach n
/// in size, and a complete formula is used there. The order makes this so: the highest block of the last pass is last.
fn multiply_generator(k: &Scalar, z: Option<&Fe>) -> Xyzz {
    let bits = Zeroizing::new(k.signed_bits());
    let (first_pass, last_pass, last_block) = (SIGNING_COMB.passes - 1, 0, SIGNING_COMB.blocks - 1);
    let mut sum = Zeroizing::new(Xyzz::INFINITY);
    for pass in (0..SIGNING_COMB.passes).rev() {
        if pass < first_pass {
            double(&mut sum);
        }
        let teeth = SIGNING_COMB.teeth_of_pass(&bits, pass);
        for block in 0..SIGNING_COMB.blocks {
            let term = look_up(SIGNING_COMB, teeth, block);
            if pass == first_pass && block == 0 {
                *sum = z.map_or_else(|| Xyzz::from_affine(&term), |z| Xyzz::from_affine_scaled(&term, z));
            } else if pass == last_pass && block == last_block {
                sum.add_affine_complete(&term);
            } else {
                sum.add_affine_distinct(&term);
            }
        }
    }
    *sum
}

#[inline(never)]
fn double(point: &mut Xyzz) {
    point.double();
}

/// The term of a block: every entry is read, and the one wanted is kept by a mask.
fn look_up(comb: Comb, teeth: u64, block: usize) -> Affine {
    let bits = teeth >> (comb.first_tooth(block) % 64);
    let sign = comb.width(block) - 1;
    // As `Comb::digit`: all ones if the highest tooth is negative, and then all signs turn.
    let negative = black_box((bits >> (sign % 64) & 1).wrapping_sub(1));
    let wanted = (bits ^ negative) & ((1 << (sign % 64)) - 1);
    let entries = SIGNING_TABLE.0.get(comb.first_entry(block)..comb.first_entry(block + 1)).unwrap_or_default();
    // All masks are made before one is used, and the optimiser does not see how: it would make branches of them, even of
    // conditional moves.
    let mut masks: [u64; LARGEST_BLOCK] = core::array::from_fn(|i| equal_mask(i as u64, wanted));
    let masks = black_box(&mut masks);
    let mut found: Entry = [0; 8];
    for (entry, mask) in entries.iter().zip(masks) {
        found = core::array::from_fn(|word| found[word] | (entry[word] & *mask));
    }
    Affine::from_entry(&found).negate_masked(mask((negative & 1) as Word))
}

const LARGEST_BLOCK: usize = SIGNING_COMB.first_entry(1);

/// All ones if a = b, else zero, for a, b < 2^63.
#[inline(always)]
fn equal_mask(a: u64, b: u64) -> u64 {
    ((a ^ b).wrapping_sub(1) as i64 >> 63) as u64
}

/// Overwrites the stack that a signature used: the compiler keeps copies of what it works on there, which no variable
/// of ours names.
#[inline(never)]
fn wipe_stack() {
    let mut dead: [Entry; 48] = [[0; 8]; 48];
    dead.iter_mut().for_each(Zeroize::zeroize);
    black_box(&mut dead);
}
