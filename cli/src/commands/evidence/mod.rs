//! `imagxp evidence record` and `imagxp evidence verify`

mod audit;
mod documents;
mod lines;
mod prove;
mod record;
mod tail;
mod verify;

use clap::{Args, Subcommand};

use crate::failure::Outcome;

pub(super) use audit::{Audit, Fault};

/// Keep a log of decisions that others can verify, and verify one
#[derive(Args)]
#[command(after_help = "\
A log is lines of JSON, each chained to the one before by its SHA-256: documents as they were fetched, decisions with the
request as it came, and checkpoints that the publisher signs.

Examples:
  imagxp evidence record log.jsonl headers.txt --url https://pub.example.com/a --key publisher.key.pem
  imagxp evidence verify log.jsonl --publisher publisher.pub.pem
  imagxp evidence verify log.jsonl --record 2 --manifest archived.json")]
pub(crate) struct Evidence {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Record(Box<record::Record>),
    Verify(verify::Verify),
}

impl Evidence {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Record(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}
