//! One request, and what it takes to judge it: the arguments that `verify` and `evidence record` share.

use std::path::PathBuf;

use clap::Args;
use imagxp::{Headers, Policy, UnixMillis, Visit};
use imagxp_host::fetch::target::Target;

use crate::failure::Failure;
use crate::request_file::RequestFile;
use crate::verifier::Sources;
use crate::{clock, input, net, policy_file, target};

/// One request, and what it takes to judge it.
#[derive(Args)]
pub(crate) struct Question {
    /// The request's headers, `name: value` a line, or the JSON of `imagxp sign --json`
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) headers: PathBuf,
    /// The URL that was requested, as the publisher knows it
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The method of the request; the protocol does not sign it
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// The agent's manifest [default: fetched from the agent's domain]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The key set of every issuer of visas [default: fetched from the policy's URLs]
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks: Option<PathBuf>,
    /// Fetch nothing
    #[arg(long)]
    pub(crate) offline: bool,
    /// The publisher's policy, JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The time to judge by [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    pub(crate) now: Option<UnixMillis>,
    /// Development mode: localhost names, plain http to this machine; not with a production audience
    #[arg(long)]
    pub(crate) dev: bool,
    #[command(flatten)]
    pub(crate) net: net::Net,
}

/// Admits every purpose: what is asked is whether the request is good.
const OPEN_POLICY: &[u8] = br#"{"allowTraining":true,"allowRAG":true}"#;

impl Question {
    /// The URL, taken apart.
    pub(crate) fn target(&self) -> Result<Option<Target>, Failure> {
        self.url.as_deref().map(|url| target::parse(url, self.dev)).transpose()
    }

    /// The request's headers.
    pub(crate) fn request(&self) -> Result<RequestFile, Failure> {
        RequestFile::parse(&input::read(&self.headers)?)
    }

    /// The policy, or one that admits every purpose.
    pub(crate) fn policy<'w>(&self, words: &'w mut [u64]) -> Result<Policy<'w>, Failure> {
        policy_file::read(self.policy.as_deref(), OPEN_POLICY, self.dev, words)
    }

    /// Where documents come from.
    pub(crate) fn sources(&self) -> Result<Sources, Failure> {
        // With both documents at hand the network is not needed, nor are its certificates.
        let needless = self.manifest.is_some() && (self.jwks.is_some() || self.policy.is_none());
        let offline = self.offline || needless;
        Sources::open(self.manifest.as_deref(), self.jwks.as_deref(), offline, &self.net, self.dev)
    }

    /// The request at this URL.
    pub(crate) fn visit<'a>(&'a self, headers: Headers<'a>, target: Option<&'a Target>) -> Visit<'a> {
        let (scheme, authority, path) = target.map_or(("https", "", "/"), |target| {
            (if target.tls { "https" } else { "http" }, &target.authority, &target.path)
        });
        Visit { method: &self.method, scheme, authority, target: path, vouched: 0, headers }
    }
}
