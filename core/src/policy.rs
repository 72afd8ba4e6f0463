//! A publisher's policy: read once from its JSON, compiled into words that hold no pointers (protocol.md section 6).

use crate::codec::decimal;
use crate::codec::json::{Document, Kind, Limits, Node, Value};
use crate::need::Need;
use crate::url::Url;
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
        let mut compiler = Compiler { words: memory, texts: word::TEXTS.saturating_mul(8), issuers: 0 };
        compiler.policy(&document.root())?;
        Self::attach(memory)
    }

    /// Reopens a compiled policy.
    ///
    /// # Errors
    /// `ABI_STATE`: these words are not one.
    pub fn attach(words: &'m [u64]) -> Result<Self, Error> {
        match words.get(..Self::WORDS) {
            Some(words) if words.first() == Some(&MAGIC) => Ok(Self { words }),
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
        (0..ISSUERS_MAX).filter_map(move |index| policy.issuer(index))
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

    /// Whether localhost names and plain http to loopback are good: for people who have no domain yet.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.switch(switch::DEVELOPMENT)
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

/// Fills the words of a policy.
struct Compiler<'m> {
    words: &'m mut [u64],
    /// Where the next text goes, bytes.
    texts: usize,
    issuers: usize,
}

type Compiled = Result<(), Error>;

impl Compiler<'_> {
    fn policy(&mut self, root: &Value<'_, '_>) -> Compiled {
        if root.kind() != Kind::Object {
            return Err(Error::PolicyInvalid);
        }
        self.or(word::SWITCHES, switch::BINDING);
        self.set(word::WINDOW_SKEW, u64::from(spec::time::WINDOW_MS) | u64::from(spec::time::SKEW_MS) << 32);
        // First, because it decides which URLs are good.
        if let Some(development) = root.get("development") {
            self.switch(&development, switch::DEVELOPMENT)?;
        }
        root.children().try_for_each(|member| self.member(&member))?;
        // Last, so that half a policy is none.
        self.set(word::MAGIC, MAGIC);
        Ok(())
    }

    fn member(&mut self, member: &Value<'_, '_>) -> Compiled {
        match member.name().plain().unwrap_or_default() {
            "allowTraining" => self.switch(member, switch::TRAINING),
            "allowRAG" => self.switch(member, switch::RAG),
            "allowAdSupportedAccess" => self.switch(member, switch::ADS),
            "requiresPayment" => self.switch(member, switch::PAYMENT),
            "requireIdentityBinding" => self.switch(member, switch::BINDING),
            "attributionRequired" => self.switch(member, switch::ATTRIBUTION),
            "visa_single_use" => self.switch(member, switch::SINGLE_USE),
            "development" => Ok(()),
            "strategy" => {
                let strategy = Strategy::from_name(plain(member)?).ok_or(Error::PolicyInvalid)?;
                self.or(word::SWITCHES, u64::from(strategy.number()));
                Ok(())
            }
            "resource_binding" => self.byte(8, choice(member, &["exact", "authority", "off"])?),
            "visa_binding" => self.byte(16, choice(member, &["prefer", "require"])?),
            "window" => self.milliseconds(member, 0),
            "skew" => self.milliseconds(member, 32),
            "price" => self.price(member),
            "audiences" => self.audiences(member),
            "paymentPointer" => self.text(word::POINTER, plain(member)?, 0),
            "monetization" => self.monetization(member),
            "version" => plain(member).and_then(|version| {
                if spec::VERSIONS_READ.contains(&version) { Ok(()) } else { Err(Error::PolicyInvalid) }
            }),
            _ => Err(Error::PolicyInvalid),
        }
    }

    fn monetization(&mut self, monetization: &Value<'_, '_>) -> Compiled {
        members(monetization)?.try_for_each(|member| match member.name().plain().unwrap_or_default() {
            "brokerUrl" => self.broker(plain(&member)?),
            "paymentConfig" => self.issuer(&member, Role::Broker),
            "adNetwork" => self.issuer(&member, Role::AdNetwork),
            _ => Err(Error::PolicyInvalid),
        })
    }

    /// `brokerUrl`: the issuer's name, and to the letter the base of its key set's URL. An empty one is none.
    fn broker(&mut self, url: &str) -> Compiled {
        if url.is_empty() {
            return Ok(());
        }
        self.check_url(url)?;
        self.text(word::BROKER_URL, url, 0)?;
        let at = self.next_issuer()?;
        self.text(at, url, Role::Broker.number())?;
        self.texts(at.saturating_add(1), [url, spec::JWKS_PATH], 0)
    }

    /// `{"jwksUrl","issuer"}`
    fn issuer(&mut self, config: &Value<'_, '_>, role: Role) -> Compiled {
        let (mut url, mut iss) = ("", "");
        for member in members(config)? {
            match member.name().plain().unwrap_or_default() {
                "jwksUrl" => url = plain(&member)?,
                "issuer" => iss = plain(&member)?,
                _ => return Err(Error::PolicyInvalid),
            }
        }
        if iss.is_empty() {
            return Err(Error::PolicyInvalid);
        }
        self.check_url(url)?;
        let at = self.place_of_issuer(role, iss)?;
        self.text(at, iss, role.number())?;
        self.text(at.saturating_add(1), url, 0)
    }

    /// The place of an issuer: its own, if it is named twice. Then the URL that is spelled out stands.
    fn place_of_issuer(&mut self, role: Role, iss: &str) -> Result<usize, Error> {
        let known = Policy { words: self.words }.issuers().position(|known| known.role == role && known.iss == iss);
        match known {
            Some(index) => Ok(word::ISSUERS.saturating_add(index.saturating_mul(2))),
            None => self.next_issuer(),
        }
    }

    fn next_issuer(&mut self) -> Result<usize, Error> {
        let index = self.issuers;
        self.issuers = index.saturating_add(1);
        let at = word::ISSUERS.saturating_add(index.saturating_mul(2));
        if index < ISSUERS_MAX { Ok(at) } else { Err(Error::PolicyInvalid) }
    }

    /// https; in development plain http to loopback, too (threats.md SSRF-2).
    fn check_url(&self, url: &str) -> Compiled {
        let url = Url::parse(url).ok_or(Error::PolicyInvalid)?;
        let development = self.words.get(word::SWITCHES).is_some_and(|word| word & switch::DEVELOPMENT != 0);
        if url.scheme == "https" || development && url.is_loopback() { Ok(()) } else { Err(Error::PolicyInvalid) }
    }

    /// One to sixteen; in development none that is a public name (a production site must not run so).
    fn audiences(&mut self, audiences: &Value<'_, '_>) -> Compiled {
        if audiences.kind() != Kind::Array || !(1..=AUDIENCES_MAX).contains(&audiences.count()) {
            return Err(Error::PolicyInvalid);
        }
        let development = self.words.get(word::SWITCHES).is_some_and(|word| word & switch::DEVELOPMENT != 0);
        for (index, audience) in audiences.children().enumerate() {
            let audience = plain(&audience)?;
            if audience.is_empty() || development && !is_development_name(audience) {
                return Err(Error::PolicyInvalid);
            }
            self.text(word::AUDIENCES.saturating_add(index), audience, 0)?;
        }
        Ok(())
    }

    fn switch(&mut self, member: &Value<'_, '_>, bit: u64) -> Compiled {
        let on = member.as_bool().ok_or(Error::PolicyInvalid)?;
        if let Some(word) = self.words.get_mut(word::SWITCHES) {
            *word = if on { *word | bit } else { *word & !bit };
        }
        Ok(())
    }

    fn byte(&mut self, shift: u32, value: u8) -> Compiled {
        self.or(word::SWITCHES, u64::from(value) << shift);
        Ok(())
    }

    fn milliseconds(&mut self, member: &Value<'_, '_>, shift: u32) -> Compiled {
        let (ms, exact) = member.as_number().and_then(|n| decimal::scaled(n, 0)).ok_or(Error::PolicyInvalid)?;
        let ms = u64::try_from(ms).ok().filter(|ms| exact && *ms <= u64::from(spec::time::WINDOW_MAX_MS));
        let ms = ms.ok_or(Error::PolicyInvalid)?;
        if let Some(word) = self.words.get_mut(word::WINDOW_SKEW) {
            *word = *word & !(0xFFFF_FFFF << shift) | ms << shift;
        }
        Ok(())
    }

    /// A decimal number, or its text, with at most six places.
    fn price(&mut self, member: &Value<'_, '_>) -> Compiled {
        let text = member.as_number().or_else(|| member.as_text().and_then(|text| text.plain()));
        let price = text.and_then(|text| decimal::scaled(text, 6)).filter(|(_, exact)| *exact);
        let (price, _) = price.ok_or(Error::PolicyInvalid)?;
        self.set(word::PRICE, u64::try_from(price).map_err(|_| Error::PolicyInvalid)?);
        Ok(())
    }

    fn text(&mut self, at: usize, text: &str, tag: u16) -> Compiled {
        self.texts(at, [text, ""], tag)
    }

    /// Stores a text of two parts, and in the word at `at` its place, its length and `tag`.
    fn texts(&mut self, at: usize, parts: [&str; 2], tag: u16) -> Compiled {
        let start = self.texts;
        let bytes: &mut [u8] = bytemuck::try_cast_slice_mut(self.words).map_err(|_| Error::AbiStorage)?;
        for part in parts {
            let place = bytes.get_mut(self.texts..).and_then(|free| free.get_mut(..part.len()));
            place.ok_or(Error::PolicyInvalid)?.copy_from_slice(part.as_bytes());
            self.texts = self.texts.saturating_add(part.len());
        }
        let len = self.texts.saturating_sub(start);
        let word = u64::try_from(start).unwrap_or_default() << 16 | u64::try_from(len).unwrap_or_default();
        self.set(at, word | u64::from(tag) << 48);
        Ok(())
    }

    fn set(&mut self, at: usize, value: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word = value;
        }
    }

    fn or(&mut self, at: usize, bits: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits;
        }
    }
}

fn members<'t, 'n>(value: &Value<'t, 'n>) -> Result<impl Iterator<Item = Value<'t, 'n>>, Error> {
    if value.kind() == Kind::Object { Ok(value.children()) } else { Err(Error::PolicyInvalid) }
}

/// A string of printable ASCII without escapes.
fn plain<'t>(value: &Value<'t, '_>) -> Result<&'t str, Error> {
    let text = value.as_text().and_then(|text| text.plain()).ok_or(Error::PolicyInvalid)?;
    if text.bytes().all(|byte| spec::request::BYTES.contains(&byte)) { Ok(text) } else { Err(Error::PolicyInvalid) }
}

fn choice(value: &Value<'_, '_>, names: &[&str]) -> Result<u8, Error> {
    let text = plain(value)?;
    let index = names.iter().position(|name| *name == text).ok_or(Error::PolicyInvalid)?;
    u8::try_from(index).map_err(|_| Error::PolicyInvalid)
}

fn is_development_name(audience: &str) -> bool {
    let host = audience.strip_prefix("https://").or_else(|| audience.strip_prefix("http://")).unwrap_or(audience);
    crate::url::is_loopback(host)
}
