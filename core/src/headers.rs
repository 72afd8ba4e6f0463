//! The headers of a request: taken in one at a time, judged once, and written by the agent.

use crate::codec::{base64, hex};
use crate::visitor::Signals;
use crate::{Error, spec};

/// The headers that matter, as raw on the wire. Every header of a request goes through [`Headers::add`]:
/// those that are not ours are passed over, or noted as the sign of a browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    values: [&'a [u8]; Name::COUNT],
    len: usize,
    signals: Signals,
}

/// The IMAGXP headers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Payload,
    Signature,
    PublicKey,
    Key,
    Credential,
    Payment,
    Proof,
    AgentId,
    Timestamp,
    Alg,
    Feedback,
}

impl Name {
    const COUNT: usize = 11;
    const ALL: [(Self, &'static str); Self::COUNT] = [
        (Self::Payload, spec::header::PAYLOAD),
        (Self::Signature, spec::header::SIGNATURE),
        (Self::PublicKey, spec::header::PUBLIC_KEY),
        (Self::Key, spec::header::KEY),
        (Self::Credential, spec::header::CREDENTIAL),
        (Self::Payment, spec::header::PAYMENT),
        (Self::Proof, spec::header::PROOF),
        (Self::AgentId, spec::header::AGENT_ID),
        (Self::Timestamp, spec::header::TIMESTAMP),
        (Self::Alg, spec::header::ALG),
        (Self::Feedback, spec::header::FEEDBACK),
    ];

    fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| name.eq_ignore_ascii_case(text.as_bytes())).map(|(name, _)| *name)
    }

    #[expect(clippy::as_conversions, reason = "the discriminant")]
    fn index(self) -> usize {
        self as usize
    }

    fn alias(self) -> Option<Self> {
        match self {
            Self::PublicKey => Some(Self::Key),
            Self::Key => Some(Self::PublicKey),
            Self::Credential => Some(Self::Payment),
            Self::Payment => Some(Self::Credential),
            _ => None,
        }
    }
}

impl<'a> Headers<'a> {
    /// No headers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one header, any header of the request. Names are case-insensitive; an empty value is an absent header
    /// (protocol.md section 2). Add each header line on its own: never join two with a comma.
    ///
    /// # Errors
    /// `HEADER_BYTES` (an IMAGXP value outside 0x21..0x7E), `HEADER_DUPLICATE`, `HEADERS_CONTRADICT` (an alias that
    /// differs), `HEADERS_TOO_LARGE` (all together above 12,288 bytes). The request is refused with the first of them.
    pub fn add(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Error> {
        if value.is_empty() {
            return Ok(());
        }
        match name.get(..2).filter(|start| start.eq_ignore_ascii_case(b"x-")).and_then(|_| Name::from_bytes(name)) {
            Some(known) => self.add_known(known, name.len(), value),
            None => {
                self.signals.add(name, value);
                Ok(())
            }
        }
    }

    /// Whether a header of this name matters: one of ours, or one that tells browsers from bots. A host may leave out
    /// every other.
    #[must_use]
    pub fn reads(name: &[u8]) -> bool {
        Name::from_bytes(name).is_some() || Signals::reads(name)
    }

    fn add_known(&mut self, name: Name, name_len: usize, value: &'a [u8]) -> Result<(), Error> {
        self.len = self.len.saturating_add(name_len).saturating_add(value.len());
        if self.len > spec::request::HEADERS_MAX {
            return Err(Error::HeadersTooLarge);
        }
        if !self.get(name).is_empty() {
            return Err(Error::HeaderDuplicate);
        }
        // Without an early end, so that compilers make vector code of it: values are long and almost always good.
        if !value.iter().fold(true, |good, byte| good & spec::request::BYTES.contains(byte)) {
            return Err(Error::HeaderBytes);
        }
        let alias = name.alias().map_or(&[][..], |alias| self.get(alias));
        if !alias.is_empty() && alias != value {
            return Err(Error::HeadersContradict);
        }
        if let Some(slot) = self.values.get_mut(name.index()) {
            *slot = value;
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: Name) -> &'a [u8] {
        self.values.get(name.index()).copied().unwrap_or_default()
    }

    /// The value under either of its names; empty if there is none.
    fn either(&self, name: Name, alias: Name) -> &'a [u8] {
        let value = self.get(name);
        if value.is_empty() { self.get(alias) } else { value }
    }

    pub(crate) fn public_key(&self) -> &'a [u8] {
        self.either(Name::PublicKey, Name::Key)
    }

    pub(crate) fn credential(&self) -> &'a [u8] {
        self.either(Name::Credential, Name::Payment)
    }

    pub(crate) fn proof(&self) -> &'a [u8] {
        self.get(Name::Proof)
    }

    pub(crate) fn signals(&self) -> Signals {
        self.signals
    }

    /// Whether the request speaks IMAGXP: all three of payload, signature and key, or none of the set.
    ///
    /// # Errors
    /// `HEADERS_PARTIAL`: a failed identity, never a human (protocol.md section 6).
    pub(crate) fn signed(&self) -> Result<bool, Error> {
        let needed = [self.get(Name::Payload), self.get(Name::Signature), self.public_key()];
        let present = needed.iter().filter(|value| !value.is_empty()).count();
        let paid = !self.credential().is_empty() || !self.proof().is_empty();
        match present {
            3 => Ok(true),
            0 if !paid => Ok(false),
            _ => Err(Error::HeadersPartial),
        }
    }
}

/// What the agent sends: views into the buffer that it gave.
#[derive(Clone, Copy, Debug)]
pub struct SignedHeaders<'o> {
    /// `x-imagxp-payload`
    pub payload: &'o str,
    /// `x-imagxp-signature`
    pub signature: &'o str,
    /// `x-imagxp-public-key`, and its alias `x-imagxp-key`
    pub public_key: &'o str,
}

impl<'o> SignedHeaders<'o> {
    /// The buffer that every request fits.
    pub const BYTES_MAX: usize =
        spec::request::PAYLOAD_MAX + spec::request::SIGNATURE_LEN + spec::request::PUBLIC_KEY_LEN;

    /// Name and value of each header to send.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'o str)> {
        [
            (spec::header::PAYLOAD, self.payload),
            (spec::header::SIGNATURE, self.signature),
            (spec::header::PUBLIC_KEY, self.public_key),
            (spec::header::KEY, self.public_key),
        ]
        .into_iter()
    }
}

/// `r || s` from its header: exactly 128 lower-case hex digits (threats.md 4.1, R8).
pub(crate) fn read_signature(text: &[u8]) -> Result<[u8; 64], Error> {
    hex::decode_array(text).map_err(|_| Error::SignatureFormat)
}

/// The payload JSON from its header, decoded into the front of `memory`; the rest comes back.
pub(crate) fn read_payload<'m>(text: &[u8], memory: &'m mut [u8]) -> Result<(&'m [u8], &'m mut [u8]), Error> {
    if text.len() > spec::request::PAYLOAD_MAX {
        return Err(Error::PayloadTooLarge);
    }
    let (json, rest) = memory.split_at_mut_checked(base64::decoded_len_max(text.len())).ok_or(Error::BufferTooSmall)?;
    base64::decode(text, json).map(|json| (json, rest)).map_err(|_| Error::Base64Invalid)
}
