//! A broker: it sells visas to verified agents, holds what they pay, and settles it by their feedback.
//!
//! - `POST /issue-visa`, `POST /feedback`, `GET /.well-known/jwks.json` (docs/protocol.md section 7);
//! - [`ledger`]: double-entry books on SQLite or PostgreSQL;
//! - [`keys`]: several keys with rotation;
//! - [`config`]: file, environment, flags.
//!
//! [`run`] is the service as `imagxp broker` starts it; [`Broker`] the same inside another program.
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod background;
pub mod config;
mod feedback;
mod identity;
mod issue;
pub mod keys;
pub mod ledger;
mod limits;
mod metrics;
mod order;
mod problem;
mod provider;
mod running;
mod secret;
mod server;
mod service;
mod story;

pub use config::{Config, Options};
pub use problem::Problem;
pub use running::{Broker, run};
