//! Every wire name, path, number and bound, each with its source. Nothing else may state one.
//!
//! "P" is docs/protocol.md (the wire), "T" the threat model's tables, both by section.

/// Protocol version on the wire, the payload's `v` (P 2).
pub const VERSION: &str = "1.1";
/// Versions of a manifest or visa that are read (P 3, P 4).
pub const VERSIONS_READ: [&str; 2] = ["1.0", "1.1"];
/// The product token that agents add to `User-Agent` (P 2).
pub const PRODUCT: &str = "IMAGXP/1.1";
/// The only algorithm there is: ECDSA, P-256, SHA-256 (P 1).
pub const ALG: &str = "ES256";

/// Header names, lower case (P 2, P 5, P 6).
pub mod header {
    /// Standard padded base64 of the payload JSON.
    pub const PAYLOAD: &str = "x-imagxp-payload";
    /// 128 lower-case hex digits, `r || s`.
    pub const SIGNATURE: &str = "x-imagxp-signature";
    /// Base64 of the 91-byte SPKI.
    pub const PUBLIC_KEY: &str = "x-imagxp-public-key";
    /// Alias of [`PUBLIC_KEY`].
    pub const KEY: &str = "x-imagxp-key";
    /// The visa.
    pub const CREDENTIAL: &str = "x-imagxp-credential";
    /// Alias of [`CREDENTIAL`].
    pub const PAYMENT: &str = "x-imagxp-payment";
    /// An ad-proof JWT.
    pub const PROOF: &str = "x-imagxp-proof";
    /// Informational: must agree with the payload's `agent_id`.
    pub const AGENT_ID: &str = "x-imagxp-agent-id";
    /// Informational: must agree with the payload's `ts`.
    pub const TIMESTAMP: &str = "x-imagxp-timestamp";
    /// Informational: `ES256`.
    pub const ALG: &str = "x-imagxp-alg";
    /// A signed dispute.
    pub const FEEDBACK: &str = "x-imagxp-feedback";
    /// Origin of a response's content.
    pub const CONTENT_ORIGIN: &str = "x-imagxp-content-origin";
    /// Signature over origin and time.
    pub const PROVENANCE_SIG: &str = "x-imagxp-provenance-sig";
    /// The time that was signed, milliseconds.
    pub const PROVENANCE_TS: &str = "x-imagxp-provenance-ts";
    /// With a 402: where to buy.
    pub const BROKER: &str = "x-imagxp-broker";
    /// With a 402: the price.
    pub const PRICE: &str = "x-imagxp-price";
}

/// Path of an agent's manifest (P 3).
pub const MANIFEST_PATH: &str = "/.well-known/imagxp-agent.json";
/// Path of a broker's key set below its URL (P 4).
pub const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Path of a publisher's discovery document: what its policy lets agents know (P 6).
pub const POLICY_PATH: &str = "/.well-known/imagxp-policy.json";

/// Bounds of what a request carries (T 4.1).
pub mod request {
    /// All IMAGXP headers of a request together, names and values, bytes.
    pub const HEADERS_MAX: usize = 12_288;
    /// The payload header, characters.
    pub const PAYLOAD_MAX: usize = 4_096;
    /// The payload JSON, bytes: three quarters of the header.
    pub const PAYLOAD_JSON_MAX: usize = PAYLOAD_MAX / 4 * 3;
    /// The signature header, characters.
    pub const SIGNATURE_LEN: usize = 128;
    /// The public-key header, characters.
    pub const PUBLIC_KEY_LEN: usize = 124;
    /// What every public-key header begins with: 27 fixed DER bytes.
    pub const PUBLIC_KEY_PREFIX: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    /// A token, characters.
    pub const JWT_MAX: usize = 4_096;
    /// Feedback, characters.
    pub const FEEDBACK_MAX: usize = 2_048;
    /// Printable ASCII without space: the bytes of a header value (T 4, G4).
    pub const BYTES: core::ops::RangeInclusive<u8> = 0x21..=0x7E;
}

/// Bounds of payload fields (T 4.3).
pub mod field {
    /// `agent_id`, bytes.
    pub const AGENT_ID_LEN: core::ops::RangeInclusive<usize> = 4..=253;
    /// One label of a name, bytes.
    pub const LABEL_MAX: usize = 63;
    /// Last labels that name no public host (T 4.3; RFC 6761, RFC 6762, RFC 7686, RFC 9476).
    pub const FORBIDDEN_SUFFIXES: [&str; 13] = [
        "localhost",
        "local",
        "internal",
        "intranet",
        "lan",
        "home",
        "corp",
        "test",
        "invalid",
        "example",
        "onion",
        "alt",
        "arpa",
    ];
    /// `nonce`, characters; 22 of base64url are 128 bits.
    pub const NONCE_LEN: core::ops::RangeInclusive<usize> = 22..=64;
    /// `resource`, bytes.
    pub const RESOURCE_MAX: usize = 2_048;
    /// `ts`, bytes.
    pub const TIMESTAMP_LEN: core::ops::RangeInclusive<usize> = 20..=30;
}

/// Freshness (P 2).
pub mod time {
    /// How old a `ts` may be by default, milliseconds.
    pub const WINDOW_MS: u32 = 300_000;
    /// How far in the future a `ts` may be by default, milliseconds.
    pub const SKEW_MS: u32 = 60_000;
    /// The largest window and skew that a policy may ask for, milliseconds.
    pub const WINDOW_MAX_MS: u32 = 300_000;
    /// Tolerance for a token's dates, seconds.
    pub const TOKEN_TOLERANCE_S: i64 = 5;
    /// The longest life of a token, seconds.
    pub const TOKEN_LIFETIME_S: i64 = 3_600;
}

/// Bounds of tokens (T 4.4).
pub mod jwt {
    /// Header part, characters.
    pub const HEADER_MAX: usize = 512;
    /// Payload part, characters.
    pub const PAYLOAD_MAX: usize = 3_400;
    /// Signature part, characters: 64 bytes.
    pub const SIGNATURE_LEN: usize = 86;
    /// `kid`, bytes.
    pub const KID_MAX: usize = 128;
    /// `jti`, bytes.
    pub const JTI_MAX: usize = 128;
    /// Entries of an `aud` array.
    pub const AUDIENCES_MAX: usize = 8;
    /// One audience, bytes.
    pub const AUDIENCE_MAX: usize = 256;
    /// `cur`, upper-case letters: ISO 4217 has three, tokens of value have up to eight.
    pub const CURRENCY_LEN: core::ops::RangeInclusive<usize> = 3..=8;
    /// `typ` values that are read.
    pub const TYPES: [&str; 2] = ["JWT", "imagxp-visa+jwt"];
    /// `typ` that is written into a visa.
    pub const TYPE_VISA: &str = "imagxp-visa+jwt";
    /// `typ` of feedback (P 5).
    pub const TYPE_FEEDBACK: &str = "imagxp-feedback+jwt";
    /// Header members that are refused.
    pub const REFUSED: [&str; 7] = ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"];
    /// `payment_status` of a paid visa.
    pub const PAID: &str = "paid";
}

/// Bounds of fetched documents (T 4.5).
pub mod document {
    /// A manifest, bytes.
    pub const MANIFEST_MAX: usize = 8_192;
    /// JWKs in a manifest's `keys`.
    pub const MANIFEST_KEYS_MAX: usize = 4;
    /// Entries in a manifest's `revoked`.
    pub const REVOKED_MAX: usize = 16;
    /// A JWK Set, bytes.
    pub const JWKS_MAX: usize = 65_536;
    /// Keys in a JWK Set.
    pub const JWKS_KEYS_MAX: usize = 32;
    /// One entry of a JWK Set, bytes.
    pub const JWKS_ENTRY_MAX: usize = 16_384;
    /// A private key, bytes of DER.
    pub const PRIVATE_KEY_MAX: usize = 512;
    /// A private key, bytes of a JWK.
    pub const PRIVATE_JWK_MAX: usize = 2_048;
}

/// Cache lives and pauses, seconds (T 8).
pub mod cache {
    /// A manifest's life is its max-age clamped to this, or [`MANIFEST_TTL_S`].
    pub const MANIFEST_TTL_RANGE_S: (u32, u32) = (60, 3_600);
    /// A manifest's life without a max-age.
    pub const MANIFEST_TTL_S: u32 = 300;
    /// How long after its life a matching manifest may be used while one refresh runs.
    pub const STALE_S: u32 = 3_600;
    /// How long after its life a matching document may be used when refreshes fail.
    pub const STALE_IF_ERROR_S: u32 = 86_400;
    /// How long "not there" or "not valid" is remembered.
    pub const NEGATIVE_S: u32 = 60;
    /// How long the first network failure is remembered; doubles.
    pub const FAILURE_S: u32 = 15;
    /// Where the doubling ends.
    pub const FAILURE_MAX_S: u32 = 300;
    /// Pause between two refreshes that a foreign key or an unknown kid may cause.
    pub const REFRESH_PAUSE_S: u32 = 30;
    /// How far ahead of the clock a document may have been fetched: beyond, the clock was set back since.
    pub const AHEAD_S: u32 = 30;
    /// Keys of one issuer that are prepared on sight: no set of keys takes every table.
    pub const ISSUER_TABLES: usize = 4;
    /// How long a prepared key keeps its table without being asked for again.
    pub const TABLE_LEASE_S: u32 = 600;
    /// A JWK Set's life is its max-age clamped to this, or [`JWKS_TTL_S`].
    pub const JWKS_TTL_RANGE_S: (u32, u32) = (300, 86_400);
    /// A JWK Set's life without a max-age.
    pub const JWKS_TTL_S: u32 = 300;
}

/// The replay cache (T 7).
pub mod replay {
    /// Slots looked at for one tag.
    pub const PROBE: usize = 16;
    /// One name's share of the slots once the cache is more than half full, and that of all new names together.
    pub const QUOTA_DIVISOR: u32 = 8;
    /// A name is new for this long, seconds.
    pub const NEW_NAME_S: u32 = 3_600;
    /// Fill at which quotas begin to bind: one half.
    pub const QUOTA_FROM_DIVISOR: u32 = 2;
    /// Domain tag of a nonce.
    pub const TAG_NONCE: u8 = 0x01;
    /// Domain tag of a visa's `jti`.
    pub const TAG_JTI: u8 = 0x02;
    /// A step back of the host's clock beyond this is reported, seconds.
    pub const CLOCK_STEP_S: u32 = 2;
    /// Bounds of a Retry-After, seconds.
    pub const RETRY_AFTER_S: (u32, u32) = (1, 600);
    /// Admissions within [`BUSY_WINDOW_S`] past which a key is worth a table.
    pub const BUSY_ADMISSIONS: u32 = 8;
    /// Window of [`BUSY_ADMISSIONS`], seconds.
    pub const BUSY_WINDOW_S: u32 = 60;
}

/// Bounds of what a refused client is told (P 6).
pub mod refusal {
    /// The body, bytes: the longest names there are take 97.
    pub const BODY_MAX: usize = 128;
}

/// Feedback (P 5).
pub mod feedback {
    /// Reasons in the reference's `flags`.
    pub const FLAGS_MAX: usize = 16;
    /// The score at which a payment is neither released nor withheld: 5 tenths.
    pub const NEUTRAL_TENTHS: i64 = 5;
    /// The score's upper end: 10 tenths.
    pub const SCORE_MAX_TENTHS: i64 = 10;
    /// The score's upper end in millionths, as it is signed.
    pub const SCORE_MAX: u32 = 1_000_000;
}

/// Evidence logs (P 9).
pub mod evidence {
    /// One line, bytes: the largest document in base64, its URL, and the members around them.
    pub const LINE_MAX: usize = 90_112;
    /// A decision, bytes.
    pub const DECISION_MAX: usize = 24_576;
    /// A target beyond this is recorded by its SHA-256, bytes.
    pub const TARGET_MAX: usize = 2_048;
    /// A method or authority beyond this is recorded by its SHA-256, bytes.
    pub const NAME_MAX: usize = 262;
    /// The body of the largest document in base64, characters.
    pub const BODY_MAX: usize = super::document::JWKS_MAX.div_ceil(3) * 4;
    /// A document's URL, bytes.
    pub const URL_MAX: usize = 2_048;
    /// Documents that one decision rests on: a manifest, the broker's set, the ad network's set, and one to spare.
    pub const DOCUMENTS_MAX: usize = 4;
    /// A checkpoint is due after this many records.
    pub const CHECKPOINT_RECORDS: u64 = 1_000;
    /// A checkpoint is due this long after the last one, if there is news, milliseconds.
    pub const CHECKPOINT_MS: i64 = 1_000;
    /// Signature checks that are gathered before they are made.
    pub const BATCH: usize = 256;
    /// Signatures that share inversions.
    pub const TOGETHER: usize = 16;
}
