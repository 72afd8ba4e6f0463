//! The broker's keys: several, each with its `kid` and the time from which it signs.
//!
//! Rotation without a gap: the next key is published as soon as it is configured and signs from `sign_from` on; the one
//! before it stays published until the last visa that it signed has expired.

use std::path::{Path, PathBuf};

use imagxp::{KeyPair, PublishedKey, UnixMillis, spec, write_jwks};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// One key of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// PKCS#8 in PEM, DER's base64, or a JWK. Nobody but the broker's user and group may have access.
    pub file: PathBuf,
    /// Its name among the published keys; by default its thumbprint (RFC 7638).
    pub kid: Option<String>,
    /// When it begins to sign, RFC 3339; by default it always has.
    pub sign_from: Option<String>,
}

struct Key {
    kid: String,
    pair: KeyPair,
    sign_from: UnixMillis,
}

/// The keys, the earliest first.
pub struct KeyRing {
    keys: Vec<Key>,
}

/// Verifiers take a visa so long after its end (and may have the set in their cache for a while).
const AFTERLIFE_S: i64 = spec::time::TOKEN_LIFETIME_S + spec::time::TOKEN_TOLERANCE_S + JWKS_MAX_AGE_S;

/// How long verifiers may keep the key set.
pub(crate) const JWKS_MAX_AGE_S: i64 = 300;

impl KeyRing {
    /// Reads the configured keys.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that holds no key; two keys of one name, or of one time.
    pub fn read(entries: &[KeyEntry]) -> Result<Self, Problem> {
        let keys: Result<Vec<_>, _> = entries.iter().map(read_entry).collect();
        Self::new(keys?)
    }

    /// One key, from text (the environment).
    ///
    /// # Errors
    /// It is no key.
    pub fn from_text(text: &str, kid: Option<String>) -> Result<Self, Problem> {
        let pair = parse(text.as_bytes(), "IMAGXP_BROKER_KEY")?;
        let kid = kid.unwrap_or_else(|| pair.public().kid().as_str().to_owned());
        Self::new(vec![Key { kid, pair, sign_from: UnixMillis::EPOCH }])
    }

    /// A key that nobody has had before, gone with the process.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn generate() -> Result<Self, Problem> {
        let random = || imagxp_host::system::random::<32>().map(Zeroizing::new);
        let random = random().map_err(|error| Problem::new(format!("no random bytes: {error}"), ""))?;
        let pair = KeyPair::from_random(&random).map_err(|error| Problem::new(error.name(), "start it again"))?;
        let kid = pair.public().kid().as_str().to_owned();
        Self::new(vec![Key { kid, pair, sign_from: UnixMillis::EPOCH }])
    }

    fn new(mut keys: Vec<Key>) -> Result<Self, Problem> {
        keys.sort_by_key(|key| key.sign_from);
        let twice = keys.windows(2).any(|pair| pair[0].sign_from == pair[1].sign_from);
        if twice {
            let fix = "give each key but the oldest a sign_from of its own, such as 2026-12-01T00:00:00Z";
            return Err(Problem::new("two keys begin to sign at the same time", fix));
        }
        let ring = Self { keys };
        ring.write(ring.keys.iter())?;
        let now = imagxp_host::system::now();
        if ring.signing(now).is_none() {
            return Err(Problem::new("no key signs yet", "leave out the sign_from of the first key"));
        }
        Ok(ring)
    }

    /// The key that signs now, and its `kid`.
    #[must_use]
    pub fn signing(&self, now: UnixMillis) -> Option<(&KeyPair, &str)> {
        let key = self.keys.iter().rev().find(|key| key.sign_from <= now)?;
        Some((&key.pair, &key.kid))
    }

    /// The key of this name, while it is here.
    #[must_use]
    pub fn named(&self, kid: &str) -> Option<(&KeyPair, &str)> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        Some((&key.pair, &key.kid))
    }

    /// The key set to publish: all but those whose last visa has expired.
    #[must_use]
    pub fn jwks(&self, now: UnixMillis) -> String {
        let retired = |at: usize| {
            let next = self.keys.get(at + 1);
            next.is_some_and(|next| next.sign_from.saturating_add(AFTERLIFE_S * 1_000) < now)
        };
        let live = self.keys.iter().enumerate().filter(|(at, _)| !retired(*at)).map(|(_, key)| key);
        // Written once at start, and fewer keys fit as well.
        self.write(live).unwrap_or_default()
    }

    fn write<'k>(&'k self, keys: impl Iterator<Item = &'k Key>) -> Result<String, Problem> {
        let published: Vec<_> = keys.map(|key| PublishedKey { kid: &key.kid, key: key.pair.public() }).collect();
        let mut out = vec![0; (250 + 6 * spec::jwt::KID_MAX) * (published.len() + 1)];
        let written = write_jwks(&published, &mut out);
        written
            .map(str::to_owned)
            .map_err(|error| Problem::new(format!("these keys cannot be published: {}", error.name()), error.help()))
    }

    /// For the log: which keys there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.kid)
    }
}

fn read_entry(entry: &KeyEntry) -> Result<Key, Problem> {
    let shown = entry.file.display().to_string();
    let text = Zeroizing::new(read_secret(&entry.file)?);
    let pair = parse(&text, &shown)?;
    let kid = entry.kid.clone().unwrap_or_else(|| pair.public().kid().as_str().to_owned());
    let sign_from = match &entry.sign_from {
        None => UnixMillis::EPOCH,
        Some(text) => UnixMillis::parse(text.as_bytes()).map_err(|_| {
            Problem::new(format!("{shown}: sign_from `{text}` is no time"), "write it as 2026-12-01T00:00:00Z")
        })?,
    };
    Ok(Key { kid, pair, sign_from })
}

fn parse(text: &[u8], name: &str) -> Result<KeyPair, Problem> {
    KeyPair::from_text(text.trim_ascii()).map_err(|error| {
        let fix = format!("{}; `imagxp keygen --pem` makes one", error.help());
        Problem::new(format!("{name} holds no private key"), fix)
    })
}

/// A file that only this user, and at most its group, can read.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let wrong = |error: std::io::Error| Problem::new(format!("{shown}: {error}"), "name a file that can be read");
    let file = std::fs::File::open(path).map_err(wrong)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(wrong)?.permissions().mode();
        // Anything for others, or writing for the group.
        if mode & 0o027 != 0 {
            let what = format!("{shown}: others can read or change this secret (mode {:03o})", mode & 0o777);
            return Err(Problem::new(
                what,
                format!("chmod 600 {shown}, and make a new one if others may have read it"),
            ));
        }
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 16 * 1_024), &mut bytes).map_err(wrong)?;
    Ok(bytes)
}
