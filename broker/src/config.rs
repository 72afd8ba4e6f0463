//! What a broker is run with: a TOML file, the environment, and flags, the later over the earlier. Secrets come from
//! files or the environment only, never from flags, which every user of the machine can read.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use imagxp::policy::Micros;
use imagxp::spec;
use imagxp_host::fetch::Range;
use imagxp_host::fetch::target::Target;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::keys::{KeyEntry, KeyRing};
use crate::ledger::Location;
use crate::order;
use crate::problem::Problem;
use crate::secret;

/// The flags of `imagxp broker`.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Configuration file (TOML): docs/deploy.md lists its settings
    #[arg(long, value_name = "FILE", env = "IMAGXP_BROKER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS", env = "IMAGXP_BROKER_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// The broker's own URL: what agents sign for, and the visas' issuer
    #[arg(long, value_name = "URL", env = "IMAGXP_BROKER_URL")]
    pub public_url: Option<String>,
    /// PostgreSQL URL, or the path of a SQLite file [default: imagxp-broker.sqlite]
    #[arg(long, value_name = "URL|FILE", env = "DATABASE_URL", hide_env_values = true)]
    pub database: Option<String>,
    /// File with the signing key, instead of $IMAGXP_BROKER_KEY or the file's `[[keys]]`
    #[arg(long, value_name = "FILE", env = "IMAGXP_BROKER_KEY_FILE")]
    pub key: Option<PathBuf>,
    /// Development mode: keys and books that end with the process, localhost agents, the introduction's bare request
    #[arg(long)]
    pub dev: bool,
    /// How to log
    #[arg(long, value_enum, env = "IMAGXP_BROKER_LOG")]
    pub log: Option<Log>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "IMAGXP_BROKER_LOG_LEVEL")]
    pub log_level: Option<tracing::Level>,
}

/// The log's form.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    listen: Option<SocketAddr>,
    public_url: Option<String>,
    database: Option<String>,
    keys: Vec<KeyEntry>,
    lifetime_s: Option<u32>,
    dispute_s: Option<u32>,
    currency: Option<String>,
    amount_min: Option<String>,
    amount_max: Option<String>,
    admin_token_file: Option<PathBuf>,
    trusted_proxies: Vec<String>,
    rate_per_client: Option<u32>,
    rate_per_agent: Option<u32>,
    refunds_per_day: Option<u32>,
    jwks_max_age_s: Option<u32>,
    webhook: Option<WebhookEntry>,
    log: Option<Log>,
    log_level: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookEntry {
    url: String,
    secret_file: Option<PathBuf>,
    timeout_ms: Option<u64>,
}

/// Everything, checked.
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// `https://broker.example.com`: no path, no slash at the end. Empty in development: `http://localhost:<port>`.
    pub public_url: String,
    /// The books; none in development: a file that ends with the process.
    pub database: Option<Location>,
    /// Development mode.
    pub development: bool,
    /// How long a visa is good, seconds.
    pub lifetime_s: u32,
    /// How long its payment can be disputed, seconds from the sale on.
    pub dispute_s: u32,
    /// Written into visas; informational.
    pub currency: Option<String>,
    /// What a visa may cost.
    pub amounts: RangeInclusive<Micros>,
    /// The operator's bearer token; without one there is no administration over HTTP.
    pub admin_token: Option<Zeroizing<Vec<u8>>>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Range>,
    /// Requests a second for a client address; 0: without limit.
    pub rate_per_client: u32,
    /// The same for a verified agent.
    pub rate_per_agent: u32,
    /// Payments that an agent can take back by its feedback within 24 hours; 0: any number.
    pub refunds_per_day: u32,
    /// How long verifiers may keep the key set, seconds. A key that is added signs no earlier than that after.
    pub jwks_max_age_s: u32,
    /// The payment provider.
    pub webhook: Option<Webhook>,
    /// Where keys come from.
    pub keys: Keys,
    /// The log's form.
    pub log: Log,
    /// What it takes to be logged.
    pub log_level: tracing::Level,
}

/// A payment provider's place.
#[derive(Clone)]
pub struct Webhook {
    /// Where it is asked.
    pub target: Target,
    /// The HMAC's key.
    pub secret: Zeroizing<Vec<u8>>,
    /// No answer by then is none.
    pub timeout: Duration,
}

/// Where keys come from.
pub enum Keys {
    /// Files, read anew at SIGHUP.
    Files(Vec<KeyEntry>),
    /// PKCS#8 text, and a `kid`.
    Text(Zeroizing<String>, Option<String>),
    /// Made at start.
    Generated,
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    /// As [`KeyRing::read`].
    pub fn read(&self) -> Result<KeyRing, Problem> {
        match self {
            Self::Files(entries) => KeyRing::read(entries),
            Self::Text(text, kid) => KeyRing::from_text(text, kid.clone()),
            Self::Generated => KeyRing::generate(),
        }
    }
}

impl Config {
    /// Development mode on a free port: keys, books and token of its own.
    #[must_use]
    pub fn development() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: String::new(),
            database: None,
            development: true,
            lifetime_s: 3_600,
            dispute_s: 86_400,
            currency: None,
            amounts: AMOUNTS,
            admin_token: None,
            trusted_proxies: Vec::new(),
            rate_per_client: 0,
            rate_per_agent: 0,
            refunds_per_day: 0,
            jwks_max_age_s: 300,
            webhook: None,
            keys: Keys::Generated,
            log: Log::Text,
            log_level: tracing::Level::INFO,
        }
    }

    /// From flags, environment and file.
    ///
    /// # Errors
    /// What cannot be, and what to write instead.
    pub fn read(options: &Options) -> Result<Self, Problem> {
        let file = options.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let development = options.dev;
        let default = Self::development();
        let listen = options.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3_000)));
        let config = Self {
            listen,
            public_url: public_url(options.public_url.as_ref().or(file.public_url.as_ref()), development)?,
            database: database(options.database.as_ref().or(file.database.as_ref()), development)?,
            development,
            lifetime_s: file.lifetime_s.unwrap_or(default.lifetime_s),
            dispute_s: file.dispute_s.unwrap_or(default.dispute_s),
            currency: file.currency.clone(),
            amounts: amounts(&file)?,
            admin_token: secret_of(file.admin_token_file.as_deref(), "IMAGXP_BROKER_ADMIN_TOKEN")?,
            trusted_proxies: ranges(&file.trusted_proxies)?,
            rate_per_client: file.rate_per_client.unwrap_or(50),
            rate_per_agent: file.rate_per_agent.unwrap_or(200),
            refunds_per_day: file.refunds_per_day.unwrap_or(1_000),
            jwks_max_age_s: file.jwks_max_age_s.unwrap_or(default.jwks_max_age_s),
            webhook: file.webhook.as_ref().map(|entry| webhook(entry, development)).transpose()?,
            keys: keys(options, &file, development)?,
            log: options.log.or(file.log).unwrap_or_default(),
            log_level: level(options, &file)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Problem> {
        let longest = u32::try_from(spec::time::TOKEN_LIFETIME_S).unwrap_or(u32::MAX);
        if !(60..=longest).contains(&self.lifetime_s) {
            return Err(Problem::new("lifetime_s is out of bounds", format!("write 60 to {longest} seconds")));
        }
        if self.dispute_s < self.lifetime_s {
            let fix = "write a time no shorter than lifetime_s: whoever may still use a visa may still judge it";
            return Err(Problem::new("dispute_s is shorter than a visa lives", fix));
        }
        if !(1..=3_600).contains(&self.jwks_max_age_s) {
            return Err(Problem::new("jwks_max_age_s is out of bounds", "write 1 to 3600 seconds"));
        }
        let short = |secret: &Zeroizing<Vec<u8>>| secret.len() < SECRET_MIN;
        if self.admin_token.as_ref().is_some_and(short) || self.webhook.as_ref().is_some_and(|hook| short(&hook.secret))
        {
            let fix = "openssl rand -hex 32 makes a good one";
            return Err(Problem::new(format!("a secret is shorter than {SECRET_MIN} bytes"), fix));
        }
        let letters = |currency: &String| {
            spec::jwt::CURRENCY_LEN.contains(&currency.len()) && currency.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if self.currency.as_ref().is_some_and(|currency| !letters(currency)) {
            return Err(Problem::new("currency is no code", "write 3 to 8 upper-case letters, such as USD"));
        }
        self.check_development()
    }

    /// Development mode believes localhost names and gives visas to whoever asks: it is for this machine alone.
    ///
    /// # Errors
    /// It would be open to others.
    pub(crate) fn check_development(&self) -> Result<(), Problem> {
        if !self.development {
            return Ok(());
        }
        if !self.listen.ip().is_loopback() {
            let fix = "listen on 127.0.0.1 or [::1], or leave out --dev";
            return Err(Problem::new(format!("--dev does not listen on {}: others reach it", self.listen), fix));
        }
        let is_loopback = |url: &str| Target::parse(url).is_ok_and(|target| target.is_loopback());
        if !self.public_url.is_empty() && !is_loopback(&self.public_url) {
            let fix = "leave out public_url, or write http://localhost:3000; or leave out --dev";
            return Err(Problem::new("--dev does not sign for a public URL", fix));
        }
        Ok(())
    }
}

/// 0.000001 to 1,000.
const AMOUNTS: RangeInclusive<Micros> = 1..=1_000_000_000;
/// Guessing takes 2^64 attempts even if half of the bytes tell nothing.
const SECRET_MIN: usize = 16;

fn read_file(path: &Path) -> Result<File, Problem> {
    let shown = path.display();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Problem::new(format!("{shown}: {error}"), "name a file that can be read"))?;
    let mut file: File = toml::from_str(&text).map_err(|error| {
        let what = format!("{shown}, line {}: {}", line_of(&text, &error), without_values(error.message()));
        Problem::new(what, "docs/deploy.md lists the settings")
    })?;
    // Files are named beside the configuration, wherever the broker is started.
    let beside = |named: &mut PathBuf| {
        if let Some(folder) = path.parent() {
            *named = folder.join(&*named);
        }
    };
    file.keys.iter_mut().for_each(|key| beside(&mut key.file));
    file.admin_token_file.iter_mut().for_each(beside);
    file.webhook.iter_mut().filter_map(|hook| hook.secret_file.as_mut()).for_each(beside);
    Ok(file)
}

/// The line alone: what it says may be a secret.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let at = error.span().map_or(0, |span| span.start);
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Messages show values of a wrong type between double quotes, names of settings between backticks.
fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}\"…{}", &message[..first], &message[last..]),
        _ => message.to_owned(),
    }
}

fn public_url(url: Option<&String>, development: bool) -> Result<String, Problem> {
    let Some(url) = url else {
        let fix = "set public_url, --public-url or IMAGXP_BROKER_URL: https://broker.example.com; or try --dev";
        return if development { Ok(String::new()) } else { Err(Problem::new("what is this broker's own URL?", fix)) };
    };
    let url = url.trim_end_matches('/');
    let fix = "write it as https://broker.example.com; plain http is for localhost and --dev; --public-url and IMAGXP_BROKER_URL come before the file";
    let target = Target::parse(url).map_err(|why| Problem::new(format!("public_url: {why}"), fix))?;
    let good = target.path == "/" && (target.tls || development && target.is_loopback());
    let wrong = || Problem::new(format!("public_url `{}` is not an https origin without a path", target.url()), fix);
    if good { Ok(url.to_owned()) } else { Err(wrong()) }
}

fn database(text: Option<&String>, development: bool) -> Result<Option<Location>, Problem> {
    let text = match text {
        None if development => return Ok(None),
        None => "imagxp-broker.sqlite",
        Some(text) => text,
    };
    // The text may hold a password: it is not repeated.
    Location::parse(text).map(Some).map_err(|fix| Problem::new("the database's URL cannot be read", fix))
}

fn amounts(file: &File) -> Result<RangeInclusive<Micros>, Problem> {
    let read = |text: Option<&String>, default: Micros| match text {
        None => Ok(default),
        Some(text) => {
            order::amount(text).map_err(|why| Problem::new(why, "amount_min and amount_max are texts: \"0.001\""))
        }
    };
    let (min, max) =
        (read(file.amount_min.as_ref(), *AMOUNTS.start())?, read(file.amount_max.as_ref(), *AMOUNTS.end())?);
    if min > max {
        return Err(Problem::new("amount_min is above amount_max", "exchange them"));
    }
    Ok(min..=max)
}

fn secret_of(file: Option<&Path>, variable: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
    if let Some(text) = std::env::var_os(variable) {
        return Ok(Some(Zeroizing::new(text.into_encoded_bytes())));
    }
    let text = file.map(secret::read).transpose()?;
    Ok(text.map(|text| Zeroizing::new(text.trim_ascii().to_vec())))
}

fn ranges(texts: &[String]) -> Result<Vec<Range>, Problem> {
    let range = |text: &String| text.parse::<Range>();
    texts.iter().map(range).collect::<Result<_, _>>().map_err(|why| Problem::new(why, "see trusted_proxies"))
}

fn webhook(entry: &WebhookEntry, development: bool) -> Result<Webhook, Problem> {
    let fix = "write it as https://pay.example.com/imagxp; plain http is for localhost and --dev";
    let target = Target::parse(&entry.url).map_err(|why| Problem::new(format!("webhook.url: {why}"), fix))?;
    let good = target.tls || development && target.is_loopback();
    if !good {
        return Err(Problem::new("webhook.url is plain http", fix));
    }
    let secret = secret_of(entry.secret_file.as_deref(), "IMAGXP_BROKER_WEBHOOK_SECRET")?;
    let fix = "set webhook.secret_file or IMAGXP_BROKER_WEBHOOK_SECRET: openssl rand -hex 32";
    let secret = secret.ok_or_else(|| Problem::new("the webhook has no secret", fix))?;
    let timeout = Duration::from_millis(entry.timeout_ms.unwrap_or(2_000).clamp(50, 20_000));
    Ok(Webhook { target, secret, timeout })
}

fn keys(options: &Options, file: &File, development: bool) -> Result<Keys, Problem> {
    if let Some(path) = &options.key {
        return Ok(Keys::Files(vec![KeyEntry { file: path.clone(), kid: None, sign_from: None }]));
    }
    if let Ok(text) = std::env::var("IMAGXP_BROKER_KEY") {
        return Ok(Keys::Text(Zeroizing::new(text), std::env::var("IMAGXP_BROKER_KID").ok()));
    }
    if !file.keys.is_empty() {
        return Ok(Keys::Files(file.keys.clone()));
    }
    let fix = "`imagxp keygen --pem broker` writes broker.key.pem: name it by --key, IMAGXP_BROKER_KEY_FILE or [[keys]]; or try --dev";
    if development { Ok(Keys::Generated) } else { Err(Problem::new("the broker has no key to sign with", fix)) }
}

fn level(options: &Options, file: &File) -> Result<tracing::Level, Problem> {
    let named = |text: &String| {
        text.parse().map_err(|_| Problem::new("log_level is none", "error, warn, info, debug or trace"))
    };
    let configured = file.log_level.as_ref().map(named).transpose()?;
    Ok(options.log_level.or(configured).unwrap_or(tracing::Level::INFO))
}
