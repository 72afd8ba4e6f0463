//! The cases: u1 and u2 are chosen first; r, s and the digest follow from them, so that the combs meet the points that
//! they are to meet.

use imagxp::ec::Signature;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::FromSec1Point;
use p256::{AffinePoint, FieldBytes, Scalar};
use sha2::{Digest, Sha256};

use crate::oracle::{Known, Oracle, TOGETHER, inverses};
use crate::{N, join, unhex};

/// What is signed, and the signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) digest: [u8; 32],
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

impl Case {
    pub(crate) fn signature(&self) -> Signature {
        let bytes = join(&self.r.to_repr().into(), &self.s.to_repr().into());
        let signature = Signature::from_bytes(&bytes).unwrap();
        assert_eq!(signature.to_bytes(), bytes);
        signature
    }
}

/// Cases for the key d·G with chosen u1 and u2, and the point that each was made from; about half are spoiled.
pub(crate) fn choose_cases(random: &mut Random, oracle: &Oracle, d: &Scalar) -> ([Case; TOGETHER], [Known; TOGETHER]) {
    let u1: [Scalar; TOGETHER] = std::array::from_fn(|_| choose_scalar(random));
    let u2 = std::array::from_fn(|_| choose_scalar(random));
    let k = std::array::from_fn(|i| u1[i] + u2[i] * d);
    let x = oracle.x_mod_n(&k);
    // u2 = r/s is never zero, and infinity has no r: then anything, which must be refused.
    let u2 = u2.map(or_one);
    let u2_inverse = inverses(&u2);
    let cases = std::array::from_fn(|i| {
        let r = x[i].filter(|r| *r != Scalar::ZERO).unwrap_or_else(|| or_one(random.scalar()));
        let s = r * u2_inverse[i];
        spoiled(random, Case { digest: (u1[i] * s).to_repr().into(), r, s })
    });
    (cases, std::array::from_fn(|i| Known { k: k[i], x: x[i] }))
}

fn spoiled(random: &mut Random, mut case: Case) -> Case {
    match random.below(12) {
        0 => case.digest[random.below(32)] ^= 1 << random.below(8),
        1 => case.r = choose_scalar(random),
        2 => case.s = choose_scalar(random),
        3 => case.s = -case.s,
        4 => case.digest = choose_digest(random),
        5 => case.r = Scalar::ONE,
        6 => case.r = -Scalar::ONE,
        _ => {}
    }
    Case { r: or_one(case.r), s: or_one(case.s), ..case }
}

fn or_one(number: Scalar) -> Scalar {
    if number == Scalar::ZERO { Scalar::ONE } else { number }
}

/// A private key d: small, large, a half, a tooth of a comb, an entry of one: d·G's comb then meets G's.
pub(crate) fn choose_key(random: &mut Random) -> Scalar {
    or_one(match random.below(4) {
        0 => random.scalar(),
        _ => choose_scalar(random),
    })
}

pub(crate) fn choose_scalar(random: &mut Random) -> Scalar {
    let value = match random.below(10) {
        0 => Scalar::ZERO,
        1 => Scalar::from(random.below(40) as u64),
        2 => Scalar::from(random.below(40) as u64) * random.half,
        3 => power(random.below(256)),
        // Signed sums of teeth: entries of combs with 4, 8 or 16 passes.
        4 | 5 => {
            let passes = 4 << random.below(3);
            let first = random.below(256 / passes);
            let teeth = first..(first + 1 + random.below(11)).min(256 / passes);
            teeth.fold(Scalar::ZERO, |sum, tooth| {
                let tooth = power(tooth * passes);
                if random.below(2) == 0 { sum + tooth } else { sum - tooth }
            })
        }
        // Runs of equal bits.
        6 => power(random.below(256)) - power(random.below(256)),
        7 => power(random.below(256)) - Scalar::from(random.below(4) as u64),
        _ => random.scalar(),
    };
    if random.below(2) == 0 { value } else { -value }
}

/// 2^exponent, exponent below 256.
fn power(exponent: usize) -> Scalar {
    let mut bytes = [0; 32];
    bytes[31 - exponent / 8] = 1 << (exponent % 8);
    Scalar::from_repr(bytes.into()).unwrap()
}

pub(crate) fn choose_digest(random: &mut Random) -> [u8; 32] {
    match random.below(6) {
        0 => [0; 32],
        1 => [255; 32],
        2 => unhex(N),
        3 => {
            // n + 1: above the order, so the digest is reduced.
            let mut above: [u8; 32] = unhex(N);
            above[31] += 1;
            above
        }
        _ => random.bytes(),
    }
}

/// A point with a random x, or with x from n up to p.
pub(crate) fn chosen_r(random: &mut Random) -> Option<AffinePoint> {
    let mut x = random.bytes();
    if random.below(2) == 0 {
        x = unhex(N);
        x[28] = x[28].wrapping_add(random.below(3) as u8);
        x[31] = x[31].wrapping_add(random.below(170) as u8);
    }
    let mut compressed = [2; 33];
    compressed[1..].copy_from_slice(&x);
    let encoded = p256::Sec1Point::from_bytes(compressed).ok()?;
    AffinePoint::from_sec1_point(&encoded).into_option()
}

/// Deterministic: SHA-256 of a counter.
pub(crate) struct Random {
    state: u64,
    count: u64,
    block: [u8; 32],
    used: usize,
    half: Scalar,
}

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        let half = Scalar::from(2_u64).invert().unwrap();
        Self { state: seed as u64, count: 0, block: [0; 32], used: 32, half }
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::digest([self.state.to_be_bytes(), self.count.to_be_bytes()].concat()).into()
    }

    pub(crate) fn next(&mut self) -> u64 {
        if self.used == 32 {
            (self.block, self.used) = (self.bytes(), 0);
        }
        self.used += 8;
        u64::from_be_bytes(self.block[self.used - 8..self.used].try_into().unwrap())
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn scalar(&mut self) -> Scalar {
        <Scalar as Reduce<FieldBytes>>::reduce(&self.bytes().into())
    }
}
