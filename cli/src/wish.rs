//! What an agent asks for: the arguments that `sign` and `fetch` share.

use clap::Args;
use imagxp::{Claims, KeyPair, UnixMillis};
use imagxp_host::fetch::target::Target;

use crate::failure::Failure;
use crate::{keys, purpose, sign, target};

/// One request, not yet signed.
#[derive(Args)]
pub(crate) struct Wish {
    /// The absolute URL of the page
    url: String,
    #[command(flatten)]
    pub(crate) agent: keys::Agent,
    /// What the content is wanted for
    #[arg(long, value_name = "PURPOSE", value_parser = purpose::NAMES, ignore_case = true)]
    purpose: String,
    /// Say that ads are shown beside the content
    #[arg(long)]
    ads_displayed: bool,
    /// A visa to send along (x-imagxp-credential)
    #[arg(long, value_name = "TOKEN")]
    visa: Option<String>,
    /// Development mode: localhost names, plain http to this machine
    #[arg(long)]
    pub(crate) dev: bool,
}

impl Wish {
    /// Where it goes. Says so if development mode is on.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        target::announce_development(self.dev);
        target::parse(&self.url, self.dev)
    }

    /// What is signed.
    pub(crate) fn claims<'a>(&'a self, url: &'a str) -> Result<Claims<'a>, Failure> {
        Ok(Claims {
            agent_id: self.agent.name(self.dev)?,
            resource: url,
            purpose: purpose::of(&self.purpose.to_ascii_uppercase()),
            ads_displayed: self.ads_displayed,
        })
    }

    /// The headers to send.
    pub(crate) fn sign(
        &self,
        key: &KeyPair,
        claims: &Claims<'_>,
        now: UnixMillis,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        sign::sign(key, claims, self.visa.as_deref(), now)
    }
}
