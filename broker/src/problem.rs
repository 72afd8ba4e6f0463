//! Why the broker does not start, and what mends it.

use std::fmt;

/// One sentence that says what is wrong, one that names the fix.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What mends it; empty if nothing here can.
    pub fix: String,
}

impl Problem {
    pub(crate) fn new(what: impl fmt::Display, fix: impl fmt::Display) -> Self {
        Self { what: what.to_string(), fix: fix.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n  fix: {}", self.fix) }
    }
}
