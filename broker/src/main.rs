//! `imagxp-broker`: the broker alone, the same as `imagxp broker`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use imagxp_broker::{Options, run};

/// Sells visas to verified agents, and settles what they pay.
#[derive(Parser)]
#[command(name = "imagxp-broker", version, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    match run(&Cli::parse().options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}
