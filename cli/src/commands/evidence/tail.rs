//! The end of a log that is to be gone on with.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use imagxp::evidence::{Head, Record};
use imagxp::key::sha256;

use super::documents::Documents;
use super::lines::{Line, Lines};
use crate::failure::Failure;

/// A log, locked for one writer, and where it ends.
pub(super) struct Tail {
    file: File,
    /// Bytes of the whole lines.
    bytes: u64,
    /// Bytes of a torn last line.
    pub(super) torn: u64,
    pub(super) head: Head,
    /// How many lines the last checkpoint leaves unsigned behind it.
    pub(super) unsealed: u64,
    pub(super) documents: Documents,
}

impl Tail {
    /// Opens a log, or makes it, and reads it to its end.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| {
            Failure::usage(format!("{}: {error}", path.display()), "name a log that can be written, or a new file")
        };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(wrong)?;
        // Two writers would make two chains.
        file.lock().map_err(wrong)?;
        let mut lines = Lines::of(Box::new(BufReader::new(file.try_clone().map_err(wrong)?)), path);
        let mut tail =
            Self { file, bytes: 0, torn: 0, head: Head::EMPTY, unsealed: 0, documents: Documents::default() };
        while let Some(line) = lines.next()? {
            match line {
                Line::Whole(line) => tail.take(line, path)?,
                Line::Rest(rest) => tail.torn = u64::try_from(rest.len()).unwrap_or(u64::MAX),
            }
        }
        Ok(tail)
    }

    /// A line that is there. Signatures are not checked: that is what `verify` is for.
    fn take(&mut self, line: &[u8], path: &Path) -> Result<(), Failure> {
        let number = self.head.count + 1;
        let damaged = |why: &str| {
            let fix =
                format!("see what happened to it: imagxp evidence verify {}; go on with a new log", path.display());
            Failure::failed(format!("{}: line {number}: {why}", path.display()), fix)
        };
        let (record, prev) = Record::parse(line).map_err(|what| damaged(what.help()))?;
        if prev != self.head.hash {
            return Err(damaged("it does not follow on the line before"));
        }
        self.unsealed += 1;
        match record {
            Record::Document(document) => self.documents.add(&document),
            Record::Checkpoint(_) => self.unsealed = 0,
            Record::Decision(_) => {}
        }
        self.head = Head { hash: sha256(line), count: number };
        self.bytes = self.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX)).saturating_add(1);
        Ok(())
    }

    /// Appends whole lines in one piece, where the last whole line ends, and waits until they are on the disk.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Failure> {
        let mut write = || {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            self.file.write_all(lines)?;
            self.file.sync_all()
        };
        write().map_err(|error| {
            Failure::failed(format!("the log: {error}"), "is the disk full? What was torn is recovered")
        })
    }
}
