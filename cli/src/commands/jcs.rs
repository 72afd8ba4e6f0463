//! `imagxp jcs`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;
use imagxp::codec::jcs::{self, Sink};
use imagxp::codec::json::{Document, Limits, Node};
use imagxp::key::sha256;

use crate::failure::{Failure, Outcome};
use crate::{input, print};

/// Write JSON in its canonical form (RFC 8785)
#[derive(Args)]
#[command(after_help = "\
The canonical form is what a signature is made over. No newline follows it, so that it can be hashed as it is.

Examples:
  echo '{\"b\":1e1,\"a\":2}' | imagxp jcs
  imagxp jcs payload.json --sha256       # what the key signs, in hex
  imagxp jcs '{\"b\":1}' --payload         # with the bounds of a request's payload")]
pub(crate) struct Jcs {
    /// A file, or the JSON itself; - or nothing is standard input
    json: Option<String>,
    /// Print the SHA-256 of the canonical form instead
    #[arg(long)]
    sha256: bool,
    /// Refuse what a request's payload may not be: more than 4 levels, 64 values, …
    #[arg(long)]
    payload: bool,
}

impl Jcs {
    pub(crate) fn run(self) -> Outcome {
        let json = input::read_or_text(self.json.as_deref())?;
        let limits = if self.payload { Limits::PAYLOAD } else { Limits::WIDE };
        let canonical = canonical(&json, &limits).map_err(|error| Failure::failed(error.name(), error.help()))?;
        if self.sha256 {
            print::line(&print::hex(&sha256(&canonical)))?;
        } else {
            print::bytes(&canonical)?;
            if std::io::stdout().is_terminal() {
                print::line("")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The canonical form, or why the text is none.
pub(crate) fn canonical(json: &[u8], limits: &Limits) -> Result<Vec<u8>, imagxp::Error> {
    struct Bytes(Vec<u8>);
    impl Sink for Bytes {
        fn put(&mut self, bytes: &[u8]) -> Result<(), imagxp::Error> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let mut nodes = vec![Node::default(); limits.nodes.min(usize::from(u16::MAX) - 1)];
    let document = Document::parse(json, limits, &mut nodes)?;
    let mut bytes = Bytes(Vec::with_capacity(json.len()));
    jcs::write(&document.root(), &mut bytes)?;
    Ok(bytes.0)
}
