//! Gets the documents that the library asks for (threats.md section 8, SSRF-1 to SSRF-12).
//!
//! A stranger chooses the host of a manifest's URL, and so chooses whom this server talks to. Hence, in this order:
//!
//! 1. `budget`: so many new names a second, in all and for one client; so many fetches at a time, in all and towards
//!    one network; one fetch a URL, for which everybody waits who wants the same (`flight`).
//! 2. [`target`]: https on port 443 to a public name; a configured issuer has the port of its URL; in development plain
//!    http to this very machine.
//! 3. [`connect`]: the name is resolved once, every address it has must be a public one, and the connection goes to the
//!    address that was judged. TLS 1.2 or later, and the certificate must be the name's.
//! 4. `exchange`: one GET. No redirects, no cookies, no proxy, no compression; status 200 and JSON; 16 KiB of headers;
//!    one byte more than the limit is read and no further. Each step has its time-out, and all have one together.
//!
//! hyper's client connection is used, not a client above it (reqwest, hyper-util's `Client`, ureq): none of them lets
//! the caller judge all of a name's addresses and then insist on one, and each has a pool, redirects, proxies or
//! decompression that would have to be switched off, in every future version too.

pub mod address;
mod budget;
pub mod connect;
mod exchange;
mod flight;
pub mod network;
mod reason;
pub mod target;
pub mod trust;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use imagxp::{Answer, Kind, Need};
use tokio::time::{Instant, sleep_until, timeout};

pub use address::Range;
pub use network::Network;
pub use reason::Reason;
use target::Target;

/// What a fetcher is made with.
#[derive(Clone)]
pub struct Settings {
    /// Who resolves names and opens connections.
    pub network: Arc<dyn Network>,
    /// Whom TLS trusts.
    pub tls: Arc<rustls::ClientConfig>,
    /// Whether plain http to this machine is good. Never on a public site.
    pub development: bool,
    /// Addresses that are refused beside those that are not public (cloud services: `168.63.129.16`).
    pub denied: Vec<Range>,
    /// Private addresses that configured URLs may lead to: an operator's own broker in the same network.
    pub allowed: Vec<Range>,
    /// Times and numbers.
    pub limits: Limits,
}

impl Settings {
    /// The system's resolver and certificates, and the limits of threats.md section 8.
    ///
    /// # Errors
    /// The resolver's configuration or the certificates cannot be read; the text says what to do.
    pub fn system() -> std::io::Result<Self> {
        let (network, tls) = (Arc::new(network::System::new()?), trust::system()?);
        Ok(Self {
            network,
            tls,
            development: false,
            denied: Vec::new(),
            allowed: Vec::new(),
            limits: Limits::default(),
        })
    }

    /// Development on this machine alone: plain http to localhost, no DNS, no certificates.
    ///
    /// # Errors
    /// As [`trust::config`].
    pub fn this_machine() -> std::io::Result<Self> {
        let (network, tls) = (Arc::new(network::ThisMachine), trust::config(trust::nobody())?);
        Ok(Self { network, tls, development: true, denied: Vec::new(), allowed: Vec::new(), limits: Limits::default() })
    }
}

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To resolve a name.
    pub resolve: Duration,
    /// To connect, all addresses together.
    pub connect: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// For everything.
    pub whole: Duration,
    /// How long a stranger's fetch takes at least that brings no document: no failure is told from another by its time.
    pub failure: Duration,
    /// Bytes of the answer's headers.
    pub header_bytes: usize,
    /// Fetches under way.
    pub fetches: usize,
    /// Connections under way to one /24 or /48.
    pub per_network: u32,
    /// Fetches begun for strangers, a second.
    pub names_per_s: u32,
    /// Those begun on behalf of one client address, a second.
    pub per_client_per_s: u32,
}

impl Default for Limits {
    /// threats.md SSRF-8, SSRF-9, SSRF-10 and SSRF-12.
    fn default() -> Self {
        Self {
            resolve: Duration::from_millis(500),
            connect: Duration::from_millis(500),
            tls: Duration::from_millis(800),
            first_byte: Duration::from_millis(1_000),
            whole: Duration::from_millis(1_500),
            failure: Duration::from_millis(1_500),
            header_bytes: 16 * 1_024,
            fetches: 64,
            per_network: 8,
            names_per_s: 20,
            per_client_per_s: 2,
        }
    }
}

/// What came of a fetch. The reasons are for the operator's log; a client must not learn them (SSRF-10).
#[derive(Clone, Debug)]
pub enum Fetched {
    /// The document.
    Found {
        /// At most one byte over the limit.
        body: Bytes,
        /// `max-age` of `Cache-Control`.
        max_age_s: Option<u32>,
    },
    /// The server answered, and it was not the document.
    NotThere(Reason),
    /// No answer.
    Unreachable(Reason),
}

impl Fetched {
    /// What [`imagxp::KeyCache::supply`] takes.
    #[must_use]
    pub fn answer(&self) -> Answer<'_> {
        match self {
            Self::Found { body, max_age_s } => Answer::Found { body, max_age_s: *max_age_s },
            Self::NotThere(_) => Answer::NotThere,
            Self::Unreachable(_) => Answer::Unreachable,
        }
    }

    /// Why there is no document.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Found { .. } => None,
            Self::NotThere(reason) | Self::Unreachable(reason) => Some(reason),
        }
    }
}

/// The budget is used up, or somebody else's fetch of the same document takes too long: ask again in two seconds.
/// It says nothing about the document, so it must not be supplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending;

/// A [`Need`] that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which document.
    pub kind: Kind,
    /// Where it is.
    pub url: String,
    /// The URL's host.
    pub host: String,
    /// Whether the URL is the operator's own.
    pub configured: bool,
    /// The limit.
    pub max_len: usize,
}

impl Wanted {
    /// The need again, to supply what came of it.
    #[must_use]
    pub fn need(&self) -> Need<'_> {
        let Self { kind, url, host, configured, max_len } = self;
        Need { kind: *kind, url, host, configured: *configured, max_len: *max_len }
    }
}

impl From<&Need<'_>> for Wanted {
    fn from(need: &Need<'_>) -> Self {
        let Need { kind, url, host, configured, max_len } = *need;
        Self { kind, url: url.to_owned(), host: host.to_owned(), configured, max_len }
    }
}

/// Gets documents. A clone shares flights and budgets.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    budget: budget::Budget,
    flights: flight::Flights,
}

impl Fetcher {
    /// A fetcher; one for all of a server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let budget = budget::Budget::new(&settings.limits);
        Self { shared: Arc::new(Shared { settings, budget, flights: flight::Flights::default() }) }
    }

    /// Gets a document, or waits with those who want the same. `client` is the address of whoever caused it, for the
    /// budget that one client has.
    ///
    /// # Errors
    /// [`Pending`]: not now.
    pub async fn fetch(&self, need: &Need<'_>, client: Option<IpAddr>) -> Result<Arc<Fetched>, Pending> {
        self.fly(Wanted::from(need), |budget| budget.begin(need.configured, client)).await
    }

    /// Gets a document anew that is known already, behind the visitor's back: the budget of new names is not touched.
    ///
    /// # Errors
    /// [`Pending`]: not now.
    pub async fn refresh(&self, wanted: Wanted) -> Result<Arc<Fetched>, Pending> {
        let configured = wanted.configured;
        self.fly(wanted, |budget| budget.begin_known(configured)).await
    }

    async fn fly(
        &self,
        wanted: Wanted,
        begin: impl FnOnce(&budget::Budget) -> Option<budget::Ticket>,
    ) -> Result<Arc<Fetched>, Pending> {
        // What an operator's URL may reach, a stranger's may not: they share no flight.
        let key = format!("{} {}", if wanted.configured { "ours" } else { "theirs" }, wanted.url);
        let flight = self.shared.flights.join(&key, || {
            let ticket = begin(&self.shared.budget)?;
            let shared = Arc::clone(&self.shared);
            Some(async move {
                let began = Instant::now();
                let fetched = shared.get(&wanted).await;
                drop(ticket);
                if !wanted.configured && fetched.reason().is_some() {
                    sleep_until(began + shared.settings.limits.failure).await;
                }
                fetched
            })
        });
        let wait = self.shared.settings.limits.whole;
        timeout(wait.saturating_mul(2), flight.ok_or(Pending)?.landed()).await.map_err(|_| Pending)?.ok_or(Pending)
    }
}

impl Shared {
    async fn get(&self, wanted: &Wanted) -> Fetched {
        let whole = self.settings.limits.whole;
        match timeout(whole, self.try_get(wanted)).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(reason)) => Fetched::Unreachable(reason),
            Err(_) => Fetched::Unreachable(Reason::TimedOut("the whole fetch", whole)),
        }
    }

    async fn try_get(&self, wanted: &Wanted) -> Result<Fetched, Reason> {
        let Settings { network, tls, limits, development, denied, allowed } = &self.settings;
        let target = Target::of(wanted, *development)?;
        let reach = target.reach(wanted.configured, denied, allowed);
        let connector = connect::Connector { network: &**network, tls, limits };
        let stream = connector.open(&target, &reach, |address| self.budget.occupy(address)).await?;
        exchange::get(stream, &target, wanted.max_len, limits).await
    }
}
