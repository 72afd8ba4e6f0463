//! Our P-256 against crate p256: every verdict of every path, on chosen and on random cases.
//!
//! `IMAGXP_EC_CASES` is the number of cases (default 5,000; `make ec-long` takes ten million), `IMAGXP_EC_SEED` another
//! start. A case is one key, digest and signature, of which crate p256 says whether it is valid; ours must say the same
//! in a batch, every second time alone from a table, every sixteenth time cold.
#![cfg(feature = "ec")]

#[path = "ec/cases.rs"]
mod cases;
#[path = "ec/oracle.rs"]
mod oracle;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ecdsa::hazmat::sign_prehashed_rfc6979;
use imagxp::ec::{BatchItem, Point, SecretScalar, Shape, Signature, prepare, verify, verify_batch, verify_prepared};
use p256::NistP256;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::elliptic_curve::{Field, Group, PrimeField};
use p256::{ProjectivePoint, Scalar};
use sha2::Sha256;

use cases::{Case, Random, choose_cases, choose_digest, choose_key, choose_scalar, chosen_r};
use oracle::{Oracle, TOGETHER, x_mod_n};

/// n, big-endian.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[test]
fn every_path_says_what_p256_says() {
    let cases: usize = setting("IMAGXP_EC_CASES", 5_000);
    let seed = setting("IMAGXP_EC_SEED", 1);
    let (start, done) = (Instant::now(), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let oracle = Oracle::new(if cases < 1_000_000 { 8 } else { 16 });
    let one_thread = |thread: usize| {
        let mut random = Random::new(seed * 1_000 + thread);
        let mut counted = Counted::default();
        while done.load(Ordering::Relaxed) < cases {
            one_key(&mut random, &oracle, &mut counted);
            let before = done.fetch_add(TOGETHER, Ordering::Relaxed);
            if before / 100_000 < (before + TOGETHER) / 100_000 {
                println!("{before} of {cases} cases, {:.0} s", start.elapsed().as_secs_f64());
            }
        }
        counted
    };
    let counted: Vec<Counted> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one_thread(thread))).collect();
        started.into_iter().map(|thread| thread.join().expect("no difference")).collect()
    });
    let sum = |of: fn(&Counted) -> usize| counted.iter().map(of).sum::<usize>();
    let (valid, invalid, recovered) = (sum(|c| c.valid), sum(|c| c.invalid), sum(|c| c.recovered));
    println!(
        "{} cases ({valid} valid, {invalid} invalid) and {recovered} with recovered keys, {} verdicts of ours, no \
         difference, {:.0} s",
        valid + invalid,
        sum(|c| c.verdicts),
        start.elapsed().as_secs_f64()
    );
    assert!(valid + invalid >= cases && invalid > cases / 10 && valid > cases / 4 && recovered > 0);
}

#[derive(Default)]
struct Counted {
    valid: usize,
    invalid: usize,
    /// Signatures with a chosen point R, not among the cases.
    recovered: usize,
    verdicts: usize,
}

fn one_key(random: &mut Random, oracle: &Oracle, counted: &mut Counted) {
    let d = choose_key(random);
    let prepared = Prepared::new(&oracle.multiple(&d), random);
    let (cases, known) = choose_cases(random, oracle, &d);
    let expected = oracle.verdicts(&cases, &d, &known);
    for (case, expected) in cases.iter().zip(expected) {
        counted.verdicts += prepared.check(case, expected, random);
        *(if expected { &mut counted.valid } else { &mut counted.invalid }) += 1;
    }
    counted.verdicts += prepared.check_batches(&cases, &expected, random);
    counted.recovered += usize::from(recovered_key(random, oracle).is_some());
}

/// A signature with a chosen point R: also those whose x is n or more, which no search would meet.
fn recovered_key(random: &mut Random, oracle: &Oracle) -> Option<()> {
    let r_point = chosen_r(random)?;
    let (u1, u2) = (choose_scalar(random), choose_scalar(random));
    let u2_inverse = Option::<Scalar>::from(u2.invert())?;
    let key = (ProjectivePoint::from(r_point) - oracle.multiple(&u1)) * u2_inverse;
    let r = x_mod_n(&r_point);
    if bool::from(key.is_identity() | r.is_zero()) {
        return None;
    }
    let case = Case { digest: (u1 * r * u2_inverse).to_repr().into(), r, s: r * u2_inverse };
    let point = point(&key);
    let signature = case.signature();
    assert!(verify(&point, &case.digest, &signature));
    let mut table = vec![0; Shape::Kib2.words()];
    assert!(prepare(&point, Shape::Kib2, &mut table));
    assert!(verify_prepared(&table, Shape::Kib2, &case.digest, &signature));
    let item = BatchItem { table: &table, shape: Shape::Kib2, digest: &case.digest, signature: &signature };
    assert!(verify_batch(&[item; 3], &mut [false; 3]));
    Some(())
}

#[test]
fn signatures_are_those_of_p256() {
    let oracle = Oracle::new(8);
    let mut random = Random::new(2);
    // p256 takes half a millisecond for each.
    for i in 0..(setting("IMAGXP_EC_CASES", 5_000) / 40).clamp(500, 100_000) {
        let secret = if i % 2 == 0 { choose_scalar(&mut random) } else { random.scalar() };
        let Some(ours) = SecretScalar::from_bytes(&secret.to_repr().into()) else { continue };
        let theirs = p256::ecdsa::SigningKey::from_slice(&secret.to_repr()).unwrap();
        assert_eq!(ours.public(), point(&oracle.multiple(&secret)));
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
        // Blinding changes nothing: the signature is that of RFC 6979 with additional data.
        let (expected, _): (p256::ecdsa::Signature, _) =
            sign_prehashed_rfc6979::<NistP256, Sha256>(theirs.as_nonzero_scalar(), &digest, &[1; 32]);
        let signed = p256::ecdsa::Signature::from_slice(&hedged[1].to_bytes()).unwrap();
        assert_eq!(signed.normalize_s(), expected.normalize_s());
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

/// A key, prepared in two shapes.
struct Prepared {
    point: Point,
    tables: [(Shape, Vec<u64>); 2],
}

impl Prepared {
    fn new(key: &ProjectivePoint, random: &mut Random) -> Self {
        let point = point(key);
        let first = random.below(Shape::ALL.len());
        let second = first + 1 + random.below(Shape::ALL.len() - 1);
        let tables = [first, second].map(|shape| {
            let shape = Shape::ALL[shape % Shape::ALL.len()];
            // One word too many, and one word off the alignment of a line.
            let mut table = vec![0; shape.words() + 1];
            assert!(prepare(&point, shape, &mut table[..shape.words()]));
            (shape, table)
        });
        Self { point, tables }
    }

    /// Alone, from a table or cold; how many verdicts that were.
    fn check(&self, case: &Case, expected: bool, random: &mut Random) -> usize {
        let signature = case.signature();
        match random.below(16) {
            0 => {
                let verdict = verify(&self.point, &case.digest, &signature);
                assert_eq!(verdict, expected, "{case:?} {:?}", self.point);
            }
            way @ 1..=8 => {
                let (shape, table) = &self.tables[way % 2];
                let verdict = verify_prepared(table, *shape, &case.digest, &signature);
                assert_eq!(verdict, expected, "{shape:?} {case:?} {:?}", self.point);
            }
            _ => return 0,
        }
        1
    }

    /// Groups of random length: of one shape, or of both.
    fn check_batches(&self, cases: &[Case], expected: &[bool], random: &mut Random) -> usize {
        let (mut rest, mut expected) = (cases, expected);
        while !rest.is_empty() {
            let (some, later) = rest.split_at(random.below(20).clamp(1, rest.len()));
            let (mixed, first) = (random.below(2), random.below(2));
            let signatures: Vec<_> = some.iter().map(Case::signature).collect();
            let items: Vec<_> = (0..some.len())
                .map(|i| {
                    let (shape, table) = &self.tables[(first + i * mixed) % 2];
                    BatchItem { table, shape: *shape, digest: &some[i].digest, signature: &signatures[i] }
                })
                .collect();
            let mut valid = vec![false; items.len()];
            let all = verify_batch(&items, &mut valid);
            assert_eq!(valid, expected[..some.len()], "{some:?} of {:?} in a batch", self.point);
            assert_eq!(all, valid.iter().all(|valid| *valid));
            (rest, expected) = (later, &expected[some.len()..]);
        }
        cases.len()
    }
}

fn point(key: &ProjectivePoint) -> Point {
    let encoded = key.to_affine().to_sec1_point(false);
    let coordinates: [u8; 64] = encoded.as_bytes()[1..].try_into().unwrap();
    let (x, y) = halves(&coordinates);
    let point = Point::from_coordinates(&x, &y).unwrap();
    assert_eq!(point.coordinates(), coordinates);
    point
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
