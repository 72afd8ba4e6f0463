//! One file a subcommand.

mod broker;
mod buy;
mod completions;
mod demo;
mod evidence;
mod feedback;
mod fetch;
mod inspect;
mod jcs;
mod jwks;
mod keygen;
mod manifest;
mod policy;
mod serve_manifest;
mod sign;
mod size;
mod verify;
mod visa;

use clap::Subcommand;

use crate::failure::Outcome;

/// What `imagxp` does.
#[derive(Subcommand)]
pub(crate) enum Command {
    Keygen(keygen::Keygen),
    Manifest(manifest::Manifest),
    ServeManifest(serve_manifest::ServeManifest),
    Sign(sign::Sign),
    Fetch(fetch::Fetch),
    Verify(Box<verify::Verify>),
    Visa(Box<visa::Visa>),
    Broker(Box<broker::Broker>),
    Jwks(jwks::Jwks),
    Policy(policy::Policy),
    Feedback(feedback::Feedback),
    Evidence(evidence::Evidence),
    Inspect(inspect::Inspect),
    Jcs(jcs::Jcs),
    Size(size::Size),
    Demo(demo::Demo),
    Completions(completions::Completions),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Keygen(command) => command.run(),
            Self::Manifest(command) => command.run(),
            Self::ServeManifest(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Fetch(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Visa(command) => command.run(),
            Self::Broker(command) => command.run(),
            Self::Jwks(command) => command.run(),
            Self::Policy(command) => command.run(),
            Self::Feedback(command) => command.run(),
            Self::Evidence(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Jcs(command) => command.run(),
            Self::Size(command) => command.run(),
            Self::Demo(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}
