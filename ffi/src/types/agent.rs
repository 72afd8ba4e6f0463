//! What agents meet: keys, claims, manifests.

use super::{imagxp_span, imagxp_str};

/// A private key and its public key, in the caller's memory. The words are this library's own: to keep a key, use
/// `imagxp_key_export`; when done, `imagxp_key_wipe`.
#[repr(C)]
pub struct imagxp_key {
    /// Nobody's business.
    pub opaque: [u64; 16],
}

/// `imagxp_key_public`: base64 of SPKI, 124 characters, as headers, manifests and `IMAGXP_PUBLIC_KEY` have it.
/// `imagxp_key_export`: base64 of PKCS#8, 184 characters, as `IMAGXP_PRIVATE_KEY` has it.
pub const IMAGXP_FORMAT_TEXT: i32 = 1;
/// PEM, with newlines.
pub const IMAGXP_FORMAT_PEM: i32 = 2;
/// DER: SPKI, 91 bytes; PKCS#8, 138 bytes.
pub const IMAGXP_FORMAT_DER: i32 = 3;
/// A JWK.
pub const IMAGXP_FORMAT_JWK: i32 = 4;
/// `imagxp_key_public` only: the RFC 7638 thumbprint, 43 characters.
pub const IMAGXP_FORMAT_KID: i32 = 5;

/// What an agent says about one request. Begin with `IMAGXP_INIT(&claims)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_claims {
    /// `sizeof (imagxp_claims)`
    pub size: usize,
    /// The agent's domain: `bot.example.com`.
    pub agent_id: imagxp_str,
    /// The absolute URL that is asked for.
    pub resource: imagxp_str,
    /// `IMAGXP_CRAWL_TRAINING` and its like.
    pub purpose: i32,
    /// 1 when the agent shows ads beside the content, else 0.
    pub ads_displayed: i32,
}

/// `imagxp_request_sign`: verify the signature before it leaves, so that a fault of the hardware cannot give the key away.
pub const IMAGXP_SIGN_CHECK: u32 = 1;

/// The headers to send: spans of the buffer that the call was given. Begin with `IMAGXP_INIT(&headers)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_signed {
    /// `sizeof (imagxp_signed)`
    pub size: usize,
    /// How long the buffer must be: stored with `IMAGXP_OK`, and with `IMAGXP_BUFFER_TOO_SMALL`.
    pub needed: usize,
    /// `IMAGXP_HEADER_PAYLOAD`
    pub payload: imagxp_span,
    /// `IMAGXP_HEADER_SIGNATURE`
    pub signature: imagxp_span,
    /// `IMAGXP_HEADER_PUBLIC_KEY`, and once more as `IMAGXP_HEADER_KEY`.
    pub public_key: imagxp_span,
}

/// A key that a manifest lists beside the current one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_listed_key {
    /// `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`.
    pub public_key: imagxp_str,
    /// Not before, seconds since 1970; 0 is always.
    pub nbf_s: i64,
    /// Good until, seconds since 1970, exclusive; 0 is for ever.
    pub exp_s: i64,
}

/// A key that is good no more.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_revoked_key {
    /// `IMAGXP_FORMAT_KID`
    pub kid: imagxp_str,
    /// Revoked from this second on.
    pub at_s: i64,
}

/// What an agent publishes at `IMAGXP_MANIFEST_PATH`. Begin with `IMAGXP_INIT(&manifest)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct imagxp_manifest {
    /// `sizeof (imagxp_manifest)`
    pub size: usize,
    /// The agent's domain.
    pub agent_id: imagxp_str,
    /// The current key: `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`.
    pub public_key: imagxp_str,
    /// Whom to write to; may be empty.
    pub contact_email: imagxp_str,
    /// At most four keys for rotation: the next one, the last one.
    pub keys: *const imagxp_listed_key,
    /// How many.
    pub keys_len: usize,
    /// At most sixteen.
    pub revoked: *const imagxp_revoked_key,
    /// How many.
    pub revoked_len: usize,
}

/// `imagxp_host_check_agent_id`: public domain names only.
pub const IMAGXP_MODE_PRODUCTION: i32 = 0;
/// Also `localhost`, with a port or without. Never on a public site.
pub const IMAGXP_MODE_DEVELOPMENT: i32 = 1;
