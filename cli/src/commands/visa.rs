//! `imagxp visa issue` and `imagxp visa verify`; `imagxp visa buy` is beside

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use imagxp::policy::{Micros, Role};
use imagxp::visa::{self, Holder, Token, TokenStep};
use imagxp::{Error, KeyCache, Policy, Signing, Sizes, UnixMillis, broker, codec::decimal, host, money, spec};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::print::{ERROR, GOOD, shown};
use crate::verifier::{Asked, Sources};
use crate::{clock, input, keys, net, policy_file, print, purpose, random, target, verdict};

/// Buy a visa, issue one, or verify one
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp visa issue --issuer https://broker.example.com --audience nytimes.com --amount 0.001 \\
    --agent-id bot.example.com --agent-key agent.pub.pem --key broker.key.pem
  imagxp visa verify TOKEN --issuer https://broker.example.com --audience nytimes.com --jwks jwks.json")]
pub(crate) struct Visa {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Buy(super::buy::Buy),
    Issue(Issue),
    Verify(Verify),
}

impl Visa {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Buy(command) => command.run(),
            Command::Issue(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

/// Issue a visa: prints the token for x-imagxp-credential
#[derive(Args)]
#[command(after_help = "\
A visa is bound to the agent that bought it, unless --bearer says that anybody who holds it may use it.

Examples:
  imagxp visa issue --issuer https://broker.example.com --audience nytimes.com --amount 0.001 \\
    --agent-id bot.example.com --agent-key agent.pub.pem --key broker.key.pem
  imagxp visa issue --issuer https://broker.example.com --audience nytimes.com --amount 0.001 --bearer --kid 1
  imagxp sign https://nytimes.com/a --purpose SUMMARY --visa \"$(imagxp visa issue …)\"

JSON: the broker's answer, an object with the members token and header_name.")]
struct Issue {
    /// The broker's URL, byte for byte as publishers configure it (iss)
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The publisher, nytimes.com or https://nytimes.com (aud)
    #[arg(long, value_name = "NAME")]
    audience: String,
    /// What was paid: a decimal above 0 with at most six places
    #[arg(long, value_name = "DECIMAL", value_parser = amount)]
    amount: Micros,
    /// How long it is good, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    lifetime: u32,
    /// The broker's key among those that it publishes [default: its thumbprint]
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// The agent that may use it (sub)
    #[arg(long, value_name = "NAME", required_unless_present = "bearer", requires = "agent_key")]
    agent_id: Option<String>,
    /// That agent's public key (cnf)
    #[arg(long, value_name = "FILE", requires = "agent_id")]
    agent_key: Option<PathBuf>,
    /// Bind it to nobody: whoever holds it may use it
    #[arg(long, conflicts_with = "agent_id")]
    bearer: bool,
    /// The visa's own name [default: random]
    #[arg(long, value_name = "NAME")]
    jti: Option<String>,
    /// What it was bought for
    #[arg(long, value_name = "PURPOSE", value_parser = purpose::NAMES, ignore_case = true)]
    purpose: Option<String>,
    /// The currency, such as USD
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// File with the broker's private key [default: $IMAGXP_PRIVATE_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The time of issue [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Issue {
    fn run(self) -> Outcome {
        let key = keys::key_pair(self.key.as_deref())?;
        let (hedge, jti) = (random::bytes::<32>()?, random::name_or(self.jti.as_deref())?);
        let own_kid = key.public().kid();
        let visa = broker::Visa {
            issuer: &self.issuer,
            audience: &self.audience,
            amount: self.amount,
            lifetime_s: self.lifetime,
            holder: self.holder()?,
            jti: Some(&jti),
            purpose: self.purpose.as_deref().map(|name| purpose::of(&name.to_ascii_uppercase())),
            currency: self.currency.as_deref(),
        };
        let kid = self.kid.as_deref().unwrap_or(own_kid.as_str());
        let mut out = [0; spec::request::JWT_MAX];
        let signing = Signing { hedge: &hedge, check: true };
        let token = broker::issue_visa(&key, kid, &visa, clock::or_now(self.now), signing, &mut out);
        let token = token.map_err(|error| Failure::usage(error.name(), self.fix(error)))?;
        if self.json {
            print::line(&json!({"token": token, "header_name": spec::header::CREDENTIAL}).to_string())?;
        } else {
            print::line(token)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn holder(&self) -> Result<Option<Holder<'_>>, Failure> {
        let (Some(agent_id), Some(file)) = (&self.agent_id, &self.agent_key) else { return Ok(None) };
        Ok(Some(Holder { agent_id, key: keys::public_file(file)?.kid() }))
    }

    /// Which argument the refusal is about.
    fn fix(&self, error: Error) -> String {
        let fix = match error {
            Error::JwtIssuer => "--issuer: printable ASCII without quotes, as publishers configure it",
            Error::JwtAudience => "--audience: the publisher's name, at most 256 characters",
            Error::JwtLifetime => "--lifetime: 1 to 3600 seconds",
            Error::JwtHeader => "--kid: 1 to 128 bytes",
            Error::JwtClaims => "--jti: 1 to 128 bytes; --currency: 3 to 8 upper-case letters",
            Error::AgentIdInvalid => "--agent-id: a domain name such as bot.example.com",
            error => error.help(),
        };
        fix.to_owned()
    }
}

pub(in crate::commands) fn amount(text: &str) -> Result<Micros, String> {
    let exact = decimal::scaled(text, 6).filter(|(amount, exact)| *exact && *amount > 0);
    exact.map(|(amount, _)| amount).ok_or_else(|| "write it as 0.001: above 0, at most six places".to_owned())
}

/// Verify a visa, and say why if it is refused
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 the visa is good, 1 it is refused, 2 the command itself is wrong.

Who may issue it and whom it must name comes from --issuer and --audience, or from a publisher's --policy. Without --jwks
the key set is fetched from the issuer. Without --agent-id and --agent-key nobody is held to be presenting it: whom
it is bound to is shown, not judged. Whether it was used before cannot be told.

Examples:
  imagxp visa verify TOKEN --issuer https://broker.example.com --audience nytimes.com --jwks jwks.json
  imagxp visa verify visa.txt --policy policy.json --agent-id bot.example.com --agent-key agent.pub.pem --json

JSON: one object with the members verified, code, help, issuer, amount, expires, jti, bound, needs (an array of kind,
url, answer, reason), not_checked (an array), now. What is not known is null.")]
struct Verify {
    /// The token, or a file with it; - or nothing is standard input
    #[arg(value_name = "FILE|TOKEN")]
    token: Option<String>,
    /// Who must have issued it (iss)
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "policy",
        required_unless_present = "policy",
        requires = "audience"
    )]
    issuer: Option<String>,
    /// Whom it must be for (aud)
    #[arg(long, value_name = "NAME", conflicts_with = "policy")]
    audience: Option<String>,
    /// The least that must have been paid
    #[arg(long, value_name = "DECIMAL", value_parser = amount, conflicts_with = "policy")]
    price: Option<Micros>,
    /// A publisher's policy, JSON, instead
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Verify an ad network's proof instead of a visa
    #[arg(long, requires = "policy")]
    ad_proof: bool,
    /// The agent that presents it
    #[arg(long, value_name = "NAME", requires = "agent_key")]
    agent_id: Option<String>,
    /// That agent's public key
    #[arg(long, value_name = "FILE", requires = "agent_id")]
    agent_key: Option<PathBuf>,
    /// The issuer's key set [default: fetched from the issuer]
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
    /// The time to judge by [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Development mode: issuers on this machine over plain http
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    net: net::Net,
}

/// A good token, in texts of its own.
struct Good {
    issuer: String,
    amount: Micros,
    expires: UnixMillis,
    jti: Option<String>,
    bound: bool,
}

impl From<Token<'_>> for Good {
    fn from(token: Token<'_>) -> Self {
        Self {
            issuer: token.issuer.to_owned(),
            amount: token.amount,
            expires: UnixMillis::from_s(token.exp_s),
            jti: token.jti.map(|jti| jti.as_str().to_owned()),
            bound: token.bound,
        }
    }
}

/// What became of it.
struct Report {
    result: Result<Good, Error>,
    asked: Vec<Asked>,
    not_checked: Vec<(&'static str, &'static str)>,
    now: UnixMillis,
}

impl Verify {
    fn run(self) -> Outcome {
        target::announce_development(self.dev);
        let token = input::read_or_text(self.token.as_deref())?;
        let holder = self.holder()?;
        let mut words = vec![0; Policy::WORDS];
        let policy = policy_file::read(self.policy.as_deref(), self.configured()?.as_bytes(), self.dev, &mut words)?;
        let offline = self.offline || self.jwks.is_some();
        let sources = Sources::open(None, self.jwks.as_deref(), offline, &self.net, self.dev)?;
        let now = clock::or_now(self.now);
        let mut asked = Vec::new();
        let result = self.decide(token.trim_ascii(), holder, &policy, &sources, now, &mut asked)?;
        let mut not_checked = vec![("used before", "one run remembers no visas")];
        if holder.is_none() && result.as_ref().is_ok_and(|good| good.bound) {
            not_checked.push(("holder", "nobody presents it: give --agent-id and --agent-key"));
        }
        let report = Report { result, asked, not_checked, now };
        if self.json {
            print::line(&report.json().to_string())?
        } else {
            report.print()?
        }
        Ok(if report.result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn holder(&self) -> Result<Option<Holder<'_>>, Failure> {
        let (Some(agent_id), Some(file)) = (&self.agent_id, &self.agent_key) else { return Ok(None) };
        let mode = if self.dev { host::Mode::Development } else { host::Mode::Production };
        host::check_agent_id(agent_id, mode).map_err(Failure::of)?;
        Ok(Some(Holder { agent_id, key: keys::public_file(file)?.kid() }))
    }

    /// The policy that the arguments come to: one issuer, one audience.
    fn configured(&self) -> Result<String, Failure> {
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let is_url = issuer.starts_with("https://") || self.dev && issuer.starts_with("http://");
        if !is_url && self.policy.is_none() && self.jwks.is_none() {
            let what = format!("{}: key sets are served at https URLs", shown(issuer));
            return Err(Failure::usage(what, "give the key set with --jwks FILE, or --issuer https://…"));
        }
        let monetization = if is_url {
            json!({"brokerUrl": issuer})
        } else {
            // Never fetched: the key set is a file.
            json!({"paymentConfig": {"issuer": issuer, "jwksUrl": "https://localhost.invalid/jwks.json"}})
        };
        let price = money::decimal(self.price.unwrap_or_default());
        Ok(json!({"audiences": [self.audience], "price": price.as_str(), "monetization": monetization}).to_string())
    }

    fn decide(
        &self,
        token: &[u8],
        holder: Option<Holder<'_>>,
        policy: &Policy<'_>,
        sources: &Sources,
        now: UnixMillis,
        asked: &mut Vec<Asked>,
    ) -> Result<Result<Good, Error>, Failure> {
        let role = if self.ad_proof { Role::AdNetwork } else { Role::Broker };
        let sizes = Sizes { tables: 0, ..Sizes::EMBEDDED };
        let mut words = vec![0; KeyCache::words(&sizes)];
        let mut keys = KeyCache::new(&mut words, &sizes, &[0; 32]).map_err(Failure::of)?;
        loop {
            match visa::verify(token, role, holder, policy, &keys.read(), now) {
                Ok(TokenStep::Verified(token)) => return Ok(Ok(token.into())),
                Err(error) => return Ok(Err(error)),
                Ok(TokenStep::Need(need)) => {
                    let found = sources.get(&need);
                    keys.supply(&need, found.answer(), now).map_err(Failure::of)?;
                    asked.push(found);
                }
            }
        }
    }
}

impl Report {
    fn json(&self) -> Value {
        let good = self.result.as_ref().ok();
        let error = self.result.as_ref().err();
        let not_checked: Vec<_> = self.not_checked.iter().map(|(check, _)| *check).collect();
        json!({
            "verified": good.is_some(),
            "code": error.map_or("OK", |error| error.name()),
            "help": error.map(|error| error.help()),
            "issuer": good.map(|good| &good.issuer),
            "amount": good.map(|good| money::decimal(good.amount).as_str().to_owned()),
            "expires": good.map(|good| clock::text(good.expires)),
            "jti": good.and_then(|good| good.jti.as_ref()),
            "bound": good.map(|good| good.bound),
            "needs": self.asked.iter().map(verdict::need).collect::<Vec<_>>(),
            "not_checked": not_checked,
            "now": clock::text(self.now),
        })
    }

    fn print(&self) -> Result<(), Failure> {
        match &self.result {
            Ok(good) => good.print()?,
            Err(error) => {
                print::line(&format!("{ERROR}REFUSED{ERROR:#} {} (HTTP {})", error.name(), error.status()))?;
                print::row("help", error.help())?;
            }
        }
        verdict::print_asked(&self.asked)?;
        self.not_checked.iter().try_for_each(|(check, why)| print::row("not checked", &format!("{check}: {why}")))
    }
}

impl Good {
    fn print(&self) -> Result<(), Failure> {
        print::line(&format!("{GOOD}VERIFIED{GOOD:#}: a good visa"))?;
        print::row("issuer", &shown(&self.issuer))?;
        print::row("amount", &money::decimal(self.amount))?;
        print::row("good until", &clock::text(self.expires))?;
        print::row("jti", &shown(self.jti.as_deref().unwrap_or("none")))?;
        print::row("bound", if self.bound { "to its agent and key" } else { "to nobody: whoever holds it may use it" })
    }
}
