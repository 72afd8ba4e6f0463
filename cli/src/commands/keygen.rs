//! `imagxp keygen`

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use imagxp::KeyPair;
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::keys::{PRIVATE_KEY, PUBLIC_KEY};
use crate::{print, random};

/// Make a new key pair
#[derive(Args)]
#[command(after_help = "\
Prints the lines of an .env file, the private key among them: redirect it into a file that only you can read.

Examples:
  (umask 077; imagxp keygen > .env)
  imagxp keygen --pem agent          # agent.key.pem (mode 600) and agent.pub.pem; prints no secret
  openssl pkey -in agent.key.pem -text -noout

Use a key for this protocol only, and keep the private half out of version control.")]
pub(crate) struct Keygen {
    /// Write PREFIX.key.pem (mode 600) and PREFIX.pub.pem instead of printing
    #[arg(long, value_name = "PREFIX")]
    pem: Option<PathBuf>,
}

impl Keygen {
    pub(crate) fn run(self) -> Outcome {
        let key = generate()?;
        match &self.pem {
            Some(prefix) => write_pem(&key, prefix)?,
            None => print_env(&key)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A new key pair.
pub(crate) fn generate() -> Result<KeyPair, Failure> {
    loop {
        let random = Zeroizing::new(random::bytes::<32>()?);
        // Not below the group order: once in 2^32.
        if let Ok(key) = KeyPair::from_random(&random) {
            return Ok(key);
        }
    }
}

fn print_env(key: &KeyPair) -> Result<(), Failure> {
    let mut text = Zeroizing::new([0; 256]);
    let private = key.to_text(&mut *text).map_err(Failure::of)?;
    let env = format!("{PRIVATE_KEY}=\"{private}\"\n{PUBLIC_KEY}=\"{}\"\n", key.public().to_text().as_str());
    print::bytes(Zeroizing::new(env).as_bytes())
}

fn write_pem(key: &KeyPair, prefix: &Path) -> Result<(), Failure> {
    let mut text = Zeroizing::new([0; 512]);
    let named = |suffix: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (private, public) = (named(".key.pem"), named(".pub.pem"));
    write_new(&private, 0o600, key.to_pem(&mut *text).map_err(Failure::of)?)?;
    write_new(&public, 0o644, key.public().to_pem(&mut *text).map_err(Failure::of)?)?;
    print::row("private key", &format!("{} (mode 600)", private.display()))?;
    print::row("public key", &public.display().to_string())?;
    print::row("kid", key.public().kid().as_str())
}

/// A new file: never over one that is there, since a lost key cannot be had again.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written =
        options.open(path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        let fix = "choose another prefix, or move the old file away: keys are never written over";
        Failure::usage(format!("{}: {error}", path.display()), fix)
    })
}
