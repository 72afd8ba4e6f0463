//! Visitors without IMAGXP headers: what a browser shows, and what a site's strategy makes of it (protocol.md section 6).

use crate::Error;

/// Who came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Visitor {
    /// An agent whose key its own domain publishes.
    VerifiedAgent = 1,
    /// No IMAGXP headers, but the signs of a browser.
    LikelyHuman = 2,
    /// Anything else.
    UnidentifiedBot = 3,
}

impl Visitor {
    /// The name as the wire shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifiedAgent => "VERIFIED_AGENT",
            Self::LikelyHuman => "LIKELY_HUMAN",
            Self::UnidentifiedBot => "UNIDENTIFIED_BOT",
        }
    }
}

/// What a site does with visitors without headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Strategy {
    /// Admits every one.
    #[default]
    Passive = 0,
    /// Admits likely browsers.
    Hybrid = 1,
    /// Admits nobody.
    Strict = 2,
}

impl Strategy {
    /// The strategy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "PASSIVE" => Some(Self::Passive),
            "HYBRID" => Some(Self::Hybrid),
            "STRICT" => Some(Self::Strict),
            _ => None,
        }
    }

    #[expect(clippy::as_conversions, reason = "the discriminant")]
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    /// The name as the policy writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passive => "PASSIVE",
            Self::Hybrid => "HYBRID",
            Self::Strict => "STRICT",
        }
    }
}

/// What the host vouches for: bits of `Visit::vouched`.
pub mod vouched {
    /// The request came through Cloudflare: `cf-ray` and `cf-visitor` count.
    pub const CLOUDFLARE: u32 = 1;
    /// The request came through Vercel: `x-vercel-id` counts.
    pub const VERCEL: u32 = 1 << 1;
    /// The request came through CloudFront: `cloudfront-viewer-address` counts.
    pub const CLOUDFRONT: u32 = 1 << 2;
    /// The agent is on the host's whitelist: no payment is wanted of it.
    pub const WHITELISTED: u32 = 1 << 8;
    /// Every bit there is.
    pub const ALL: u32 = CLOUDFLARE | VERCEL | CLOUDFRONT | WHITELISTED;
}

/// Words in a `User-Agent` that no browser has (protocol.md section 6).
const BOT_WORDS: [&[u8]; 7] = [b"python-requests", b"curl", b"wget", b"scrapy", b"bot", b"crawler", b"spider"];

/// The signs of a browser, gathered header by header. No value is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals {
    bot: bool,
    language: bool,
    navigation: bool,
    /// Which edges left their header: bits of [`vouched`].
    edges: u32,
}

impl Signals {
    /// Whether a header of this name is a sign of anything.
    pub(crate) fn reads(name: &[u8]) -> bool {
        const NAMES: [&[u8]; 8] = [
            b"user-agent",
            b"accept-language",
            b"sec-fetch-dest",
            b"upgrade-insecure-requests",
            b"cf-ray",
            b"cf-visitor",
            b"x-vercel-id",
            b"cloudfront-viewer-address",
        ];
        NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Takes note of one header with a value.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"user-agent") {
            self.bot |= BOT_WORDS.iter().any(|word| contains_ignore_case(value, word));
        } else if is(b"accept-language") {
            self.language = true;
        } else if is(b"sec-fetch-dest") || is(b"upgrade-insecure-requests") {
            self.navigation = true;
        } else if is(b"cf-ray") || is(b"cf-visitor") {
            self.edges |= vouched::CLOUDFLARE;
        } else if is(b"x-vercel-id") {
            self.edges |= vouched::VERCEL;
        } else if is(b"cloudfront-viewer-address") {
            self.edges |= vouched::CLOUDFRONT;
        }
    }

    fn visitor(self, vouched: u32) -> Visitor {
        let browser = self.language && self.navigation || self.edges & vouched != 0;
        if browser && !self.bot { Visitor::LikelyHuman } else { Visitor::UnidentifiedBot }
    }

    /// What the strategy says to this visitor.
    pub(crate) fn judge(self, strategy: Strategy, vouched: u32) -> Result<Visitor, Error> {
        let visitor = self.visitor(vouched);
        match (strategy, visitor) {
            (Strategy::Strict, _) => Err(Error::IdentityRequired),
            (Strategy::Hybrid, Visitor::UnidentifiedBot) => Err(Error::VisitorRefused),
            _ => Ok(visitor),
        }
    }
}

fn contains_ignore_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}
