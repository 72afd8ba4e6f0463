extern crate imagxp as imagxp_core;

macro_rules! library {
    ($($module:ident $path:literal)*) => { $(#[path = $path] mod $module;)* };
}

library! {
    agent "../ffi/src/agent.rs"
    agent_keys "../ffi/src/agent_keys.rs"
    broker "../ffi/src/broker.rs"
    decision "../ffi/src/decision.rs"
    evidence "../ffi/src/evidence.rs"
    feedback "../ffi/src/feedback.rs"
    growing "../ffi/src/growing.rs"
    host "../ffi/src/host.rs"
    log "../ffi/src/log.rs"
    memory "../ffi/src/memory.rs"
    out "../ffi/src/out.rs"
    packed "../ffi/src/packed.rs"
    policy "../ffi/src/policy.rs"
    provenance "../ffi/src/provenance.rs"
    publisher "../ffi/src/publisher.rs"
    refusal "../ffi/src/refusal.rs"
    state "../ffi/src/state.rs"
    status "../ffi/src/status.rs"
    story "../ffi/src/story.rs"
    texts "../ffi/src/texts.rs"
    types "../ffi/src/types/mod.rs"
    verdict "../ffi/src/verdict.rs"
}

use std::sync::LazyLock;

use types::*;

const OK: i32 = 0;
const NEED: i32 = 1;
const VERIFIED: i32 = 2;
const NOW: i64 = 1_769_428_800_000;
const POLICY: &str = r#"{"allowRAG":true,"audiences":["a"],"monetization":{"brokerUrl":"https://b.example"}}"#;
const SIZES: imagxp_key_cache_sizes = imagxp_key_cache_sizes { names: 8, issuers: 1, tables: 0, table_kib: 0 };

/// What every call is made with.
#[derive(Clone)]
struct World {
    policy: Vec<u64>,
    keys: Vec<u64>,
    replay: Vec<u64>,
    key: [u64; 16],
    spki: Vec<u8>,
}

fn text(bytes: &[u8]) -> imagxp_str {
    imagxp_str { ptr: bytes.as_ptr().cast(), len: bytes.len() }
}

fn buf(bytes: &mut [u8]) -> imagxp_buf {
    imagxp_buf { ptr: bytes.as_mut_ptr(), len: bytes.len() }
}

/// A struct of numbers and spans, its size right and the rest the attacker's.
fn damaged<T: Copy>(bytes: &[u8]) -> T {
    let mut memory = vec![0_u64; size_of::<T>().div_ceil(8)];
    for (place, chunk) in memory.iter_mut().skip(1).zip(bytes.chunks(8)) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        *place = u64::from_le_bytes(word);
    }
    memory[0] = size_of::<T>() as u64;
    // SAFETY: large enough, aligned, and every bit pattern is one of T.
    unsafe { memory.as_ptr().cast::<T>().read() }
}

fn world() -> World {
    let mut world = World {
        policy: vec![0; 512],
        keys: vec![0; state::imagxp_key_cache_words(SIZES)],
        replay: vec![0; state::imagxp_replay_cache_words(16)],
        key: [0; 16],
        spki: imagxp::KeyPair::from_random(&[7; 32]).unwrap().public().to_text().as_str().into(),
    };
    // SAFETY: the memory is there.
    unsafe {
        assert_eq!(agent_keys::imagxp_key_from_random([7; 32].as_ptr(), world.key.as_mut_ptr().cast()), 0);
        assert_eq!(policy::imagxp_policy_parse(text(POLICY.as_bytes()), world.policy.as_mut_ptr(), 512), 0);
        assert_eq!(state::imagxp_key_cache_new(&mut keys(&mut world), SIZES, [1; 32].as_ptr()), 0);
        assert_eq!(state::imagxp_replay_cache_new(&mut replay(&mut world), [2; 32].as_ptr(), 0), 0);
    }
    world
}

fn keys(world: &mut World) -> imagxp_key_cache {
    imagxp_key_cache { words: world.keys.as_mut_ptr(), len: world.keys.len() }
}

fn replay(world: &mut World) -> imagxp_replay_cache {
    imagxp_replay_cache { words: world.replay.as_mut_ptr(), len: world.replay.len() }
}

fn key(world: &World) -> *const imagxp_key {
    world.key.as_ptr().cast()
}

/// A struct as IMAGXP_INIT leaves it.
fn init<T: Copy>() -> T {
    damaged(&[])
}

fn part(memory: &[u8], span: imagxp_span) -> &[u8] {
    &memory[span.at as usize..][..span.len as usize]
}

/// Around each output.
const WALL: usize = 64;
const PAINT: u8 = 0xA5;

/// What a call writes, or its refusal: `call` gets the place, and one for the length. It is made without a place, with
/// one that just fits, and with one byte less. It tells the same length each time, at most `bound` (what the header
/// states); writes the whole text or nothing; and leaves alone what lies around.
fn written(bound: usize, mut call: impl FnMut(imagxp_buf, *mut usize) -> i32) -> Result<Vec<u8>, i32> {
    let too_small = imagxp::Error::BufferTooSmall as i32;
    let mut len = UNTOLD;
    match call(buf(&mut []), &mut len) {
        status if status == too_small => {}
        status => {
            assert!(status < 0 && len == UNTOLD, "{status}, {len}");
            return Err(status);
        }
    }
    assert!(len <= bound, "{len} bytes, the header says {bound}");
    for room in [len - 1, len] {
        let (mut memory, mut needed) = (vec![PAINT; room + 2 * WALL], UNTOLD);
        let status = call(buf(&mut memory[WALL..][..room]), &mut needed);
        let (text, walls) = (&memory[WALL..][..room], [&memory[..WALL], &memory[WALL + room..]]);
        assert!(walls.concat().iter().all(|byte| *byte == PAINT), "it wrote beside its place");
        assert_eq!((status, needed), (if room < len { too_small } else { OK }, len));
        if status == OK {
            return Ok(text.to_vec());
        }
        assert!(text.iter().all(|byte| *byte == PAINT), "it wrote a part");
    }
    unreachable!()
}

const UNTOLD: usize = 77_777_777;
