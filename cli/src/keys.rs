//! Where keys come from: files and the environment, never the command line, where every user of the machine could read
//! them.

use std::path::{Path, PathBuf};

use clap::Args;
use imagxp::{KeyPair, PublicKey, host};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::{input, print};

/// The variables of an agent's `.env`.
pub(crate) const PRIVATE_KEY: &str = "IMAGXP_PRIVATE_KEY";
pub(crate) const PUBLIC_KEY: &str = "IMAGXP_PUBLIC_KEY";

/// Who signs, and with what.
#[derive(Args)]
pub(crate) struct Agent {
    /// The agent's domain
    #[arg(long, value_name = "NAME", env = "IMAGXP_AGENT_ID")]
    pub(crate) agent_id: Option<String>,
    /// File with the private key: PEM, .env, base64 of PKCS#8, JWK, or hex [default: $IMAGXP_PRIVATE_KEY]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

impl Agent {
    /// The agent's name, if it is one.
    pub(crate) fn name(&self, development: bool) -> Result<&str, Failure> {
        let fix = "pass --agent-id bot.example.com, or set IMAGXP_AGENT_ID";
        let name = self.agent_id.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::usage("whose request is it?", fix))?;
        let mode = if development { host::Mode::Development } else { host::Mode::Production };
        host::check_agent_id(name, mode).map_err(|error| {
            let local = name.starts_with("localhost");
            let fix = if local { "localhost names are for --dev" } else { error.help() };
            Failure::usage(format!("`{}` cannot be an agent's name", print::shown(name)), fix)
        })?;
        Ok(name)
    }

    /// The private key.
    pub(crate) fn key_pair(&self) -> Result<KeyPair, Failure> {
        key_pair(self.key.as_deref())
    }

    /// The public key: of the private one if there is one, else from `$IMAGXP_PUBLIC_KEY`.
    pub(crate) fn public_key(&self) -> Result<PublicKey, Failure> {
        if self.key.is_some() || std::env::var_os(PUBLIC_KEY).is_none() {
            return self.key_pair().map(|pair| *pair.public());
        }
        let key = read_public(value_of(from_environment(PUBLIC_KEY)?.as_bytes(), PUBLIC_KEY))?;
        // Half of a new pair and half of an old one is a mistake that shows only at the publisher's.
        if std::env::var_os(PRIVATE_KEY).is_some() && *self.key_pair()?.public() != key {
            let fix = "take both from one `imagxp keygen`, or unset IMAGXP_PUBLIC_KEY";
            return Err(Failure::usage(format!("${PUBLIC_KEY} is not the public half of ${PRIVATE_KEY}"), fix));
        }
        Ok(key)
    }
}

/// The private key of a file, or else of `$IMAGXP_PRIVATE_KEY`.
pub(crate) fn key_pair(file: Option<&Path>) -> Result<KeyPair, Failure> {
    let (text, from) = match file {
        Some(path) => {
            warn_if_readable(path);
            (Zeroizing::new(input::read(path)?), path.display().to_string())
        }
        None => (Zeroizing::new(from_environment(PRIVATE_KEY)?.into_bytes()), format!("${PRIVATE_KEY}")),
    };
    KeyPair::from_text(value_of(&text, PRIVATE_KEY)).map_err(|error| {
        let fix = format!("{}; `imagxp keygen` makes one", error.help());
        Failure::usage(format!("{from} holds no private key"), fix)
    })
}

/// The public key of a file: as headers write it, PEM, or a line of an `.env`.
pub(crate) fn public_file(path: &Path) -> Result<PublicKey, Failure> {
    let text = Zeroizing::new(input::read(path)?);
    read_public(value_of(&text, PUBLIC_KEY))
        .map_err(|_| Failure::usage(format!("{} holds no public key", path.display()), PUBLIC_FORMS))
}

const PUBLIC_FORMS: &str = "give the public half: PEM, base64 as headers carry it, or an .env with IMAGXP_PUBLIC_KEY";

/// A public key as headers write it, or PEM.
pub(crate) fn read_public(text: &[u8]) -> Result<PublicKey, Failure> {
    let text = text.trim_ascii();
    let key = if text.starts_with(b"-----") { PublicKey::from_pem(text) } else { PublicKey::from_text(text) };
    key.map_err(|error| Failure::usage("that is not a public key", error.help()))
}

fn from_environment(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| {
        let fix = "pass --key FILE, or: (umask 077; imagxp keygen > .env) && set -a && . ./.env && set +a";
        Failure::usage(format!("no key: ${name} is not set"), fix)
    })
}

/// The value of a variable in the text of an `.env`, or else the text itself, without quotes.
pub(crate) fn value_of<'t>(text: &'t [u8], name: &str) -> &'t [u8] {
    let value = |line: &'t [u8]| line.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    let text = text.split(|byte| *byte == b'\n').find_map(value).unwrap_or(text).trim_ascii();
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

#[cfg(unix)]
fn warn_if_readable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 && path != Path::new("-") && path.is_file() {
        print::remark(&format!("{0}: others can read this key: chmod 600 {0}", path.display()));
    }
}

#[cfg(not(unix))]
fn warn_if_readable(_: &Path) {}
