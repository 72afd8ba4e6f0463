//! What a broker's operator does by hand: credit, pay out, settle, audit.

use std::process::ExitCode;

use clap::Args;
use http::Method;
use http::header::AUTHORIZATION;
use imagxp::policy::Micros;
use serde_json::Value;

use crate::commands::visa::amount;
use crate::errand::{self, Broker};
use crate::failure::{Failure, Outcome};
use crate::{print, random};

/// Of which broker, with `$IMAGXP_BROKER_ADMIN_TOKEN`.
#[derive(Args)]
struct Operator {
    #[command(flatten)]
    broker: Broker,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const TOKEN: &str = "IMAGXP_BROKER_ADMIN_TOKEN";

impl Operator {
    fn bearer(&self) -> Result<String, Failure> {
        let token = std::env::var(TOKEN);
        token.map(|token| format!("Bearer {token}")).map_err(|_| {
            Failure::usage(format!("${TOKEN} is not set"), "the broker was started with it; --dev prints it")
        })
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        let target = self.broker.page_inside(path)?;
        let headers = [(AUTHORIZATION.as_str(), self.bearer()?)];
        self.broker.send(Method::GET, &target, &headers, String::new())?.good()
    }
}

/// A payment, once: whatever happens, the same key is the same payment.
#[derive(Args)]
struct Payment {
    /// How much
    #[arg(value_parser = amount)]
    amount: Micros,
    /// The payment's own name, such as an invoice's number: the same is booked once [default: random]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    operator: Operator,
}

impl Payment {
    /// `whose` is the body's member for `name`; `left` the answer's member that is shown, under its `title`.
    fn book(&self, path: &str, whose: &str, name: &str, (title, left): (&str, &str)) -> Outcome {
        let Operator { broker, json } = &self.operator;
        let target = broker.page_inside(path)?;
        let key = random::name_or(self.idempotency_key.as_deref())?;
        print::remark(&format!("idempotency key: {key}"));
        let headers = [(AUTHORIZATION.as_str(), self.operator.bearer()?), ("idempotency-key", key)];
        let amount = imagxp::money::decimal(self.amount);
        let body = format!("{{\"{whose}\":{},\"amount\":{amount}}}", Value::from(name));
        let booked = broker.send(Method::POST, &target, &headers, body)?.good()?;
        errand::finish(&booked, *json, |booked| {
            print::row(whose, text(booked, whose))?;
            print::row(title, text(booked, left))
        })
    }
}

/// Credit an agent's account: it has paid
#[derive(Args)]
#[command(after_help = "\
Example:
  imagxp broker credit bot.example.com 10 --idempotency-key invoice-4711 --broker http://127.0.0.1:3000")]
pub(super) struct Credit {
    /// The agent
    agent: String,
    #[command(flatten)]
    payment: Payment,
}

impl Credit {
    pub(super) fn run(self) -> Outcome {
        self.payment.book("/admin/credit", "agent", &self.agent, ("balance", "balance"))
    }
}

/// Book that a publisher was paid what it has earned
#[derive(Args)]
#[command(after_help = "\
Example:
  imagxp broker payout nytimes.com 12.5 --idempotency-key transfer-12 --broker http://127.0.0.1:3000")]
pub(super) struct Payout {
    /// The publisher
    publisher: String,
    #[command(flatten)]
    payment: Payment,
}

impl Payout {
    pub(super) fn run(self) -> Outcome {
        self.payment.book("/admin/payout", "publisher", &self.publisher, ("still payable", "payable"))
    }
}

/// What each publisher has earned and is owed
#[derive(Args)]
#[command(after_help = "\
held: in open dispute windows · released: earned, ever · refunded: given back to agents by their feedback ·
paid out: ever · payable: owed now.

Examples:
  imagxp broker settle --broker http://127.0.0.1:3000
  imagxp broker settle --broker http://127.0.0.1:3000 --publisher nytimes.com --json

JSON: {currency, publishers: [{publisher, visas, held, …}]}, amounts as texts.")]
pub(super) struct Settle {
    /// Only this publisher
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    #[command(flatten)]
    operator: Operator,
}

const COLUMNS: [(&str, &str); 6] = [
    ("visas", "visas"),
    ("held", "held"),
    ("released", "released"),
    ("refunded", "refunded"),
    ("paid out", "paid_out"),
    ("payable", "payable"),
];

impl Settle {
    pub(super) fn run(self) -> Outcome {
        let publisher = self.publisher.as_ref().map(|name| format!("?publisher={name}")).unwrap_or_default();
        let report = self.operator.get(&format!("/admin/settlement{publisher}"))?;
        errand::finish(&report, self.operator.json, table)
    }
}

fn table(report: &Value) -> Result<(), Failure> {
    let publishers = report["publishers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if publishers.is_empty() {
        return print::line("nothing was sold");
    }
    let names = COLUMNS.map(|(name, _)| format!("{name:>12}")).join(" ");
    print::line(&format!("{:<32} {names}", "publisher"))?;
    for publisher in publishers {
        let cells = COLUMNS.map(|(_, member)| format!("{:>12}", cell(&publisher[member]))).join(" ");
        print::line(&format!("{:<32} {cells}", print::shown(text(publisher, "publisher"))))?;
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Add everything up again: every account, every visa
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 everything adds up, 1 it does not.

Example:
  imagxp broker audit --broker http://127.0.0.1:3000")]
pub(super) struct Audit {
    #[command(flatten)]
    operator: Operator,
}

impl Audit {
    pub(super) fn run(self) -> Outcome {
        let report = self.operator.get("/admin/audit")?;
        errand::finish(&report, self.operator.json, |report| {
            let rows = report.as_object().into_iter().flatten();
            rows.into_iter().try_for_each(|(name, value)| print::row(name, &cell(value)))
        })?;
        Ok(if report["balances"] == true { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}
