//! Every refusal: its number, name, HTTP status, public code, and what an honest user should mend.
//!
//! The table below is the only list of codes. The C header, the other languages and `docs/checks.md`
//! are made from it or tested against it. Numbers are never reused. The hundreds say whose fault it is:
//! -1xx the caller's, -2xx malformed, -3xx not authentic or not fresh, -4xx identity, -5xx policy and visa.

use core::fmt;

macro_rules! errors {
    ($($variant:ident $number:literal $name:literal $status:literal $help:literal)*) => {
        /// Why a call was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Error {
            $(#[doc = concat!("`", $name, "` (HTTP ", stringify!($status), "): ", $help)] $variant = $number,)*
        }

        impl Error {
            /// Every error, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The error with this number.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The number, the same in every language.
            #[must_use]
            #[expect(clippy::as_conversions, reason = "the discriminant")]
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The name as the wire and the logs show it: `TIMESTAMP_STALE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One sentence for an honest user: what was wrong and what to mend. For logs and tools;
            /// a remote client is told [`Error::public`] only (threats.md section 4, G7).
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

errors! {
    AbiNull -101 "ABI_NULL" 500 "a pointer is NULL though its length is not 0"
    AbiLength -102 "ABI_LENGTH" 500 "a length is larger than any object can be"
    AbiOverlap -103 "ABI_OVERLAP" 500 "an output overlaps an input or another output: give each its own memory"
    AbiStorage -104 "ABI_STORAGE" 500 "the memory is too small or not 8-byte aligned: ask the `*_words` function for its size"
    AbiState -105 "ABI_STATE" 500 "the memory does not hold what the call expects, or it is damaged: make it anew with `*_new` or `policy_parse`"
    AbiVersion -106 "ABI_VERSION" 500 "the struct's size field is unknown to this library: use IMAGXP_INIT and the header of this version"
    AbiArgument -107 "ABI_ARGUMENT" 500 "an argument is not one of the numbers or flags that the call knows"
    BufferTooSmall -108 "BUFFER_TOO_SMALL" 500 "the output buffer is too small: the call's documentation gives its bound"
    ClockUnknown -109 "CLOCK_UNKNOWN" 500 "`now` is not a time after 1970: set the clock before verifying"
    PolicyInvalid -110 "POLICY_INVALID" 500 "the policy is not valid: an unknown member, a wrong type, or a value outside its bounds"
    PrivkeyInvalid -111 "PRIVKEY_INVALID" 500 "the private key is not a P-256 key in PKCS#8, SEC1 or JWK form, or its public part does not match"
    SignFault -112 "SIGN_FAULT" 500 "the signature just made does not verify: the hardware or the memory is faulty; nothing was sent"
    HostForbidden -113 "HOST_FORBIDDEN" 500 "the address is not one that a verifier may connect to: it is private, local or reserved"

    HeadersTooLarge -201 "HEADERS_TOO_LARGE" 431 "the IMAGXP headers together exceed 12,288 bytes"
    HeaderDuplicate -202 "HEADER_DUPLICATE" 400 "an IMAGXP header appears twice: send each once"
    HeaderBytes -203 "HEADER_BYTES" 400 "an IMAGXP header holds a byte outside 0x21..0x7E: send printable ASCII without spaces"
    HeadersPartial -204 "HEADERS_PARTIAL" 401 "some IMAGXP headers are there but not all: send x-imagxp-payload, x-imagxp-signature and x-imagxp-public-key together"
    HeadersContradict -205 "HEADERS_CONTRADICT" 400 "a header and its alias, or an informational header and the payload, disagree"
    IdentityRequired -206 "IDENTITY_REQUIRED" 401 "this site admits verified agents only: sign the request"
    PayloadTooLarge -207 "PAYLOAD_TOO_LARGE" 431 "x-imagxp-payload exceeds 4,096 characters"
    Base64Invalid -208 "BASE64_INVALID" 400 "x-imagxp-payload is not strict padded standard base64"
    HexInvalid -209 "HEX_INVALID" 400 "not lower-case hexadecimal of even length"
    Base64urlInvalid -210 "BASE64URL_INVALID" 400 "not strict unpadded base64url"
    SignatureFormat -211 "SIGNATURE_FORMAT" 400 "x-imagxp-signature is not exactly 128 lower-case hex digits (r || s)"
    KeyFormat -212 "KEY_FORMAT" 400 "the public key is not the base64 of an uncompressed P-256 SPKI: 124 characters beginning MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE (samples that begin MFKw are a misprint)"
    JwtTooLarge -213 "JWT_TOO_LARGE" 431 "a token exceeds 4,096 characters"
    FeedbackInvalid -214 "FEEDBACK_INVALID" 400 "the feedback is not a valid signed object of at most 2,048 characters"
    JsonUtf8 -215 "JSON_UTF8" 400 "the JSON is not UTF-8 without BOM: do not encode it as Latin-1 (btoa); escape non-ASCII as \\uXXXX"
    JsonSyntax -216 "JSON_SYNTAX" 400 "the JSON does not follow RFC 8259, or it is not one object"
    JsonDepth -217 "JSON_DEPTH" 400 "the JSON nests deeper than 4 levels"
    JsonTooManyMembers -218 "JSON_TOO_MANY_MEMBERS" 400 "the JSON has more than 32 members in an object, 16 in an array, or 64 values in all"
    JsonKeyTooLong -219 "JSON_KEY_TOO_LONG" 400 "a JSON member name exceeds 64 bytes"
    JsonDuplicateKey -220 "JSON_DUPLICATE_KEY" 400 "a JSON member name appears twice in one object"
    JsonStringTooLong -221 "JSON_STRING_TOO_LONG" 400 "a JSON string exceeds 2,048 bytes"
    JsonLoneSurrogate -222 "JSON_LONE_SURROGATE" 400 "a JSON string holds half a surrogate pair"
    JsonNumberRange -223 "JSON_NUMBER_RANGE" 400 "a JSON number overflows a double or exceeds 64 characters"
    FieldMissing -224 "FIELD_MISSING" 400 "a required payload member is missing: v, ts, nonce, agent_id, resource, purpose"
    FieldType -225 "FIELD_TYPE" 400 "a payload member has the wrong JSON type: all are strings, context is an object, ads_displayed a boolean"
    VersionUnsupported -226 "VERSION_UNSUPPORTED" 400 "the payload's v is not \"1.1\""
    PurposeUnknown -227 "PURPOSE_UNKNOWN" 400 "purpose is none of CRAWL_TRAINING RAG_RETRIEVAL SUMMARY QUOTATION EMBEDDING"
    AgentIdInvalid -228 "AGENT_ID_INVALID" 400 "agent_id is not a public domain name in lower case, without port, scheme or trailing dot"
    NonceInvalid -229 "NONCE_INVALID" 400 "nonce is not 22 to 64 characters of A-Z a-z 0-9 _ -: send a UUIDv4"
    TimestampInvalid -230 "TIMESTAMP_INVALID" 400 "ts is not an RFC 3339 UTC time such as 2026-01-26T12:00:00.000Z"
    ResourceInvalid -231 "RESOURCE_INVALID" 400 "resource is not an absolute URL of at most 2,048 bytes without userinfo, backslash, control bytes or dot segments"

    TimestampStale -301 "TIMESTAMP_STALE" 403 "ts is older than the window: sign each request anew and check the clock"
    TimestampFuture -302 "TIMESTAMP_FUTURE" 403 "ts is further in the future than the skew allows: check the clock"
    ResourceMismatch -303 "RESOURCE_MISMATCH" 403 "the signed resource is not the URL that was requested"
    KeyInvalid -304 "KEY_INVALID" 403 "the public key is not a point on P-256"
    SignatureInvalid -305 "SIGNATURE_INVALID" 403 "the signature does not verify over the canonical payload with the key that was sent"
    ReplayDetected -306 "REPLAY_DETECTED" 403 "this nonce was used before: send a fresh nonce with every request"
    RestartGuard -307 "RESTART_GUARD" 503 "the request was signed before this verifier began to remember nonces (`accept_from` of the replay cache): sign it anew"
    ReplayCacheFull -308 "REPLAY_CACHE_FULL" 503 "the replay cache is full: retry later; operators: enlarge it (`imagxp size --rate`)"
    AgentQuota -309 "AGENT_QUOTA" 429 "the replay cache is nearly full and this agent has used its share: slow down"
    ReplayStoreDown -310 "REPLAY_STORE_DOWN" 503 "the shared replay store did not answer: retry later"
    Busy -311 "BUSY" 503 "too many verifications are under way: retry later"

    KeyMismatch -401 "KEY_MISMATCH" 403 "the key that was sent is not one that the agent's manifest publishes"
    KeyRevoked -402 "KEY_REVOKED" 403 "the agent's manifest has revoked the key that was sent"
    ManifestTooLarge -403 "MANIFEST_TOO_LARGE" 403 "the agent's manifest exceeds 8,192 bytes"
    ManifestInvalid -404 "MANIFEST_INVALID" 403 "the agent's manifest is not a valid JSON document with agent_id and public_key"
    ManifestMismatch -405 "MANIFEST_MISMATCH" 403 "the manifest's agent_id is not the name it was fetched from"
    ManifestUnavailable -406 "MANIFEST_UNAVAILABLE" 403 "the agent's manifest could not be fetched: serve https://{agent_id}/.well-known/imagxp-agent.json with status 200 and application/json, without redirects"
    IdentityPending -407 "IDENTITY_PENDING" 503 "the agent's manifest is being fetched: retry in two seconds"
    IdentityUnverified -408 "IDENTITY_UNVERIFIED" 403 "the agent's identity could not be verified (the public code of every identity failure)"

    PurposeRefused -501 "PURPOSE_REFUSED" 403 "the policy of this site does not admit this purpose"
    VisitorRefused -502 "VISITOR_REFUSED" 403 "no IMAGXP headers, and the request does not look like a browser's: sign it"
    VisaRequired -503 "VISA_REQUIRED" 402 "this site wants payment: buy a visa from its broker and send it in x-imagxp-credential"
    VisaUnpaid -504 "VISA_UNPAID" 402 "the visa's payment_status is not \"paid\""
    VisaAmount -505 "VISA_AMOUNT" 402 "the visa's amount is not a decimal above 0 with at most six places, or it is below the price"
    VisaBinding -506 "VISA_BINDING" 403 "the visa is bound to another agent or key, or it is unbound where binding is required"
    VisaUsed -507 "VISA_USED" 403 "the visa was used before and is good for one request: buy a new one"
    JwtFormat -508 "JWT_FORMAT" 403 "the token is not a compact JWS of three base64url parts with a 64-byte signature"
    JwtHeader -509 "JWT_HEADER" 403 "the token's header is not acceptable: typ JWT or imagxp-visa+jwt; no crit, b64, zip, jwk, jku, x5u, x5c"
    JwtAlg -510 "JWT_ALG" 403 "the token's alg is not ES256"
    JwtKeyUnknown -511 "JWT_KEY_UNKNOWN" 403 "the issuer's key set has no usable key with the token's kid"
    JwtIssuer -512 "JWT_ISSUER" 403 "the token's iss is not a configured issuer"
    JwtAudience -513 "JWT_AUDIENCE" 403 "the token's aud does not name this publisher"
    JwtExpired -514 "JWT_EXPIRED" 403 "the token has expired"
    JwtNotYet -515 "JWT_NOT_YET" 403 "the token's iat or nbf is in the future"
    JwtLifetime -516 "JWT_LIFETIME" 403 "the token's exp is more than 3,600 s after its iat"
    JwtClaims -517 "JWT_CLAIMS" 403 "a claim of the token is missing, of the wrong type, or out of range"
    JwtSubject -518 "JWT_SUBJECT" 403 "the token's sub is not the agent that signed the request"
    JwksUnavailable -519 "JWKS_UNAVAILABLE" 503 "the issuer's key set cannot be had at the moment: retry later, the payment is not lost"
    JwksTooLarge -520 "JWKS_TOO_LARGE" 503 "the issuer's key set exceeds 65,536 bytes"
    JwksInvalid -521 "JWKS_INVALID" 503 "the issuer's key set is not a JSON object with 1 to 32 keys of at most 16 KiB each, one of them usable"
    JwksDuplicateKid -522 "JWKS_DUPLICATE_KID" 503 "two usable keys of the issuer's key set have the same kid"
    JwkPrivateExposed -523 "JWK_PRIVATE_EXPOSED" 503 "the issuer's key set publishes a private key: that key is skipped; its owner must replace it"
}

impl Error {
    /// The code that a remote client may see: every failure of identity looks alike
    /// (threats.md section 8, SSRF-10), every other code is its own.
    #[must_use]
    pub const fn public(self) -> Self {
        match self {
            Self::KeyMismatch
            | Self::KeyRevoked
            | Self::ManifestTooLarge
            | Self::ManifestInvalid
            | Self::ManifestMismatch
            | Self::ManifestUnavailable => Self::IdentityUnverified,
            other => other,
        }
    }

    /// Seconds for a `Retry-After` header, for the refusals that time alone can mend.
    /// For a full replay cache `ReplayCache::retry_after_s` knows better.
    #[must_use]
    pub const fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::IdentityPending | Self::Busy | Self::RestartGuard => Some(2),
            Self::ReplayStoreDown => Some(5),
            Self::ReplayCacheFull | Self::AgentQuota => Some(60),
            Self::JwksUnavailable | Self::JwksTooLarge | Self::JwksInvalid | Self::JwksDuplicateKid => Some(30),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.help())
    }
}

impl core::error::Error for Error {}
