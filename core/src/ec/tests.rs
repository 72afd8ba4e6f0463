//! What cannot be seen from outside: the layers against plain long arithmetic, and tables against additions.

extern crate std;

use std::vec;
use std::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::comb::Comb;
use super::field::Fe;
use super::generator;
use super::point::{Affine, Entry, Xyzz};
use super::scalar::{N, Scalar, SignedBits};
use super::word::{self, Words, from_u64, to_u64};
use super::{SecretScalar, Shape, inverse, table};

const COMBS: [Comb; 4] = [Comb::new(16, 4), Comb::new(8, 6), Comb::new(4, 8), Comb::new(4, 11)];

/// Numbers with long runs of equal bits, where carries go far.
fn numbers(count: u32) -> impl Iterator<Item = Words> {
    (0..count).map(|i| {
        let hash: [u8; 32] = Sha256::digest(i.to_be_bytes()).into();
        let mut words = to_u64(&word::from_bytes(&hash));
        for (word, choice) in words.iter_mut().zip(hash) {
            match choice % 8 {
                0 => *word = 0,
                1 => *word = u64::MAX,
                2 => *word |= u64::MAX << (choice >> 3),
                3 => *word &= u64::MAX >> (choice >> 3),
                _ => {}
            }
        }
        from_u64(&words)
    })
}

fn scalars(count: u32) -> impl Iterator<Item = Scalar> {
    numbers(count).map(|words| Scalar::from_words_reduced(&words))
}

fn elements(count: u32) -> impl Iterator<Item = Fe> {
    numbers(count).map(|words| Fe::from_u64(&to_u64(&words))).filter(Fe::is_reduced)
}

fn g() -> Affine {
    SecretScalar::from_bytes(&scalar(1).to_bytes()).unwrap().public().0
}

fn scalar(value: u64) -> Scalar {
    Scalar::from_words_reduced(&from_u64(&[value, 0, 0, 0]))
}

/// The comb's table, by the code that prepares keys.
fn prepared(point: &Affine, comb: Comb) -> Vec<Entry> {
    let mut entries = vec![[0; 8]; comb.entries()];
    table::build(point, comb, &mut entries);
    entries
}

/// u·P, bit by bit.
fn multiply(point: &Affine, u: &Scalar) -> Xyzz {
    let mut sum = Xyzz::INFINITY;
    for byte in u.to_bytes() {
        for bit in (0..8).rev() {
            sum.double();
            if byte >> bit & 1 == 1 {
                sum.add_affine(point);
            }
        }
    }
    sum
}

fn affine(point: &Xyzz) -> Affine {
    Affine { x: point.x.mul(&point.zz.invert()), y: point.y.mul(&point.zzz.invert()) }
}

#[test]
fn tables_of_g_are_what_prepare_makes() {
    assert!(generator::TABLE.0.as_slice() == prepared(&g(), generator::COMB));
    assert!(generator::SIGNING_TABLE.0.as_slice() == prepared(&g(), generator::SIGNING_COMB));
}

#[test]
fn shapes_have_the_size_of_their_name() {
    let kib = Shape::ALL.map(|shape| shape.words() * 8 / 1024);
    assert_eq!(kib, [2, 8, 16, 32, 64, 320]);
}

/// Σ ±2^i over all digits of a comb is the scalar.
#[test]
fn signed_bits_mean_the_scalar() {
    for u in scalars(200).chain([scalar(0), scalar(1), scalar(2)]) {
        let SignedBits(v) = u.signed_bits();
        let two = scalar(2);
        let all_ones = Scalar::from_words_reduced(&from_u64(&[u64::MAX; 4]));
        let minus_one = Scalar::from_words_reduced(&N.sub(&from_u64(&[0; 4]), scalar(1).words()));
        let value = Scalar::from_words_reduced(&v).mul(&two).add(&all_ones.mul(&minus_one));
        assert!(value == u);
    }
}

/// Entry by entry: the digit of every block and pass stands for the bits that it should.
#[test]
fn digits_name_the_right_entries() {
    let (point, shift) = (g(), |power: usize| {
        let mut words = [0; 4];
        words[power / 64] = 1 << (power % 64);
        Scalar::from_words_reduced(&from_u64(&words))
    });
    for comb in COMBS {
        let entries = prepared(&point, comb);
        for u in scalars(2) {
            let bits = u.signed_bits();
            let words = to_u64(&bits.0);
            for (pass, block) in (0..comb.passes).flat_map(|pass| (0..comb.blocks).map(move |block| (pass, block))) {
                let digit = comb.digit(comb.teeth_of_pass(&bits, pass), block);
                let mut sum = Xyzz::INFINITY;
                for tooth in comb.first_tooth(block)..comb.first_tooth(block) + comb.width(block) {
                    let bit = tooth * comb.passes + pass;
                    let positive = words[bit / 64] >> (bit % 64) & 1;
                    let point = affine(&multiply(&point, &shift(tooth * comb.passes)));
                    sum.add_affine(&point.negate_masked(word::mask(positive as word::Word ^ 1)));
                }
                let entry = Affine::from_entry(&entries[usize::from(digit.entry)]);
                assert!(entry.negate_masked(word::mask(digit.negative.into())) == affine(&sum));
            }
        }
    }
}

#[test]
fn every_multiplication_of_a_point_agrees() {
    let point = affine(&multiply(&g(), &scalar(77)));
    let edges = [0, 1, 2, 3, 15, 16, 17, 255].map(scalar);
    for u in edges.into_iter().chain(scalars(60)).filter(|u| u.zero_bit() == 0) {
        let secret = SecretScalar::from_bytes(&u.to_bytes()).unwrap();
        assert!(secret.public().0 == affine(&multiply(&g(), &u)));
        let none = super::verify::Terms::new(generator::COMB, &scalar(0).signed_bits());
        assert!(affine(&super::wnaf::multiply(&point, &u, &none)) == affine(&multiply(&point, &u)));
    }
}

#[test]
fn inverses_are_inverses() {
    let extremes = [1, 2, u64::MAX].map(scalar);
    for a in scalars(500).chain(extremes).filter(|a| a.zero_bit() == 0) {
        assert!(a.mul(&a.invert()) == Scalar::ONE && a.invert() == a.invert_vartime());
    }
    for a in elements(500).filter(|a| !a.is_zero()) {
        assert!(a.mul(&a.invert()) == Fe::ONE && a.invert() == a.invert_vartime());
    }
    assert!(Fe::ZERO.invert().is_zero() && Fe::ZERO.invert_vartime().is_zero());
    let not_reduced = inverse::vartime(&from_u64(&[u64::MAX; 4]), &inverse::P);
    assert!(not_reduced != from_u64(&[0; 4]));
}

#[test]
fn the_field_keeps_its_laws() {
    let list: Vec<_> = elements(60).collect();
    for (a, b) in list.iter().flat_map(|a| list.iter().map(move |b| (a, b))) {
        let product = a.mul(b);
        assert!(product.is_reduced() && product == b.mul(a) && a.square() == a.mul(a));
        assert!(a.add(b).sub(b) == *a && a.sub(b) == b.sub(a).negate());
        // (a + b)(a - b) = a^2 - b^2, once with one reduction.
        let squares = a.mul_sub_inline(a, b, b);
        assert!(a.add(b).mul(&a.sub(b)) == squares && squares.is_reduced());
        assert!(Fe::from_bytes(&a.to_bytes()) == Some(*a));
    }
}

/// The complete addition, where the others may not be used.
#[test]
fn the_complete_addition_is_complete() {
    let point = g();
    let minus = point.negate_masked(word::mask(1));
    for z in elements(40).filter(|z| !z.is_zero()) {
        let (zz, zzz) = (z.square(), z.square().mul(&z));
        let scaled = |p: &Affine| Xyzz { x: p.x.mul(&zz), y: p.y.mul(&zzz), zz, zzz };
        for q in [point, minus, affine(&multiply(&point, &scalar(5)))] {
            let (mut complete, mut vartime) = (scaled(&point), scaled(&point));
            complete.add_affine_complete(&q);
            vartime.add_affine(&q);
            assert!(complete.zz.is_zero() == vartime.zz.is_zero());
            assert!(complete.zz.is_zero() || affine(&complete) == affine(&vartime));
            assert!(complete.zz.is_zero() == (q == minus));
            let mut from_infinity = Xyzz::INFINITY;
            from_infinity.add_affine_complete(&q);
            assert!(affine(&from_infinity) == q);
        }
    }
}
