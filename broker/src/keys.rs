//! The broker's keys: several, each with its `kid` and the time from which it signs.
//!
//! Rotation without a gap: the next key is published as soon as it is configured and signs from `sign_from` on, but no
//! earlier than verifiers can have it; the one before it stays published until the last visa that it signed has expired,
//! also when it is no longer configured.

use std::path::PathBuf;
use std::sync::Arc;

use imagxp::{KeyPair, PublishedKey, UnixMillis, spec, write_jwks};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::secret;

/// One key of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// PKCS#8 in PEM, DER's base64, or a JWK. The broker's user or root owns it, and nobody but that user and its group has access.
    pub file: PathBuf,
    /// Its name among the published keys; by default its thumbprint (RFC 7638).
    pub kid: Option<String>,
    /// When it begins to sign, RFC 3339; by default it always has.
    pub sign_from: Option<String>,
}

#[derive(Clone)]
struct Key {
    kid: String,
    pair: Arc<KeyPair>,
    sign_from: UnixMillis,
    /// Since when verifiers can fetch it; from the start on: always.
    published: UnixMillis,
    /// No longer configured: it signs only until another key does, from this time on at the latest.
    dropped: Option<UnixMillis>,
}

impl Key {
    fn new(kid: String, pair: KeyPair, sign_from: UnixMillis) -> Self {
        Self { kid, pair: Arc::new(pair), sign_from, published: UnixMillis::EPOCH, dropped: None }
    }
}

/// The keys, the earliest first.
pub struct KeyRing {
    keys: Vec<Key>,
}

/// Verifiers take a visa for so long after a key signed its last one.
const AFTERLIFE_MS: i64 = (spec::time::TOKEN_LIFETIME_S + spec::time::TOKEN_TOLERANCE_S) * 1_000;

impl KeyRing {
    /// Reads the configured keys.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read or own, or that holds no key; two keys of one name, or of one time.
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
        Self::new(vec![Key::new(kid, pair, UnixMillis::EPOCH)])
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
        Self::new(vec![Key::new(kid, pair, UnixMillis::EPOCH)])
    }

    /// These keys after those at hand. A key that verifiers cannot have yet signs `max_age_s` from now at the earliest;
    /// until then those before it do, configured or not. Dropped ones stay published while their visas are good.
    ///
    /// # Errors
    /// A `kid` that names another key than it did.
    pub fn succeed(&self, next: Self, now: UnixMillis, max_age_s: u32) -> Result<Self, Problem> {
        let mut keys = next.keys;
        for key in &mut keys {
            let before = self.keys.iter().find(|before| before.kid == key.kid);
            if before.is_some_and(|before| before.pair.public() != key.pair.public()) {
                let what = format!("kid `{}` named another key before", key.kid);
                return Err(Problem::new(what, "give each new key a kid of its own: verifiers keep keys by it"));
            }
            key.published = before.filter(|key| self.is_live(key, now)).map_or(now, |before| before.published);
            let earliest = key.published.saturating_add(i64::from(max_age_s) * 1_000);
            if key.published > UnixMillis::EPOCH && key.sign_from < earliest {
                tracing::warn!(kid = key.kid, max_age_s, "verifiers may not have this key yet: it signs later");
                key.sign_from = earliest;
            }
        }
        keys.sort_by_key(|key| key.sign_from);
        let takes_over = keys.first().map_or(now, |key| key.sign_from.max(now));
        let gone = self.keys.iter().filter(|key| keys.iter().all(|other| other.kid != key.kid));
        // What has not signed by now never will.
        let gone = gone.filter(|key| key.sign_from <= now && self.is_live(key, now));
        let gone = gone.map(|key| Key { dropped: Some(key.dropped.unwrap_or(takes_over)), ..key.clone() });
        keys.extend(gone.collect::<Vec<_>>());
        keys.sort_by_key(|key| key.sign_from);
        let ring = Self { keys };
        ring.write(ring.keys.iter())?;
        Ok(ring)
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
        let mut ready = self.keys.iter().rev().filter(|key| key.sign_from <= now);
        let key = ready.clone().find(|key| key.dropped.is_none()).or_else(|| ready.next())?;
        Some((&*key.pair, &*key.kid))
    }

    /// The key of this name, while it is here.
    #[must_use]
    pub fn named(&self, kid: &str) -> Option<(&KeyPair, &str)> {
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        Some((&*key.pair, &*key.kid))
    }

    /// The key set to publish: all but those whose last visa has expired.
    #[must_use]
    pub fn jwks(&self, now: UnixMillis) -> String {
        // Written once at start, and fewer keys fit as well.
        self.write(self.keys.iter().filter(|key| self.is_live(key, now))).unwrap_or_default()
    }

    /// Whether it signs, or will, or visas that it signed may still be good.
    fn is_live(&self, key: &Key, now: UnixMillis) -> bool {
        let configured = self.keys.iter().filter(|other| other.dropped.is_none());
        let next = configured.map(|other| other.sign_from).find(|from| *from > key.sign_from);
        key.dropped.or(next).is_none_or(|end| end.saturating_add(AFTERLIFE_MS) >= now)
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
    let text = secret::read(&entry.file)?;
    let pair = parse(&text, &shown)?;
    let kid = entry.kid.clone().unwrap_or_else(|| pair.public().kid().as_str().to_owned());
    let sign_from = match &entry.sign_from {
        None => UnixMillis::EPOCH,
        Some(text) => UnixMillis::parse(text.as_bytes()).map_err(|_| {
            Problem::new(format!("{shown}: sign_from `{text}` is no time"), "write it as 2026-12-01T00:00:00Z")
        })?,
    };
    Ok(Key::new(kid, pair, sign_from))
}

fn parse(text: &[u8], name: &str) -> Result<KeyPair, Problem> {
    KeyPair::from_text(text.trim_ascii()).map_err(|error| {
        let fix = format!("{}; `imagxp keygen --pem` makes one", error.help());
        Problem::new(format!("{name} holds no private key"), fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_AGE_S: u32 = 300;
    const NOW_S: i64 = 1_800_000_000;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::from_s(NOW_S + seconds)
    }

    fn pair() -> KeyPair {
        KeyPair::from_random(&imagxp_host::system::random().unwrap()).unwrap()
    }

    fn key(kid: &str, pair: &Arc<KeyPair>, sign_from: UnixMillis) -> Key {
        let (kid, pair) = (kid.to_owned(), Arc::clone(pair));
        Key { kid, pair, sign_from, published: UnixMillis::EPOCH, dropped: None }
    }

    fn ring(keys: &[Key]) -> KeyRing {
        KeyRing { keys: keys.to_vec() }
    }

    fn published(ring: &KeyRing, seconds: i64) -> Vec<&str> {
        let jwks = ring.jwks(at(seconds));
        ring.names().filter(|kid| jwks.contains(&format!("\"kid\":\"{kid}\""))).collect()
    }

    fn signs(ring: &KeyRing, seconds: i64) -> &str {
        ring.signing(at(seconds)).unwrap().1
    }

    #[test]
    fn a_new_key_signs_when_verifiers_can_have_it() {
        let (one, two) = (Arc::new(pair()), Arc::new(pair()));
        let first = ring(&[key("one", &one, UnixMillis::EPOCH)]);
        // Whatever its sign_from says, and whether or not the old one is still configured.
        let only_two = || ring(&[key("two", &two, UnixMillis::EPOCH)]);
        for next in [only_two(), ring(&[key("one", &one, UnixMillis::EPOCH), key("two", &two, at(1))])] {
            let next = first.succeed(next, at(0), MAX_AGE_S).unwrap();
            assert_eq!(published(&next, 0), ["one", "two"]);
            assert_eq!((signs(&next, 0), signs(&next, 299), signs(&next, 300)), ("one", "one", "two"));
            // Read again meanwhile: it signs no earlier, and no later.
            let again = next.succeed(only_two(), at(100), MAX_AGE_S).unwrap();
            assert_eq!((signs(&again, 299), signs(&again, 300)), ("one", "two"));
            // The last visa of the old one was sold at 300, and is good for an hour and the tolerance.
            assert_eq!(published(&again, 300 + 3_600), ["one", "two"]);
            assert_eq!(published(&again, 300 + 3_700), ["two"]);
        }
    }

    #[test]
    fn a_dropped_key_stays_published() {
        let (one, two) = (Arc::new(pair()), Arc::new(pair()));
        let both = ring(&[key("one", &one, UnixMillis::EPOCH), key("two", &two, at(-100))]);
        // The new one is withdrawn: the old one signs at once, as it is still published.
        let back = both.succeed(ring(&[key("one", &one, UnixMillis::EPOCH)]), at(0), MAX_AGE_S).unwrap();
        assert_eq!((signs(&back, 0), published(&back, 0)), ("one", vec!["one", "two"]));
        assert!(back.named("two").is_some(), "its sales can be answered again");
        assert_eq!(published(&back, 3_600), ["one", "two"]);
        assert_eq!(published(&back, 3_700), ["one"]);
        // A reload later does not begin its time anew.
        let back = back.succeed(ring(&[key("one", &one, UnixMillis::EPOCH)]), at(3_000), MAX_AGE_S).unwrap();
        assert_eq!(published(&back, 3_700), ["one"]);
        // Long after, a key that was unpublished meanwhile is new again.
        let late = both.succeed(ring(&[key("one", &one, UnixMillis::EPOCH)]), at(10_000), MAX_AGE_S).unwrap();
        assert_eq!((signs(&late, 10_000), signs(&late, 10_300)), ("two", "one"));
    }

    #[test]
    fn a_kid_names_one_key() {
        let (one, other) = (Arc::new(pair()), Arc::new(pair()));
        let first = ring(&[key("one", &one, UnixMillis::EPOCH)]);
        let problem = first.succeed(ring(&[key("one", &other, UnixMillis::EPOCH)]), at(0), MAX_AGE_S).err().unwrap();
        assert!(problem.what.contains("`one`"), "{problem}");
    }
}
