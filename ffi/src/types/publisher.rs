//! What publishers meet: requests, documents, caches, policies, verdicts.

use super::{imagxp_span, imagxp_str};

/// `imagxp_visit.vouched`: the request came through Cloudflare, so that its headers count.
pub const IMAGXP_VOUCHED_CLOUDFLARE: u32 = 1;
/// The request came through Vercel.
pub const IMAGXP_VOUCHED_VERCEL: u32 = 2;
/// The request came through CloudFront.
pub const IMAGXP_VOUCHED_CLOUDFRONT: u32 = 4;
/// The agent is on the host's whitelist: no payment is wanted of it.
pub const IMAGXP_VOUCHED_WHITELISTED: u32 = 256;

/// A header of a request, as it came. Give each header line on its own: never join two with a comma.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_header {
    /// In any case.
    pub name: imagxp_str,
    /// Raw, without the white space around it.
    pub value: imagxp_str,
}

/// A request as the host received it, raw as on the wire. Begin with `IMAGXP_INIT(&visit)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_visit {
    /// `sizeof (imagxp_visit)`
    pub size: usize,
    /// `GET`
    pub method: imagxp_str,
    /// `https` or `http`, as the client used it.
    pub scheme: imagxp_str,
    /// The `Host` or `:authority` that this site answers for; behind a CDN the public one, from configuration. A host
    /// that answers to any name must compare it with its own names first: else a request signed for another site passes, and under a policy for
    /// `development` whoever writes `Host: localhost` is judged by it.
    pub authority: imagxp_str,
    /// Path and query as received, before any rewriting: `/a?b=c`.
    pub target: imagxp_str,
    /// All headers of the request, or at least those that `imagxp_header_matters` names.
    pub headers: *const imagxp_header,
    /// How many.
    pub headers_len: usize,
    /// What the host vouches for: `IMAGXP_VOUCHED_*`, or 0.
    pub vouched: u32,
    /// 0
    pub reserved: u32,
}

/// A request in one piece, where every pointer handed over costs something (ctypes, cgo). Begin with
/// `IMAGXP_INIT(&packed)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_packed {
    /// `sizeof (imagxp_packed)`
    pub size: usize,
    /// Method, scheme, authority and target, and then name and value of each header, each as in `imagxp_visit`, with
    /// one NUL between two and none at the end: `GET\0https\0pub.example.com\0/a?b=c\0user-agent\0curl`. A NUL within a
    /// field is refused, never read as two fields.
    pub fields: imagxp_str,
    /// How many fields: 4, and 2 for each header.
    pub count: u32,
    /// What the host vouches for: `IMAGXP_VOUCHED_*`, or 0.
    pub vouched: u32,
}

/// `imagxp_need.kind`: no document.
pub const IMAGXP_NEED_NOTHING: i32 = 0;
/// The manifest of an agent.
pub const IMAGXP_NEED_MANIFEST: i32 = 1;
/// The JWK Set of a configured issuer.
pub const IMAGXP_NEED_JWKS: i32 = 2;

/// A document that is wanted. The texts lie in the scratch of the call that said so.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_need {
    /// `IMAGXP_NEED_*`
    pub kind: i32,
    /// 1: the URL is the operator's own. 0: its host came from a stranger. Resolve it, ask `imagxp_host_may_connect` of
    /// every address, connect to the address that was asked about, on port 443, with TLS, and follow no redirect.
    pub configured: i32,
    /// Read at most one byte more than this. A longer body is supplied as it is, and refused.
    pub max_len: u32,
    /// Ties it to the texts in its scratch. The library's own; 0 in a need that you made yourself, for a document that you
    /// have at hand.
    pub check: u32,
    /// Where it is.
    pub url: imagxp_span,
    /// The URL's host, with its port if it names one: the key to fetch each document once for all who wait for it.
    pub host: imagxp_span,
}

/// `imagxp_answer.kind`: status 200, with `application/json`, `+json` or no media type.
pub const IMAGXP_FOUND: i32 = 1;
/// The server answered, and it was not the document: another status below 500, a redirect, another media type.
pub const IMAGXP_NOT_THERE: i32 = 2;
/// No answer: name, address, connection, TLS, time-out, 429 or 5xx.
pub const IMAGXP_UNREACHABLE: i32 = 3;

/// What came of a fetch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_answer {
    /// `IMAGXP_FOUND`, `IMAGXP_NOT_THERE` or `IMAGXP_UNREACHABLE`.
    pub kind: i32,
    /// `max-age` of `Cache-Control`; -1 when there is none.
    pub max_age_s: i32,
    /// With `IMAGXP_FOUND`: the body.
    pub body: imagxp_str,
}

/// A view of the words that hold a key cache: make one wherever it is needed, copy it freely.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_key_cache {
    /// The words, the caller's.
    pub words: *mut u64,
    /// How many.
    pub len: usize,
}

/// What a key cache is to hold.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_key_cache_sizes {
    /// Agents, the refused ones included: 4,096 for a server, 256 for a gateway, 8 for a chip.
    pub names: u32,
    /// Issuers of tokens: at least as many as the policies name.
    pub issuers: u32,
    /// Prepared keys: 128 for a server, none for a chip.
    pub tables: u32,
    /// KiB of a prepared key: 2, 8, 16, 32, 64 or 320. 64 verify fastest, 8 in a tenth of the memory are near.
    pub table_kib: u32,
}

/// A view of the words that hold a replay cache: make one wherever it is needed, copy it freely.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_replay_cache {
    /// The words, the caller's.
    pub words: *mut u64,
    /// How many.
    pub len: usize,
}

/// Counts of a replay cache, for dashboards. Begin with `IMAGXP_INIT(&stats)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_replay_stats {
    /// `sizeof (imagxp_replay_stats)`
    pub size: usize,
    /// Entries that fit.
    pub slots: u64,
    /// Entries in use, those included that have expired and were not yet swept.
    pub live: u64,
    /// The part of them that belongs to names first seen less than an hour ago.
    pub live_of_new_names: u64,
    /// Requests admitted.
    pub admitted: u64,
    /// Refused: used before.
    pub refused_used: u64,
    /// Refused: no room.
    pub refused_full: u64,
    /// Refused: over quota.
    pub refused_quota: u64,
    /// Calls whose `now_ms` lay more than two seconds behind an earlier one's.
    pub clock_steps_back: u64,
    /// The latest time that the cache was told.
    pub clock_ms: i64,
}

/// A compiled policy: `IMAGXP_POLICY_WORDS` words without pointers, fit for flash and shared memory.
pub struct imagxp_policy {
    _words: (),
}

/// `imagxp_terms.flags`: training and embedding are admitted.
pub const IMAGXP_TERMS_TRAINING: u32 = 1;
/// Retrieval, summaries and quotations are admitted.
pub const IMAGXP_TERMS_RAG: u32 = 2;
/// A visa, the whitelist or an ad proof is wanted.
pub const IMAGXP_TERMS_PAYMENT: u32 = 4;
/// An ad proof may stand for a visa.
pub const IMAGXP_TERMS_ADS: u32 = 8;
/// A key must be bound to its domain.
pub const IMAGXP_TERMS_IDENTITY: u32 = 16;
/// A visa is good for one request.
pub const IMAGXP_TERMS_SINGLE_USE: u32 = 32;
/// Attribution is asked for.
pub const IMAGXP_TERMS_ATTRIBUTION: u32 = 64;
/// The policy is for development: localhost names and plain http to loopback are good. Say so loudly in the log.
pub const IMAGXP_TERMS_DEVELOPMENT: u32 = 128;
/// A manifest or key set that is past its time is fetched before it counts.
pub const IMAGXP_TERMS_FRESH: u32 = 256;

/// What a policy says. Begin with `IMAGXP_INIT(&terms)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_terms {
    /// `sizeof (imagxp_terms)`
    pub size: usize,
    /// `IMAGXP_TERMS_*`
    pub flags: u32,
    /// Visitors without headers: 0 all are admitted, 1 likely browsers, 2 nobody.
    pub strategy: i32,
    /// How old a signed time may be.
    pub window_ms: u32,
    /// How far in the future it may be.
    pub skew_ms: u32,
    /// What a request costs, millionths of the unit; 0 is any amount.
    pub price_micros: i64,
    /// The price as `x-imagxp-price` shows it: `0.001`. Empty when there is none.
    pub price: imagxp_span,
    /// Where visas are sold, for `x-imagxp-broker`. Empty if nowhere.
    pub broker_url: imagxp_span,
    /// The payment pointer, if there is one.
    pub payment_pointer: imagxp_span,
}

/// `imagxp_verified.flags`: the request was signed.
pub const IMAGXP_SIGNED: u32 = 1;
/// The agent shows ads beside the content.
pub const IMAGXP_ADS_DISPLAYED: u32 = 2;
/// The visa or ad proof names its holder.
pub const IMAGXP_TOKEN_BOUND: u32 = 4;
/// The visa is good for this request only; `imagxp_request_admit` remembers it.
pub const IMAGXP_SINGLE_USE: u32 = 8;
/// Set by `imagxp_request_admit`: the host's clock was set back by more than two seconds. Look at it.
pub const IMAGXP_CLOCK_STEPPED_BACK: u32 = 16;

/// What verification found, without a pointer: the texts lie in the scratch of the call. Begin with
/// `IMAGXP_INIT(&verified)`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct imagxp_verified {
    /// `sizeof (imagxp_verified)`
    pub size: usize,
    /// `IMAGXP_NEED`, `IMAGXP_VERIFIED`, or `IMAGXP_OK` once admitted: what the last call answered.
    pub status: i32,
    /// `IMAGXP_SIGNED` and its like.
    pub flags: u32,
    /// `IMAGXP_VERIFIED_AGENT`, `IMAGXP_LIKELY_HUMAN` or `IMAGXP_UNIDENTIFIED_BOT`.
    pub visitor: i32,
    /// `IMAGXP_CRAWL_TRAINING` and its like; 0 when the visitor did not sign.
    pub purpose: i32,
    /// `IMAGXP_BOUND_*`: what of the request the signature binds.
    pub bound: i32,
    /// `IMAGXP_PROOF_*`: what it was paid with.
    pub proof: i32,
    /// With `IMAGXP_NEED`: the document to fetch.
    pub need: imagxp_need,
    /// A hint: this document is past its time. Fetch and supply it after answering, once for all who see it.
    pub refresh: imagxp_need,
    /// Who signed. Proven if `visitor` is `IMAGXP_VERIFIED_AGENT`; else a claim.
    pub agent_id: imagxp_span,
    /// The URL that was signed.
    pub resource: imagxp_span,
    /// The request's nonce.
    pub nonce: imagxp_span,
    /// The payload JSON as received.
    pub payload: imagxp_span,
    /// The RFC 7638 thumbprint of the key that signed.
    pub kid: imagxp_span,
    /// The issuer of the visa or ad proof.
    pub issuer: imagxp_span,
    /// Its `jti`, if it has one.
    pub jti: imagxp_span,
    /// When the agent signed.
    pub ts_ms: i64,
    /// What the visa paid, millionths of the unit.
    pub amount_micros: i64,
    /// When the visa or ad proof expires, seconds since 1970.
    pub expires_s: i64,
    /// The policy's window.
    pub window_ms: u32,
    /// Ties it to the texts in its scratch. The library's own.
    pub check: u32,
    /// The key in the cache. The library's own: `imagxp_request_admit` makes `prepare` of it.
    pub key: u64,
    /// A hint of `imagxp_request_admit`: the agent is busy. `imagxp_key_cache_prepare` this after answering; 0 is none.
    pub prepare: u64,
    /// For the evidence: the SHA-256 of the manifest that lists the key; zeros if the agent is not verified.
    pub manifest_sha256: [u8; 32],
    /// The SHA-256 of the key set that lists the key of the visa or ad proof; zeros if there is none.
    pub jwks_sha256: [u8; 32],
    /// That key: `x` and `y`.
    pub token_key: [[u8; 32]; 2],
}

/// What a request says, unproven: for logs. Begin with `IMAGXP_INIT(&unproven)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_unproven {
    /// `sizeof (imagxp_unproven)`
    pub size: usize,
    /// `IMAGXP_SIGNED` when the request carries IMAGXP headers; `IMAGXP_ADS_DISPLAYED`.
    pub flags: u32,
    /// `IMAGXP_CRAWL_TRAINING` and its like, or 0.
    pub purpose: i32,
    /// Who claims to have signed; it has passed the grammar of names. Empty when a field is in doubt.
    pub agent_id: imagxp_span,
    /// The URL.
    pub resource: imagxp_span,
    /// The nonce.
    pub nonce: imagxp_span,
    /// The payload JSON as received.
    pub payload: imagxp_span,
    /// When the agent says it signed; 0 when in doubt.
    pub ts_ms: i64,
}

/// What stands for a nonce or a `jti` in a store elsewhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_tag {
    /// The key: `SET bytes 1 NX`.
    pub bytes: [u8; 16],
    /// The second at which the store may forget it; 0 is no tag.
    pub expiry_s: i64,
}
