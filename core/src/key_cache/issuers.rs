//! The key sets of configured issuers (protocol.md section 4, threats.md 4.5).

use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::curve::Point;
use crate::jose::jwk::{self, Jwk};
use crate::key::{Digest, PublicKey};
use crate::{Error, spec};

use super::Tag;
use super::record::{Lives, Record};

/// Words of a slot: lives, the set's SHA-256, then 32 keys.
pub(super) const WORDS: usize = KEYS + spec::document::JWKS_KEYS_MAX * KEY_WORDS;
pub(super) const DIGEST: usize = Lives::END;
pub(super) const KEYS: usize = DIGEST + 4;
/// Words of a key: tag of its kid, point, table.
pub(super) const KEY_WORDS: usize = 11;

/// An issuer's slot, read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuer<'m> {
    slot: u32,
    record: Record<'m>,
}

impl<'m> Issuer<'m> {
    pub(super) fn new(slot: u32, words: &'m [u64]) -> Self {
        Self { slot, record: Record(words) }
    }

    pub(crate) fn lives(&self) -> Lives {
        self.record.lives()
    }

    /// The SHA-256 of the set.
    pub(crate) fn digest(&self) -> Digest {
        self.record.digest(DIGEST)
    }

    /// Whether a private key was found in the set.
    pub(crate) fn exposes_private_key(&self) -> bool {
        self.record.alarm()
    }

    /// The key of this kid; without kid the only key there is (threats.md 4.4).
    pub(crate) fn find(&self, kid: Option<Tag>) -> Option<(super::KeyId, PublicKey, Option<usize>)> {
        let count = self.record.count().min(spec::document::JWKS_KEYS_MAX);
        let index = match kid {
            Some(kid) => (0..count)
                .find(|index| key_words(self.record.0, *index).is_some_and(|w| w.starts_with(&[kid.0, kid.1]))),
            None => (count == 1).then_some(0),
        }?;
        let [_, _, point @ .., link] = key_words(self.record.0, index)?;
        let words: &[u64; 8] = point.first_chunk()?;
        let key = PublicKey::from_point(Point::from_words(words)?);
        let table = usize::try_from(*link).ok().and_then(|link| link.checked_sub(1));
        Some((super::KeyId::issuer(self.slot, index, words), key, table))
    }
}

/// The words of one key of a slot.
pub(super) fn key_words(slot: &[u64], index: usize) -> Option<&[u64; KEY_WORDS]> {
    let start = KEYS.checked_add(index.checked_mul(KEY_WORDS)?)?;
    slot.get(start..)?.first_chunk()
}

/// The usable keys of a set, with the tags of their kids, and whether a private key was in it.
#[derive(Default)]
pub(super) struct KeySet {
    pub(super) keys: heapless::Vec<(Tag, PublicKey), { spec::document::JWKS_KEYS_MAX }>,
    pub(super) private_exposed: bool,
}

/// Reads a JWK Set into an empty `set`.
///
/// # Errors
/// `JWKS_TOO_LARGE`, `JWKS_INVALID`, `JWKS_DUPLICATE_KID`
#[inline(never)] // its slots leave the stack before tables are made
pub(super) fn read(body: &[u8], tag: impl Fn(&str) -> Tag, set: &mut KeySet) -> Result<(), Error> {
    if body.len() > spec::document::JWKS_MAX {
        return Err(Error::JwksTooLarge);
    }
    let mut nodes = [Node::default(); 80];
    let document = Document::parse(body, &Limits::JWKS, &mut nodes).map_err(|_| Error::JwksInvalid)?;
    let root = document.root();
    let keys = root.get("keys").filter(|keys| keys.kind() == Kind::Array).ok_or(Error::JwksInvalid)?;
    for member in root.children().filter(|member| !member.is(&keys)) {
        for inner in member.children().filter(|inner| inner.kind() == Kind::Opaque) {
            check(inner.raw().as_bytes())?;
        }
    }
    // To the end, whatever is refused: a private key may stand behind it.
    let mut read = Ok(());
    for entry in keys.children() {
        let added = add(set, &entry, &tag);
        read = read.and(added);
    }
    read
}

/// The private keys that a set publishes, each by its public half, or by its kid where that cannot be read.
#[inline(never)]
pub(super) fn each_exposed(body: &[u8], tag: impl Fn(&str) -> Tag, mut strike: impl FnMut(&Exposed)) {
    let mut nodes = [Node::default(); 80];
    let Ok(document) = Document::parse(body, &Limits::JWKS, &mut nodes) else { return };
    for entry in document.root().get("keys").iter().flat_map(Value::children) {
        if let Some(exposed) = exposed(&entry, &tag) {
            strike(&exposed);
        }
    }
}

#[inline(never)]
fn exposed(entry: &Value<'_, '_>, tag: &impl Fn(&str) -> Tag) -> Option<Exposed> {
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(entry.raw().as_bytes(), &Limits::JWK, &mut nodes).ok()?;
    match jwk::read(&document.root()) {
        Ok(Jwk::PrivateExposed(Some(key), _)) => Some(Exposed::Key(key.point().to_words())),
        Ok(Jwk::PrivateExposed(None, Some(kid))) => {
            let mut memory = [0; spec::jwt::KID_MAX];
            Some(Exposed::Kid(tag(kid.unescape(&mut memory).ok()?.0)))
        }
        _ => None,
    }
}

/// A key that everybody may sign with.
pub(super) enum Exposed {
    /// Its point.
    Key([u64; 8]),
    /// Its kid.
    Kid(Tag),
}

impl Exposed {
    fn is(&self, words: &[u64; KEY_WORDS]) -> bool {
        let [kid0, kid1, point @ .., _] = words;
        match self {
            Self::Key(exposed) => point == exposed,
            Self::Kid(kid) => Tag(*kid0, *kid1) == *kid,
        }
    }
}

/// Empties the places of a slot that hold this key.
pub(super) fn strike(slot: &mut [u64], exposed: &Exposed) {
    for index in 0..spec::document::JWKS_KEYS_MAX {
        if key_words(slot, index).is_some_and(|words| exposed.is(words)) {
            let start = KEYS.saturating_add(index.saturating_mul(KEY_WORDS));
            slot.iter_mut().skip(start).take(KEY_WORDS).for_each(|word| *word = 0);
        }
    }
}

/// A member that is not ours still follows the rules of JSON.
fn check(value: &[u8]) -> Result<(), Error> {
    let mut nodes = [Node::default(); 64];
    Document::parse(value, &Limits::JWK, &mut nodes).map(|_| ()).map_err(|_| Error::JwksInvalid)
}

#[inline(never)]
fn add(set: &mut KeySet, entry: &Value<'_, '_>, tag: &impl Fn(&str) -> Tag) -> Result<(), Error> {
    if entry.kind() != Kind::Opaque {
        return Err(Error::JwksInvalid);
    }
    let entry = entry.raw().as_bytes();
    if entry.len() > spec::document::JWKS_ENTRY_MAX {
        return Err(Error::JwksInvalid);
    }
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(entry, &Limits::JWK, &mut nodes).map_err(|_| Error::JwksInvalid)?;
    match jwk::read(&document.root())? {
        Jwk::Usable(key, kid) => {
            let mut memory = [0; spec::jwt::KID_MAX];
            let tag = match kid {
                Some(kid) => tag(kid.unescape(&mut memory).map_err(|_| Error::JwksInvalid)?.0),
                None => Tag(0, 0),
            };
            if tag != Tag(0, 0) && set.keys.iter().any(|(other, _)| *other == tag) {
                return Err(Error::JwksDuplicateKid);
            }
            set.keys.push((tag, key)).map_err(|_| Error::JwksInvalid)
        }
        Jwk::PrivateExposed(..) => {
            set.private_exposed = true;
            Ok(())
        }
        Jwk::Other => Ok(()),
    }
}
