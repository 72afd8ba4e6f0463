//! The two caches.

use core::ptr;

use imagxp_core::replay_cache::ReplayCache;
use imagxp_core::{Answer, Error, KeyCache, KeyId, Keys, Kind, Need, Shape, Sizes, UnixMillis};

use crate::memory::{Input, Output, disjoint};
use crate::status::{OK, answer};
use crate::texts::{check, text};
use crate::types::*;

/// Sizes of tables, smallest first, in the order of [`Shape::ALL`].
const TABLE_KIB: [u32; Shape::ALL.len()] = [2, 8, 16, 32, 64, 320];

fn read_sizes(sizes: imagxp_key_cache_sizes) -> Result<Sizes, Error> {
    let imagxp_key_cache_sizes { names, issuers, tables, table_kib } = sizes;
    let known = TABLE_KIB.into_iter().zip(Shape::ALL).find(|(kib, _)| *kib == table_kib);
    let shape = match known {
        Some((_, shape)) => shape,
        // Without tables their size is nobody's concern.
        None if tables == 0 && table_kib == 0 => Shape::ALL[0],
        None => return Err(Error::AbiArgument),
    };
    Ok(Sizes { names, issuers, tables, shape })
}

/// A key cache to read.
pub(crate) fn read_keys(keys: *const imagxp_key_cache) -> Result<(Input<imagxp_key_cache>, Input<u64>), Error> {
    let view = Input::one(keys)?;
    // SAFETY: checked; no output has been written yet.
    let imagxp_key_cache { words, len } = unsafe { view.read() };
    Ok((view, Input::many(words.cast_const(), len)?))
}

fn keys_mut(keys: *mut imagxp_key_cache) -> Result<(Input<imagxp_key_cache>, Output<u64>), Error> {
    let view = Input::one(keys.cast_const())?;
    // SAFETY: checked; no output has been written yet.
    let imagxp_key_cache { words, len } = unsafe { view.read() };
    Ok((view, Output::many(words, len)?))
}

/// The words of a replay cache, apart from the view that names them.
pub(crate) fn replay_mut(replay: *mut imagxp_replay_cache) -> Result<(Input<imagxp_replay_cache>, Output<u64>), Error> {
    let view = Input::one(replay.cast_const())?;
    // SAFETY: checked; no output has been written yet.
    let imagxp_replay_cache { words, len } = unsafe { view.read() };
    Ok((view, Output::many(words, len)?))
}

/// Words of a key cache; 0 if there cannot be one. `IMAGXP_KEY_CACHE_WORDS` is the same as a constant.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_key_cache_words(sizes: imagxp_key_cache_sizes) -> usize {
    read_sizes(sizes).map_or(0, |sizes| KeyCache::words(&sizes))
}

/// Makes an empty key cache in the words of `keys`. `seed` is 32 random bytes: they keep strangers from
/// choosing names that push out each other.
///
/// Errors: `ABI_ARGUMENT`: sizes that cannot be. `ABI_STORAGE`: fewer words than `imagxp_key_cache_words`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_cache_new(
    keys: *mut imagxp_key_cache,
    sizes: imagxp_key_cache_sizes,
    seed: *const u8,
) -> imagxp_status {
    answer(|| {
        let (view, words) = keys_mut(keys)?;
        let seed = Input::bytes::<32>(seed)?;
        disjoint(&[words.region()], &[view.region(), seed.region()])?;
        // SAFETY: checked, and apart from each other.
        let (seed, words) = unsafe { (seed.read(), words.slice()) };
        KeyCache::new(words, &read_sizes(sizes)?, &seed)?;
        Ok(OK)
    })
}

/// Takes what came of a fetch. `scratch` is the one that the need's texts lie in. It answers `IMAGXP_OK` whatever the
/// document said: the refusal, if it is one, comes from the next `imagxp_request_verify`.
///
/// Errors: `CLOCK_UNKNOWN`; `ABI_STATE`: not a key cache, or `scratch` is not the need's; `ABI_ARGUMENT`: an unknown kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_cache_supply(
    keys: *mut imagxp_key_cache,
    need: *const imagxp_need,
    scratch: imagxp_buf,
    found: imagxp_answer,
    now_ms: i64,
) -> imagxp_status {
    answer(|| {
        let (view, words) = keys_mut(keys)?;
        let (need, scratch) = (Input::one(need)?, Input::buf(scratch)?);
        // Without a document its place is nobody's concern: it may hold anything.
        let text = if found.kind == IMAGXP_FOUND { found.body } else { imagxp_str { ptr: ptr::null(), len: 0 } };
        let body = Input::text(text)?;
        disjoint(&[words.region()], &[view.region(), need.region(), scratch.region(), body.region()])?;
        // SAFETY: checked, and apart from the cache.
        let (need, scratch, body, words) = unsafe { (need.read(), scratch.slice(), body.slice(), words.slice()) };
        let need = read_need(&need, scratch)?;
        let answer = match found.kind {
            IMAGXP_FOUND => Answer::Found { body, max_age_s: u32::try_from(found.max_age_s).ok() },
            IMAGXP_NOT_THERE => Answer::NotThere,
            IMAGXP_UNREACHABLE => Answer::Unreachable,
            _ => return Err(Error::AbiArgument),
        };
        KeyCache::attach(words)?.supply(&need, answer, UnixMillis::from_ms(now_ms))?;
        Ok(OK)
    })
}

fn read_need<'s>(need: &imagxp_need, scratch: &'s [u8]) -> Result<Need<'s>, Error> {
    let kind = match need.kind {
        IMAGXP_NEED_MANIFEST => Kind::Manifest,
        IMAGXP_NEED_JWKS => Kind::Jwks,
        _ => return Err(Error::AbiArgument),
    };
    let (url, host) = (text(scratch, need.url)?, text(scratch, need.host)?);
    if url.is_empty() || host.is_empty() || need.check != 0 && need.check != check(&[url.as_bytes()]) {
        return Err(Error::AbiState);
    }
    Ok(Need { kind, url, host, configured: need.configured != 0, max_len: need.max_len as usize })
}

/// Gives the key of a busy agent a table (`imagxp_verified.prepare`), or more time with the one it has: its
/// requests then verify several times faster. Call it after answering: a table costs as much as fifteen verifications.
/// A key that has left the cache is passed over.
///
/// Errors: `CLOCK_UNKNOWN`, `ABI_STATE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_cache_prepare(
    keys: *mut imagxp_key_cache,
    prepare: u64,
    now_ms: i64,
) -> imagxp_status {
    answer(|| {
        let (view, words) = keys_mut(keys)?;
        disjoint(&[words.region()], &[view.region()])?;
        // SAFETY: checked.
        let words = unsafe { words.slice() };
        KeyCache::attach(words)?.prepare(KeyId::from_number(prepare), UnixMillis::from_ms(now_ms))?;
        Ok(OK)
    })
}

/// An alarm: `JWK_PRIVATE_EXPOSED` when the last key set of this URL published a private key, else `IMAGXP_OK`.
/// Ask after supplying a JWK Set, and tell its owner.
///
/// Errors: `ABI_STATE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_cache_alarm(keys: *const imagxp_key_cache, jwks_url: imagxp_str) -> imagxp_status {
    answer(|| {
        let (_, words) = read_keys(keys)?;
        let url = Input::text(jwks_url)?;
        // SAFETY: checked; nothing is written.
        let (words, url) = unsafe { (words.slice(), url.slice()) };
        let keys = Keys::attach(words)?;
        let url = core::str::from_utf8(url).map_err(|_| Error::AbiArgument)?;
        if keys.exposes_private_key(url) { Err(Error::JwkPrivateExposed) } else { Ok(OK) }
    })
}

/// Words of a replay cache for at least so many entries: requests a second times 360, plus single-use visas a second
/// times 3,605, and a quarter more. `IMAGXP_REPLAY_CACHE_WORDS` is the same as a constant.
#[unsafe(no_mangle)]
pub extern "C" fn imagxp_replay_cache_words(slots: usize) -> usize {
    // What does not fit an address space has no size.
    if slots > usize::MAX / 64 { 0 } else { ReplayCache::words(slots) }
}

/// Makes an empty replay cache with as many slots as the words of `replay` hold. `seed` is 32 random bytes, secret; the
/// same on all nodes that share a store. Requests signed before `accept_from_ms` are refused, for an earlier
/// cache may have admitted them: pass the time of the start, or 0 where nothing was forgotten.
///
/// Errors: `ABI_STORAGE`: fewer than `imagxp_replay_cache_words(1)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_replay_cache_new(
    replay: *mut imagxp_replay_cache,
    seed: *const u8,
    accept_from_ms: i64,
) -> imagxp_status {
    answer(|| {
        let (view, words) = replay_mut(replay)?;
        let seed = Input::bytes::<32>(seed)?;
        disjoint(&[words.region()], &[view.region(), seed.region()])?;
        // SAFETY: checked, and apart from each other.
        let (seed, words) = unsafe { (seed.read(), words.slice()) };
        ReplayCache::new(words, &seed, UnixMillis::from_ms(accept_from_ms))?;
        Ok(OK)
    })
}

/// After `IMAGXP_REPLAY_CACHE_FULL`, still under the lock: seconds until there may be room, for `Retry-After`; 1 to 600.
/// 60 when the words are not a replay cache.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_replay_cache_retry_after_s(replay: *mut imagxp_replay_cache) -> u32 {
    let read = || {
        let (_, words) = replay_mut(replay)?;
        // SAFETY: checked.
        ReplayCache::attach(unsafe { words.slice() }).map(|cache| cache.retry_after_s())
    };
    read().unwrap_or(60)
}

/// The counts, under the lock.
///
/// Errors: `ABI_STATE`: not a replay cache.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_replay_cache_stats(
    replay: *mut imagxp_replay_cache,
    stats: *mut imagxp_replay_stats,
) -> imagxp_status {
    answer(|| {
        let (view, words) = replay_mut(replay)?;
        let stats = Output::sized(stats)?;
        disjoint(&[words.region(), stats.region()], &[view.region()])?;
        // SAFETY: checked, and apart from each other.
        let counts = ReplayCache::attach(unsafe { words.slice() })?.stats();
        let found = imagxp_replay_stats {
            size: size_of::<imagxp_replay_stats>(),
            slots: counts.slots as u64,
            live: counts.live,
            live_of_new_names: counts.live_of_new_names,
            admitted: counts.admitted,
            refused_used: counts.refused_used,
            refused_full: counts.refused_full,
            refused_quota: counts.refused_quota,
            clock_steps_back: counts.clock_steps_back,
            clock_ms: counts.clock.ms(),
        };
        // SAFETY: checked.
        unsafe { stats.write(found) };
        Ok(OK)
    })
}
