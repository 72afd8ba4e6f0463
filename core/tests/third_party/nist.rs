//! NIST CAVP: signatures, public keys, key pairs, SHA-256 and HMAC.

use std::path::Path;

use imagxp::KeyPair;
use imagxp::key::sha256;

use super::fields::{Block, blocks};
use super::hmac::hmac;
use crate::cases::{Outcome, Run, bytes, equal, holds};

/// Runs every file.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    let files: [(&str, fn(&Block<'_>) -> Outcome); 7] = [
        ("SigVer_P-256_SHA-256.rsp", signature),
        ("SigGen_P-256_SHA-256.txt", signature),
        ("PKV_P-256.rsp", public_key),
        ("KeyPair_P-256.rsp", key_pair),
        ("SHA256ShortMsg.rsp", hash),
        ("SHA256LongMsg.rsp", hash),
        ("HMAC_SHA256.rsp", tag),
    ];
    for (name, case) in files {
        with_blocks(run, folder, name, |blocks, run, name| {
            run.file(name, |tally| {
                for (place, block) in blocks.iter().enumerate().filter(|(_, block)| is_case(block)) {
                    tally.case(&format!("block {place}"), || case(block));
                }
            });
        });
    }
    with_blocks(run, folder, "SHA256Monte.rsp", |blocks, run, name| {
        run.file(name, |tally| tally_monte_carlo(blocks, tally));
    });
}

fn with_blocks(run: &mut Run, folder: &Path, name: &str, cases: impl FnOnce(&[Block<'_>], &mut Run, &str)) {
    let name = format!("nist-cavp/{name}");
    match std::fs::read_to_string(folder.join(&name)) {
        Ok(text) => cases(&blocks(&text), run, &name),
        Err(_) => run.skip(&name),
    }
}

/// Heads of sections (`N = 10`, `Seed = …`) are none.
fn is_case(block: &Block<'_>) -> bool {
    ["Qx", "d", "Len", "Mac"].iter().any(|name| block.has(name))
}

/// `Result = P (0 )`, or none where the file has good signatures only.
fn is_good(block: &Block<'_>) -> bool {
    !block.has("Result") || block.get("Result").starts_with('P')
}

fn signature(block: &Block<'_>) -> Outcome {
    let digest = sha256(&bytes::unhex(block.get("Msg"))?);
    let signature = bytes::signature(block.get("R"), block.get("S"));
    let key = bytes::public_key(block.get("Qx"), block.get("Qy"));
    let good = matches!((key, signature), (Ok(key), Some(signature)) if key.verify(&digest, &signature).is_ok());
    equal(good, is_good(block))?;
    if block.has("d") { key_pair(block) } else { Ok(()) }
}

fn public_key(block: &Block<'_>) -> Outcome {
    equal(bytes::public_key(block.get("Qx"), block.get("Qy")).is_ok(), is_good(block))
}

fn key_pair(block: &Block<'_>) -> Outcome {
    let scalar = bytes::unhex_32(block.get("d")).ok_or("d is too long")?;
    let key = KeyPair::from_scalar(&scalar).map_err(|error| error.to_string())?;
    equal(Ok(*key.public()), bytes::public_key(block.get("Qx"), block.get("Qy")))
}

/// A message of `Len` bits.
fn hash(block: &Block<'_>) -> Outcome {
    let len: usize = block.get("Len").parse().map_err(|_| "no length")?;
    let message = bytes::unhex(block.get("Msg"))?;
    let message = message.get(..len / 8).ok_or("the message is short")?;
    equal(bytes::hex(&sha256(message)).as_str(), block.get("MD"))
}

/// Tags of NIST's are cut to `Tlen` bytes.
fn tag(block: &Block<'_>) -> Outcome {
    let len: usize = block.get("Tlen").parse().map_err(|_| "no length")?;
    let tag = hmac(&bytes::unhex(block.get("Key"))?, &bytes::unhex(block.get("Msg"))?);
    equal(Some(bytes::hex(&tag[..len.min(32)]).as_str()), Some(block.get("Mac")))
}

/// SHAVS section 6.4: 100 rounds of 1,000 hashes, each over the last three. Rounds that the file lacks are run all the
/// same.
fn tally_monte_carlo(blocks: &[Block<'_>], tally: &mut crate::cases::Tally) {
    let seed = blocks.iter().find(|block| block.has("Seed")).map(|block| bytes::unhex(block.get("Seed")));
    let Some(Ok(mut seed)) = seed else { return tally.fail("the file", "no seed") };
    let wanted: Vec<_> = blocks.iter().filter(|block| block.has("COUNT")).collect();
    let last = wanted.iter().filter_map(|block| block.get("COUNT").parse::<usize>().ok()).max().unwrap_or_default();
    for count in 0..=last {
        let mut three = [seed.clone(), seed.clone(), seed.clone()];
        for _ in 0..1_000 {
            let next = sha256(&three.concat()).to_vec();
            three.rotate_left(1);
            three[2] = next;
        }
        let [.., result] = three;
        seed = result;
        if let Some(block) = wanted.iter().find(|block| block.get("COUNT").parse() == Ok(count)) {
            tally.case(&format!("round {count}"), || holds(bytes::hex(&seed) == block.get("MD"), "another hash"));
        }
    }
}
