//! HMAC-SHA-256 (RFC 2104) whose key was taken in once: the cache keeps the two states behind the key's blocks, so that
//! a tag costs two blocks less. Crate sha2 shows no state of its own, but the function that both are made of. Not
//! ec/nonce.rs's: that one hides a private key, and is absent where crate p256 signs.

use core::slice;

use sha2::block_api::compress256;

use super::slots::{halves, join};

type State = [u32; 8];

/// FIPS 180-4, 5.3.3: the state before the first block.
const START: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Where the number of bits stands in a message's last block.
const LENGTH_AT: usize = 64 - 8;

/// A key: the states of both hashes behind its block.
#[derive(Clone, Copy)]
pub(super) struct Mac {
    inner: State,
    outer: State,
}

impl Mac {
    /// Its words in the memory of a cache.
    pub(super) const WORDS: usize = 8;

    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { inner: keyed(key, 0x36), outer: keyed(key, 0x5C) }
    }

    pub(super) fn to_words(self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        let pairs = [self.inner.as_chunks::<2>().0, self.outer.as_chunks().0];
        for (word, &[low, high]) in words.iter_mut().zip(pairs.into_iter().flatten()) {
            *word = join(low, high);
        }
        words
    }

    pub(super) fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let mut states = [[0; 8]; 2];
        for (pair, word) in states.iter_mut().flat_map(|state| state.as_chunks_mut::<2>().0).zip(words) {
            *pair = halves(*word).into();
        }
        let [inner, outer] = states;
        Self { inner, outer }
    }

    /// The HMAC of a message, in parts.
    pub(super) fn hmac(&self, message: &[&[u8]]) -> [u8; 32] {
        finish(self.outer, &[&self.prefixed(message)])
    }

    /// The inner hash alone: a secret prefix and the message. What it lacks is only safety against an extension of a
    /// known hash: for what never leaves the memory that holds the secret, too.
    pub(super) fn prefixed(&self, message: &[&[u8]]) -> [u8; 32] {
        finish(self.inner, message)
    }
}

fn keyed(key: &[u8; 32], pad: u8) -> State {
    let mut block = [pad; 64];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = START;
    compress256(&mut state, slice::from_ref(&block));
    state
}

/// Hashes a message behind one block.
fn finish(state: State, message: &[&[u8]]) -> [u8; 32] {
    let mut hash = Hash { state, block: [0; 64], used: 0, bits: 512 };
    for part in message {
        hash.update(part);
    }
    hash.finish()
}

struct Hash {
    state: State,
    block: [u8; 64],
    used: usize,
    /// Hashed so far, the key's block included.
    bits: u64,
}

impl Hash {
    fn update(&mut self, mut bytes: &[u8]) {
        self.bits = self.bits.wrapping_add(u64::try_from(bytes.len()).unwrap_or(0).wrapping_mul(8));
        loop {
            let Some(free) = self.block.get_mut(self.used..) else { return };
            let Some((now, later)) = bytes.split_at_checked(free.len()) else { break };
            free.copy_from_slice(now);
            self.compress();
            bytes = later;
        }
        if let Some(free) = self.block.get_mut(self.used..).and_then(|free| free.get_mut(..bytes.len())) {
            free.copy_from_slice(bytes);
            self.used = self.used.saturating_add(bytes.len());
        }
    }

    fn compress(&mut self) {
        compress256(&mut self.state, slice::from_ref(&self.block));
        self.used = 0;
    }

    /// A one, zeros, and the number of bits at the end of a block (FIPS 180-4, 5.1.1).
    fn finish(mut self) -> [u8; 32] {
        let bits = self.bits;
        self.update(&[0x80]);
        if self.used > LENGTH_AT {
            self.pad();
            self.compress();
        }
        self.pad();
        if let Some(length) = self.block.last_chunk_mut() {
            *length = bits.to_be_bytes();
        }
        self.compress();
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    fn pad(&mut self) {
        self.block.get_mut(self.used..).unwrap_or_default().fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn hmac_is_rfc_4231s() {
        // RFC 4231 section 4.3; its shorter key is the same as one filled up with zeros (RFC 2104 section 2).
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00,
            0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(Mac::new(&key).hmac(&[b"what do ya want ", b"for nothing?"]), expected);
    }

    #[test]
    fn every_length_and_cut_is_sha2s() {
        let key = [0xA5; 32];
        let mac = Mac::from_words(&Mac::new(&key).to_words());
        let message: [u8; 200] = core::array::from_fn(|at| u8::try_from(at).unwrap());
        for len in 0..message.len() {
            let block = |pad: u8| core::array::from_fn::<u8, 64, _>(|at| key.get(at).map_or(pad, |byte| byte ^ pad));
            let inner = Sha256::new().chain_update(block(0x36)).chain_update(&message[..len]).finalize();
            let outer = Sha256::new().chain_update(block(0x5C)).chain_update(inner).finalize();
            for cut in [0, len / 3, len] {
                let (first, last) = message[..len].split_at(cut);
                assert_eq!(mac.prefixed(&[first, last]), *inner, "{len} bytes");
                assert_eq!(mac.hmac(&[first, last]), *outer, "{len} bytes");
            }
        }
    }
}
