//! What one decision proves, offline, with its documents: signatures, manifest, visa, and what was bound.

use super::checks::{Check, Checks};
use super::log::What;
use super::{Decision, Document, Outcome, Target};
use crate::claims;
use crate::codec::json::{self, Kind, Limits, Node};
use crate::headers::{self, Name};
use crate::jose::jwk::{self, Jwk};
use crate::jose::jws::Token;
use crate::key::PublicKey;
use crate::manifest;
use crate::policy::ResourceBinding;
use crate::time::UnixMillis;
use crate::url::{self, Bound};
use crate::{Error, Proof, canonical, spec};

/// What became of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The record holds nothing to ask about: no signature, no manifest, no visa.
    Absent,
    /// It is so.
    Proven,
    /// It cannot be told: the document is not among those given.
    Unknown,
    /// It is not so.
    Refuted(Error),
}

impl From<Result<(), Error>> for Finding {
    fn from(result: Result<(), Error>) -> Self {
        result.map_or_else(Self::Refuted, |()| Self::Proven)
    }
}

/// What one decision proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// This key signed this payload.
    pub signature: Finding,
    /// This host served this key for this name, to this observer, at the time of the document.
    pub manifest: Finding,
    /// The recorded key signed the visa or ad proof.
    pub visa: Finding,
    /// The recorded key set lists that key under the token's `kid`.
    pub visa_key: Finding,
    /// The signed `resource` is the recorded request's, as far as the verdict says.
    pub bound: Finding,
}

impl<'l> Decision<'l> {
    /// The signatures in the record: the request's, then the token's. Those that cannot even be read are left out, and
    /// [`Self::prove`] says so.
    #[must_use]
    pub fn checks(&self, line: u64) -> Checks {
        let request = self.request_check(line).and_then(Result::ok);
        let token = self.token_check(line).and_then(Result::ok);
        request.into_iter().chain(token).collect()
    }

    /// Proves the record with its documents, those of [`Self::documents`] that are at hand. Up to two signature checks.
    /// `scratch` takes one document's body: 65,536 bytes, or 8,192 where only manifests are given.
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn prove(&self, documents: &[Document<'_>], scratch: &mut [u8]) -> Result<Findings, Error> {
        let verify = |check: Option<Result<Check, Error>>| match check {
            None => Finding::Absent,
            Some(check) => check.and_then(|check| check.verify()).into(),
        };
        self.prove_unchecked(documents, scratch).map(|findings| Findings {
            signature: verify(self.request_check(0)),
            visa: verify(self.token_check(0)),
            ..findings
        })
    }

    /// As [`Self::prove`], for callers who make [`Self::checks`] themselves: signatures are [`Finding::Unknown`].
    ///
    /// # Errors
    /// `BUFFER_TOO_SMALL`
    pub fn prove_unchecked(&self, documents: &[Document<'_>], scratch: &mut [u8]) -> Result<Findings, Error> {
        let unknown = |check: Option<Result<Check, Error>>| match check {
            None => Finding::Absent,
            Some(check) => check.map_or_else(Finding::Refuted, |_| Finding::Unknown),
        };
        Ok(Findings {
            signature: unknown(self.request_check(0)),
            manifest: self.find_manifest(documents, scratch)?,
            visa: unknown(self.token_check(0)),
            visa_key: self.find_visa_key(documents, scratch)?,
            bound: self.check_bound(),
        })
    }

    /// The record against any copy of the manifest: whether it lists the key that signed, for the agent that is named, as
    /// good at some second between arrival and decision. What it proves is what the copy's archive vouches for.
    #[must_use]
    pub fn check_manifest(&self, body: &[u8]) -> Finding {
        match self.claimant() {
            None => Finding::Absent,
            Some(Ok(claimant)) => self.manifest_lists(body, &claimant).into(),
            Some(Err(error)) => Finding::Refuted(error),
        }
    }

    fn manifest_lists(&self, body: &[u8], claimant: &Claimant) -> Result<(), Error> {
        let second = |time: UnixMillis| u64::try_from(time.s()).map_err(|_| Error::ClockUnknown);
        let (received_s, decided_s) = (second(self.received)?, second(self.decided)?);
        let keys = manifest::read(body, &claimant.agent_id)?;
        // It was judged in between, at a second that no record keeps. A key is good for one span of time: if it meets these
        // seconds, then at the first of them, or at its own.
        let from_s = keys.iter().find(|listed| listed.key == claimant.key).map_or(0, |listed| listed.from_s);
        let first_s = received_s.max(from_s).min(decided_s);
        keys.check(&claimant.key, first_s).or_else(|_| keys.check(&claimant.key, decided_s))
    }

    /// Who says to have signed; none if there are no headers.
    #[inline(never)] // its memory leaves the stack before a manifest is read
    fn claimant(&self) -> Option<Result<Claimant, Error>> {
        let mut memory = Memory::default();
        let request = memory.read(self)?;
        Some(request.and_then(|Signed { agent_id, key, .. }| {
            let agent_id = heapless::String::try_from(agent_id).map_err(|_| Error::AgentIdInvalid)?;
            Ok(Claimant { agent_id, key })
        }))
    }

    /// The recorded document that is this agent's manifest, if it is at hand.
    #[inline(never)]
    fn find_manifest(&self, documents: &[Document<'_>], scratch: &mut [u8]) -> Result<Finding, Error> {
        let claimant = match self.claimant() {
            None => return Ok(Finding::Absent),
            Some(Err(error)) => return Ok(Finding::Refuted(error)),
            Some(Ok(claimant)) => claimant,
        };
        let is_manifest = |document: &&Document<'_>| is_manifest_of(document.url, &claimant.agent_id);
        let Some(document) = self.used(documents).find(is_manifest) else { return Ok(Finding::Unknown) };
        if document.at > self.decided {
            return Ok(Finding::Refuted(Error::ManifestUnavailable));
        }
        let body = document.body(scratch).map_err(|_| Error::BufferTooSmall)?;
        Ok(self.manifest_lists(body, &claimant).into())
    }

    /// The recorded key set that lists the recorded key, if it is at hand.
    #[inline(never)]
    fn find_visa_key(&self, documents: &[Document<'_>], scratch: &mut [u8]) -> Result<Finding, Error> {
        let (Some(token), Some(key)) = (self.token(), self.visa_key) else { return Ok(Finding::Absent) };
        let mut finding = Finding::Unknown;
        for document in self.used(documents).filter(|document| !document.url.ends_with(spec::MANIFEST_PATH)) {
            let body = document.body(scratch).map_err(|_| Error::BufferTooSmall)?;
            if document.at <= self.decided && find_key(body, token.as_bytes()) == Some(key) {
                return Ok(Finding::Proven);
            }
            finding = Finding::Refuted(Error::JwtKeyUnknown);
        }
        Ok(finding)
    }

    /// Those of the given documents that the record names.
    fn used<'d, 'b>(&self, documents: &'d [Document<'b>]) -> impl Iterator<Item = &'d Document<'b>> {
        documents.iter().filter(|document| self.documents.contains(&document.sha256))
    }

    /// The signed resource against the recorded request, as far as the verdict says it was bound.
    #[inline(never)]
    fn check_bound(&self) -> Finding {
        let binding = match self.outcome {
            Outcome::Admitted { bound: Bound::Exact, .. } => ResourceBinding::Exact,
            Outcome::Admitted { bound: Bound::Authority, .. } => ResourceBinding::Authority,
            _ => return Finding::Absent,
        };
        let (Target::Text(scheme), Target::Text(authority)) = (self.scheme, self.authority) else {
            return Finding::Unknown;
        };
        let target = match self.target {
            Target::Text(target) => target,
            Target::Hash(_) if binding == ResourceBinding::Authority => "",
            Target::Hash(_) => return Finding::Unknown,
        };
        let mut memory = Memory::default();
        match memory.read(self) {
            None => Finding::Absent,
            Some(Err(error)) => Finding::Refuted(error),
            Some(Ok(request)) => url::bind(request.resource, scheme, authority, target, binding).map(|_| ()).into(),
        }
    }

    /// The request's signature; none if there are no headers.
    #[inline(never)]
    fn request_check(&self, line: u64) -> Option<Result<Check, Error>> {
        let mut memory = Memory::default();
        let request = memory.read(self)?;
        Some(request.and_then(|request| {
            let digest = canonical::digest_of_text(request.json)?;
            let signature = headers::read_signature(self.header(Name::Signature).as_bytes())?;
            Ok(Check { line, key: request.key, digest, signature })
        }))
    }

    /// The token's signature; none if no key was recorded for one.
    fn token_check(&self, line: u64) -> Option<Result<Check, Error>> {
        let (text, key) = (self.token()?, self.visa_key?);
        let check = |token: Token<'_>| Check { line, key, digest: token.digest(), signature: *token.signature() };
        Some(Token::parse(text.as_bytes()).map(check))
    }

    /// The token that was verified: the ad proof if that is what it was admitted with, else the visa.
    fn token(&self) -> Option<&'l str> {
        let token = match self.outcome {
            Outcome::Admitted { proof: Proof::AdProof, .. } => self.header(Name::Proof),
            _ => self.either(Name::Credential, Name::Payment),
        };
        Some(token).filter(|token| !token.is_empty())
    }
}

impl Findings {
    /// Whether the findings bear out the verdict: what it says was verified is proven. Documents that are not at hand
    /// ([`Finding::Unknown`]) are no fault; what is refuted is.
    ///
    /// # Errors
    /// [`What::Signature`], [`What::Document`]
    pub fn bear_out(&self, outcome: Outcome) -> Result<(), What> {
        let holds = |finding: Finding| !matches!(finding, Finding::Refuted(_) | Finding::Absent);
        let (signed, verified, token) = match outcome {
            Outcome::Admitted { verified, proof, .. } => {
                let signed = verified || self.signature != Finding::Absent;
                (signed, verified, matches!(proof, Proof::Visa | Proof::AdProof))
            }
            Outcome::Refused(error) => (crate::refusal::is_behind_identity(error), false, false),
        };
        if signed && !holds(self.signature) || token && !holds(self.visa) {
            return Err(What::Signature);
        }
        let bound = !matches!(self.bound, Finding::Refuted(_));
        if verified && !holds(self.manifest) || token && !holds(self.visa_key) || !bound {
            return Err(What::Document);
        }
        Ok(())
    }
}

/// Who says to have signed, and with which key.
struct Claimant {
    agent_id: heapless::String<{ *spec::field::AGENT_ID_LEN.end() }>,
    key: PublicKey,
}

/// What the signature of a request is about.
struct Signed<'m> {
    json: &'m [u8],
    agent_id: &'m str,
    resource: &'m str,
    key: PublicKey,
}

/// Room for a payload and its texts.
struct Memory {
    json: [u8; spec::request::PAYLOAD_JSON_MAX],
    texts: [u8; spec::request::PAYLOAD_JSON_MAX],
}

impl Default for Memory {
    fn default() -> Self {
        Self { json: [0; spec::request::PAYLOAD_JSON_MAX], texts: [0; spec::request::PAYLOAD_JSON_MAX] }
    }
}

impl Memory {
    /// The recorded request; none if it had no headers.
    fn read(&mut self, decision: &Decision<'_>) -> Option<Result<Signed<'_>, Error>> {
        let payload = decision.header(Name::Payload);
        if payload.is_empty() {
            return None;
        }
        Some(self.read_payload(payload, decision.either(Name::PublicKey, Name::Key)))
    }

    fn read_payload(&mut self, payload: &str, key: &str) -> Result<Signed<'_>, Error> {
        let key = PublicKey::from_text(key.as_bytes())?;
        let (json, _) = headers::read_payload(payload.as_bytes(), &mut self.json)?;
        let mut nodes = [Node::default(); Limits::PAYLOAD.nodes];
        let document = json::Document::parse(json, &Limits::PAYLOAD, &mut nodes)?;
        let claims = claims::read(&document, &mut self.texts)?.payload?.claims;
        Ok(Signed { json, agent_id: claims.agent_id, resource: claims.resource, key })
    }
}

/// `https://{agent_id}/.well-known/imagxp-agent.json`; plain http for a name of development.
fn is_manifest_of(url: &str, agent_id: &str) -> bool {
    let (Some(https), http) = (url.strip_prefix("https://").or(url.strip_prefix("http://")), url.starts_with("http:"))
    else {
        return false;
    };
    let development = crate::host::check_agent_id(agent_id, crate::host::Mode::Production).is_err();
    https.strip_suffix(spec::MANIFEST_PATH) == Some(agent_id) && http == development
}

/// The key of a set that a token names, by the rules of verification.
pub(super) fn find_key(jwks: &[u8], token: &[u8]) -> Option<PublicKey> {
    let token = Token::parse(token).ok()?;
    let mut kid = [0; spec::jwt::KID_MAX];
    let header = token.header(&spec::jwt::TYPES, &mut kid).ok()?;
    if jwks.len() > spec::document::JWKS_MAX {
        return None;
    }
    let mut nodes = [Node::default(); Limits::JWKS.nodes];
    let set = json::Document::parse(jwks, &Limits::JWKS, &mut nodes).ok()?;
    let keys = set.root().get("keys").filter(|keys| keys.kind() == Kind::Array)?;
    let mut found = None;
    for entry in keys.children() {
        let Some(key) = usable(entry.raw(), header.kid) else { continue };
        // Two with one name, or two without: no key is named.
        if found.replace(key).is_some() {
            return None;
        }
    }
    found
}

/// A usable entry of this name, or any if the token names none.
fn usable(entry: &str, kid: Option<&str>) -> Option<PublicKey> {
    let mut nodes = [Node::default(); Limits::JWK.nodes];
    let entry = json::Document::parse(entry.as_bytes(), &Limits::JWK, &mut nodes).ok()?;
    let Ok(Jwk::Usable(key, name)) = jwk::read(&entry.root()) else { return None };
    match kid {
        Some(kid) => name.is_some_and(|name| name == *kid).then_some(key),
        None => Some(key),
    }
}
