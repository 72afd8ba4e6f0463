//! A publisher's policy: read once from its JSON, compiled into words that hold no pointers (protocol.md section 6).

mod compile;

use crate::codec::json::{Document, Limits, Node};
use crate::need::Need;
use crate::visitor::Strategy;
use crate::{Error, Purpose, spec};

/// How a signed `resource` is compared with the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ResourceBinding {
    /// Scheme, authority, path and query.
    #[default]
    Exact = 0,
    /// Scheme and authority.
    Authority = 1,
    /// Not at all.
    Off = 2,
}

/// Whom a visa must be bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum VisaBinding {
    /// What `sub` and `cnf` say must hold; they may be absent.
    #[default]
    Prefer = 0,
    /// Both must be there.
    Require = 1,
}

/// What an issuer's tokens are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Role {
    /// Visas.
    Broker = 1,
    /// Ad proofs.
    AdNetwork = 2,
}

impl Role {
    const ALL: [Self; 2] = [Self::Broker, Self::AdNetwork];

    #[expect(clippy::as_conversions, reason = "the discriminant")]
    const fn number(self) -> u16 {
        self as u16
    }
}

/// Money in millionths of the currency's unit: 0.001 is 1,000.
pub type Micros = i64;

/// A compiled policy: words in the caller's memory, free of pointers, fit for flash and shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'m> {
    words: &'m [u64],
    /// Whether the visit is to a name that others can reach: development does not count there.
    public: bool,
}

/// One issuer of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'m> {
    /// What its tokens are good for.
    pub role: Role,
    /// `iss`, byte for byte.
    pub iss: &'m str,
    /// Where its key set is.
    pub jwks_url: &'m str,
}

/// The words before the texts.
mod word {
    pub(super) const MAGIC: usize = 0;
    pub(super) const SWITCHES: usize = 1;
    pub(super) const WINDOW_SKEW: usize = 2;
    pub(super) const PRICE: usize = 3;
    pub(super) const BROKER_URL: usize = 4;
    pub(super) const POINTER: usize = 5;
    /// Four issuers of two words: role and iss, URL.
    pub(super) const ISSUERS: usize = 6;
    /// Sixteen audiences.
    pub(super) const AUDIENCES: usize = 14;
    pub(super) const TEXTS: usize = 30;
}

const ISSUERS_MAX: usize = 4;
const AUDIENCES_MAX: usize = 16;
/// `imagxpP1`: what it is, and the version of its layout.
const MAGIC: u64 = u64::from_le_bytes(*b"imagxpP1");

/// Bits of the second word. The lowest three bytes hold the strategy and the two bindings.
mod switch {
    pub(super) const TRAINING: u64 = 1 << 32;
    pub(super) const RAG: u64 = 1 << 33;
    pub(super) const ADS: u64 = 1 << 34;
    pub(super) const PAYMENT: u64 = 1 << 35;
    pub(super) const BINDING: u64 = 1 << 36;
    pub(super) const SINGLE_USE: u64 = 1 << 37;
    pub(super) const DEVELOPMENT: u64 = 1 << 38;
    pub(super) const ATTRIBUTION: u64 = 1 << 39;
    pub(super) const FRESH: u64 = 1 << 40;
}

impl<'m> Policy<'m> {
    /// Words that every policy fits: 4 KiB.
    pub const WORDS: usize = 512;

    /// Compiles the reference's JSON. Unknown members are refused: a typo must not open a site.
    ///
    /// # Errors
    /// `POLICY_INVALID`; `ABI_STORAGE` when `memory` has fewer than [`Self::WORDS`] words.
    pub fn parse(json: &[u8], memory: &'m mut [u64]) -> Result<Self, Error> {
        let memory = memory.get_mut(..Self::WORDS).ok_or(Error::AbiStorage)?;
        memory.fill(0);
        let mut nodes = [Node::default(); 96];
        let limits = Limits { nodes: nodes.len(), ..Limits::PAYLOAD };
        let document = Document::parse(json, &limits, &mut nodes).map_err(|_| Error::PolicyInvalid)?;
        compile::compile(&document.root(), memory)?;
        Self::attach(memory)
    }

    /// Reopens a compiled policy.
    ///
    /// # Errors
    /// `ABI_STATE`: these words are not one.
    pub fn attach(words: &'m [u64]) -> Result<Self, Error> {
        match words.get(..Self::WORDS) {
            Some(words) if words.first() == Some(&MAGIC) => Ok(Self { words, public: false }),
            _ => Err(Error::AbiState),
        }
    }

    /// The JWK Sets to fetch before the first visitor comes.
    pub fn documents(&self) -> impl Iterator<Item = Need<'m>> + use<'m> {
        self.issuers().filter_map(|issuer| Need::jwks(issuer.jwks_url))
    }

    /// Every configured issuer.
    pub fn issuers(&self) -> impl Iterator<Item = Issuer<'m>> + use<'m> {
        let policy = *self;
        let issuers = (0..ISSUERS_MAX).filter_map(move |index| policy.issuer(index));
        issuers.filter(move |issuer| !policy.public || issuer.jwks_url.starts_with("https:"))
    }

    fn issuer(&self, index: usize) -> Option<Issuer<'m>> {
        let at = word::ISSUERS.checked_add(index.checked_mul(2)?)?;
        let tag = self.word(at) >> 48;
        let role = Role::ALL.into_iter().find(|role| u64::from(role.number()) == tag)?;
        Some(Issuer { role, iss: self.text(at), jwks_url: self.text(at.checked_add(1)?) })
    }

    /// The names of this publisher that a token's `aud` may hold.
    pub fn audiences(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        let policy = *self;
        let words = word::AUDIENCES..word::AUDIENCES.saturating_add(AUDIENCES_MAX);
        words.map(move |at| policy.text(at)).filter(|text| !text.is_empty())
    }

    /// Whether the policy admits the purpose.
    #[must_use]
    pub fn admits(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::CrawlTraining | Purpose::Embedding => self.switch(switch::TRAINING),
            Purpose::RagRetrieval | Purpose::Summary | Purpose::Quotation => self.switch(switch::RAG),
        }
    }

    /// Whether a visa, the whitelist or an ad proof is wanted.
    #[must_use]
    pub fn requires_payment(&self) -> bool {
        self.switch(switch::PAYMENT) || !self.broker_url().is_empty()
    }

    /// Whether an ad proof may stand for a visa.
    #[must_use]
    pub fn admits_ads(&self) -> bool {
        self.switch(switch::ADS)
    }

    /// Whether a key must be bound to its domain.
    #[must_use]
    pub fn requires_identity(&self) -> bool {
        self.switch(switch::BINDING)
    }

    /// Whether a visa is good for one request.
    #[must_use]
    pub fn visa_single_use(&self) -> bool {
        self.switch(switch::SINGLE_USE)
    }

    /// Whether attribution is asked for; for the discovery document.
    #[must_use]
    pub fn asks_attribution(&self) -> bool {
        self.switch(switch::ATTRIBUTION)
    }

    /// Whether a manifest or key set that is past its time must be fetched before it counts.
    #[must_use]
    pub fn requires_fresh(&self) -> bool {
        self.switch(switch::FRESH)
    }

    /// Whether localhost names and plain http to loopback are good: for people who have no domain yet.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.switch(switch::DEVELOPMENT) && !self.public
    }

    /// The policy for a visit of this authority: development counts for this machine's own names only. It is the authority
    /// that the host passes: a host that passes on the client's `Host` unseen leaves the choice to the client.
    pub(crate) fn at(self, authority: &str) -> Self {
        Self { public: !crate::url::is_loopback(authority), ..self }
    }

    /// What visitors without headers meet.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        match self.word(word::SWITCHES) & 0xFF {
            0 => Strategy::Passive,
            1 => Strategy::Hybrid,
            _ => Strategy::Strict,
        }
    }

    /// How `resource` is compared.
    #[must_use]
    pub fn resource_binding(&self) -> ResourceBinding {
        match self.word(word::SWITCHES) >> 8 & 0xFF {
            1 => ResourceBinding::Authority,
            2 => ResourceBinding::Off,
            _ => ResourceBinding::Exact,
        }
    }

    /// Whom visas must be bound to.
    #[must_use]
    pub fn visa_binding(&self) -> VisaBinding {
        if self.word(word::SWITCHES) >> 16 & 0xFF == 0 { VisaBinding::Prefer } else { VisaBinding::Require }
    }

    /// How old a `ts` may be, milliseconds.
    #[must_use]
    pub fn window_ms(&self) -> u32 {
        u32::try_from(self.word(word::WINDOW_SKEW) & 0xFFFF_FFFF).unwrap_or_default().min(spec::time::WINDOW_MAX_MS)
    }

    /// How far in the future a `ts` may be, milliseconds.
    #[must_use]
    pub fn skew_ms(&self) -> u32 {
        u32::try_from(self.word(word::WINDOW_SKEW) >> 32).unwrap_or_default().min(spec::time::WINDOW_MAX_MS)
    }

    /// What a request costs; 0 is any amount.
    #[must_use]
    pub fn price(&self) -> Micros {
        i64::try_from(self.word(word::PRICE)).unwrap_or(i64::MAX)
    }

    /// Where visas are sold; empty if nowhere.
    #[must_use]
    pub fn broker_url(&self) -> &'m str {
        self.text(word::BROKER_URL)
    }

    /// The payment pointer; for the discovery document.
    #[must_use]
    pub fn payment_pointer(&self) -> &'m str {
        self.text(word::POINTER)
    }

    fn switch(&self, bit: u64) -> bool {
        self.word(word::SWITCHES) & bit != 0
    }

    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// A text: its length in the lowest 16 bits of its word, its place in the next 32.
    fn text(&self, at: usize) -> &'m str {
        let word = self.word(at);
        let part = |shift: u32| usize::try_from(word >> shift & 0xFFFF).unwrap_or_default();
        let (len, start) = (part(0), part(16));
        let bytes: &'m [u8] = bytemuck::try_cast_slice(self.words).unwrap_or_default();
        bytes
            .get(start..start.saturating_add(len))
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}
