//! What a verifier lacks, and what the host found when it went for it. The library never fetches (protocol.md section 3).

use crate::spec;
use crate::url::Url;

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// The manifest of an agent.
    Manifest = 1,
    /// The JWK Set of a configured issuer.
    Jwks = 2,
}

/// A document that is wanted. Fetch it by the rules of threats.md section 8, then `KeyCache::supply` the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need<'r> {
    /// Which document.
    pub kind: Kind,
    /// Where it is: https, but for development.
    pub url: &'r str,
    /// The URL's host, with its port if it names one.
    pub host: &'r str,
    /// Whether the URL is the operator's own. If not, its host came from a stranger: resolve it, check every address
    /// with `host::may_connect`, and connect to the address that was checked.
    pub configured: bool,
    /// Read at most one byte more than this; a longer body is supplied as it is, and refused.
    pub max_len: usize,
}

impl<'r> Need<'r> {
    pub(crate) fn manifest(url: &'r str) -> Option<Self> {
        let host = Url::parse(url)?.authority;
        Some(Self { kind: Kind::Manifest, url, host, configured: false, max_len: spec::document::MANIFEST_MAX })
    }

    pub(crate) fn jwks(url: &'r str) -> Option<Self> {
        let host = Url::parse(url)?.authority;
        Some(Self { kind: Kind::Jwks, url, host, configured: true, max_len: spec::document::JWKS_MAX })
    }
}

/// What came of a fetch.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'b> {
    /// Status 200; a manifest also with an acceptable media type: `application/json`, `+json`, or none (threats.md 4.5).
    Found {
        /// The body, at most one byte over the need's `max_len`.
        body: &'b [u8],
        /// `max-age` of `Cache-Control`, if there was one.
        max_age_s: Option<u32>,
    },
    /// The server answered, and it was not the document: another status below 500, a redirect, a manifest of another
    /// media type.
    NotThere,
    /// No answer: name, address, connection, TLS, time-out, 429 or 5xx.
    Unreachable,
}
