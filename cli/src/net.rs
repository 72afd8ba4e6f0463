//! The network, for subcommands that use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use imagxp_host::Settings;
use imagxp_host::fetch::{Limits, Range, network, trust};
use tokio::runtime::Runtime;

use crate::failure::Failure;

/// How to reach the network.
#[derive(Args)]
pub(crate) struct Net {
    /// Certificate authorities to trust beside the system's, PEM
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Addresses never to connect to, beside those that are not public; may be repeated
    #[arg(long, value_name = "RANGE")]
    deny: Vec<Range>,
}

impl Net {
    /// Settings for fetches.
    pub(crate) fn settings(&self, development: bool) -> Result<Settings, Failure> {
        let wrong = |error: std::io::Error| Failure::usage(error, "see --cacert, and /etc/resolv.conf");
        let tls = match &self.cacert {
            Some(file) => trust::system_and(file),
            // Plain http on this machine: nobody needs to be trusted.
            None if development => trust::system().or_else(|_| trust::config(trust::nobody())),
            None => trust::system(),
        };
        let network = Arc::new(network::System::new().map_err(wrong)?);
        Ok(Settings {
            network,
            tls: tls.map_err(wrong)?,
            development,
            denied: self.deny.clone(),
            allowed: Vec::new(),
            // Nobody waits here who must not learn why.
            limits: Limits { failure: Duration::ZERO, ..Limits::default() },
        })
    }
}

/// Runs what waits.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::failed(format!("no runtime: {error}"), ""))
}
