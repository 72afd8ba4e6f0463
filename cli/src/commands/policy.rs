//! `imagxp policy check`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use imagxp::policy::{ResourceBinding, Role, VisaBinding};
use imagxp::visitor::Strategy;
use imagxp::{Policy as Compiled, Purpose, discovery, money};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::policy_fault::{self, Fault};
use crate::print::{ERROR, GOOD, HINT, shown};
use crate::{clock, input, print};

/// Say what a publisher's policy admits, or what is wrong with it
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp policy check policy.json
  imagxp policy discovery policy.json > imagxp.json")]
pub(crate) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Check),
    Discovery(Discovery),
}

impl Policy {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Check(command) => command.run(),
            Command::Discovery(command) => command.run(),
        }
    }
}

/// Compile a policy: in plain words what it admits, or what is wrong and where
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 the policy is good, 1 it is not, 2 the command itself is wrong.

Examples:
  imagxp policy check policy.json
  echo '{\"allowRAG\":true}' | imagxp policy check - --json

JSON: one object with the members valid, admits, refuses, payment (none, visa or visa or ad proof), price, broker,
strategy, identity_required, resource_binding, visa_binding, visa_single_use, require_fresh, window_ms, skew_ms,
audiences, issuers (an array of role, issuer, jwks_url), warnings, wrong (an array of line, column, member, expected).")]
struct Check {
    /// The policy, JSON; - is standard input
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    fn run(self) -> Outcome {
        let text = input::read(&self.file)?;
        let mut words = vec![0; Compiled::WORDS];
        match Compiled::parse(&text, &mut words) {
            Ok(policy) if self.json => print::line(&describe(&policy).to_string())?,
            Ok(policy) => print_good(&policy)?,
            Err(_) => {
                let faults = policy_fault::find(&text);
                if self.json {
                    print_wrong_json(&faults)?
                } else {
                    self.print_wrong(&faults)?
                }
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_wrong(&self, faults: &[Fault]) -> Result<(), Failure> {
        print::line(&format!("{ERROR}REFUSED{ERROR:#} POLICY_INVALID: nobody is admitted until it is mended"))?;
        for fault in faults {
            let place = format!("{}:{}:{}", self.file.display(), fault.line, fault.column);
            let member = if fault.member.is_empty() { "the policy" } else { &fault.member };
            print::line(&format!("  {place}: {member}: {}", shown(&fault.expected)))?;
        }
        Ok(())
    }
}

fn print_wrong_json(faults: &[Fault]) -> Result<(), Failure> {
    let wrong: Vec<_> = faults
        .iter()
        .map(|fault| {
            json!({"line": fault.line, "column": fault.column, "member": fault.member, "expected": fault.expected})
        })
        .collect();
    print::line(&json!({"valid": false, "wrong": wrong}).to_string())
}

/// Write the public part of a policy, for agents to read before they come
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp policy discovery policy.json")]
struct Discovery {
    /// The policy, JSON; - is standard input
    file: PathBuf,
}

impl Discovery {
    fn run(self) -> Outcome {
        let mut words = vec![0; Compiled::WORDS];
        let policy = Compiled::parse(&input::read(&self.file)?, &mut words).map_err(|error| {
            Failure::usage(error.name(), format!("see what is wrong: imagxp policy check {}", self.file.display()))
        })?;
        let mut out = vec![0; 16_384];
        print::line(discovery::write(&policy, &mut out).map_err(Failure::of)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn purposes(policy: &Compiled<'_>, admitted: bool) -> Vec<&'static str> {
    Purpose::ALL.into_iter().filter(|purpose| policy.admits(*purpose) == admitted).map(Purpose::name).collect()
}

fn issuers<'p>(policy: &Compiled<'p>, role: Role) -> impl Iterator<Item = imagxp::policy::Issuer<'p>> {
    policy.issuers().filter(move |issuer| issuer.role == role)
}

fn describe(policy: &Compiled<'_>) -> Value {
    let issuer = |issuer: imagxp::policy::Issuer<'_>| {
        let role = if issuer.role == Role::Broker { "broker" } else { "ad network" };
        json!({"role": role, "issuer": issuer.iss, "jwks_url": issuer.jwks_url})
    };
    json!({
        "valid": true,
        "admits": purposes(policy, true),
        "refuses": purposes(policy, false),
        "payment": payment(policy),
        "price": money::decimal(policy.price()).as_str(),
        "broker": policy.broker_url(),
        "strategy": policy.strategy().name(),
        "identity_required": policy.requires_identity(),
        "resource_binding": resource_binding(policy).0,
        "visa_binding": if policy.visa_binding() == VisaBinding::Require { "require" } else { "prefer" },
        "visa_single_use": policy.visa_single_use(),
        "require_fresh": policy.requires_fresh(),
        "window_ms": policy.window_ms(),
        "skew_ms": policy.skew_ms(),
        "audiences": policy.audiences().collect::<Vec<_>>(),
        "issuers": policy.issuers().map(issuer).collect::<Vec<_>>(),
        "warnings": warnings(policy),
        "wrong": [],
    })
}

fn payment(policy: &Compiled<'_>) -> &'static str {
    match (policy.requires_payment(), policy.admits_ads()) {
        (false, _) => "none",
        (true, false) => "visa",
        (true, true) => "visa or ad proof",
    }
}

fn resource_binding(policy: &Compiled<'_>) -> (&'static str, &'static str) {
    match policy.resource_binding() {
        ResourceBinding::Exact => ("exact", "a request is good for exactly the URL that it was signed for"),
        ResourceBinding::Authority => {
            ("authority", "a request is good for any page of the site that it was signed for")
        }
        ResourceBinding::Off => ("off", "a request is good wherever it is sent, whatever it was signed for"),
    }
}

fn print_good(policy: &Compiled<'_>) -> Result<(), Failure> {
    let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    print::line(&format!("{GOOD}good policy{GOOD:#}"))?;
    print::row("admits", &list(purposes(policy, true)))?;
    print::row("refuses", &list(purposes(policy, false)))?;
    print::row("agents", identity(policy))?;
    print::row("others", others(policy))?;
    print_payment(policy)?;
    print::row("resource", resource_binding(policy).1)?;
    let span = |ms: u32| clock::span(ms.into());
    let fresh = format!("from {} ago to {} ahead", span(policy.window_ms()), span(policy.skew_ms()));
    print::row("signed", &fresh)?;
    let documents: Vec<_> = policy.documents().collect();
    for document in &documents {
        print::row("document", &format!("{}, fetched at start", shown(document.url)))?;
    }
    let past = if policy.requires_fresh() { ", and again before it counts once it is past its time" } else { "" };
    print::row("document", &format!("each agent's manifest, fetched at its first visit{past}"))?;
    warnings(policy).iter().try_for_each(|warning| print::line(&format!("  {HINT}warning{HINT:#}        {warning}")))
}

fn identity(policy: &Compiled<'_>) -> &'static str {
    if policy.requires_identity() {
        "with a valid signature by a key that their domain publishes"
    } else {
        "with a valid signature by any key: one that no domain publishes is UNIDENTIFIED_BOT, and admitted"
    }
}

fn others(policy: &Compiled<'_>) -> &'static str {
    match policy.strategy() {
        Strategy::Passive => "visitors without headers are admitted, all of them (PASSIVE)",
        Strategy::Hybrid => "visitors without headers are admitted if they look like a browser (HYBRID)",
        Strategy::Strict => "visitors without headers are refused (STRICT)",
    }
}

fn print_payment(policy: &Compiled<'_>) -> Result<(), Failure> {
    if !policy.requires_payment() {
        return print::row("payment", "none is asked for");
    }
    let price = money::decimal(policy.price());
    let price = if policy.price() == 0 { "any amount" } else { price.as_str() };
    let once = if policy.visa_single_use() { "good for one request" } else { "good until it expires" };
    let bound = if policy.visa_binding() == VisaBinding::Require { ", bound to its agent" } else { "" };
    print::row("payment", &format!("a visa over {price}, {once}{bound}"))?;
    for issuer in issuers(policy, Role::Broker) {
        print::row("", &format!("from {}", shown(issuer.iss)))?;
    }
    for audience in policy.audiences() {
        print::row("", &format!("for {}", shown(audience)))?;
    }
    if policy.admits_ads() {
        for issuer in issuers(policy, Role::AdNetwork) {
            print::row("", &format!("or an ad proof of {}", shown(issuer.iss)))?;
        }
    }
    Ok(())
}

/// What is valid, and hardly meant.
fn warnings(policy: &Compiled<'_>) -> Vec<&'static str> {
    let (brokers, networks) = (issuers(policy, Role::Broker).count(), issuers(policy, Role::AdNetwork).count());
    let pays = policy.requires_payment();
    [
        (purposes(policy, true).is_empty(), "no agent is admitted, whatever it wants: set allowRAG or allowTraining"),
        (pays && brokers == 0, "payment is required and no broker is named: no visa is ever good"),
        (pays && brokers > 0 && policy.audiences().count() == 0, "no audiences: every visa is refused (JWT_AUDIENCE)"),
        (!pays && policy.price() > 0, "a price, and nothing asks for payment: set requiresPayment or brokerUrl"),
        (!pays && brokers > 0, "paymentConfig is there, and nothing asks for payment: set requiresPayment"),
        (policy.admits_ads() && networks == 0, "allowAdSupportedAccess without adNetwork: no ad proof is ever good"),
        (!policy.admits_ads() && networks > 0, "adNetwork without allowAdSupportedAccess: ad proofs are not read"),
        (
            policy.resource_binding() == ResourceBinding::Off,
            "resource_binding off: another site can pass on to you what agents send to it",
        ),
        (policy.is_development(), "development mode: localhost names are good. Never on a public site"),
    ]
    .into_iter()
    .filter_map(|(holds, warning)| holds.then_some(warning))
    .collect()
}
