//! The memory's layout, its header, and the slots.

use core::hint::black_box;
use core::num::NonZero;
use core::sync::atomic::{Ordering, compiler_fence};

use super::mac::Mac;
use super::quota::{Agents, Names};
use super::tag::Tag;
use crate::spec::replay;

/// Sixteen slots of three words: all first halves of tags; all states (low: the expiry, 0 = free; high: the tag of the
/// name that pays); all last halves. In this order a look needs four cache lines, not six.
type Bucket = [[u64; replay::PROBE]; SLOT];
const SLOT: usize = 3;
const HEAD: usize = 32;
const BUCKET: usize = replay::PROBE * SLOT;
/// So that slots can be counted in 32 bits.
const BUCKETS_MAX: usize = 1 << 27;

const MAGIC: u64 = u64::from_be_bytes(*b"imagxp-r");
/// Changes with the layout, with the hash of names and with the meaning of any word.
const LAYOUT: u64 = 2;

/// Words that `buckets` of slots and all that goes with them take.
pub(super) const fn words_of(buckets: usize) -> usize {
    let names = Names::words(buckets);
    let agents = Agents::words(buckets);
    HEAD.saturating_add(buckets.saturating_mul(BUCKET)).saturating_add(names).saturating_add(agents)
}

/// The most buckets that fit into so many words.
pub(super) fn buckets_in(words: usize) -> usize {
    let most = words.saturating_sub(HEAD).checked_div(BUCKET).unwrap_or(0).min(BUCKETS_MAX);
    let (mut fits, mut above) = (0, most.saturating_add(1));
    while above.saturating_sub(fits) > 1 {
        let middle = fits.midpoint(above);
        if words_of(middle) <= words { fits = middle } else { above = middle }
    }
    fits
}

/// The regions of one cache's memory.
pub(super) struct Parts<'m> {
    pub(super) head: Head<'m>,
    pub(super) slots: Slots<'m>,
    pub(super) names: Names<'m>,
    pub(super) agents: Agents<'m>,
}

/// Writes an empty cache of so many buckets; `None` if they do not fit.
pub(super) fn format(memory: &mut [u64], buckets: usize, seed: &[u8; 32], accept_from_ms: i64) -> Option<()> {
    let memory = memory.get_mut(..words_of(buckets))?;
    memory.fill(0);
    let Parts { head, .. } = parts(memory, buckets)?;
    for (word, bytes) in head.seed.iter_mut().zip(seed.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    *head.mac = Mac::new(seed).to_words();
    *head.accept_from = accept_from_ms.cast_unsigned();
    *head.layout = LAYOUT;
    *head.buckets = u64::try_from(buckets).ok()?;
    compiler_fence(Ordering::Release);
    *head.magic = MAGIC; // last: what is half made is not a cache
    Some(())
}

/// The regions of a cache that [`format`] made; `None` for anything else, and when it is larger than `memory`.
pub(super) fn open(memory: &mut [u64]) -> Option<Parts<'_>> {
    let &[MAGIC, LAYOUT, buckets, ..] = &*memory else { return None };
    let buckets = usize::try_from(buckets).ok().filter(|buckets| (1..=BUCKETS_MAX).contains(buckets))?;
    parts(memory, buckets)
}

fn parts(memory: &mut [u64], buckets: usize) -> Option<Parts<'_>> {
    let (head, rest) = memory.split_first_chunk_mut::<HEAD>()?;
    let (slots, rest) = rest.split_at_mut_checked(buckets.checked_mul(BUCKET)?)?;
    let (names, rest) = rest.split_at_mut_checked(Names::words(buckets))?;
    let (agents, _) = rest.split_at_mut_checked(Agents::words(buckets))?;
    let slots = Slots { buckets: slots.as_chunks_mut().0.as_chunks_mut().0 };
    Some(Parts { head: Head::of(head)?, slots, names: Names::of(names), agents: Agents::of(agents) })
}

/// The header's words, by name. Pairs are a count and its recount of this lap.
pub(super) struct Head<'m> {
    magic: &'m mut u64,
    layout: &'m mut u64,
    buckets: &'m mut u64,
    /// Milliseconds, as the bits of an `i64`.
    pub(super) accept_from: &'m mut u64,
    pub(super) seed: &'m mut [u64; 4],
    /// The seed, taken in.
    pub(super) mac: &'m mut [u64; Mac::WORDS],
    /// The latest time seen, milliseconds, as the bits of an `i64`.
    pub(super) clock: &'m mut u64,
    /// The slot that the sweep visits next, counted from the first.
    pub(super) cursor: &'m mut u64,
    /// How often the sweep has been round.
    pub(super) lap: &'m mut u64,
    /// Slots in use.
    pub(super) live: [&'m mut u64; 2],
    /// Slots in use by names that are new.
    pub(super) newcomers: [&'m mut u64; 2],
    pub(super) retry_after_s: &'m mut u64,
    pub(super) admitted: &'m mut u64,
    pub(super) refused_used: &'m mut u64,
    pub(super) refused_full: &'m mut u64,
    pub(super) refused_quota: &'m mut u64,
    pub(super) clock_steps_back: &'m mut u64,
    /// The time of the first admission, milliseconds, as the bits of an `i64`; 0: there was none yet.
    pub(super) first_seen: &'m mut u64,
}

impl<'m> Head<'m> {
    #[rustfmt::skip] // one line, one group of words
    fn of(words: &'m mut [u64; HEAD]) -> Option<Self> {
        let [
            magic, layout, buckets, accept_from, keys @ ..,
            clock, cursor, lap, live, live_next, newcomers, newcomers_next,
            retry_after_s, admitted, refused_used, refused_full, refused_quota, clock_steps_back, first_seen, _, _,
        ] = words;
        let (seed, mac) = keys.split_first_chunk_mut()?;
        let mac = mac.try_into().ok()?;
        let (live, newcomers) = ([live, live_next], [newcomers, newcomers_next]);
        Some(Self {
            magic, layout, buckets, accept_from, seed, mac, clock, cursor, lap, live, newcomers,
            retry_after_s, admitted, refused_used, refused_full, refused_quota, clock_steps_back, first_seen,
        })
    }
}

/// The slots, in buckets of [`replay::PROBE`]. A tag lies in one of the two buckets that its halves choose, or nowhere.
///
/// Two, since the size formula of REP-2 fills four slots of five: with one bucket a tag, 8 % of the requests would then
/// find theirs full; with the emptier of two it is 1 in 10,000.
pub(super) struct Slots<'m> {
    buckets: &'m mut [Bucket],
}

/// Where a slot lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
}

impl Place {
    /// The slot with this number, counted from the first.
    pub(super) fn at(number: u64) -> Self {
        let size = const { NonZero::new(replay::PROBE).unwrap() };
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        Self { bucket: number / size, slot: number % size }
    }

    /// Its number.
    pub(super) fn number(self) -> u64 {
        u64::try_from(self.bucket.saturating_mul(replay::PROBE).saturating_add(self.slot)).unwrap_or(u64::MAX)
    }
}

/// What a look at a tag's two buckets found.
pub(super) enum Look {
    /// The tag is there and live.
    Used,
    /// It is not, and may go here.
    Free(Place),
    /// It is not, and every slot is live, the first until this second.
    Full { until_s: u32 },
}

/// What one bucket holds.
struct Glance {
    used: bool,
    /// Slots that are free or have expired, and one of them.
    room: u32,
    free: Option<Place>,
    until_s: u32,
}

impl Slots<'_> {
    pub(super) fn len(&self) -> usize {
        self.buckets.len().saturating_mul(replay::PROBE)
    }

    /// Fetches a tag's two buckets from memory, while other work is done: a word of every cache line that
    /// [`Self::look`] needs.
    pub(super) fn touch(&self, tag: &Tag) {
        let buckets = self.homes(tag).into_iter().filter_map(|bucket| self.buckets.get(bucket));
        for [[first, ..], [state, ..], _] in buckets.clone() {
            black_box(first ^ state);
        }
        for [[.., first], [.., state], _] in buckets {
            black_box(first ^ state);
        }
    }

    /// Looks for a live entry with this tag and for a slot that is free or has expired, other than `taken`: in the
    /// emptier of the two buckets.
    pub(super) fn look(&self, tag: &Tag, now_s: u32, taken: Option<Place>) -> Look {
        let words = words_of_tag(tag);
        let [first, second] = self.homes(tag);
        let (one, other) = (self.glance(first, words, now_s, taken), self.glance(second, words, now_s, taken));
        if one.used || other.used {
            return Look::Used;
        }
        let emptier = if one.room >= other.room { one.free } else { other.free };
        emptier.map_or(Look::Full { until_s: one.until_s.min(other.until_s) }, Look::Free)
    }

    fn homes(&self, tag: &Tag) -> [usize; 2] {
        let (first, last) = words_of_tag(tag);
        [first, last].map(|word| row_of(halves(word).1, self.buckets.len()))
    }

    /// Branches, not masks: predicted, they let the processor run ahead while the bucket comes from memory.
    fn glance(&self, bucket: usize, (first, last): (u64, u64), now_s: u32, taken: Option<Place>) -> Glance {
        let mut seen = Glance { used: false, room: 0, free: None, until_s: u32::MAX };
        let Some([firsts, states, lasts]) = self.buckets.get(bucket) else { return seen };
        for (slot, ((a, state), b)) in firsts.iter().zip(states).zip(lasts).enumerate() {
            let (expiry_s, _) = halves(*state);
            let place = Place { bucket, slot };
            if expiry_s > now_s {
                // By words: time tells nothing about how many bytes of a tag were right.
                seen.used |= *a == first && *b == last;
                seen.until_s = seen.until_s.min(expiry_s);
            } else if taken != Some(place) {
                seen.room = seen.room.saturating_add(1);
                seen.free = Some(place);
            }
        }
        seen
    }

    /// Writes an entry. Cut between any two stores, the slot is free or whole: expiry 0, tag, expiry.
    pub(super) fn put(&mut self, place: Place, tag: &Tag, name: u32) {
        let Some([a, state, b]) = self.slot(place) else { return };
        *state = join(0, name);
        compiler_fence(Ordering::SeqCst);
        (*a, *b) = words_of_tag(tag);
        compiler_fence(Ordering::SeqCst);
        *state = join(tag.expiry_s, name);
    }

    pub(super) fn free(&mut self, place: Place) {
        if let Some([_, state, _]) = self.slot(place) {
            *state = 0;
        }
    }

    /// The expiry (0: free) and the name tag of a slot.
    pub(super) fn state(&self, place: Place) -> (u32, u32) {
        let state = self.buckets.get(place.bucket).and_then(|[_, states, _]| states.get(place.slot));
        halves(state.copied().unwrap_or(0))
    }

    /// Every entry that is kept, expired ones too.
    pub(super) fn entries(&self) -> impl Iterator<Item = Tag> {
        let slots = self.buckets.iter().flat_map(|[firsts, states, lasts]| firsts.iter().zip(states).zip(lasts));
        slots.filter_map(|((a, state), b)| {
            let (expiry_s, _) = halves(*state);
            let mut bytes = [0; 16];
            let (first, last) = bytes.split_at_mut(8);
            first.copy_from_slice(&a.to_le_bytes());
            last.copy_from_slice(&b.to_le_bytes());
            (expiry_s != 0).then_some(Tag { bytes, expiry_s })
        })
    }

    fn slot(&mut self, place: Place) -> Option<[&mut u64; SLOT]> {
        let [firsts, states, lasts] = self.buckets.get_mut(place.bucket)?;
        Some([firsts.get_mut(place.slot)?, states.get_mut(place.slot)?, lasts.get_mut(place.slot)?])
    }
}

fn words_of_tag(tag: &Tag) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = tag.bytes;
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest))
}

/// Spreads a keyed 32-bit tag over `rows` (less than 2^32) evenly.
pub(super) fn row_of(tag: u32, rows: usize) -> usize {
    let rows = u64::try_from(rows).unwrap_or(0);
    usize::try_from(u64::from(tag).saturating_mul(rows) >> 32).unwrap_or(0)
}

/// A word's low and high half.
pub(super) fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

/// The word with these halves.
pub(super) fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
