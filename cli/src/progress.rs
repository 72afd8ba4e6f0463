//! Progress on a terminal, on stderr; nothing anywhere else.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How far a long reading has come.
pub(crate) struct Progress {
    /// Bytes in all, if that is known.
    total: Option<u64>,
    bytes: u64,
    lines: u64,
    /// None where there is no terminal.
    shown: Option<Instant>,
    drawn: bool,
}

const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// Of `total` bytes.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal().then(Instant::now);
        Self { total, bytes: 0, lines: 0, shown, drawn: false }
    }

    /// A line of so many bytes is done.
    pub(crate) fn line(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or_default());
        self.lines += 1;
        if self.shown.is_some_and(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            self.drawn = true;
            eprint!("\r{} lines{}\u{1b}[K", self.lines, self.part());
            let _ = std::io::stderr().flush();
        }
    }

    fn part(&self) -> String {
        let percent = self.total.and_then(|total| self.bytes.saturating_mul(100).checked_div(total));
        percent.map_or(String::new(), |percent| format!(", {percent} %"))
    }
}

impl Drop for Progress {
    /// Leaves the line empty.
    fn drop(&mut self) {
        if self.drawn {
            eprint!("\r\u{1b}[K");
        }
    }
}
