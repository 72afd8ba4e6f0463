//! The names whose manifest was not to be had, or was wrong: remembered for a while, in a part of their own, so that
//! a flood of bad names never pushes out a good one (threats.md section 8).

use crate::{Error, spec};

use super::Tag;
use super::agents::refusal;
use super::record::is_ahead;

/// Words of a slot: tag, until when, number of the refusal and failures in a row.
pub(super) const WORDS: usize = 4;

/// A slot, read.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    pub(super) tag: Tag,
    pub(super) until_s: u64,
    error: Error,
    failures: u8,
}

impl Refused {
    pub(super) fn read(slot: &[u64]) -> Option<Self> {
        let [tag0, tag1, until_s, state] = slot else { return None };
        let number = u32::try_from(state & 0xFFFF_FFFF).ok()?.cast_signed();
        let failures = u8::try_from(state >> 32 & 0xFF).ok()?;
        Some(Self { tag: Tag(*tag0, *tag1), until_s: *until_s, error: refusal(number), failures })
    }

    /// The refusal, while it lasts. One that would last longer than any was made by a clock that has been set back since.
    pub(super) fn error(&self, now_s: u64) -> Option<Error> {
        let longest = now_s.saturating_add(spec::cache::FAILURE_MAX_S.into());
        (now_s < self.until_s && !is_ahead(self.until_s, longest)).then_some(self.error)
    }
}

/// Remembers a refusal: one minute, or longer with each network failure in a row.
pub(super) fn write(slot: &mut [u64], tag: Tag, error: Error, unreachable: bool, now_s: u64) {
    let before = Refused::read(slot).filter(|before| before.tag == tag).map_or(0, |before| before.failures);
    let failures = if unreachable { before.saturating_add(1) } else { 0 };
    let wait = if unreachable { super::record::backoff_s(failures) } else { spec::cache::NEGATIVE_S.into() };
    let state = u64::from(error.number().cast_unsigned()) | u64::from(failures) << 32;
    for (place, word) in slot.iter_mut().zip([tag.0, tag.1, now_s.saturating_add(wait), state]) {
        *place = word;
    }
}
