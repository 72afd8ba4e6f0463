//! `imagxp jwks write` and `imagxp jwks inspect`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use imagxp::codec::json::{Document, Limits, Node};
use imagxp::jose::jwk::{self, Jwk};
use imagxp::{Error, PublicKey, PublishedKey, spec, write_jwks};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::print::{ERROR, GOOD, shown};
use crate::{input, keys, print};

/// Write a broker's key set (JWK Set), or say what a verifier makes of one
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp jwks write broker.pub.pem > jwks.json        # under its thumbprint
  imagxp jwks write 1=old.pub.pem 2=new.pub.pem
  imagxp jwks inspect jwks.json")]
pub(crate) struct Jwks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Write(Write),
    Inspect(Inspect),
}

impl Jwks {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Write(command) => command.run(),
            Command::Inspect(command) => command.run(),
        }
    }
}

/// Write the key set to serve at /.well-known/jwks.json
#[derive(Args)]
#[command(after_help = "\
Publish a new key here, and wait an hour, before the first visa is signed with it.

Examples:
  imagxp jwks write broker.pub.pem
  imagxp jwks write 1=old.pub.pem 2=new.pub.pem > jwks.json")]
struct Write {
    /// Public keys, each under a name (kid) [default name: the key's thumbprint]
    #[arg(value_name = "[KID=]FILE", required = true)]
    keys: Vec<String>,
}

impl Write {
    fn run(self) -> Outcome {
        let named: Vec<_> = self.keys.iter().map(|entry| named(entry)).collect::<Result<_, _>>()?;
        let keys: Vec<_> = named.iter().map(|(kid, key)| PublishedKey { kid, key }).collect();
        let mut out = vec![0; spec::document::JWKS_MAX];
        let set = write_jwks(&keys, &mut out).map_err(|error| Failure::usage(error.name(), fix(error)))?;
        print::line(set)?;
        print::remark(&format!("serve it at https://your-broker{}", spec::JWKS_PATH));
        Ok(ExitCode::SUCCESS)
    }
}

fn fix(error: Error) -> &'static str {
    match error {
        Error::JwksDuplicateKid => "give each key a name of its own: 1=old.pub.pem 2=new.pub.pem",
        _ => "1 to 32 keys, with names of 1 to 128 bytes",
    }
}

/// `KID=FILE`, or a file whose name may hold `=`.
fn named(entry: &str) -> Result<(String, PublicKey), Failure> {
    match entry.split_once('=') {
        Some((kid, file)) if !Path::new(entry).is_file() => Ok((kid.to_owned(), keys::public_file(Path::new(file))?)),
        _ => {
            let key = keys::public_file(Path::new(entry))?;
            Ok((key.kid().as_str().to_owned(), key))
        }
    }
}

/// Say what a verifier makes of a key set, key by key
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 tokens can verify with it, 1 none can, 2 the command itself is wrong.

Examples:
  imagxp jwks inspect jwks.json
  curl -s https://broker.example.com/.well-known/jwks.json | imagxp jwks inspect --json

JSON: one object with the members code, help, keys (an array of kid, thumbprint, state, why).")]
struct Inspect {
    /// The key set; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One entry, as a verifier sees it.
struct Entry {
    kid: Option<String>,
    thumbprint: Option<String>,
    /// `usable`, `passed over`, `private`.
    state: &'static str,
    why: String,
}

impl Inspect {
    fn run(self) -> Outcome {
        let body = Zeroizing::new(input::read(&self.file)?);
        let entries = read(&body);
        let refusal = entries.as_ref().map_or_else(|error| Some(*error), |entries| judge(entries));
        let entries = entries.unwrap_or_default();
        if self.json {
            print_json(&entries, refusal)?
        } else {
            print_text(&entries, refusal)?
        }
        Ok(if refusal.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// The entries, in the library's reading of the set and of each.
fn read(body: &[u8]) -> Result<Vec<Entry>, Error> {
    if body.len() > spec::document::JWKS_MAX {
        return Err(Error::JwksTooLarge);
    }
    let mut nodes = [Node::default(); Limits::JWKS.nodes];
    let set = Document::parse(body, &Limits::JWKS, &mut nodes).map_err(|_| Error::JwksInvalid)?;
    let keys = set.root().get("keys").ok_or(Error::JwksInvalid)?;
    if !keys.raw().starts_with('[') {
        return Err(Error::JwksInvalid);
    }
    keys.children().map(|entry| read_entry(entry.raw())).collect()
}

fn read_entry(text: &str) -> Result<Entry, Error> {
    let mut nodes = [Node::default(); Limits::JWK.nodes];
    if text.len() > spec::document::JWKS_ENTRY_MAX {
        return Err(Error::JwksInvalid);
    }
    let document = Document::parse(text.as_bytes(), &Limits::JWK, &mut nodes).map_err(|_| Error::JwksInvalid)?;
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let kid = json["kid"].as_str().map(str::to_owned);
    Ok(match jwk::read(&document.root())? {
        Jwk::Usable(key, _) => {
            let thumbprint = Some(key.kid().as_str().to_owned());
            Entry { kid, thumbprint, state: "usable", why: "ES256".to_owned() }
        }
        Jwk::PrivateExposed(..) => {
            let why = "it publishes `d`, its private half: whoever read it can sign; replace the key".to_owned();
            Entry { kid, thumbprint: None, state: "private", why }
        }
        Jwk::Other => Entry { kid, thumbprint: None, state: "passed over", why: why_not(&json) },
    })
}

/// Which member makes it no key for ES256.
fn why_not(jwk: &Value) -> String {
    let other = |name: &str, wanted: &str| {
        let found = &jwk[name];
        (!found.is_null() && found != wanted).then(|| format!("{name} is {}, not {wanted}", shown(&found.to_string())))
    };
    let missing = ["kty", "crv", "x", "y"].into_iter().find(|name| jwk[name].is_null());
    let other = [("kty", "EC"), ("crv", "P-256"), ("use", "sig"), ("alg", spec::ALG)]
        .into_iter()
        .find_map(|(name, wanted)| other(name, wanted));
    other.or_else(|| missing.map(|name| format!("{name} is missing"))).unwrap_or_else(|| {
        "x and y are no point of P-256 in 43 characters of base64url each, or kid or key_ops are not as they should be"
            .to_owned()
    })
}

/// What a verifier would refuse the set for.
fn judge(entries: &[Entry]) -> Option<Error> {
    let usable: Vec<_> = entries.iter().filter(|entry| entry.state == "usable").collect();
    let named = |at: usize| usable.iter().skip(at + 1);
    let twice = |(at, entry): (usize, &&Entry)| entry.kid.is_some() && named(at).any(|other| other.kid == entry.kid);
    if usable.iter().enumerate().any(twice) {
        return Some(Error::JwksDuplicateKid);
    }
    usable.is_empty().then_some(Error::JwtKeyUnknown)
}

fn print_text(entries: &[Entry], refusal: Option<Error>) -> Result<(), Failure> {
    match refusal {
        None => print::line(&format!("{GOOD}key set{GOOD:#}, {} keys", entries.len()))?,
        Some(error) => {
            print::line(&format!("{ERROR}REFUSED{ERROR:#} {}", error.name()))?;
            print::row("help", error.help())?;
        }
    }
    for entry in entries {
        let kid = shown(entry.kid.as_deref().unwrap_or("(no kid)"));
        print::row("key", &format!("{kid}: {}, {}", entry.state, entry.why))?;
        if let Some(thumbprint) = &entry.thumbprint {
            print::row("", &format!("thumbprint {thumbprint}"))?;
        }
    }
    Ok(())
}

fn print_json(entries: &[Entry], refusal: Option<Error>) -> Result<(), Failure> {
    let entry = |entry: &Entry| json!({"kid": entry.kid, "thumbprint": entry.thumbprint, "state": entry.state, "why": entry.why});
    let keys: Vec<_> = entries.iter().map(entry).collect();
    let code = refusal.map_or("OK", Error::name);
    print::line(&json!({"code": code, "help": refusal.map(Error::help), "keys": keys}).to_string())
}
