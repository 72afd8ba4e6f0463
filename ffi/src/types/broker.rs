//! What brokers sell, and what publishers read of it outside a request.

use super::{imagxp_need, imagxp_span, imagxp_str};

/// What a visa says. Begin with `IMAGXP_INIT(&visa)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_visa {
    /// `sizeof (imagxp_visa)`
    pub size: usize,
    /// The broker's URL, byte for byte as publishers configure it.
    pub issuer: imagxp_str,
    /// The publisher: `nytimes.com` or `https://nytimes.com`.
    pub audience: imagxp_str,
    /// Whom the visa is bound to: the verified agent. Empty: it is good for anybody who holds it.
    pub agent_id: imagxp_str,
    /// The agent's key, `IMAGXP_FORMAT_TEXT` or `_PEM`; with `agent_id` only.
    pub public_key: imagxp_str,
    /// The visa's own name, 1 to 128 bytes: wanted by publishers for whom a visa is good for one request. May be empty.
    pub jti: imagxp_str,
    /// Three to eight upper-case letters; informational, may be empty.
    pub currency: imagxp_str,
    /// What was paid, millionths of the unit, above 0.
    pub amount_micros: i64,
    /// 1 to 3,600 seconds.
    pub lifetime_s: u32,
    /// What it was bought for: `IMAGXP_CRAWL_TRAINING` and its like, or 0; informational.
    pub purpose: i32,
}

/// A key that a broker publishes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_published_key {
    /// The name by which its tokens choose it, 1 to 128 bytes.
    pub kid: imagxp_str,
    /// `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`.
    pub public_key: imagxp_str,
}

/// `imagxp_visa_verify`: a visa, of the policy's broker.
pub const IMAGXP_ROLE_BROKER: i32 = 1;
/// An ad proof, of the policy's ad network.
pub const IMAGXP_ROLE_AD_NETWORK: i32 = 2;

/// What a token says. The texts lie in the scratch of the call. Begin with `IMAGXP_INIT(&token)`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_token {
    /// `sizeof (imagxp_token)`
    pub size: usize,
    /// `IMAGXP_NEED` or `IMAGXP_VERIFIED`: what the call answered.
    pub status: i32,
    /// `IMAGXP_TOKEN_BOUND`
    pub flags: u32,
    /// With `IMAGXP_NEED`: the key set to fetch.
    pub need: imagxp_need,
    /// A hint: the key set is past its time. Fetch and supply it after answering.
    pub refresh: imagxp_need,
    /// Who issued it.
    pub issuer: imagxp_span,
    /// Its `jti`, if it has one.
    pub jti: imagxp_span,
    /// What was paid, millionths of the unit; 0 in an ad proof.
    pub amount_micros: i64,
    /// When it expires, seconds since 1970.
    pub expires_s: i64,
}
