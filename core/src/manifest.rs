//! An agent's manifest, read: which keys are the agent's, and when (protocol.md section 3).

use crate::codec::decimal;
use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::codec::json_text::Text;
use crate::jose::jwk::{self, Jwk};
use crate::jose::jws;
use crate::key::{Kid, PublicKey};
use crate::{Error, spec};

/// One key of an agent, and the time in which it is good, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// The key.
    pub key: PublicKey,
    /// Good from this second on; 0 is always.
    pub from_s: u64,
    /// Good until this second, exclusive; `u64::MAX` is for ever.
    pub until_s: u64,
    /// Revoked from this second on; `u64::MAX` is never.
    pub revoked_s: u64,
}

impl AgentKey {
    /// Whether the key is good at this second.
    ///
    /// # Errors
    /// `KEY_REVOKED`, or `KEY_MISMATCH` outside its time.
    pub fn check(&self, now_s: u64) -> Result<(), Error> {
        match now_s {
            _ if now_s >= self.revoked_s => Err(Error::KeyRevoked),
            _ if now_s < self.from_s || now_s >= self.until_s => Err(Error::KeyMismatch),
            _ => Ok(()),
        }
    }
}

/// A key that was taken back. It need not be listed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The key's name.
    pub kid: Kid,
    /// Revoked from this second on.
    pub at_s: u64,
}

/// What a manifest says of its agent's keys.
#[derive(Clone, Debug, Default)]
pub struct AgentKeys {
    listed: heapless::Vec<AgentKey, { 1 + spec::document::MANIFEST_KEYS_MAX }>,
    revoked: heapless::Vec<Revoked, { spec::document::REVOKED_MAX }>,
}

impl AgentKeys {
    /// The current key, then up to four listed ones.
    pub fn iter(&self) -> core::slice::Iter<'_, AgentKey> {
        self.listed.iter()
    }

    /// Everything that the manifest has revoked, whether it still lists it or not.
    #[must_use]
    pub fn revoked(&self) -> &[Revoked] {
        &self.revoked
    }

    /// Whether this is a key of the agent's, good at this second.
    ///
    /// # Errors
    /// `KEY_REVOKED`, also for a key that is no longer listed; `KEY_MISMATCH`
    pub fn check(&self, key: &PublicKey, now_s: u64) -> Result<(), Error> {
        if let Some(listed) = self.iter().find(|listed| listed.key == *key) {
            return listed.check(now_s);
        }
        let kid = key.kid();
        let revoked = self.revoked.iter().any(|revoked| revoked.kid == kid && now_s >= revoked.at_s);
        Err(if revoked { Error::KeyRevoked } else { Error::KeyMismatch })
    }
}

impl<'k> IntoIterator for &'k AgentKeys {
    type Item = &'k AgentKey;
    type IntoIter = core::slice::Iter<'k, AgentKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads the manifest that `agent_id`'s domain served.
///
/// # Errors
/// `MANIFEST_TOO_LARGE`, `MANIFEST_INVALID`, `MANIFEST_MISMATCH`.
#[inline(never)] // its slots leave the stack before anything else is done
pub fn read(body: &[u8], agent_id: &str) -> Result<AgentKeys, Error> {
    if body.len() > spec::document::MANIFEST_MAX {
        return Err(Error::ManifestTooLarge);
    }
    let mut nodes = [Node::default(); 128];
    let limits = Limits { nodes: nodes.len(), ..Limits::PAYLOAD };
    let document = Document::parse(body, &limits, &mut nodes).map_err(|_| Error::ManifestInvalid)?;
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::ManifestInvalid);
    }
    // A document at this path without agent_id is not an IMAGXP manifest.
    if !root.get("agent_id").and_then(|id| id.as_text()).is_some_and(|id| id == *agent_id) {
        return Err(Error::ManifestMismatch);
    }
    let known = |version: Text<'_>| spec::VERSIONS_READ.iter().any(|known| version == **known);
    if root.get("version").is_some_and(|version| !version.as_text().is_some_and(known)) {
        return Err(Error::ManifestInvalid);
    }
    keys(&root).ok_or(Error::ManifestInvalid)
}

/// `public_key`, then `keys`, each with its end from `revoked`.
fn keys(root: &Value<'_, '_>) -> Option<AgentKeys> {
    let mut keys = AgentKeys::default();
    // Base64 often holds a slash, and some writers escape it.
    let mut text = [0; spec::request::PUBLIC_KEY_LEN];
    let current = PublicKey::from_text(jws::copy(root.get("public_key")?.as_text()?, &mut text)?.as_bytes()).ok()?;
    keys.listed.push(AgentKey { key: current, from_s: 0, until_s: u64::MAX, revoked_s: u64::MAX }).ok()?;
    if let Some(listed) = root.get("keys") {
        listed_keys(&listed, &mut keys)?;
    }
    if let Some(revoked) = root.get("revoked") {
        revoke(&revoked, &mut keys)?;
    }
    Some(keys)
}

/// 1 to 4 JWKs; one that cannot be used is skipped (threats.md 4.5).
fn listed_keys(listed: &Value<'_, '_>, keys: &mut AgentKeys) -> Option<()> {
    if listed.kind() != Kind::Array || !(1..=spec::document::MANIFEST_KEYS_MAX).contains(&listed.count()) {
        return None;
    }
    for entry in listed.children() {
        let Some(key) = listed_key(&entry) else { continue };
        // A key that is also the current one is good by either of the two.
        if keys.iter().all(|known| known.key != key.key) {
            keys.listed.push(key).ok()?;
        }
    }
    Some(())
}

fn listed_key(entry: &Value<'_, '_>) -> Option<AgentKey> {
    let Ok(Jwk::Usable(key, Some(kid))) = jwk::read(entry) else { return None };
    if kid != *key.kid().as_str() {
        return None;
    }
    let seconds = |name, absent| match entry.get(name) {
        None => Some(absent),
        Some(value) => date(&value),
    };
    Some(AgentKey { key, from_s: seconds("nbf", 0)?, until_s: seconds("exp", u64::MAX)?, revoked_s: u64::MAX })
}

/// At most 16 `{"kid","at"}`. One that cannot be read condemns the document: a revocation must never be lost.
fn revoke(revoked: &Value<'_, '_>, keys: &mut AgentKeys) -> Option<()> {
    if revoked.kind() != Kind::Array || revoked.count() > spec::document::REVOKED_MAX {
        return None;
    }
    for entry in revoked.children() {
        let kid = entry.get("kid")?.as_text()?;
        let at_s = date(&entry.get("at")?)?;
        for key in keys.listed.iter_mut().filter(|key| kid == *key.key.kid().as_str()) {
            key.revoked_s = key.revoked_s.min(at_s);
        }
        // A text that is no thumbprint names no key.
        let mut text = [0; Kid::LEN];
        if let Some(kid) = jws::copy(kid, &mut text).and_then(Kid::from_text) {
            keys.revoked.push(Revoked { kid, at_s }).ok()?;
        }
    }
    Some(())
}

/// A JSON number of seconds, 0 to 2^53 - 1, a fraction cut off.
fn date(value: &Value<'_, '_>) -> Option<u64> {
    let (seconds, _) = decimal::scaled(value.as_number()?, 0)?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds < 1 << 53)
}
