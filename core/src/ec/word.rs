//! The machine word of the target, and 256-bit numbers made of it, least significant word first.
//!
//! A 64-bit target computes with 4 words, a smaller one with 8 of 32 bits. `--cfg imagxp_force_32` chooses the second
//! form on any host, so that it can be tested there.

#[cfg(all(target_pointer_width = "64", not(imagxp_force_32)))]
mod width {
    pub(in crate::ec) type Word = u64;
    pub(in crate::ec) type Wide = u128;
    pub(in crate::ec) type Signed = i64;
    pub(in crate::ec) type SignedWide = i128;
}
#[cfg(not(all(target_pointer_width = "64", not(imagxp_force_32))))]
mod width {
    pub(in crate::ec) type Word = u32;
    pub(in crate::ec) type Wide = u64;
    pub(in crate::ec) type Signed = i32;
    pub(in crate::ec) type SignedWide = i64;
}

pub(super) use width::{Signed, SignedWide, Wide, Word};

/// Bits of a word.
pub(super) const BITS: usize = Word::BITS as usize;
const BYTES: usize = BITS / 8;
/// Words of a 256-bit number.
pub(super) const WORDS: usize = 256 / BITS;
/// A number below 2^256.
pub(super) type Words = [Word; WORDS];

/// `a + b + carry` and the new carry.
#[inline(always)]
pub(super) const fn add_carry(a: Word, b: Word, carry: Word) -> (Word, Word) {
    let sum = a as Wide + b as Wide + carry as Wide;
    (sum as Word, (sum >> BITS) as Word)
}

/// `a - b - borrow` and the new borrow, 0 or 1.
#[inline(always)]
pub(super) const fn sub_borrow(a: Word, b: Word, borrow: Word) -> (Word, Word) {
    let difference = (a as Wide).wrapping_sub(b as Wide + borrow as Wide);
    (difference as Word, (difference >> BITS) as Word & 1)
}

/// `t + a·b + carry` and the new carry: never overflows, (2^w - 1)^2 + 2·(2^w - 1) = 2^2w - 1.
#[inline(always)]
pub(super) const fn mul_add(t: Word, a: Word, b: Word, carry: Word) -> (Word, Word) {
    let sum = t as Wide + a as Wide * b as Wide + carry as Wide;
    (sum as Word, (sum >> BITS) as Word)
}

/// All ones for 1, zero for 0. The optimiser cannot see that there are only two values, so it makes no branch of them.
#[inline(always)]
pub(super) const fn mask(bit: Word) -> Word {
    core::hint::black_box((0 as Word).wrapping_sub(bit))
}

/// `a` if `condition`, else `b`, as a conditional move: for values in registers, not for what is read in a loop.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(imagxp_force_32)))]
#[inline(always)]
pub(super) fn choose(condition: bool, a: u64, b: u64) -> u64 {
    core::hint::select_unpredictable(condition, a, b)
}

/// `a` if `condition`, else `b`, for processors that may have no conditional move.
#[cfg(all(
    target_pointer_width = "64",
    not(target_arch = "x86_64"),
    not(target_arch = "aarch64"),
    not(imagxp_force_32)
))]
#[inline(always)]
pub(super) fn choose(condition: bool, a: u64, b: u64) -> u64 {
    b ^ (core::hint::black_box(u64::from(condition).wrapping_neg()) & (a ^ b))
}

/// 1 if `a` is zero, else 0, without a branch.
#[inline(always)]
pub(super) fn is_zero(a: &Words) -> Word {
    let any = a.iter().fold(0, |any, word| any | word);
    ((any | any.wrapping_neg()) >> (BITS - 1)) ^ 1
}

/// `a` where `mask` is all ones, `b` where it is zero.
#[inline(always)]
pub(super) fn select(mask: Word, a: &Words, b: &Words) -> Words {
    core::array::from_fn(|i| b[i] ^ (mask & (a[i] ^ b[i])))
}

/// From 32 bytes, most significant first.
#[inline]
pub(super) fn from_bytes(bytes: &[u8; 32]) -> Words {
    let (chunks, _) = bytes.as_chunks::<BYTES>();
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().rev().zip(chunks) {
        *word = Word::from_be_bytes(*chunk);
    }
    words
}

/// To 32 bytes, most significant first.
#[inline]
pub(super) fn to_bytes(words: &Words) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (chunks, _) = bytes.as_chunks_mut::<BYTES>();
    for (chunk, word) in chunks.iter_mut().zip(words.iter().rev()) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

/// The number as four `u64`, whatever the word: what tables hold.
#[inline(always)]
pub(super) const fn to_u64(words: &Words) -> [u64; 4] {
    let mut out = [0; 4];
    let mut i = 0;
    while i < WORDS {
        out[i * BITS / 64] |= (words[i] as u64) << (i * BITS % 64);
        i += 1;
    }
    out
}

/// From four `u64`.
#[inline(always)]
pub(super) const fn from_u64(from: &[u64; 4]) -> Words {
    let mut words = [0; WORDS];
    let mut i = 0;
    while i < WORDS {
        words[i] = (from[i * BITS / 64] >> (i * BITS % 64)) as Word;
        i += 1;
    }
    words
}
