//! The signatures of a log, checked many at a time: keys that come again are prepared, and signatures share inversions.

use crate::curve::{self, BatchItem, Point, Shape, Signature};
use crate::key::{Digest, PublicKey, checks};
use crate::{Error, spec};

/// A signature that is still to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Which line of the log it is of; 0 outside a log.
    pub line: u64,
    /// Whose it must be.
    pub key: PublicKey,
    /// What it must be over.
    pub digest: Digest,
    /// `r || s`
    pub signature: [u8; 64],
}

impl Check {
    /// Makes the check.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`
    pub fn verify(&self) -> Result<(), Error> {
        self.key.verify(&self.digest, &self.signature)
    }
}

/// The checks of one line: a checkpoint's, or a decision's request and token.
pub type Checks = heapless::Vec<Check, 2>;

/// Prepared keys for [`verify_checks`], in memory of the caller. The key used longest ago makes room for a new one.
#[derive(Debug)]
pub struct Tables<'m> {
    memory: &'m mut [u64],
    /// How many times checks were made.
    calls: u64,
}

const SHAPE: Shape = Shape::Kib16;
/// Words before a table: its point, the last call that used it (0: the place is free), the rest of a cache line.
const HEAD: usize = 16;
const USED: usize = 8;
const PLACE: usize = HEAD + SHAPE.words();
/// A table of this shape is repaid after so many checks (docs/design-ec.md, "Shapes").
const REPAID: usize = 3;

impl<'m> Tables<'m> {
    /// Words of memory for so many keys: some 16 KiB each.
    #[must_use]
    pub const fn words(keys: usize) -> usize {
        keys.saturating_mul(PLACE)
    }

    /// No key is prepared yet. With less memory than for one key, none ever is: the verdicts are the same.
    #[must_use]
    pub fn new(memory: &'m mut [u64]) -> Self {
        memory.fill(0);
        Self { memory, calls: 0 }
    }

    /// Prepares the keys of these checks that are worth it.
    fn prepare(&mut self, checks: &[Check]) {
        let calls = self.calls.saturating_add(1);
        self.calls = calls;
        for (at, check) in checks.iter().enumerate() {
            let point = check.key.point().to_words();
            let again = || checks.iter().skip(at).filter(|other| other.key == check.key).take(REPAID).count();
            if let Some(place) = self.place_mut(&point) {
                set(place, USED, calls);
            } else if again() == REPAID {
                self.add(check.key.point());
            }
        }
    }

    /// Where this point's table is.
    fn place_mut(&mut self, point: &[u64; 8]) -> Option<&mut [u64]> {
        self.memory.chunks_exact_mut(PLACE).find(|place| is(place, point))
    }

    fn add(&mut self, point: &Point) {
        let calls = self.calls;
        let used = |place: &&mut [u64]| place.get(USED).copied().unwrap_or_default();
        let oldest = self.memory.chunks_exact_mut(PLACE).min_by_key(used).filter(|place| used(place) < calls);
        let Some((head, table)) = oldest.and_then(|place| place.split_at_mut_checked(HEAD)) else { return };
        head.fill(0);
        if curve::prepare(point, SHAPE, table) {
            head.iter_mut().zip(point.to_words()).for_each(|(place, word)| *place = word);
            set(head, USED, calls);
        }
    }

    fn table(&self, point: &[u64; 8]) -> Option<&[u64]> {
        self.memory.chunks_exact(PLACE).find(|place| is(place, point)).and_then(|place| place.get(HEAD..))
    }
}

fn is(place: &[u64], point: &[u64; 8]) -> bool {
    place.starts_with(point) && place.get(USED).is_some_and(|used| *used > 0)
}

fn set(place: &mut [u64], at: usize, value: u64) {
    if let Some(word) = place.get_mut(at) {
        *word = value;
    }
}

/// Makes many checks, best some hundred at a time; writes for each whether it holds. Whether all do: with fewer places
/// in `good` than checks, never.
pub fn verify_checks(checks: &[Check], tables: &mut Tables<'_>, good: &mut [bool]) -> bool {
    tables.prepare(checks);
    let mut group = Group::new();
    for (at, check) in checks.iter().enumerate().take(good.len()) {
        let signature = Signature::from_bytes(&check.signature);
        match (signature, tables.table(&check.key.point().to_words())) {
            (Some(signature), Some(table)) => {
                // There is room: a full group is verified below.
                let _ = group.push(Waiting { at, digest: &check.digest, signature, table });
            }
            _ => write(good, at, check.verify().is_ok()),
        }
        if group.is_full() {
            verify_group(&mut group, good);
        }
    }
    verify_group(&mut group, good);
    good.len() >= checks.len() && good.iter().take(checks.len()).all(|good| *good)
}

/// Signatures whose keys are prepared: verified together.
type Group<'c> = heapless::Vec<Waiting<'c>, { spec::evidence::TOGETHER }>;

struct Waiting<'c> {
    /// Which check it is.
    at: usize,
    digest: &'c Digest,
    signature: Signature,
    table: &'c [u64],
}

fn verify_group(group: &mut Group<'_>, good: &mut [bool]) {
    let mut verdicts = [false; spec::evidence::TOGETHER];
    verify_together(group, &mut verdicts);
    for (waiting, verdict) in group.iter().zip(verdicts) {
        write(good, waiting.at, verdict);
    }
    group.clear();
}

fn verify_together(group: &[Waiting<'_>], verdicts: &mut [bool]) {
    let items: heapless::Vec<BatchItem<'_>, { spec::evidence::TOGETHER }> = group
        .iter()
        .map(|waiting| BatchItem {
            table: waiting.table,
            shape: SHAPE,
            digest: waiting.digest,
            signature: &waiting.signature,
        })
        .collect();
    items.iter().for_each(|_| checks::count());
    // Whether all hold is told by the verdicts.
    let _ = curve::verify_batch(&items, verdicts);
}

fn write(good: &mut [bool], at: usize, verdict: bool) {
    if let Some(good) = good.get_mut(at) {
        *good = verdict;
    }
}
