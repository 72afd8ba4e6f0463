//! A signed request in its parts: everything that its text alone can tell (threats.md ORD-1 to ORD-5).

use crate::claims::{self, Reading};
use crate::codec::json::{Document, Limits, Node};
use crate::codec::writer::Writer;
use crate::headers::{self, Headers, Name};
use crate::key::{self, PublicKey};
use crate::{Error, spec};

/// What a signed request consists of.
#[derive(Clone, Debug)]
pub(crate) struct Signed<'a> {
    json: &'a str,
    nodes: [Node; NODES],
    reading: Reading<'a>,
    signature: [u8; 64],
    /// The key's coordinates, not yet known to be a point.
    key: ([u8; 32], [u8; 32]),
    manifest_url: &'a str,
}

/// How large a signed request may be: one of two presets.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Characters of the payload header.
    payload: usize,
    /// Its JSON.
    json: Limits,
}

impl Bounds {
    /// The wire's own (threats.md 4.1, 4.2): what every server takes.
    pub const HOSTED: Self = Self { payload: spec::request::PAYLOAD_MAX, json: Limits::PAYLOAD };
    /// Half of it, for a chip. Requests of ordinary agents fit; a longer one is refused by the code for its size.
    pub const EMBEDDED: Self = Self { payload: spec::request::PAYLOAD_MAX / 2, json: Limits::EMBEDDED };

    /// Scratch that every request within these bounds fits, bytes: a URL, the payload, its unescaped texts.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        // Four characters are three bytes, twice.
        URL_MAX.saturating_add((self.payload / 4).saturating_mul(6))
    }
}

const NODES: usize = Limits::PAYLOAD.nodes;
/// `https://`, the longest name, the path.
const URL_MAX: usize = 8 + *spec::field::AGENT_ID_LEN.end() + spec::MANIFEST_PATH.len();

impl<'a> Signed<'a> {
    /// ORD-1 to ORD-5.
    pub(crate) fn parse(headers: &Headers<'a>, bounds: &Bounds, scratch: &'a mut [u8]) -> Result<Self, Error> {
        check_lengths(headers, bounds)?;
        let signature = headers::read_signature(headers.get(Name::Signature))?;
        let key = key::read_coordinates(headers.public_key())?;
        let (url, scratch) = scratch.split_at_mut_checked(URL_MAX).ok_or(Error::BufferTooSmall)?;
        let (json, memory) = headers::read_payload(headers.get(Name::Payload), scratch)?;
        let mut nodes = [Node::default(); NODES];
        let document = Document::parse(json, &bounds.json, &mut nodes)?;
        let (json, reading) = (document.text(), claims::read(&document, memory)?);
        let manifest_url = match &reading.payload {
            Ok(payload) => write_manifest_url(payload.claims.agent_id, reading.development_name, url)?,
            Err(_) => "",
        };
        Ok(Self { json, nodes, reading, signature, key, manifest_url })
    }

    /// The payload JSON as received.
    pub(crate) fn json(&self) -> &'a str {
        self.json
    }

    /// The payload, as far as it is good without a policy.
    pub(crate) fn reading(&self) -> &Reading<'a> {
        &self.reading
    }

    /// The key that was sent.
    ///
    /// # Errors
    /// `KEY_INVALID`
    pub(crate) fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_coordinates(&self.key.0, &self.key.1)
    }

    /// `r || s`
    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Where the agent's manifest is.
    pub(crate) fn manifest_url(&self) -> &'a str {
        self.manifest_url
    }

    /// The payload as a document again, to write its canonical form.
    pub(crate) fn document(&self) -> Document<'a, '_> {
        Document::reopen(self.json, &self.nodes)
    }
}

/// ORD-1: what is too long is refused before it is looked at.
fn check_lengths(headers: &Headers<'_>, bounds: &Bounds) -> Result<(), Error> {
    if headers.get(Name::Payload).len() > bounds.payload {
        return Err(Error::PayloadTooLarge);
    }
    if headers.credential().len().max(headers.proof().len()) > spec::request::JWT_MAX {
        return Err(Error::JwtTooLarge);
    }
    Ok(())
}

/// Where an agent's manifest is: https, and plain http for a localhost name of development.
fn write_manifest_url<'o>(agent_id: &str, development: bool, out: &'o mut [u8]) -> Result<&'o str, Error> {
    let mut writer = Writer::new(out);
    writer.text(if development { "http://" } else { "https://" });
    writer.text(agent_id);
    writer.text(spec::MANIFEST_PATH);
    Ok(writer.finish()?.0)
}
