//! The rows of the curve: verification prepared, cold and in batches, and signing, beside OpenSSL, AWS-LC, ring and p256.

use std::hint::black_box;

use imagxp::ec::{BatchItem, Point, SecretScalar, Shape, Signature, prepare, verify, verify_batch, verify_prepared};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::pkey_ctx::PkeyCtx;

use crate::report::{Kind, Report};
use crate::rounds::{Candidate, Cost, cost, measure};

const MESSAGES: usize = 64;

/// The same 64 messages, one key and its signatures, for all.
struct Material {
    secret: [u8; 32],
    scalar: SecretScalar,
    point: Point,
    messages: Vec<Vec<u8>>,
    digests: Vec<[u8; 32]>,
    signatures: Vec<Signature>,
    raw: Vec<[u8; 64]>,
    sec1: Vec<u8>,
    spki: [u8; 91],
}

impl Material {
    fn new() -> Self {
        let secret = [0x42; 32];
        let scalar = SecretScalar::from_bytes(&secret).expect("a key");
        let point = scalar.public();
        let messages: Vec<Vec<u8>> = (0..MESSAGES).map(|number| format!("message {number:056}").into_bytes()).collect();
        let digests: Vec<[u8; 32]> = messages.iter().map(|message| imagxp::key::sha256(message)).collect();
        let signatures: Vec<Signature> = digests.iter().map(|digest| scalar.sign(digest, &[])).collect();
        let raw = signatures.iter().map(Signature::to_bytes).collect();
        let sec1 = [&[4][..], &point.coordinates()].concat();
        let spki = imagxp::KeyPair::from_scalar(&secret).expect("a key").public().to_spki();
        Self { secret, scalar, point, messages, digests, signatures, raw, sec1, spki }
    }
}

/// Counts round the messages.
fn next(at: &mut usize, step: usize) -> usize {
    *at = (*at + step) % MESSAGES;
    *at
}

fn ours(m: &Material) -> Vec<Candidate<'_>> {
    let mut list = Vec::new();
    let mut at = 0;
    list.push(Candidate::new("cold", 16, 1, move || {
        let i = next(&mut at, 1);
        let (x, y) = black_box(&m.spki)[27..].split_at(32);
        let point = Point::from_coordinates(x.try_into().unwrap(), y.try_into().unwrap()).unwrap();
        assert!(verify(&point, &m.digests[i], &Signature::from_bytes(&m.raw[i]).unwrap()));
    }));
    for shape in Shape::ALL {
        let mut table = vec![0; shape.words()];
        assert!(prepare(&m.point, shape, &mut table));
        let (copy, mut at) = (table.clone(), 0);
        list.push(Candidate::new(&format!("{shape:?}"), 64, 1, move || {
            let i = next(&mut at, 1);
            let signature = Signature::from_bytes(&m.raw[i]).unwrap();
            assert!(verify_prepared(&copy, shape, &m.digests[i], &signature));
        }));
        let mut space = table.clone();
        list.push(Candidate::new(&format!("make {shape:?}"), 1, 1, move || {
            assert!(prepare(black_box(&m.point), shape, &mut space));
        }));
    }
    list.extend(batches(m));
    let mut at = 0;
    list.push(Candidate::new("sign", 32, 1, move || {
        let i = next(&mut at, 1);
        black_box(m.scalar.sign(&m.digests[i], &[]));
    }));
    let mut at = 0;
    list.push(Candidate::new("sign, hedged and blinded", 32, 1, move || {
        let i = next(&mut at, 1);
        black_box(m.scalar.sign(&m.digests[i], &m.digests[i]));
    }));
    list
}

/// Sixteen at once: of one key, of sixteen keys, and with one that is invalid.
fn batches(m: &Material) -> Vec<Candidate<'_>> {
    let shape = Shape::Kib64;
    let keys: Vec<SecretScalar> = (1..=16).map(|byte| SecretScalar::from_bytes(&[byte; 32]).unwrap()).collect();
    let tables: Vec<Vec<u64>> = keys
        .iter()
        .map(|key| {
            let mut table = vec![0; shape.words()];
            assert!(prepare(&key.public(), shape, &mut table));
            table
        })
        .collect();
    let signatures: Vec<Signature> = keys.iter().zip(&m.digests).map(|(key, digest)| key.sign(digest, &[])).collect();
    let mut table = vec![0; shape.words()];
    assert!(prepare(&m.point, shape, &mut table));
    let (same, mut at) = (table.clone(), 0);
    let one = Candidate::new("batch16, one key", 4, 16, move || {
        let from = next(&mut at, 16);
        let items: [BatchItem<'_>; 16] = std::array::from_fn(|i| BatchItem {
            table: &same,
            shape,
            digest: &m.digests[from + i],
            signature: &m.signatures[from + i],
        });
        assert!(verify_batch(&items, &mut [false; 16]));
    });
    let invalid = Candidate::new("batch16, one invalid", 4, 16, move || {
        let items: [BatchItem<'_>; 16] = std::array::from_fn(|i| BatchItem {
            table: &table,
            shape,
            digest: &m.digests[i / 15 * 16 + i],
            signature: &m.signatures[i],
        });
        let mut valid = [false; 16];
        assert!(!verify_batch(&items, &mut valid) && valid.iter().filter(|valid| **valid).count() == 15);
    });
    let robin = tables.clone();
    let robin_signatures = signatures.clone();
    let mut at = 0;
    let sixteen = Candidate::new("batch16, 16 keys", 4, 16, move || {
        let items: [BatchItem<'_>; 16] = std::array::from_fn(|i| BatchItem {
            table: &tables[i],
            shape,
            digest: &m.digests[i],
            signature: &signatures[i],
        });
        assert!(verify_batch(&items, &mut [false; 16]));
    });
    let round_robin = Candidate::new("round robin, 16 keys", 64, 1, move || {
        at = (at + 1) % 16;
        assert!(verify_prepared(&robin[at], shape, &m.digests[at], &robin_signatures[at]));
    });
    vec![one, invalid, sixteen, round_robin]
}

/// One table after another: what the processor's caches cost.
fn round_robins(m: &Material) -> Vec<Candidate<'_>> {
    [1_usize, 32, 128]
        .into_iter()
        .map(|count| {
            let shape = Shape::Kib64;
            let mut tables = vec![vec![0; shape.words()]; count];
            tables.iter_mut().for_each(|table| assert!(prepare(&m.point, shape, table)));
            let mut at = 0;
            Candidate::new(&format!("round robin over {count} tables"), 128, 1, move || {
                at += 1;
                let i = at % MESSAGES;
                assert!(verify_prepared(&tables[at % count], shape, &m.digests[i], &m.signatures[i]));
            })
        })
        .collect()
}

/// Parsed keys and reused contexts: every peer at its best.
fn peers(m: &Material) -> Vec<Candidate<'_>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let point = EcPoint::from_bytes(&group, &m.sec1, &mut BigNumContext::new().unwrap()).unwrap();
    let public = PKey::from_ec_key(EcKey::from_public_key(&group, &point).unwrap()).unwrap();
    let secret = BigNum::from_slice(&m.secret).unwrap();
    let private = PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point).unwrap()).unwrap();
    let der: Vec<Vec<u8>> = m.raw.iter().map(|raw| openssl_der(raw)).collect();
    let pkcs8 = private.private_key_to_pkcs8().unwrap();

    let mut verifier = PkeyCtx::new(&public).unwrap();
    verifier.verify_init().unwrap();
    let mut signer = PkeyCtx::new(&private).unwrap();
    signer.sign_init().unwrap();
    let (mut at, mut out) = (0, vec![0; 80]);
    let openssl_sign = Candidate::new("OpenSSL sign", 16, 1, move || {
        let i = next(&mut at, 1);
        black_box(signer.sign(&m.digests[i], Some(&mut out)).unwrap());
    });
    let mut at = 0;
    let openssl_verify = Candidate::new("OpenSSL", 16, 1, move || {
        let i = next(&mut at, 1);
        assert!(verifier.verify(&m.digests[i], &der[i]).unwrap());
    });
    let mut list = vec![openssl_verify, openssl_sign];
    list.extend(aws_lc(m, &pkcs8));
    list.extend(ring(m, &pkcs8));
    list.extend(p256(m));
    list
}

fn openssl_der(raw: &[u8; 64]) -> Vec<u8> {
    let number = |bytes: &[u8]| BigNum::from_slice(bytes).unwrap();
    EcdsaSig::from_private_components(number(&raw[..32]), number(&raw[32..])).unwrap().to_der().unwrap()
}

fn aws_lc<'a>(m: &'a Material, pkcs8: &[u8]) -> [Candidate<'a>; 2] {
    use aws_lc_rs::{digest, rand::SystemRandom, signature as s};
    let key = s::ParsedPublicKey::new(&s::ECDSA_P256_SHA256_FIXED, &m.sec1).unwrap();
    let digests: Vec<digest::Digest> = m.messages.iter().map(|text| digest::digest(&digest::SHA256, text)).collect();
    let pair = s::EcdsaKeyPair::from_pkcs8(&s::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
    let (mut at, mut other) = (0, 0);
    let verify = Candidate::new("aws-lc-rs", 16, 1, move || {
        let i = next(&mut at, 1);
        key.verify_digest_sig(&digests[i], &m.raw[i]).unwrap();
    });
    let random = SystemRandom::new();
    let sign = Candidate::new("aws-lc-rs sign", 16, 1, move || {
        let i = next(&mut other, 1);
        black_box(pair.sign(&random, &m.messages[i]).unwrap());
    });
    [verify, sign]
}

fn ring<'a>(m: &'a Material, pkcs8: &[u8]) -> [Candidate<'a>; 2] {
    use ring::{rand::SystemRandom, signature as s};
    let key = s::UnparsedPublicKey::new(&s::ECDSA_P256_SHA256_FIXED, &m.sec1);
    let random = SystemRandom::new();
    let pair = s::EcdsaKeyPair::from_pkcs8(&s::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).unwrap();
    let (mut at, mut other) = (0, 0);
    let verify = Candidate::new("ring", 16, 1, move || {
        let i = next(&mut at, 1);
        key.verify(&m.messages[i], &m.raw[i]).unwrap();
    });
    let sign = Candidate::new("ring sign", 16, 1, move || {
        let i = next(&mut other, 1);
        black_box(pair.sign(&random, &m.messages[i]).unwrap());
    });
    [verify, sign]
}

fn p256(m: &Material) -> [Candidate<'_>; 2] {
    use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&m.sec1).unwrap();
    let pair = p256::ecdsa::SigningKey::from_slice(&m.secret).unwrap();
    let signatures: Vec<p256::ecdsa::Signature> =
        m.raw.iter().map(|raw| p256::ecdsa::Signature::from_slice(raw).unwrap()).collect();
    let (mut at, mut other) = (0, 0);
    let verify = Candidate::new("p256", 4, 1, move || {
        let i = next(&mut at, 1);
        key.verify_prehash(&m.digests[i], &signatures[i]).unwrap();
    });
    let sign = Candidate::new("p256 sign", 4, 1, move || {
        let i = next(&mut other, 1);
        let signature: p256::ecdsa::Signature = pair.sign_prehash(&m.digests[i]).unwrap();
        black_box(signature);
    });
    [verify, sign]
}

fn best(costs: &[Cost], names: [&str; 3]) -> Cost {
    let costs = names.map(|name| cost(costs, name).clone());
    let best = costs.into_iter().min_by(|a, b| a.min_us.total_cmp(&b.min_us)).expect("three");
    Cost { name: format!("best: {}", best.name), ..best }
}

/// What [`run`] reports.
pub const ROWS: [&str; 6] = [
    "verify_prepared_64k_vs_openssl",
    "verify_prepared_64k_vs_best",
    "verify_prepared_16k_vs_best",
    "verify_cold_vs_best",
    "verify_batch16_vs_best",
    "sign_vs_best",
];

/// Measures, prints and reports.
pub fn run(report: &mut Report, rounds: u32) {
    let material = Material::new();
    let mut candidates = ours(&material);
    candidates.extend(peers(&material));
    candidates.extend(round_robins(&material));
    let costs = measure(candidates, rounds);

    println!("microseconds        minimum    median");
    for cost in &costs {
        println!("  {:<30} {:>9.2} {:>9.2}", cost.name, cost.min_us, cost.median_us);
    }
    let verifiers = best(&costs, ["OpenSSL", "aws-lc-rs", "ring"]);
    let signers = best(&costs, ["OpenSSL sign", "aws-lc-rs sign", "ring sign"]);
    println!();
    for shape in Shape::ALL {
        let (make, use_it) = (cost(&costs, &format!("make {shape:?}")), cost(&costs, &format!("{shape:?}")));
        let repaid = make.min_us / (cost(&costs, "cold").min_us - use_it.min_us);
        println!("  a table {shape:?} ({} bytes) is repaid after {repaid:.1} verifications", shape.words() * 8);
    }
    println!();
    let prepared = cost(&costs, "Kib64");
    let pairs = [
        (prepared, cost(&costs, "OpenSSL")),
        (prepared, &verifiers),
        (cost(&costs, "Kib16"), &verifiers),
        (cost(&costs, "cold"), &verifiers),
        (cost(&costs, "batch16, one key"), &verifiers),
        (cost(&costs, "sign"), &signers),
    ];
    for (name, (ours, baseline)) in ROWS.into_iter().zip(pairs) {
        report.row(name, Kind::Cheaper, ours, baseline);
    }
}
