//! Reading the lines of a log. A record borrows from its line.

use super::write::HEADERS;
use super::{Head, What, body_digest};
use crate::codec::json::{self, Kind, Limits, Node, Value};
use crate::codec::{base64, hex, jcs};
use crate::headers::Name;
use crate::jose::jwk::{self, Jwk};
use crate::key::{Digest, PublicKey};
use crate::time::UnixMillis;
use crate::{Bound, Error, Proof, Visitor, spec};

/// One line, read.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and there is no heap to put it on")]
pub enum Record<'l> {
    /// A fetched document. Its body has the SHA-256 that it says.
    Document(Document<'l>),
    /// A request and its verdict.
    Decision(Decision<'l>),
    /// What the publisher signed.
    Checkpoint(Checkpoint<'l>),
}

/// A fetched document.
#[derive(Clone, Copy, Debug)]
pub struct Document<'l> {
    /// Where from.
    pub url: &'l str,
    /// When it came.
    pub at: UnixMillis,
    /// The SHA-256 of its body.
    pub sha256: Digest,
    /// The body in base64.
    pub base64: &'l str,
}

/// A request and its verdict.
#[derive(Clone, Debug)]
pub struct Decision<'l> {
    /// When the request came.
    pub received: UnixMillis,
    /// When it was decided.
    pub decided: UnixMillis,
    /// `https` or `http`, the host, path and query, and the method of the request.
    pub scheme: Target<'l>,
    /// See `scheme`.
    pub authority: Target<'l>,
    /// See `scheme`.
    pub target: Target<'l>,
    /// See `scheme`.
    pub method: Target<'l>,
    /// The documents that the decision rests on.
    pub documents: heapless::Vec<Digest, { spec::evidence::DOCUMENTS_MAX }>,
    /// The key that verified the visa or ad proof.
    pub visa_key: Option<PublicKey>,
    /// The verdict.
    pub outcome: Outcome,
    headers: [&'l str; HEADERS.len()],
}

/// A part of the request as it came, or its SHA-256 where it was too long or not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'l> {
    /// As it came.
    Text(&'l str),
    /// Its SHA-256.
    Hash(Digest),
}

/// The recorded verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted: who, with what proof, and what of the request was bound, as names.
    Admitted {
        /// Whether as a verified agent.
        verified: bool,
        /// What it was paid with.
        proof: Proof,
        /// What the signature bound.
        bound: Bound,
    },
    /// Refused with this code.
    Refused(Error),
}

/// What the publisher signed: the lines before this one.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'l> {
    /// How many lines there are before it, and the SHA-256 of the last.
    pub head: Head,
    /// When.
    pub at: UnixMillis,
    /// The thumbprint of the publisher's key.
    pub kid: &'l str,
    /// `r || s`
    pub signature: [u8; 64],
}

/// Larger strings than a payload's, few values: a JWK Set in base64 is one string.
const LIMITS: Limits = Limits { string: spec::evidence::BODY_MAX, ..Limits::PAYLOAD };

impl<'l> Record<'l> {
    /// Reads one line, without its newline, and gives the hash of the line before, too.
    ///
    /// # Errors
    /// [`What::NotARecord`], [`What::NotCanonical`], [`What::Body`]
    pub fn parse(line: &'l [u8]) -> Result<(Self, Digest), What> {
        if line.len() > spec::evidence::LINE_MAX {
            return Err(What::NotARecord);
        }
        let mut nodes = [Node::default(); LIMITS.nodes];
        let document = json::Document::parse(line, &LIMITS, &mut nodes).map_err(|_| What::NotARecord)?;
        let root = document.root();
        let prev = digest(&root, "prev").ok_or(What::NotARecord)?;
        let record = Self::read(&root, prev).ok_or(What::NotARecord)?;
        if !is_canonical(&root, line) {
            return Err(What::NotCanonical);
        }
        match &record {
            Self::Document(document) if body_digest(document.base64) != Some(document.sha256) => Err(What::Body),
            _ => Ok((record, prev)),
        }
    }

    fn read(root: &Value<'l, '_>, prev: Digest) -> Option<Self> {
        let (record, members) = match text(root, "kind")? {
            "document" => (Self::Document(read_document(root)?), 6),
            "checkpoint" => (Self::Checkpoint(read_checkpoint(root, prev)?), 6),
            "decision" => (Self::Decision(read_decision(root)?), 11_usize.saturating_add(has(root, "visa_key"))),
            _ => return None,
        };
        // No member but those that were read: each is there, so it is enough to count.
        (root.count() == members).then_some(record)
    }
}

fn has(root: &Value<'_, '_>, name: &str) -> usize {
    usize::from(root.get(name).is_some())
}

fn read_document<'l>(root: &Value<'l, '_>) -> Option<Document<'l>> {
    Some(Document {
        url: text(root, "url")?,
        at: time(root, "time")?,
        sha256: digest(root, "sha256")?,
        base64: text(root, "body")?,
    })
}

fn read_checkpoint<'l>(root: &Value<'l, '_>, prev: Digest) -> Option<Checkpoint<'l>> {
    let (count, _) = crate::codec::decimal::scaled(root.get("count")?.as_number()?, 0)?;
    let head = Head { hash: prev, count: u64::try_from(count).ok()? };
    let signature = hex::decode_array(text(root, "signature")?.as_bytes()).ok()?;
    Some(Checkpoint { head, at: time(root, "time")?, kid: text(root, "key")?, signature })
}

fn read_decision<'l>(root: &Value<'l, '_>) -> Option<Decision<'l>> {
    let visa_key = match root.get("visa_key").map(|key| jwk::read(&key)) {
        None => None,
        Some(Ok(Jwk::Usable(key, _))) => Some(key),
        Some(_) => return None,
    };
    Some(Decision {
        received: time(root, "received")?,
        decided: time(root, "decided")?,
        scheme: target(root, "scheme", "scheme_sha256")?,
        authority: target(root, "authority", "authority_sha256")?,
        target: target(root, "target", "target_sha256")?,
        method: target(root, "method", "method_sha256")?,
        documents: read_documents(&root.get("documents")?)?,
        visa_key,
        outcome: read_outcome(&root.get("verdict")?)?,
        headers: read_headers(&root.get("headers")?)?,
    })
}

fn read_documents(documents: &Value<'_, '_>) -> Option<heapless::Vec<Digest, { spec::evidence::DOCUMENTS_MAX }>> {
    let mut digests = heapless::Vec::new();
    if documents.kind() != Kind::Array {
        return None;
    }
    for document in documents.children() {
        digests.push(hex::decode_array(document.as_text()?.plain()?.as_bytes()).ok()?).ok()?;
    }
    Some(digests)
}

/// The raw values; one that was recorded by its hash, or has escapes, is none that a signature or token could be in.
fn read_headers<'l>(headers: &Value<'l, '_>) -> Option<[&'l str; HEADERS.len()]> {
    let mut values = [""; HEADERS.len()];
    if headers.kind() != Kind::Object {
        return None;
    }
    for header in headers.children() {
        let at = HEADERS.iter().position(|(name, _)| header.name() == **name)?;
        *values.get_mut(at)? = header.as_text().and_then(|text| text.plain()).unwrap_or_default();
    }
    Some(values)
}

fn read_outcome(verdict: &Value<'_, '_>) -> Option<Outcome> {
    let code = text(verdict, "code")?;
    if code != "OK" {
        let error = Error::ALL.iter().find(|error| error.name() == code).copied()?;
        return (verdict.count() == 1).then_some(Outcome::Refused(error));
    }
    let (visitor, proof, bound) = (text(verdict, "visitor")?, text(verdict, "proof")?, text(verdict, "bound")?);
    let known = [Visitor::VerifiedAgent, Visitor::LikelyHuman, Visitor::UnidentifiedBot];
    let visitor = known.into_iter().find(|known| known.name() == visitor)?;
    let known = [Proof::None, Proof::Visa, Proof::Whitelist, Proof::AdProof];
    let proof = known.into_iter().find(|known| known.name() == proof)?;
    let known = [Bound::Nothing, Bound::Authority, Bound::Exact];
    let bound = known.into_iter().find(|known| known.name() == bound)?;
    let verified = visitor == Visitor::VerifiedAgent;
    (verdict.count() == 4).then_some(Outcome::Admitted { verified, proof, bound })
}

impl<'l> Document<'l> {
    /// The body, decoded into `out` (three quarters of the text's length).
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`; `BASE64_INVALID` never, of a record that was read.
    pub fn body<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], Error> {
        base64::decode(self.base64.as_bytes(), out)
    }
}

impl<'l> Decision<'l> {
    /// A header as it came; empty if it was absent or recorded by its hash.
    pub(super) fn header(&self, name: Name) -> &'l str {
        let at = HEADERS.iter().position(|(_, known)| *known == name);
        at.and_then(|at| self.headers.get(at)).copied().unwrap_or_default()
    }

    /// The header under either of its names.
    pub(super) fn either(&self, name: Name, alias: Name) -> &'l str {
        let value = self.header(name);
        if value.is_empty() { self.header(alias) } else { value }
    }
}

fn text<'l>(object: &Value<'l, '_>, name: &str) -> Option<&'l str> {
    object.get(name)?.as_text()?.plain()
}

fn digest(object: &Value<'_, '_>, name: &str) -> Option<Digest> {
    hex::decode_array(text(object, name)?.as_bytes()).ok()
}

/// A time in the one spelling that is written: a checkpoint's signature is over the time as it is read here, and says
/// nothing of how it was spelt.
fn time(object: &Value<'_, '_>, name: &str) -> Option<UnixMillis> {
    let text = text(object, name)?;
    let at = UnixMillis::parse(text.as_bytes()).ok()?;
    (at.write(&mut [0; UnixMillis::TEXT_LEN]).ok()? == text).then_some(at)
}

fn target<'l>(object: &Value<'l, '_>, name: &str, hashed: &str) -> Option<Target<'l>> {
    match object.get(name) {
        Some(value) => value.as_text()?.plain().map(Target::Text),
        None => digest(object, hashed).map(Target::Hash),
    }
}

/// Whether the line is the one text of its content.
fn is_canonical(root: &Value<'_, '_>, line: &[u8]) -> bool {
    let mut same = Same { rest: line };
    jcs::write(root, &mut same).is_ok() && same.rest.is_empty()
}

/// Compares what is written with a text.
struct Same<'l> {
    rest: &'l [u8],
}

impl jcs::Sink for Same<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(Error::JsonSyntax)?;
        Ok(())
    }
}
