//! What went wrong, and what mends it.

use std::fmt::Display;
use std::process::ExitCode;

use crate::print::{ERROR, HINT};

/// The result of a subcommand.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// A failure to report: one sentence that says what, one that names the fix.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    fix: String,
    code: u8,
}

/// Refused, or the other side failed.
const FAILED: u8 = 1;
/// The caller's to mend, as clap's own errors.
const USAGE: u8 = 2;

impl Failure {
    /// The command was called in a way that cannot work.
    pub(crate) fn usage(what: impl Display, fix: impl Display) -> Self {
        Self { what: what.to_string(), fix: fix.to_string(), code: USAGE }
    }

    /// The command was right, and it did not work out.
    pub(crate) fn failed(what: impl Display, fix: impl Display) -> Self {
        Self { what: what.to_string(), fix: fix.to_string(), code: FAILED }
    }

    /// A refusal of the library whose own help is the fix.
    pub(crate) fn of(error: imagxp::Error) -> Self {
        Self::usage(error.name(), error.help())
    }

    pub(crate) fn report(self) -> ExitCode {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", self.what);
        if !self.fix.is_empty() {
            anstream::eprintln!("  {HINT}fix:{HINT:#} {}", self.fix);
        }
        ExitCode::from(self.code)
    }
}
