//! A whole log, verified line by line in a few hundred bytes of state.

use super::checks::{Check, Checks};
use super::write::checkpoint_digest;
use super::{Head, Record};
use crate::key::{Digest, PublicKey, sha256};
use crate::{Error, spec};

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Not a line that this library writes: its bytes were changed.
    NotARecord,
    /// The content of a record in another spelling: its bytes were changed.
    NotCanonical,
    /// The document's body is not the one whose SHA-256 it states: one of them was changed.
    Body,
    /// It does not follow on the line before it: that one was changed, or lines between the two are gone, or this is
    /// not where it belongs.
    Chain,
    /// It follows on the line before the previous one: the previous line was added, or swapped with its neighbour.
    Previous,
    /// A checkpoint states fewer or more lines than there are before it: some were added, or are gone.
    Count {
        /// What it states.
        stated: u64,
        /// What there is.
        found: u64,
    },
    /// A checkpoint by a key that is none of the publisher's.
    Key,
    /// A signature does not verify: a checkpoint's, or one that its verdict says was good.
    Signature,
    /// A decision that its verdict says rests on a manifest or a key set, which do not bear it out.
    Document,
}

impl What {
    /// The name as tools show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotARecord => "NOT_A_RECORD",
            Self::NotCanonical => "NOT_CANONICAL",
            Self::Body => "BODY",
            Self::Chain => "CHAIN",
            Self::Previous => "PREVIOUS",
            Self::Count { .. } => "COUNT",
            Self::Key => "KEY",
            Self::Signature => "SIGNATURE",
            Self::Document => "DOCUMENT",
        }
    }

    /// One sentence for people.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::NotARecord => "this line is no record: its bytes were changed",
            Self::NotCanonical => "this line is not canonical JSON: its bytes were changed",
            Self::Body => "the document's body is not the one whose SHA-256 is stated",
            Self::Chain => "this line does not follow on the one before: that one was changed, or lines are missing",
            Self::Previous => {
                "this line follows on the one before the previous: the previous one does not belong there"
            }
            Self::Count { .. } => "the checkpoint states another number of lines: some were added, or are gone",
            Self::Key => "the checkpoint is signed by a key that is none of the publisher's",
            Self::Signature => "a signature does not verify",
            Self::Document => "the recorded documents do not bear out the verdict",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which line, from 1.
    pub line: u64,
    /// What.
    pub what: What,
}

/// A log that is being verified. Feed it each line that ends with a newline, then what is left behind the last one.
///
/// It does not stop at a fault: it goes on from the line as it is, so that every fault is found and named once.
#[derive(Clone, Debug)]
pub struct Log<'k> {
    keys: &'k [PublicKey],
    state: State,
}

/// How far a log has been verified: what a caller keeps who has no place for a [`Log`] between two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Where the chain is.
    pub head: Head,
    /// The hash of the line before the last.
    pub before: Digest,
    /// The line of the last checkpoint whose signature is good.
    pub sealed: u64,
    /// How far the counts of checkpoints are off, once one was reported.
    pub shift: i64,
    /// Bytes of the lines.
    pub bytes: u64,
    /// How many faults were reported.
    pub faults: u64,
}

/// What a whole log comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Where the chain ends: a writer goes on from here.
    pub head: Head,
    /// Bytes of the whole lines: a writer cuts the file here before it goes on.
    pub bytes: u64,
    /// Lines behind the last good checkpoint: chained, not signed.
    pub unsealed: u64,
    /// Bytes of a last line that was torn while being written; 0 is none.
    pub torn: usize,
    /// How many faults were reported.
    pub faults: u64,
}

impl<'k> Log<'k> {
    /// From the beginning; `keys` are the publisher's, under which checkpoints are good.
    #[must_use]
    pub fn new(keys: &'k [PublicKey]) -> Self {
        Self::resume(keys, Head::EMPTY)
    }

    /// From a head that is trusted: the rest of a log whose beginning was verified before.
    #[must_use]
    pub fn resume(keys: &'k [PublicKey], head: Head) -> Self {
        let sealed = head.count;
        Self::with_state(keys, State { head, before: head.hash, sealed, shift: 0, bytes: 0, faults: 0 })
    }

    /// From where [`Self::state`] was.
    #[must_use]
    pub fn with_state(keys: &'k [PublicKey], state: State) -> Self {
        Self { keys, state }
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Where the chain is.
    #[must_use]
    pub fn head(&self) -> Head {
        self.state.head
    }

    /// Takes the next line, without its newline. A checkpoint's signature is checked here.
    ///
    /// # Errors
    /// What is wrong with this line. Go on with the next all the same.
    pub fn line<'l>(&mut self, line: &'l [u8]) -> Result<Record<'l>, Fault> {
        let (record, checks) = self.line_unchecked(line)?;
        for check in &checks {
            self.seal(check.line, check.verify().is_ok())?;
        }
        Ok(record)
    }

    /// As [`Self::line`], but leaves the check of a checkpoint's signature to the caller, who makes many at once
    /// ([`super::verify_checks`]) and hands over what came of it ([`Self::seal`]). Until then the checkpoint seals nothing.
    ///
    /// # Errors
    /// As [`Self::line`], but for [`What::Signature`].
    pub fn line_unchecked<'l>(&mut self, line: &'l [u8]) -> Result<(Record<'l>, Checks), Fault> {
        let (before, head) = (self.state.before, self.state.head);
        self.state.before = head.hash;
        self.state.head = Head { hash: sha256(line), count: head.count.saturating_add(1) };
        self.state.bytes =
            self.state.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX)).saturating_add(1);
        let (record, prev) = Record::parse(line).map_err(|what| self.fault(what))?;
        if prev != head.hash {
            return Err(self.fault(if prev == before { What::Previous } else { What::Chain }));
        }
        let mut checks = Checks::new();
        if let Record::Checkpoint(checkpoint) = &record {
            // There is room: it is the first.
            let _ = checks.push(self.checkpoint(checkpoint, head.count)?);
        }
        Ok((record, checks))
    }

    /// What came of the check of the checkpoint on this line: if it is `good`, nothing up to there was altered since it was
    /// signed.
    ///
    /// # Errors
    /// [`What::Signature`], of that line.
    pub fn seal(&mut self, line: u64, good: bool) -> Result<(), Fault> {
        if !good {
            return Err(self.fault_of(line, What::Signature));
        }
        self.state.sealed = self.state.sealed.max(line);
        Ok(())
    }

    /// The end: `rest` is what stands behind the last newline. A line without its newline was torn while being written;
    /// it is no fault, and no record.
    #[must_use]
    pub fn finish(&self, rest: &[u8]) -> Summary {
        let unsealed = self.state.head.count.saturating_sub(self.state.sealed);
        Summary {
            head: self.state.head,
            bytes: self.state.bytes,
            unsealed,
            torn: rest.len(),
            faults: self.state.faults,
        }
    }

    /// Count and key are judged here; the signature is left to a [`Check`].
    fn checkpoint(&mut self, checkpoint: &super::Checkpoint<'_>, found: u64) -> Result<Check, Fault> {
        let stated = checkpoint.head.count;
        let shift = i64::try_from(found).unwrap_or(i64::MAX).saturating_sub_unsigned(stated);
        if shift != self.state.shift {
            self.state.shift = shift;
            return Err(self.fault(What::Count { stated, found }));
        }
        let known = self.keys.iter().find(|key| key.kid().as_str() == checkpoint.kid).copied();
        let key = known.ok_or_else(|| self.fault(What::Key))?;
        let digest = checkpoint_digest(&checkpoint.head, checkpoint.kid, checkpoint.at);
        let digest = digest.map_err(|_: Error| self.fault(What::NotARecord))?;
        Ok(Check { line: self.state.head.count, key, digest, signature: checkpoint.signature })
    }

    /// A fault of the line at hand. Callers who find one themselves ([`super::Decision::prove`]) count it so, too.
    pub fn fault(&mut self, what: What) -> Fault {
        self.fault_of(self.state.head.count, what)
    }

    fn fault_of(&mut self, line: u64, what: What) -> Fault {
        self.state.faults = self.state.faults.saturating_add(1);
        Fault { line, what }
    }
}

const _: () = assert!(spec::evidence::LINE_MAX >= spec::evidence::BODY_MAX + spec::evidence::URL_MAX + 512);
