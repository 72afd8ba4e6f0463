//! Why there is no document: for the operator's log and for whoever debugs an agent, never for a client.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why a document could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The URL is not one that may be fetched: what is wrong with it.
    Url(&'static str),
    /// The name has no address.
    NoAddress(String),
    /// The name has an address that a verifier may not connect to.
    Forbidden(IpAddr),
    /// Too many connections to this part of the network are under way.
    Crowded,
    /// No connection.
    Connect(String),
    /// No TLS: the certificate, mostly.
    Tls(String),
    /// The connection broke, or what came was not HTTP, or its headers were too long.
    Http(String),
    /// This step took longer than it may.
    TimedOut(&'static str, Duration),
    /// A status other than 200.
    Status(u16),
    /// A redirect, and where to.
    Redirect(u16),
    /// A media type other than JSON.
    MediaType(String),
    /// The body is compressed, though that was not asked for.
    Encoded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(what) => f.write_str(what),
            Self::NoAddress(why) => write!(f, "the name has no address: {why}"),
            Self::Forbidden(address) => write!(f, "the name leads to {address}, which is not a public address"),
            Self::Crowded => f.write_str("too many fetches from the same network are under way"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Http(why) => write!(f, "no HTTP answer: {why}"),
            Self::TimedOut(step, limit) => write!(f, "{step} took longer than {} ms", limit.as_millis()),
            Self::Status(status) => write!(f, "the server answered {status}, not 200"),
            Self::Redirect(status) => {
                write!(f, "the server redirects ({status}): serve the document at that URL itself")
            }
            Self::MediaType(found) => write!(f, "the media type is {found}, not application/json"),
            Self::Encoded => f.write_str("the body is compressed, though identity was asked for"),
        }
    }
}
