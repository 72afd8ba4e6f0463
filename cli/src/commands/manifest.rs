//! `imagxp manifest`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use imagxp::agent::{ListedKey, RevokedKey};
use imagxp::{PublicKey, spec, write_manifest};
use imagxp_host::system;

use crate::failure::{Failure, Outcome};
use crate::{clock, input, keys, print, target};

/// Write the manifest that an agent publishes
#[derive(Args)]
#[command(after_help = "\
The agent's domain serves it at https://NAME/.well-known/imagxp-agent.json, with status 200, application/json, and
without a redirect. `imagxp serve-manifest` does, behind a server that speaks TLS.

Examples:
  imagxp manifest --agent-id bot.example.com --contact security@example.com > imagxp-agent.json
  imagxp manifest --key agent.key.pem --next next.pub.pem      # announce the next key, then switch
  imagxp manifest --revoke 5vP3…                               # a key that is good no more, from now on
  imagxp manifest --dev --agent-id localhost:8080")]
pub(crate) struct Manifest {
    #[command(flatten)]
    pub(crate) content: Content,
    /// Development mode: localhost names
    #[arg(long)]
    dev: bool,
}

/// What a manifest says.
#[derive(Args)]
pub(crate) struct Content {
    #[command(flatten)]
    agent: keys::Agent,
    /// Whom to write to
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// A public key that is good beside the current one (PEM or base64, a file); may be repeated up to four times
    #[arg(long, value_name = "FILE")]
    next: Vec<PathBuf>,
    /// The kid of a key that is good no more, from now on or from @TIME; may be repeated
    #[arg(long, value_name = "KID[@TIME]")]
    revoke: Vec<String>,
}

impl Manifest {
    pub(crate) fn run(self) -> Outcome {
        target::announce_development(self.dev);
        let document = self.content.write(self.dev)?;
        print::line(&document)?;
        let scheme = if self.dev { "http" } else { "https" };
        let name = self.content.agent.name(self.dev)?;
        print::remark(&format!("serve it at {scheme}://{name}{}", spec::MANIFEST_PATH));
        Ok(ExitCode::SUCCESS)
    }
}

impl Content {
    /// The document.
    pub(crate) fn write(&self, development: bool) -> Result<String, Failure> {
        let (agent_id, public_key) = (self.agent.name(development)?, self.agent.public_key()?);
        let listed: Vec<PublicKey> =
            self.next.iter().map(|file| keys::read_public(&input::read(file)?)).collect::<Result<_, _>>()?;
        let listed: Vec<_> = listed.iter().map(|key| ListedKey { key, nbf_s: None, exp_s: None }).collect();
        let revoked: Vec<_> = self.revoke.iter().map(|entry| revoked(entry)).collect::<Result<_, _>>()?;
        if revoked.iter().any(|revoked| revoked.kid == public_key.kid().as_str()) {
            let fix = "make a new key first: imagxp keygen";
            return Err(Failure::usage("the key to revoke is the one that the manifest would publish", fix));
        }
        let manifest = imagxp::Manifest {
            agent_id,
            public_key: &public_key,
            contact_email: self.contact.as_deref(),
            keys: &listed,
            revoked: &revoked,
        };
        let mut out = [0; spec::document::MANIFEST_MAX];
        Ok(write_manifest(&manifest, &mut out).map_err(Failure::of)?.to_owned())
    }
}

fn revoked(entry: &str) -> Result<RevokedKey<'_>, Failure> {
    let (kid, at) = entry.split_once('@').map_or((entry, None), |(kid, at)| (kid, Some(at)));
    let wrong = |why: &str| {
        Failure::usage(format!("--revoke {}: {why}", print::shown(entry)), "KID, or KID@2026-01-26T12:00:00Z")
    };
    if kid.len() != 43 {
        return Err(wrong("a kid is 43 characters; `imagxp inspect` shows the kid of a key"));
    }
    let at = at.map_or_else(|| Ok(system::now()), |at| clock::parse(at).map_err(|why| wrong(&why)))?;
    Ok(RevokedKey { kid, at_s: u64::try_from(at.s()).map_err(|_| wrong("before 1970"))? })
}
