//! What the slots of agents and issuers share: whose they are, and how long what they hold may be used.

use crate::key::Digest;
use crate::{Error, spec};

use super::Tag;

/// Words at the front of a slot.
mod word {
    pub(super) const TAG: usize = 0;
    /// Keys (byte 0), refreshed (bit 8), failures (byte 2), alarm (bit 24), the last failure's number (upper half).
    pub(super) const STATE: usize = 2;
    pub(super) const CHECKED: usize = 3;
    pub(super) const FRESH: usize = 4;
    pub(super) const STALE: usize = 5;
    pub(super) const RETRY: usize = 6;
    pub(super) const END: usize = 8;
}

/// A slot, read. Any words can be read; damaged ones give a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'m>(pub(super) &'m [u64]);

impl Record<'_> {
    pub(super) fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }

    pub(super) fn tag(&self) -> Tag {
        Tag(self.word(word::TAG), self.word(word::TAG + 1))
    }

    pub(super) fn is(&self, tag: Tag) -> bool {
        self.tag() == tag
    }

    pub(super) fn count(&self) -> usize {
        usize::from(self.state_byte(0))
    }

    pub(super) fn alarm(&self) -> bool {
        self.state_byte(24) & 1 != 0
    }

    fn state_byte(&self, shift: u32) -> u8 {
        u8::try_from(self.word(word::STATE) >> shift & 0xFF).unwrap_or_default()
    }

    /// Four words, a SHA-256.
    pub(super) fn digest(&self, at: usize) -> Digest {
        let mut digest = [0; 32];
        for (index, place) in digest.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *place = self.word(at.saturating_add(index)).to_le_bytes();
        }
        digest
    }

    pub(super) fn lives(&self) -> Lives {
        let number = self.word(word::STATE) >> 32;
        Lives {
            checked_s: self.word(word::CHECKED),
            fresh_s: self.word(word::FRESH),
            stale_s: self.word(word::STALE),
            retry_s: self.word(word::RETRY),
            refreshed: self.state_byte(8) & 1 != 0,
            failures: self.state_byte(16),
            // Stored as two's complement of 32 bits.
            failure: u32::try_from(number).ok().map(u32::cast_signed).and_then(Error::from_number),
        }
    }
}

pub(super) fn write_digest(slot: &mut [u64], at: usize, digest: &Digest) {
    for (place, bytes) in slot.iter_mut().skip(at).zip(digest.as_chunks::<8>().0) {
        *place = u64::from_le_bytes(*bytes);
    }
}

/// How long a document may be used, seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    /// When it was last fetched, or the fetch failed.
    checked_s: u64,
    /// Until then it is as good as new.
    pub(super) fresh_s: u64,
    /// Until then it may be used while a refresh is under way or fails.
    stale_s: u64,
    /// Not before then is a failed refresh tried again.
    retry_s: u64,
    pub(super) refreshed: bool,
    failures: u8,
    /// Why the last refresh failed.
    failure: Option<Error>,
}

impl Lives {
    pub(super) const END: usize = word::END;

    /// Whether the document is as good as new.
    pub(crate) fn is_fresh(&self, now_s: u64) -> bool {
        now_s < self.fresh_s && !self.is_ahead(now_s)
    }

    /// Whether a failed refresh may be tried again.
    pub(crate) fn may_retry(&self, now_s: u64) -> bool {
        now_s >= self.retry_s || self.is_ahead(now_s)
    }

    /// Whether it was written by a clock that has been set back since: its age is unknown, and its life would be too long.
    fn is_ahead(&self, now_s: u64) -> bool {
        is_ahead(self.checked_s, now_s)
    }

    /// Whether the document may still be used.
    pub(crate) fn usable(&self, now_s: u64) -> bool {
        if self.is_ahead(now_s) {
            return false;
        }
        let refreshing = self.fresh_s.saturating_add(spec::cache::STALE_S.into());
        // Beyond that only while a refresh has just failed: a host that is back is asked again (threats.md section 8).
        now_s < refreshing || self.failures > 0 && now_s < self.retry_s.min(self.stale_s)
    }

    /// Whether the host should refresh it behind the visitor's back.
    pub(crate) fn wants_refresh(&self, now_s: u64) -> bool {
        !self.is_fresh(now_s) && self.may_retry(now_s)
    }

    /// Whether a foreign key or an unknown kid may cause a refresh now: once per 30 s, and not while a failure rests.
    pub(crate) fn may_refresh(&self, now_s: u64) -> bool {
        let pause = u64::from(spec::cache::REFRESH_PAUSE_S);
        (now_s >= self.checked_s.saturating_add(pause) || self.is_ahead(now_s)) && self.may_retry(now_s)
    }

    /// Why there is no newer document, if the last refresh failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure
    }
}

/// Writes the lives of a slot.
pub(super) mod lives {
    use super::{Error, Record, Tag, spec, word};

    pub(in crate::key_cache) fn write_found(
        slot: &mut [u64],
        tag: Tag,
        keys: usize,
        refreshed: bool,
        ttl_s: u32,
        now_s: u64,
    ) {
        let fresh = now_s.saturating_add(ttl_s.into());
        let keys = u64::try_from(keys).unwrap_or_default() & 0xFF;
        set(slot, word::TAG, tag.0);
        set(slot, word::TAG + 1, tag.1);
        set(slot, word::STATE, keys | u64::from(refreshed) << 8);
        set(slot, word::CHECKED, now_s);
        set(slot, word::FRESH, fresh);
        set(slot, word::STALE, fresh.saturating_add(spec::cache::STALE_S.into()));
        set(slot, word::RETRY, 0);
    }

    /// A network failure: the document stays good for a day after its life, and the next try waits.
    pub(in crate::key_cache) fn write_failure(slot: &mut [u64], error: Error, now_s: u64) {
        let lives = Record(slot).lives();
        let failures = lives.failures.saturating_add(1);
        // Of a clock that was set back: bridged from now on.
        let fresh_s = if lives.is_ahead(now_s) { now_s } else { lives.fresh_s };
        let wait = super::backoff_s(failures);
        let number = u64::from(error.number().cast_unsigned()) << 32;
        let state = Record(slot).word(word::STATE) & 0xFF00_FFFF;
        set(slot, word::STATE, state | u64::from(failures) << 16 | number);
        set(slot, word::CHECKED, now_s);
        set(slot, word::FRESH, fresh_s);
        set(slot, word::STALE, fresh_s.saturating_add(spec::cache::STALE_IF_ERROR_S.into()));
        set(slot, word::RETRY, now_s.saturating_add(wait));
    }

    pub(in crate::key_cache) fn raise_alarm(slot: &mut [u64]) {
        let state = Record(slot).word(word::STATE);
        set(slot, word::STATE, state | 1 << 24);
    }

    fn set(slot: &mut [u64], at: usize, value: u64) {
        if let Some(word) = slot.get_mut(at) {
            *word = value;
        }
    }
}

/// Whether this time lies further ahead than a fetch lasts: a verdict may be asked for by the clock of before its fetches.
pub(super) fn is_ahead(time_s: u64, now_s: u64) -> bool {
    time_s > now_s.saturating_add(spec::cache::AHEAD_S.into())
}

/// How long the n-th network failure in a row is remembered: 15 s doubling to 300 s (threats.md section 8).
pub(super) fn backoff_s(failures: u8) -> u64 {
    let doublings = u32::from(failures.saturating_sub(1)).min(16);
    u64::from(spec::cache::FAILURE_S).saturating_mul(1 << doublings).min(spec::cache::FAILURE_MAX_S.into())
}
