//! A log's lines, one at a time, however long the log is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use crate::failure::Failure;

/// A line, without its newline.
pub(super) enum Line<'l> {
    /// With a newline behind it.
    Whole(&'l [u8]),
    /// The end of the file stood where its newline should be.
    Rest(&'l [u8]),
}

/// Reads lines.
pub(super) struct Lines {
    name: String,
    from: Box<dyn BufRead>,
    line: Vec<u8>,
    count: u64,
}

/// No record is a tenth as long.
const MOST: u64 = 1 << 20;

impl Lines {
    /// Of a file, or of standard input for `-`; and how many bytes there are, if that is known.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<u64>), Failure> {
        let wrong = |error: std::io::Error| {
            Failure::usage(
                format!("{}: {error}", path.display()),
                "name a log that can be read, or - for standard input",
            )
        };
        let (from, total): (Box<dyn BufRead>, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(std::io::stdin())), None)
        } else {
            let file = File::open(path).map_err(wrong)?;
            let total = file.metadata().ok().map(|file| file.len());
            (Box::new(BufReader::with_capacity(1 << 18, file)), total)
        };
        Ok((Self::of(from, path), total))
    }

    pub(super) fn of(from: Box<dyn BufRead>, path: &Path) -> Self {
        Self { name: path.display().to_string(), from, line: Vec::new(), count: 0 }
    }

    /// The next line; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Failure> {
        self.line.clear();
        self.count += 1;
        let read = self.from.by_ref().take(MOST).read_until(b'\n', &mut self.line);
        let read =
            read.map_err(|error| Failure::failed(format!("{}: {error}", self.name), "is it a file, and whole?"))?;
        if u64::try_from(read).is_ok_and(|read| read == MOST) {
            let what = format!("{}: line {}: NOT_A_RECORD: longer than any record", self.name, self.count);
            return Err(Failure::failed(what, "newlines are gone, or this is no log"));
        }
        Ok(match self.line.strip_suffix(b"\n") {
            Some(line) => Some(Line::Whole(line)),
            None if self.line.is_empty() => None,
            None => Some(Line::Rest(&self.line)),
        })
    }
}
