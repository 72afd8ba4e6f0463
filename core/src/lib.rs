//! Who is that agent, and has it paid? The verifier of AI agents' identity that everyone else embeds.
//!
//! An **agent** signs each request with a P-256 key that its own domain publishes. A **broker** sells it visas. A
//! **publisher** verifies both and decides by policy. This crate is all three, for hosts that bring their own HTTP.
//!
//! # The idea
//!
//! 1. **Three roles, three verbs.** An [`agent`] signs, a [`publisher`] verifies, a [`broker`] issues.
//! 2. **Everything is an argument.** No I/O, no clock, no random source, no allocation, no global. Time is `now`,
//!    randomness is bytes that you pass, documents are bytes that you fetched.
//! 3. **Ask, then be called again.** If a manifest or key set is missing, [`Request::verify`] says which ([`Need`]) and
//!    forgets the request. Fetch it, [`KeyCache::supply`] the [`Answer`], and call `verify` again with the same arguments.
//! 4. **Pure, then one small write.** `verify` only reads. [`Verified::admit`] writes the nonce into the replay cache:
//!    the only step that needs a lock. A refused or repeated `verify` burns nothing.
//! 5. **Fail closed.** `verify` gives a [`Verified`], never an admission. Only `admit` gives a [`Grant`].
//! 6. **The memory is the handle.** Policy, key cache and replay cache are `u64` words of yours, without addresses: static
//!    memory, heap and shared memory all do, and a copy is a clone. Nothing to free.
//! 7. **A profile, not a toolkit.** ES256, JCS and the protocol's claims; no algorithm switch.
//! 8. **One check, one code, one case.** [`Error`] lists every refusal with its HTTP status and what an honest user mends.
//! 9. **The hot key is prepared.** A key can carry a table, and verification with it is several times faster.
//!
//! # A publisher
//!
//! ```
//! use imagxp::{Answer, Error, Grant, Headers, KeyCache, Need, Policy, ReplayCache, Request, Step, UnixMillis, Visit};
//!
//! /// One request: headers in, an admission or a refusal out. Everything it needs was made once, at start.
//! fn decide(
//!     header_lines: &[(&str, &str)],
//!     target: &str,
//!     policy: &Policy<'_>,
//!     keys: &mut KeyCache<'_>,
//!     replay: &mut ReplayCache<'_>,
//!     now: UnixMillis,
//! ) -> Result<String, Error> {
//!     let mut headers = Headers::new();
//!     for (name, value) in header_lines {
//!         headers.add(name.as_bytes(), value.as_bytes())?; // every header of the request, ours or not
//!     }
//!     let visit =
//!         Visit { method: "GET", scheme: "https", authority: "pub.example.com", target, vouched: 0, headers };
//!     let mut scratch = [0; Request::SCRATCH];
//!     let request = Request::parse(&visit, &mut scratch)?;
//!     let verified = loop {
//!         match request.verify(policy, &keys.read(), now)? {
//!             Step::Verified(verified) => break verified,
//!             Step::Need(need) => keys.supply(&need, fetch(&need), now)?, // at most three times
//!         }
//!     };
//!     let grant: Grant<'_> = verified.admit(replay, now)?; // under the lock, if there are threads
//!     Ok(grant.claims.map_or("a visitor without headers".into(), |claims| claims.agent_id.into()))
//! }
//!
//! # static MANIFEST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
//! fn fetch(need: &Need<'_>) -> Answer<'static> {
//!     // GET need.url by the rules of docs/deploy.md: https, no redirects, `host::may_connect` for every address.
//! #   assert_eq!(need.url, "https://bot.example.com/.well-known/imagxp-agent.json");
//! #   Answer::Found { body: MANIFEST.get().unwrap().as_bytes(), max_age_s: None }
//! }
//!
//! # use imagxp::{Claims, KeyPair, Manifest, Purpose, Signing, SignedHeaders, Sizes};
//! # let key = KeyPair::from_random(&[7; 32])?;
//! # let mut out = [0; 8192];
//! # let manifest = Manifest { agent_id: "bot.example.com", public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
//! # MANIFEST.set(imagxp::write_manifest(&manifest, &mut out)?.to_owned()).unwrap();
//! # let claims = Claims { agent_id: "bot.example.com", resource: "https://pub.example.com/a", purpose: Purpose::RagRetrieval, ads_displayed: false };
//! # let now = UnixMillis::from_ms(1_769_428_800_000);
//! # let mut out = [0; SignedHeaders::BYTES_MAX];
//! # let signed = imagxp::sign_request(&key, &claims, &[3; 16], now, Signing::default(), &mut out)?;
//! # let lines: Vec<_> = signed.iter().collect();
//! // At start: memory for the policy, the keys and the nonces, each with random bytes of its own.
//! let mut words = vec![0; Policy::WORDS];
//! let policy = Policy::parse(br#"{"allowTraining":false,"allowRAG":true}"#, &mut words)?;
//! let sizes = Sizes { names: 4_096, issuers: 4, tables: 0, ..Sizes::HOSTED };
//! let mut words = vec![0; KeyCache::words(&sizes)];
//! let mut keys = KeyCache::new(&mut words, &sizes, &[1; 32])?; // 32 random bytes
//! let mut words = vec![0; ReplayCache::words(450_000)]; // 1,000 requests a second: `imagxp size --rate 1000`
//! let mut replay = ReplayCache::new(&mut words, &[2; 32], UnixMillis::EPOCH)?; // a server passes the time of its start
//!
//! assert_eq!(decide(&lines, "/a", &policy, &mut keys, &mut replay, now)?, "bot.example.com");
//! assert_eq!(decide(&lines, "/a", &policy, &mut keys, &mut replay, now), Err(Error::ReplayDetected));
//! assert_eq!(decide(&lines, "/b", &policy, &mut keys, &mut replay, now), Err(Error::ResourceMismatch));
//! # Ok::<(), Error>(())
//! ```
//!
//! Threads share the replay cache behind a mutex, held for `admit` only. The key cache is never shared while it is
//! written: readers hold an immutable snapshot ([`Keys`]); whoever has news clones the words, supplies, and swaps.
//!
//! # An agent
//!
//! ```
//! use imagxp::{Claims, KeyPair, Purpose, SignedHeaders, Signing, UnixMillis, sign_request};
//!
//! # let (random, nonce) = ([7; 32], [3; 16]);
//! let key = KeyPair::from_random(&random)?; // or `from_text`: PKCS#8, PEM, JWK
//! let claims = Claims {
//!     agent_id: "bot.example.com",
//!     resource: "https://pub.example.com/a?b=c",
//!     purpose: Purpose::RagRetrieval,
//!     ads_displayed: false,
//! };
//! let mut out = [0; SignedHeaders::BYTES_MAX];
//! let now = UnixMillis::from_ms(1_769_428_800_000);
//! for (name, value) in sign_request(&key, &claims, &nonce, now, Signing::default(), &mut out)?.iter() {
//!     println!("{name}: {value}");
//! }
//! # Ok::<(), imagxp::Error>(())
//! ```
//!
//! # Layers
//!
//! Each depends on those below it only, and a test holds that.
//!
//! - roles: [`agent`], [`publisher`], [`broker`]
//! - their words: [`Headers`], [`Claims`], [`manifest`], [`visa`], [`policy`], [`visitor`], [`feedback`], [`provenance`],
//!   [`refusal`], [`discovery`], [`story`], [`evidence`]
//! - state in your memory: [`key_cache`], [`replay_cache`]
//! - formats: [`jose`] (JWK, JWS), [`codec`] (base64, hex, JSON, JCS, DER, PEM); arithmetic: [`ec`]
//! - beside them all: [`key`], [`error`], [`time`], [`host`], [`spec`]
//!
//! # Features
//!
//! - `ec` (default): our own P-256 with prepared keys. Off: crate p256; slower, the same verdicts.
//! - `table-g-large` (default): a static table of some 64 KB. Off: a few KB, for flash.
//! - `float` (default): payload numbers that are not whole or have more than 15 digits. Off: such a payload is refused, since it has no canonical form.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// No input may reach a panic. In `ec` the optimiser's proof counts instead (`make panic-free`).
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod agent;
pub mod broker;
mod canonical;
mod claims;
pub mod codec;
pub mod discovery;
#[cfg(feature = "ec")]
pub mod ec;
pub mod error;
pub mod evidence;
#[cfg(not(feature = "ec"))]
mod fallback;
pub mod feedback;
mod headers;
pub mod host;
mod identity;
mod inverted;
pub mod jose;
pub mod key;
pub mod key_cache;
pub mod manifest;
pub mod money;
mod need;
mod payment;
pub mod policy;
pub mod provenance;
pub mod publisher;
pub mod refusal;
pub mod replay_cache;
mod signed;
pub mod spec;
pub mod story;
pub mod time;
mod url;
mod verdict;
pub mod visa;
pub mod visitor;
#[cfg(feature = "ec")]
use ec as curve;
#[cfg(not(feature = "ec"))]
use fallback as curve;

pub use agent::{Manifest, sign_request, write_manifest};
pub use broker::{PublishedKey, issue_visa, write_jwks};
pub use claims::{Claims, Purpose, check_nonce};
pub use curve::Shape;
pub use error::Error;
pub use headers::{Headers, SignedHeaders};
pub use key::{KeyPair, PublicKey, Signing};
pub use key_cache::{KeyCache, KeyId, Keys, Sizes};
pub use need::{Answer, Kind, Need};
pub use payment::Proof;
pub use policy::Policy;
pub use publisher::{Request, Step, Visit};
pub use refusal::Refusal;
pub use replay_cache::ReplayCache;
pub use signed::Bounds;
pub use story::Story;
pub use time::UnixMillis;
pub use url::Bound;
pub use verdict::{Grant, Verified};
pub use visitor::Visitor;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
