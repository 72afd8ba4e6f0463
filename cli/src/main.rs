//! `imagxp`: keys, manifests, signed requests and verdicts on the command line.
//!
//! One file a subcommand in `commands/`; beside it what several of them share. Every subcommand reads its input, calls the
//! library, and prints; what is decided is decided there.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod commands;
mod errand;
mod explain;
mod failure;
mod input;
mod keys;
mod net;
mod policy_fault;
mod policy_file;
mod print;
mod progress;
mod purpose;
mod question;
mod random;
mod request_file;
mod serve;
mod sign;
mod target;
mod verdict;
mod verifier;
mod wish;

use std::process::ExitCode;

use clap::Parser;

/// Identity of AI agents on the web: make keys, publish them, sign requests, verify them.
#[derive(Parser)]
#[command(name = "imagxp", version, styles = print::STYLES, max_term_width = 110, after_help = START)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

const START: &str = "\
An agent, from nothing:
  (umask 077; imagxp keygen > .env) && set -a && . ./.env && set +a
  export IMAGXP_AGENT_ID=bot.example.com
  imagxp manifest --contact you@example.com > imagxp-agent.json
      # serve it at https://bot.example.com/.well-known/imagxp-agent.json
  imagxp fetch https://pub.example.com/a --purpose RAG_RETRIEVAL

What a publisher makes of a request:
  imagxp sign https://pub.example.com/a --purpose SUMMARY > headers
  imagxp verify headers --url https://pub.example.com/a --manifest imagxp-agent.json

Without a domain, on this machine only: `imagxp demo`, and --dev.";

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.command.run().unwrap_or_else(|failure| failure.report())
}
