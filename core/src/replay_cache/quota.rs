//! Who holds how much of the cache, and who is busy: two bounded tables beside the slots.
//!
//! Counts are kept as entries come and go. A process killed in between, or damage, leaves them wrong; so the sweep
//! counts anew on every lap, and a record takes over the recount when it is next touched. Nothing here
//! decides about a replay: a wrong count costs an early or late `AGENT_QUOTA`, no more.

use super::slots::{halves, join, row_of};
use crate::spec::replay;

const RECORD: usize = 3;
const WAYS: usize = 4;
const AGENT_WAYS: usize = 8;

/// One record in words: tag | first seen, last seen | lap, count | recount.
type Record = [u64; RECORD];

/// A registrable name's account.
struct Account {
    /// 0: no account.
    tag: u32,
    first_s: u32,
    last_s: u32,
    /// The lap that `recount` belongs to.
    lap: u32,
    count: u32,
    recount: u32,
}

impl Account {
    /// Reads a record as it stands in `lap`: a lap that has ended since hands its recount over.
    fn read(record: &Record, lap: u32) -> Self {
        let [name, seen, counts] = *record;
        let ((tag, first_s), (last_s, counted), (count, recount)) = (halves(name), halves(seen), halves(counts));
        let (count, recount) = match lap.wrapping_sub(counted) {
            0 => (count, recount),
            1 => (recount, 0),
            _ => (0, 0), // a whole lap met no entry of this name
        };
        Self { tag, first_s, last_s, lap, count, recount }
    }

    fn write(&self, record: &mut Record) {
        *record = [join(self.tag, self.first_s), join(self.last_s, self.lap), join(self.count, self.recount)];
    }

    fn book(&mut self, change: Change) {
        let (count, recount) = change.apply((u64::from(self.count), u64::from(self.recount)));
        self.count = u32::try_from(count).unwrap_or(u32::MAX);
        self.recount = u32::try_from(recount).unwrap_or(u32::MAX);
    }

    fn is_new(&self, now_s: u32) -> bool {
        now_s.saturating_sub(self.first_s) < replay::NEW_NAME_S
    }

    /// Nothing is lost with it: it holds no slot, and it is new anyway or has been idle as long as a name is new.
    fn may_go(&self, now_s: u32) -> bool {
        self.count == 0 && (self.is_new(now_s) || now_s.saturating_sub(self.last_s) >= replay::NEW_NAME_S)
    }
}

/// What a name holds, and whether it counts as new. A name without an account (its row is full of busier ones) is new.
pub(super) struct Standing {
    pub(super) count: u32,
    pub(super) is_new: bool,
}

/// What happens to an entry of a name.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// Written; `recounted`: in a bucket that this lap has passed.
    Put { recounted: bool },
    /// Overwritten or freed after it expired.
    Gone { recounted: bool },
    /// Met by the sweep.
    Met,
}

impl Change {
    /// A count and its recount after the change.
    pub(super) fn apply(self, (count, recount): (u64, u64)) -> (u64, u64) {
        match self {
            Self::Put { recounted } => (count.saturating_add(1), recount.saturating_add(u64::from(recounted))),
            Self::Gone { recounted } => (count.saturating_sub(1), recount.saturating_sub(u64::from(recounted))),
            Self::Met => (count, recount.saturating_add(1)),
        }
    }
}

/// The accounts, four to a row; a name's tag chooses its row.
pub(super) struct Names<'m> {
    rows: &'m mut [[Record; WAYS]],
}

impl<'m> Names<'m> {
    /// One account for 16 slots.
    pub(super) const fn words(buckets: usize) -> usize {
        buckets.div_ceil(WAYS).saturating_mul(WAYS * RECORD)
    }

    pub(super) fn of(words: &'m mut [u64]) -> Self {
        Self { rows: words.as_chunks_mut().0.as_chunks_mut().0 }
    }

    pub(super) fn standing(&self, name: u32, lap: u32, now_s: u32) -> Standing {
        let row = self.rows.get(row_of(name, self.rows.len()));
        let account = row.into_iter().flatten().map(|record| Account::read(record, lap)).find(|it| it.tag == name);
        account.map_or(Standing { count: 0, is_new: true }, |it| Standing { count: it.count, is_new: it.is_new(now_s) })
    }

    /// Books a change and tells whether it is one of a new name.
    pub(super) fn book(&mut self, change: Change, name: u32, lap: u32, now_s: u32) -> bool {
        let at = row_of(name, self.rows.len());
        let Some(row) = self.rows.get_mut(at) else { return true };
        let put = matches!(change, Change::Put { .. });
        let record = match row.iter().position(|[tag, ..]| halves(*tag).0 == name) {
            Some(way) => row.get_mut(way),
            None if put => open(row, name, lap, now_s),
            None => None,
        };
        let Some(record) = record else { return true };
        let mut account = Account::read(record, lap);
        account.book(change);
        if put {
            account.last_s = now_s;
        }
        account.write(record);
        account.is_new(now_s)
    }
}

/// Gives a name an account: a free one, else the one longest unused among those that may go, new names first.
fn open(row: &mut [Record; WAYS], name: u32, lap: u32, now_s: u32) -> Option<&mut Record> {
    let worth = |record: &Record| {
        let account = Account::read(record, lap);
        let free = account.tag == 0;
        (free || account.may_go(now_s)).then(|| (!free, !account.is_new(now_s), account.last_s))
    };
    let (_, record) =
        row.iter_mut().filter_map(|record| Some((worth(record)?, record))).min_by_key(|(worth, _)| *worth)?;
    Account { tag: name, first_s: now_s, last_s: now_s, lap, count: 0, recount: 0 }.write(record);
    Some(record)
}

/// Admissions of single agents in the current window, eight to a row. A hint only, so a crowded row drops the idlest.
pub(super) struct Agents<'m> {
    rows: &'m mut [[u64; AGENT_WAYS]],
}

impl<'m> Agents<'m> {
    /// One counter for 64 slots.
    pub(super) const fn words(buckets: usize) -> usize {
        buckets.div_ceil(32).saturating_mul(AGENT_WAYS)
    }

    pub(super) fn of(words: &'m mut [u64]) -> Self {
        Self { rows: words.as_chunks_mut().0 }
    }

    /// Counts an admission; true past [`replay::BUSY_ADMISSIONS`] in this window.
    pub(super) fn count(&mut self, agent: u32, now_s: u32) -> bool {
        let at = row_of(agent, self.rows.len());
        let [a, b, ..] = now_s.checked_div(replay::BUSY_WINDOW_S).unwrap_or(0).to_le_bytes();
        let window = u16::from_le_bytes([a, b]);
        let Some(counter) = self.rows.get_mut(at).and_then(|row| {
            // The agent's own counter, else one of an old window, else the lowest.
            row.iter_mut().min_by_key(|counter| {
                let (tag, in_window, count) = split(**counter);
                (tag != agent, in_window == window, count)
            })
        }) else {
            return false;
        };
        let (tag, in_window, count) = split(*counter);
        let count = if tag == agent && in_window == window { count.saturating_add(1) } else { 1 };
        *counter = join(agent, u32::from(window) << 16 | u32::from(count));
        u32::from(count) > replay::BUSY_ADMISSIONS
    }
}

/// An agent's counter: its tag, the window, the count.
fn split(counter: u64) -> (u32, u16, u16) {
    let (tag, rest) = halves(counter);
    let [a, b, c, d] = rest.to_le_bytes();
    (tag, u16::from_le_bytes([c, d]), u16::from_le_bytes([a, b]))
}
