//! From a configuration to a broker that runs, and to one that has ended well.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use imagxp_host::Settings;
use imagxp_host::fetch::{network, trust};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::admin::AdminToken;
use crate::config::{Config, Keys, Log, Options};
use crate::identity::Agents;
use crate::keys::KeyRing;
use crate::ledger::{Ledger, Location};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::provider::Provider;
use crate::service::{Service, router};
use crate::{background, server};

/// A running broker.
pub struct Broker {
    service: Arc<Service>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    writer: oneshot::Receiver<()>,
    /// Books that end with the process.
    scratch: Option<PathBuf>,
    /// The operator's token is this process's own.
    is_token_made: bool,
}

/// Until everything has ended, at the end. What is written down is not lost by going away.
const FAREWELL: Duration = Duration::from_secs(30);

impl Broker {
    /// Starts it: the books are open and the port is bound when this returns.
    ///
    /// # Errors
    /// What is in the way, and what mends it.
    pub async fn start(mut config: Config) -> Result<Self, Problem> {
        let keys = config.keys.read()?;
        let bound = TcpListener::bind(config.listen).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| {
            Problem::new(format!("{}: {error}", config.listen), "choose another port: --listen 127.0.0.1:3001")
        })?;
        config.check_development()?;
        if config.public_url.is_empty() {
            config.public_url = format!("http://localhost:{}", address.port());
        }
        let is_token_made = config.development && config.admin_token.is_none();
        if is_token_made {
            config.admin_token = Some(random_token()?);
        }
        let scratch = if config.database.is_none() { Some(scratch_folder()?) } else { None };
        let location = books(&config, scratch.as_ref())?;
        let (ledger, writer) = Ledger::open(&location).await.map_err(|why| {
            Problem::new(
                format!("the {} books cannot be opened: {why}", location.name()),
                "see DATABASE_URL, --database",
            )
        })?;
        claim(&ledger, config.development).await?;
        let service = Arc::new(service(config, keys, ledger)?);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = background::start(&service, &stopped);
        tasks.push(tokio::spawn(server::serve(listener, router(Arc::clone(&service)), stopped)));
        Ok(Self { service, address, stop, tasks, writer, scratch, is_token_made })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its own URL: what agents sign for, and the visas' issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.service.config.public_url
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.service.ledger
    }

    /// The operator's token; in development one is made.
    #[must_use]
    pub fn admin_token(&self) -> Option<&str> {
        self.service.config.admin_token.as_ref().and_then(|token| std::str::from_utf8(token).ok())
    }

    /// Goes on with the keys of this configuration ([`KeyRing::succeed`]). If anything is wrong with them, those at hand
    /// stay.
    ///
    /// # Errors
    /// As at start, or a `kid` that named another key before.
    pub fn reload_keys(&self, keys: &Keys) -> Result<(), Problem> {
        if !matches!(keys, Keys::Generated) {
            let now = imagxp_host::system::now();
            let next = self.service.keys.load().succeed(keys.read()?, now, self.service.config.jwks_max_age_s)?;
            self.service.keys.store(Arc::new(next));
        }
        Ok(())
    }

    /// Ends it: no new connections, the requests under way are answered, the books are closed.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let ending = async {
            for task in self.tasks {
                let _ = task.await;
            }
            drop(self.service);
            let _ = self.writer.await;
        };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            tracing::warn!("not everything had ended in time: the books are as they were last committed");
        }
        if let Some(folder) = self.scratch {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Nobody's money is real in development: such books, and real ones, are not mixed.
async fn claim(ledger: &Ledger, development: bool) -> Result<(), Problem> {
    let unclear = |why| Problem::new(format!("the books cannot be read: {why}"), "see DATABASE_URL, --database");
    match (ledger.claim(development).await.map_err(unclear)?, development) {
        (true, _) => Ok(()),
        (false, true) => {
            let fix = "leave out --database and DATABASE_URL, or name new books; or leave out --dev";
            Err(Problem::new("these books are a real broker's: --dev does not touch them", fix))
        }
        (false, false) => {
            Err(Problem::new("these books are of development: their money came from nowhere", "name new books"))
        }
    }
}

fn service(config: Config, keys: KeyRing, ledger: Ledger) -> Result<Service, Problem> {
    let settings = settings(config.development)?;
    let provider = config.webhook.clone().map(|hook| Provider {
        target: hook.target,
        secret: hook.secret,
        timeout: hook.timeout,
        currency: config.currency.clone(),
        settings: settings.clone(),
    });
    Ok(Service {
        agents: Agents::new(&config.public_url, settings)?,
        keys: ArcSwap::from_pointee(keys),
        ledger,
        limits: Limits::new(config.rate_per_client, config.rate_per_agent),
        metrics: Metrics::new().map_err(|error| Problem::new(error, ""))?,
        admin: config.admin_token.as_ref().map(|token| AdminToken::new(token)),
        provider,
        config,
    })
}

/// How manifests, and the payment provider, are reached.
fn settings(development: bool) -> Result<Settings, Problem> {
    let wrong = |error: std::io::Error| Problem::new(error, "see /etc/resolv.conf, and the package ca-certificates");
    if !development {
        return Settings::system().map_err(wrong);
    }
    // Plain http on this machine: nobody needs to be trusted, and DNS need not be there.
    let tls = trust::system().or_else(|_| trust::config(trust::nobody())).map_err(wrong)?;
    let this_machine = Settings::this_machine().map_err(wrong)?;
    Ok(match network::System::new() {
        Ok(system) => Settings { network: Arc::new(system), tls, ..this_machine },
        Err(_) => this_machine,
    })
}

fn books(config: &Config, scratch: Option<&PathBuf>) -> Result<Location, Problem> {
    match (&config.database, scratch) {
        (Some(location), _) => Ok(location.clone()),
        (None, Some(folder)) => Location::parse(&folder.join("broker.sqlite").to_string_lossy())
            .map_err(|why| Problem::new(why, "set TMPDIR to a folder with a plain name")),
        (None, None) => Err(Problem::new("no database", "")),
    }
}

fn scratch_folder() -> Result<PathBuf, Problem> {
    let folder = std::env::temp_dir().join(format!("imagxp-broker-{}", hex(&random::<8>()?)));
    let made = std::fs::create_dir(&folder);
    made.map_err(|error| Problem::new(format!("{}: {error}", folder.display()), "set TMPDIR to a folder to write in"))?;
    Ok(folder)
}

fn random_token() -> Result<Zeroizing<Vec<u8>>, Problem> {
    Ok(Zeroizing::new(hex(&random::<16>()?).into_bytes()))
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    imagxp_host::system::random()
        .map_err(|error| Problem::new(format!("the system gives no random bytes: {error}"), ""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `imagxp broker`: runs until SIGINT or SIGTERM; SIGHUP reads the keys again.
///
/// # Errors
/// Why it does not start.
pub fn run(options: &Options) -> Result<(), Problem> {
    let config = Config::read(options)?;
    start_log(config.log, config.log_level);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Problem::new(format!("no runtime: {error}"), ""))?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| Problem::new(format!("no signals: {error}"), ""))?;
        let broker = Broker::start(config).await?;
        announce(&broker);
        while signals.next().await == Signal::Reload {
            match Config::read(options).and_then(|config| broker.reload_keys(&config.keys)) {
                Ok(()) => {
                    tracing::info!(keys = ?broker.service.keys.load().names().collect::<Vec<_>>(), "keys read again")
                }
                Err(Problem { what, fix }) => tracing::error!(what, fix, "the keys cannot be read: those at hand stay"),
            }
        }
        tracing::info!("ending: the requests under way are answered first");
        broker.stop().await;
        Ok(())
    })
}

/// For the people who started it, on standard output; the log is on standard error.
fn announce(broker: &Broker) {
    let config = &broker.service.config;
    let keys = broker.service.keys.load();
    let mut lines = Vec::new();
    if config.development {
        lines.push("Development mode: never on a public site.".to_owned());
    }
    if matches!(config.keys, Keys::Generated) {
        let names: Vec<_> = keys.names().collect();
        lines.push(format!("Keys generated: ES256, kid {} (gone when this process ends)", names.join(", ")));
    }
    if broker.is_token_made
        && let Some(token) = broker.admin_token()
    {
        lines.push(format!("Admin token: {token}"));
    }
    lines.push(format!("Broker running on {}", config.public_url));
    use std::io::Write as _;
    // Whoever started it may have closed standard output.
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
    let books = config.database.as_ref().map_or("SQLite, temporary", Location::name);
    tracing::info!(listen = %broker.address, url = config.public_url, books, keys = ?keys.names().collect::<Vec<_>>(), "started");
}

fn start_log(form: Log, level: tracing::Level) {
    use std::io::IsTerminal as _;
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    // A second one in a process changes nothing.
    match form {
        Log::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        Log::Json => log.json().flatten_event(true).init(),
    }
}

#[derive(PartialEq, Eq)]
enum Signal {
    Reload,
    End,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        let _ = tokio::signal::ctrl_c().await;
        Signal::End
    }
}
