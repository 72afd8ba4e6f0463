//! Which nonces and single-use visas were used: one table in the caller's memory, shared by all under one lock.
//!
//! A request may pass once. [`ReplayCache::admit`] looks for the request's nonce and for the `jti` of a visa that is
//! good for one request, and writes both or nothing. An entry stays for as long as its request could pass the freshness
//! check, and a live entry is never given up: a cache without room refuses.
//!
//! **Memory.** An array of `u64` holds everything, and no address: its bytes may be copied to any 8-byte position, lie
//! in shared memory, or come back after a restart. Entries take 24 bytes; tables of names and agents add 7 %.
//! **Lock.** Every call that takes `&mut self` must have the memory alone, across processes too. The stores are in an
//! order that leaves every slot free or whole when a process is killed between any two of them; counts heal by the
//! sweep, of which each `admit` does eight slots.
//! **Damage.** Memory that somebody else has written to gives wrong answers at worst: no access leaves the array, no
//! loop depends on its contents.
//! **Clock.** The cache goes by the latest time it was ever told. While the host's clock lags behind that, a request
//! whose entry would have expired already is `TIMESTAMP_STALE`: nobody could remember it.
//!
//! Source: threats.md section 7 (REP-1 to REP-8), here and below.

mod mac;
mod quota;
mod slots;
mod tag;

use self::mac::Mac;
use self::quota::Change;
use self::slots::{Look, Parts, Place, halves};
pub use self::tag::{Tag, jti_tag, nonce_tag};
use self::tag::{registrable, seconds};
use crate::error::Error;
use crate::spec::replay;
use crate::time::UnixMillis;

/// What [`ReplayCache::admit`] writes down: a request that has passed every other check.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Who signed the request.
    pub agent_id: &'a str,
    /// The request's nonce.
    pub nonce: &'a str,
    /// The request's time.
    pub ts: UnixMillis,
    /// How old a request may be, milliseconds. After a change to a longer one, requests of the shorter one's time need
    /// a new cache with `accept_from`, or they may pass once more.
    pub window_ms: u32,
    /// The visa, where it is good for one request only.
    pub visa: Option<VisaUse<'a>>,
}

/// A single-use visa.
#[derive(Clone, Copy, Debug)]
pub struct VisaUse<'a> {
    /// The claim `iss`.
    pub issuer: &'a str,
    /// The claim `jti`.
    pub jti: &'a str,
    /// The claim `exp`, whole seconds since 1970, a fraction rounded up.
    pub exp_s: i64,
}

/// An admission, with hints for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The agent has passed [`replay::BUSY_ADMISSIONS`] within [`replay::BUSY_WINDOW_S`]: its key is worth a table.
    pub busy: bool,
    /// `now` lay more than [`replay::CLOCK_STEP_S`] behind a time that the cache was told before: look at the host's
    /// clock.
    pub clock_stepped_back: bool,
}

/// The cache's counts. They are for dashboards; after a crash or in damaged memory they may be wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Entries that fit.
    pub slots: usize,
    /// Slots in use, those included that have expired and were not yet swept.
    pub live: u64,
    /// The part of `live` that belongs to names first seen less than [`replay::NEW_NAME_S`] ago.
    pub live_of_new_names: u64,
    /// Requests admitted.
    pub admitted: u64,
    /// Refusals because a nonce or visa was used before.
    pub refused_used: u64,
    /// Refusals for want of room.
    pub refused_full: u64,
    /// Refusals because a name, or all new ones together, had used their share.
    pub refused_quota: u64,
    /// Calls whose `now` lay more than [`replay::CLOCK_STEP_S`] behind.
    pub clock_steps_back: u64,
    /// The latest time that the cache was told.
    pub clock: UnixMillis,
}

/// The replay cache, a view of the caller's memory.
pub struct ReplayCache<'m> {
    parts: Parts<'m>,
}

/// Where the entries of a request may go; or else until when there is no room for them.
struct Places {
    nonce: Result<Place, u32>,
    visa: Option<Result<Place, u32>>,
}

/// Slots swept by an `admit`: a lap takes a sixth of the life of an entry at the fill of REP-2, so that a sixth of that
/// is the most by which counts lag.
const SWEEP: u64 = 8;
/// Such sweeps before a quota refuses, so that entries which have expired unnoticed are not held against anyone.
const SWEEPS_BEFORE_REFUSAL: u32 = 64;

impl<'m> ReplayCache<'m> {
    /// Words of memory for at least so many entries: requests a second x 360 + single-use visas a second x 3,605, and a
    /// quarter more (REP-2).
    #[must_use]
    pub const fn words(slots: usize) -> usize {
        let buckets = slots.div_ceil(replay::PROBE);
        slots::words_of(if buckets == 0 { 1 } else { buckets })
    }

    /// Makes an empty cache with as many slots as fit into `memory`.
    ///
    /// `seed` is 32 random bytes and the secret of the tags: the same on all nodes that share a store, unknown to
    /// everyone else. Requests with `ts < accept_from` are refused, since an earlier cache may have admitted them: pass
    /// the time of the start, or that plus the skew to catch also those that were dated ahead; 0 where nothing was
    /// forgotten. It does not cover single-use visas, which outlive it.
    ///
    /// # Errors
    /// `AbiStorage`: less memory than `words(1)`.
    pub fn new(memory: &'m mut [u64], seed: &[u8; 32], accept_from: UnixMillis) -> Result<Self, Error> {
        let buckets = slots::buckets_in(memory.len());
        if buckets == 0 {
            return Err(Error::AbiStorage);
        }
        slots::format(memory, buckets, seed, accept_from.ms()).ok_or(Error::AbiStorage)?;
        Self::attach(memory)
    }

    /// Opens the cache that [`Self::new`] made in this memory or in memory that it was copied from. Takes constant
    /// time.
    ///
    /// # Errors
    /// `AbiState`: no cache of this layout, or one that is larger than `memory`.
    pub fn attach(memory: &'m mut [u64]) -> Result<Self, Error> {
        slots::open(memory).map(|parts| Self { parts }).ok_or(Error::AbiState)
    }

    /// The secret of the tags, for [`nonce_tag`] and [`jti_tag`].
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        for (bytes, word) in secret.as_chunks_mut::<8>().0.iter_mut().zip(&*self.parts.head.seed) {
            *bytes = word.to_le_bytes();
        }
        secret
    }

    /// Admits a request once: checks its nonce and the visa, then writes both. The last step, after every other check
    /// and under the lock. A refusal writes neither, so a request refused for its visa, its quota or for want of room
    /// may be sent again as it is.
    ///
    /// # Errors
    /// `ClockUnknown`, `RestartGuard`, `TimestampStale` and `JwtExpired` (by the cache's clock), `ReplayDetected`,
    /// `VisaUsed`, `AgentQuota` (only while more than half of the slots are in use), `ReplayCacheFull` (then see
    /// [`Self::retry_after_s`]), in this order.
    pub fn admit(&mut self, entry: &Entry<'_>, now: UnixMillis) -> Result<Admitted, Error> {
        let clock_stepped_back = self.advance_clock(now)?;
        let now_s = seconds(self.clock());
        let result = self.admit_at(entry, now_s);
        let head = &mut self.parts.head;
        match result {
            Ok(_) => tally(head.admitted),
            Err(Error::ReplayDetected | Error::VisaUsed) => tally(head.refused_used),
            Err(Error::ReplayCacheFull) => tally(head.refused_full),
            Err(Error::AgentQuota) => tally(head.refused_quota),
            Err(_) => {}
        }
        result.map(|busy| Admitted { busy, clock_stepped_back })
    }

    /// After `ReplayCacheFull`: seconds until there may be room for that request, for `Retry-After`, 1 to 600.
    #[must_use]
    pub fn retry_after_s(&self) -> u32 {
        let (least, most) = replay::RETRY_AFTER_S;
        u32::try_from(*self.parts.head.retry_after_s).unwrap_or(most).clamp(least, most)
    }

    /// The counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let head = &self.parts.head;
        let ([live, _], [newcomers, _]) = (&head.live, &head.newcomers);
        Stats {
            slots: self.parts.slots.len(),
            live: **live,
            live_of_new_names: **newcomers,
            admitted: *head.admitted,
            refused_used: *head.refused_used,
            refused_full: *head.refused_full,
            refused_quota: *head.refused_quota,
            clock_steps_back: *head.clock_steps_back,
            clock: self.clock(),
        }
    }

    /// Every entry that is kept, in no order, with those that have expired and were not yet swept. For audits and
    /// tests: it reads the whole table.
    pub fn entries(&self) -> impl Iterator<Item = Tag> {
        self.parts.slots.entries()
    }

    /// Takes note of the time; tells whether it lies behind.
    fn advance_clock(&mut self, now: UnixMillis) -> Result<bool, Error> {
        let (seen_ms, now_ms) = (self.clock().ms(), now.ms());
        if now_ms <= 0 {
            return Err(Error::ClockUnknown);
        }
        let head = &mut self.parts.head;
        *head.clock = seen_ms.max(now_ms).cast_unsigned();
        if *head.first_seen == 0 {
            *head.first_seen = now_ms.cast_unsigned();
        }
        let back = seen_ms.saturating_sub(now_ms) > i64::from(replay::CLOCK_STEP_S).saturating_mul(1_000);
        if back {
            tally(head.clock_steps_back);
        }
        Ok(back)
    }

    fn clock(&self) -> UnixMillis {
        UnixMillis::from_ms(self.parts.head.clock.cast_signed())
    }

    fn admit_at(&mut self, entry: &Entry<'_>, now_s: u32) -> Result<bool, Error> {
        if entry.ts.ms() < self.parts.head.accept_from.cast_signed() {
            return Err(Error::RestartGuard);
        }
        let mac = Mac::from_words(self.parts.head.mac);
        let nonce = mac.nonce_tag(entry.agent_id, entry.nonce, entry.ts, entry.window_ms);
        let visa = entry.visa.map(|visa| mac.jti_tag(visa.issuer, visa.jti, visa.exp_s));
        // What could not be remembered cannot be admitted.
        if nonce.expiry_s <= now_s {
            return Err(Error::TimestampStale);
        }
        if visa.is_some_and(|visa| visa.expiry_s <= now_s) {
            return Err(Error::JwtExpired);
        }
        self.parts.slots.touch(&nonce);
        self.sweep(now_s);
        let name = mac.name_tag(registrable(entry.agent_id));
        let agent = mac.name_tag(entry.agent_id);
        let places = self.find(&nonce, visa.as_ref(), now_s)?;
        self.check_quota(name, if visa.is_some() { 2 } else { 1 }, now_s)?;
        self.write(places, &nonce, visa.as_ref(), name, now_s)?;
        Ok(self.parts.agents.count(agent, now_s))
    }

    /// Looks for both tags. Finds a place for each that is not used, or the second until which its buckets are full.
    fn find(&self, nonce: &Tag, visa: Option<&Tag>, now_s: u32) -> Result<Places, Error> {
        let nonce = match self.parts.slots.look(nonce, now_s, None) {
            Look::Used => return Err(Error::ReplayDetected),
            Look::Free(place) => Ok(place),
            Look::Full { until_s } => Err(until_s),
        };
        let visa = match visa.map(|visa| self.parts.slots.look(visa, now_s, nonce.ok())) {
            None => None,
            Some(Look::Used) => return Err(Error::VisaUsed),
            Some(Look::Free(place)) => Some(Ok(place)),
            Some(Look::Full { until_s }) => Some(Err(until_s)),
        };
        Ok(Places { nonce, visa })
    }

    /// Writes both or nothing, the nonce first: a process killed in between has answered nobody, and the visa
    /// is still good with the next nonce.
    fn write(&mut self, found: Places, nonce: &Tag, visa: Option<&Tag>, name: u32, now_s: u32) -> Result<(), Error> {
        let nonce_place = self.room(found.nonce, now_s)?;
        let visa_place = found.visa.map(|found| self.room(found, now_s)).transpose()?;
        self.put(nonce_place, nonce, name, now_s);
        if let Some((place, visa)) = visa_place.zip(visa) {
            self.put(place, visa, name, now_s);
        }
        Ok(())
    }

    /// The place that was found, or the refusal, with the wait noted.
    fn room(&mut self, found: Result<Place, u32>, now_s: u32) -> Result<Place, Error> {
        found.map_err(|until_s| {
            *self.parts.head.retry_after_s = u64::from(until_s.saturating_sub(now_s));
            Error::ReplayCacheFull
        })
    }

    fn put(&mut self, place: Place, tag: &Tag, name: u32, now_s: u32) {
        let recounted = place.number() < *self.parts.head.cursor;
        if let (1.., gone) = self.parts.slots.state(place) {
            self.book(Change::Gone { recounted }, gone, now_s);
        }
        self.parts.slots.put(place, tag, name);
        self.book(Change::Put { recounted }, name, now_s);
    }

    /// REP-5: while more than half of the slots are in use, a name holds at most its share, and so do all new names
    /// together. In the first hour of a cache every name is new, so there the second share would refuse most of an
    /// honest load: it binds from then on (docs/protocol.md section 12).
    fn check_quota(&mut self, name: u32, more: u32, now_s: u32) -> Result<(), Error> {
        if self.is_within_quota(name, more, now_s) {
            return Ok(());
        }
        for _ in 0..SWEEPS_BEFORE_REFUSAL {
            self.sweep(now_s);
        }
        self.is_within_quota(name, more, now_s).then_some(()).ok_or(Error::AgentQuota)
    }

    fn is_within_quota(&self, name: u32, more: u32, now_s: u32) -> bool {
        let slots = self.slots();
        let ([live, _], [newcomers, _]) = (&self.parts.head.live, &self.parts.head.newcomers);
        if live.saturating_mul(u64::from(replay::QUOTA_FROM_DIVISOR)) <= slots {
            return true;
        }
        let share = slots.checked_div(u64::from(replay::QUOTA_DIVISOR)).unwrap_or(0);
        let fits = |held: u64| held.saturating_add(u64::from(more)) <= share;
        let standing = self.parts.names.standing(name, self.lap(), now_s);
        fits(u64::from(standing.count)) && (!standing.is_new || !self.knows_its_names() || fits(**newcomers))
    }

    /// Whether the cache is old enough to tell a new name from an old one.
    fn knows_its_names(&self) -> bool {
        let first = UnixMillis::from_ms(self.parts.head.first_seen.cast_signed());
        self.clock().ms_since(first) >= i64::from(replay::NEW_NAME_S).saturating_mul(1_000)
    }

    /// Visits some slots: frees what has expired, recounts what is live.
    fn sweep(&mut self, now_s: u32) {
        let from = *self.parts.head.cursor;
        let to = from.saturating_add(SWEEP).min(self.slots());
        if from >= to {
            return self.end_lap();
        }
        for place in (from..to).map(Place::at) {
            match self.parts.slots.state(place) {
                (0, _) => {}
                (expiry_s, name) if expiry_s <= now_s => {
                    self.parts.slots.free(place);
                    self.book(Change::Gone { recounted: false }, name, now_s);
                }
                (_, name) => self.book(Change::Met, name, now_s),
            }
        }
        *self.parts.head.cursor = to;
    }

    /// The recounts become the counts; names do so one by one, when next touched.
    fn end_lap(&mut self) {
        let head = &mut self.parts.head;
        for [count, recount] in [&mut head.live, &mut head.newcomers] {
            (**count, **recount) = (**recount, 0);
        }
        *head.lap = head.lap.wrapping_add(1);
        *head.cursor = 0;
    }

    fn book(&mut self, change: Change, name: u32, now_s: u32) {
        let is_new = self.parts.names.book(change, name, self.lap(), now_s);
        let Parts { head, .. } = &mut self.parts;
        apply(change, &mut head.live);
        if is_new {
            apply(change, &mut head.newcomers);
        }
    }

    fn slots(&self) -> u64 {
        u64::try_from(self.parts.slots.len()).unwrap_or(u64::MAX)
    }

    fn lap(&self) -> u32 {
        halves(*self.parts.head.lap).0
    }
}

fn apply(change: Change, [count, recount]: &mut [&mut u64; 2]) {
    (**count, **recount) = change.apply((**count, **recount));
}

fn tally(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
