//! `imagxp visa buy`

use clap::Args;
use imagxp::money;
use imagxp::policy::Micros;
use serde_json::Value;

use super::visa::amount;
use crate::errand::{self, Broker};
use crate::failure::{Failure, Outcome};
use crate::print::hex;
use crate::{keys, print, purpose, random};

/// Buy a visa from a broker: prints the token for x-imagxp-credential
#[derive(Args)]
#[command(after_help = "\
The request is signed, so the broker knows whose account pays. If no answer comes, the same request is sent again: with
its nonce it is the same sale, and paid once. Should no answer come at all, the nonce is printed: the same order with
--nonce is the same sale. Exit codes: 0 bought, 1 not, 2 the command itself is wrong.

Examples:
  imagxp visa buy --broker https://broker.example.com --publisher nytimes.com --amount 0.001
  imagxp fetch https://nytimes.com/a --purpose RAG_RETRIEVAL --visa \"$(imagxp visa buy …)\"

JSON: the broker's answer, an object with the members token and header_name.")]
pub(crate) struct Buy {
    #[command(flatten)]
    broker: Broker,
    /// Where the visa is to be good
    #[arg(long, value_name = "NAME")]
    publisher: String,
    /// What it costs
    #[arg(long, value_name = "DECIMAL", value_parser = amount)]
    amount: Micros,
    /// What it is bought for
    #[arg(long, value_name = "PURPOSE", value_parser = purpose::NAMES, ignore_case = true, default_value = "RAG_RETRIEVAL")]
    purpose: String,
    /// The nonce of an order that was not answered: 32 hex digits [default: a new one]
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    #[command(flatten)]
    agent: keys::Agent,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Buy {
    pub(crate) fn run(self) -> Outcome {
        let body = order(&self.publisher, self.amount);
        let purpose = purpose::of(&self.purpose.to_ascii_uppercase());
        let nonce = self.nonce.map_or_else(random::bytes, Ok)?;
        let answer = self.broker.post_signed("/issue-visa", &self.agent, purpose, &nonce, body);
        if !answer.as_ref().is_ok_and(|answer| answer.status < 500) {
            print::remark(&format!(
                "it may have been sold: the same command with --nonce {} is the same sale",
                hex(&nonce)
            ));
        }
        let sold = answer?.good()?;
        errand::finish(&sold, self.json, |sold: &Value| {
            let none = || Failure::failed("the broker's answer holds no token", "is it a broker's URL?");
            print::line(sold["token"].as_str().ok_or_else(none)?)
        })
    }
}

type Nonce = [u8; 16];

fn nonce(text: &str) -> Result<Nonce, String> {
    let wrong = || "write the 32 hex digits that were printed".to_owned();
    let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let value = u128::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok(value.to_be_bytes())
}

/// `{"publisher":"nytimes.com","amount":0.001}`: the amount to the digit.
pub(crate) fn order(publisher: &str, amount: Micros) -> String {
    format!("{{\"publisher\":{},\"amount\":{}}}", Value::from(publisher), money::decimal(amount))
}
