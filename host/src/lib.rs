//! What a Rust server needs around the library to be an IMAGXP publisher or broker.
//!
//! The library does no I/O: it says which document it [needs](imagxp::Need), and is called again with the answer. Here is
//! the part that goes and gets it, and the loop around both.
//!
//! - [`fetch`]: gets manifests and key sets whose URLs strangers choose, by rules that leave a stranger nothing to gain:
//!   public addresses only, connected to as they were checked; https, no redirects, nothing beyond the limit read;
//!   everything on the clock and within a budget.
//! - [`publisher`]: a policy, a snapshot of the key cache that is swapped and never written while it is read, and one
//!   replay cache behind a lock: request in, decision out.
//! - [`load`]: how much verifying one client, and all together, can cause.
//!
//! Nothing here logs, and nothing is global. Time and randomness are taken from the system in [`system`] alone.
#![forbid(unsafe_code)]

mod bucket;
pub mod fetch;
pub mod load;
pub mod publisher;
pub mod system;

pub use fetch::{Fetched, Fetcher, Pending, Settings};
pub use load::Load;
pub use publisher::{Decision, Publisher, Refused};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
