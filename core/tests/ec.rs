//! Our P-256 against crate p256: every verdict of every path, on chosen and on random cases.
//!
//! `IMAGXP_EC_CASES` is the number of signatures (default 2,000; `make ec-long` takes ten million), `IMAGXP_EC_SEED`
//! another start. The cases come from u1 and u2, chosen first: r, s and the digest follow from them, so that the two
//! combs meet the points they are to meet.
#![cfg(feature = "ec")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use imagxp::ec::{BatchItem, Point, SecretScalar, Shape, Signature, prepare, verify, verify_batch, verify_prepared};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::elliptic_curve::{Field, Group, PrimeField};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use sha2::{Digest, Sha256};

/// n, big-endian.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const SIGNATURES_A_KEY: usize = 40;

#[test]
fn every_path_says_what_p256_says() {
    let cases: usize = setting("IMAGXP_EC_CASES", 2_000);
    let seed = setting("IMAGXP_EC_SEED", 1);
    let (start, done) = (Instant::now(), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let one_thread = |thread: usize| {
        let mut random = Random::new(seed * 1_000 + thread);
        let mut counted = [0_usize; 2];
        while done.load(Ordering::Relaxed) < cases {
            one_key(&mut random, &mut counted);
            let before = done.fetch_add(SIGNATURES_A_KEY, Ordering::Relaxed);
            if before / 50_000 < (before + SIGNATURES_A_KEY) / 50_000 {
                println!("{before} of {cases} signatures, {:.0} s", start.elapsed().as_secs_f64());
            }
        }
        counted
    };
    let counted: Vec<[usize; 2]> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one_thread(thread))).collect();
        started.into_iter().map(|thread| thread.join().expect("no difference")).collect()
    });
    let [invalid, valid] = [0, 1].map(|verdict| counted.iter().map(|counted| counted[verdict]).sum::<usize>());
    println!("{valid} valid, {invalid} invalid, no difference");
    assert!(invalid > cases / 10 && valid > cases / 4);
}

fn one_key(random: &mut Random, counted: &mut [usize; 2]) {
    let d = choose_key(random);
    let prepared = Prepared::new(&(ProjectivePoint::GENERATOR * d));
    let cases: Vec<_> = (0..SIGNATURES_A_KEY).map(|_| choose_case(random, &d)).collect();
    for case in &cases {
        // u1·G + u2·Q is (u1 + u2·d)·G: one multiplication.
        let expected = oracle(case, |u1, u2| ProjectivePoint::GENERATOR * (u1 + u2 * d));
        prepared.check(case, expected);
        counted[usize::from(expected)] += 1;
    }
    prepared.check_batches(&cases, random);
    recovered_keys(random);
}

/// Signatures with a chosen point R: also those whose x is n or more, which no search would meet.
fn recovered_keys(random: &mut Random) {
    let Some(r_point) = chosen_r(random) else { return };
    let (u1, u2) = (choose_scalar(random), choose_scalar(random));
    let Some(u2_inverse) = Option::<Scalar>::from(u2.invert()) else { return };
    let key = (ProjectivePoint::from(r_point) - ProjectivePoint::GENERATOR * u1) * u2_inverse;
    if bool::from(key.is_identity()) {
        return;
    }
    let r = x_mod_n(&r_point.into());
    let case = Case { digest: (u1 * r * u2_inverse).to_repr().into(), r, s: r * u2_inverse };
    if bool::from(r.is_zero()) {
        return;
    }
    assert!(oracle(&case, |u1, u2| ProjectivePoint::GENERATOR * u1 + key * u2));
    let point = point(&key);
    let signature = case.signature();
    assert!(verify(&point, &case.digest, &signature));
    let mut table = vec![0; Shape::Kib2.words()];
    assert!(prepare(&point, Shape::Kib2, &mut table));
    assert!(verify_prepared(&table, Shape::Kib2, &case.digest, &signature));
    let item = BatchItem { table: &table, shape: Shape::Kib2, digest: &case.digest, signature: &signature };
    assert!(verify_batch(&[item; 3], &mut [false; 3]));
}

#[test]
fn signatures_are_those_of_p256() {
    let mut random = Random::new(2);
    for i in 0..setting("IMAGXP_EC_CASES", 2_000) / 4 {
        let secret = if i % 2 == 0 { choose_scalar(&mut random) } else { random.scalar() };
        let Some(ours) = SecretScalar::from_bytes(&secret.to_repr().into()) else { continue };
        let theirs = p256::ecdsa::SigningKey::from_slice(&secret.to_repr()).unwrap();
        assert_eq!(ours.public(), point(&(ProjectivePoint::GENERATOR * secret)));
        assert_eq!(ours.to_bytes()[..], secret.to_repr()[..]);
        let digest = choose_digest(&mut random);
        let signature = ours.sign(&digest, &[]);
        let expected: p256::ecdsa::Signature = theirs.sign_prehash(&digest).unwrap();
        let signed = p256::ecdsa::Signature::from_slice(&signature.to_bytes()).unwrap();
        assert_eq!(signed.normalize_s(), expected.normalize_s());
        assert!(verify(&ours.public(), &digest, &signature));
        // Hedged: another signature for other bytes, the same for the same, and none of them is wrong.
        let hedged = [[0; 32], [1; 32]].map(|extra| ours.sign(&digest, &extra));
        assert!(hedged[0] != hedged[1] && hedged[0] != signature && hedged[0] == ours.sign(&digest, &[0; 32]));
        assert!(hedged.iter().all(|signature| verify(&ours.public(), &digest, signature)));
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let n: [u8; 32] = unhex(N);
    let mut n_less_1 = n;
    n_less_1[31] -= 1;
    let one = Scalar::ONE.to_repr().into();
    for (number, good) in [([0; 32], false), (one, true), (n_less_1, true), (n, false), ([255; 32], false)] {
        assert_eq!(SecretScalar::from_bytes(&number).is_some(), good);
        assert_eq!(Signature::from_bytes(&join(&number, &one)).is_some(), good);
        assert_eq!(Signature::from_bytes(&join(&one, &number)).is_some(), good);
    }
    let g = point(&ProjectivePoint::GENERATOR);
    let (x, y) = halves(&g.coordinates());
    let p: [u8; 32] = unhex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    assert_eq!(Point::from_coordinates(&x, &y), Some(g));
    assert_eq!(Point::from_words(&g.to_words()), Some(g));
    for (x, y) in [(x, x), ([0; 32], [0; 32]), (p, y), (x, p), ([255; 32], y), (y, x)] {
        assert_eq!(Point::from_coordinates(&x, &y), None);
    }
    assert_eq!(Point::from_words(&[0; 8]), None);
    assert_eq!(Point::from_words(&[u64::MAX; 8]), None);
}

/// Memory that anyone may have written to: no panic, no endless loop; and a table too short verifies nothing.
#[test]
fn damaged_tables_do_no_other_harm() {
    let mut random = Random::new(3);
    let secret = SecretScalar::from_bytes(&[7; 32]).unwrap();
    for shape in Shape::ALL {
        let mut table = vec![0; shape.words()];
        assert!(!prepare(&secret.public(), shape, &mut table[1..]));
        assert!(prepare(&secret.public(), shape, &mut table));
        let digest = [9; 32];
        let signature = secret.sign(&digest, &[]);
        assert!(verify_prepared(&table, shape, &digest, &signature));
        assert!(!verify_prepared(&table[1..], shape, &digest, &signature));
        assert!(!verify_prepared(&[], shape, &digest, &signature));
        for damage in 0..40 {
            let mut damaged = table.clone();
            match damage {
                0 => damaged.fill(0),
                1 => damaged.fill(u64::MAX),
                2 => damaged.rotate_left(4),
                _ => damaged.iter_mut().for_each(|word| *word = random.next()),
            }
            let item = BatchItem { table: &damaged, shape, digest: &digest, signature: &signature };
            let short = BatchItem { table: &[], ..item };
            let whole = BatchItem { table: &table, ..item };
            assert!(!verify_prepared(&damaged, shape, &digest, &signature));
            let mut valid = [true; 4];
            assert!(!verify_batch(&[whole, item, short, whole], &mut valid));
            assert_eq!(valid, [true, false, false, true]);
        }
    }
}

/// A prepared key.
struct Prepared {
    point: Point,
    tables: Vec<(Shape, Vec<u64>)>,
}

impl Prepared {
    fn new(key: &ProjectivePoint) -> Self {
        let point = point(key);
        let tables = Shape::ALL.map(|shape| {
            // One word too many, and one word off the alignment of a line.
            let mut table = vec![0; shape.words() + 1];
            assert!(prepare(&point, shape, &mut table[..shape.words()]));
            (shape, table)
        });
        Self { point, tables: tables.into() }
    }

    fn check(&self, case: &Case, expected: bool) {
        let signature = case.signature();
        assert_eq!(verify(&self.point, &case.digest, &signature), expected, "{case:?} {:?}", self.point);
        for (shape, table) in &self.tables {
            let verdict = verify_prepared(table, *shape, &case.digest, &signature);
            assert_eq!(verdict, expected, "{shape:?} {case:?} {:?}", self.point);
        }
    }

    /// Groups of random length: of one shape, or each item of another.
    fn check_batches(&self, cases: &[Case], random: &mut Random) {
        let mut rest = cases;
        while !rest.is_empty() {
            let (some, later) = rest.split_at(random.below(20).clamp(1, rest.len()));
            rest = later;
            let (mixed, shape) = (random.below(2) == 0, random.below(Shape::ALL.len()));
            let signatures: Vec<_> = some.iter().map(Case::signature).collect();
            let items: Vec<_> = some
                .iter()
                .zip(&signatures)
                .enumerate()
                .map(|(i, (case, signature))| {
                    let (shape, table) = &self.tables[if mixed { (shape + i) % Shape::ALL.len() } else { shape }];
                    BatchItem { table, shape: *shape, digest: &case.digest, signature }
                })
                .collect();
            let mut valid = vec![false; items.len()];
            let all = verify_batch(&items, &mut valid);
            for (item, valid) in items.iter().zip(&valid) {
                assert_eq!(verify(&self.point, item.digest, item.signature), *valid, "{:?} in a batch", item.shape);
            }
            assert_eq!(all, valid.iter().all(|valid| *valid));
        }
    }
}

/// What is signed, and the signature.
#[derive(Debug)]
struct Case {
    digest: [u8; 32],
    r: Scalar,
    s: Scalar,
}

impl Case {
    fn signature(&self) -> Signature {
        let bytes = join(&self.r.to_repr().into(), &self.s.to_repr().into());
        let signature = Signature::from_bytes(&bytes).unwrap();
        assert_eq!(signature.to_bytes(), bytes);
        signature
    }
}

/// FIPS 186-5 section 6.4.2, with the points of crate p256. `sum` is u1·G + u2·Q.
fn oracle(case: &Case, sum: impl Fn(Scalar, Scalar) -> ProjectivePoint) -> bool {
    let w = case.s.invert().unwrap();
    let e = <Scalar as Reduce<FieldBytes>>::reduce(&case.digest.into());
    let point = sum(e * w, case.r * w);
    !bool::from(point.is_identity()) && x_mod_n(&point) == case.r
}

/// A case with chosen u1 and u2, sometimes spoiled.
fn choose_case(random: &mut Random, d: &Scalar) -> Case {
    let (u1, u2) = (choose_scalar(random), choose_scalar(random));
    let point = ProjectivePoint::GENERATOR * (u1 + u2 * d);
    let r = x_mod_n(&point);
    // u2 = r/s must not be zero, and infinity has no r: then anything, which must be refused.
    let u2 = if bool::from(u2.is_zero()) { Scalar::ONE } else { u2 };
    let r = if bool::from(point.is_identity()) || bool::from(r.is_zero()) { random.scalar() } else { r };
    let s = r * u2.invert().unwrap();
    let mut case = Case { digest: (u1 * s).to_repr().into(), r, s };
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
    for number in [&mut case.r, &mut case.s] {
        if bool::from(number.is_zero()) {
            *number = Scalar::ONE;
        }
    }
    case
}

/// A private key d: small, large, a half, a tooth of a comb, an entry of one: d·G's comb then meets G's.
fn choose_key(random: &mut Random) -> Scalar {
    let d = match random.below(4) {
        0 => random.scalar(),
        _ => choose_scalar(random),
    };
    if bool::from(d.is_zero()) { Scalar::ONE } else { d }
}

fn choose_scalar(random: &mut Random) -> Scalar {
    let half = Scalar::from(2_u64).invert().unwrap();
    let value = match random.below(10) {
        0 => Scalar::ZERO,
        1 => Scalar::from(random.below(40) as u64),
        2 => Scalar::from(random.below(40) as u64) * half,
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

fn choose_digest(random: &mut Random) -> [u8; 32] {
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
fn chosen_r(random: &mut Random) -> Option<AffinePoint> {
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

fn x_mod_n(point: &ProjectivePoint) -> Scalar {
    let encoded = point.to_affine().to_sec1_point(false);
    let bytes = encoded.as_bytes();
    if bytes.len() < 33 {
        return Scalar::ZERO;
    }
    let mut x = [0; 32];
    x.copy_from_slice(&bytes[1..33]);
    <Scalar as Reduce<FieldBytes>>::reduce(&x.into())
}

fn point(key: &ProjectivePoint) -> Point {
    let encoded = key.to_affine().to_sec1_point(false);
    let coordinates: [u8; 64] = encoded.as_bytes()[1..].try_into().unwrap();
    let (x, y) = halves(&coordinates);
    let point = Point::from_coordinates(&x, &y).unwrap();
    assert_eq!(point.coordinates(), coordinates);
    point
}

/// Deterministic: SHA-256 of a counter.
struct Random {
    state: u64,
    count: u64,
}

impl Random {
    fn new(seed: usize) -> Self {
        Self { state: seed as u64, count: 0 }
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::digest([self.state.to_be_bytes(), self.count.to_be_bytes()].concat()).into()
    }

    fn next(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes()[..8].try_into().unwrap())
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn scalar(&mut self) -> Scalar {
        <Scalar as Reduce<FieldBytes>>::reduce(&self.bytes().into())
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn join(a: &[u8; 32], b: &[u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(a);
    bytes[32..].copy_from_slice(b);
    bytes
}

fn halves(bytes: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    (bytes[..32].try_into().unwrap(), bytes[32..].try_into().unwrap())
}

fn unhex(text: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}
