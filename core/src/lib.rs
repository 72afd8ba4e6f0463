//! imagxp
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod agent;
mod claims;
pub mod codec;
#[cfg(not(feature = "ec"))]
mod fallback;
pub mod error;
mod headers;
pub mod host;
mod identity;
pub mod jose;
pub mod key;
pub mod key_cache;
pub mod manifest;
mod need;
mod payment;
pub mod policy;
pub mod publisher;
pub mod replay_cache;
pub mod spec;
pub mod time;
mod url;
mod verdict;
pub mod visa;
pub mod visitor;
#[cfg(feature = "ec")]
pub mod ec;
#[cfg(feature = "ec")]
use ec as curve;
#[cfg(not(feature = "ec"))]
use fallback as curve;

pub use agent::{Manifest, sign_request, write_manifest};
pub use curve::Shape;
pub use claims::{Claims, Purpose, check_nonce};
pub use error::Error;
pub use headers::{Headers, SignedHeaders};
pub use key::{KeyPair, PublicKey, Signing};
pub use key_cache::{KeyCache, KeyId, Keys, Sizes};
pub use need::{Answer, Kind, Need};
pub use payment::Proof;
pub use policy::Policy;
pub use publisher::{Request, Step, Visit};
pub use replay_cache::ReplayCache;
pub use time::UnixMillis;
pub use url::Bound;
pub use verdict::{Grant, Verified};
pub use visitor::Visitor;
