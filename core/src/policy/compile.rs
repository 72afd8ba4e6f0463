//! A policy's JSON, member by member, into its words.

use crate::codec::decimal;
use crate::codec::json::{Kind, Value};
use crate::url::Url;
use crate::visitor::Strategy;
use crate::{Error, spec};

use super::{AUDIENCES_MAX, ISSUERS_MAX, MAGIC, Policy, Role, switch, word};

/// Compiles a policy into words that are all zero. After a refusal they are no policy.
///
/// # Errors
/// `POLICY_INVALID`
pub(super) fn compile(root: &Value<'_, '_>, words: &mut [u64]) -> Compiled {
    Compiler { words, texts: word::TEXTS.saturating_mul(8), issuers: 0 }.policy(root)
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
            "require_fresh" => self.switch(member, switch::FRESH),
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
        let known = Policy { words: self.words, public: false }
            .issuers()
            .position(|known| known.role == role && known.iss == iss);
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
