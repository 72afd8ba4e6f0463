//! A signed POST to a broker. No answer may mean that it was done: the same request is sent again, and is the same sale.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Limited};
use imagxp::{Claims, Purpose};
use imagxp_host::fetch::{Settings, address::Reach, target::Target};
use imagxp_host::system;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::{keys, net, print, sign, target};

/// Which broker, and how to reach it.
#[derive(Args)]
pub(crate) struct Broker {
    /// The broker's URL
    #[arg(long, value_name = "URL", env = "IMAGXP_BROKER_URL")]
    pub(crate) broker: String,
    /// Development mode: localhost names, plain http to this machine
    #[arg(long)]
    pub(crate) dev: bool,
    /// Seconds for each attempt
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    max_time: u64,
    #[command(flatten)]
    net: net::Net,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Answers of brokers are short, but for a settlement of many publishers.
const ANSWER_MAX: usize = 16 * 1_024 * 1_024;
/// Times that a request is sent, and the pause between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

impl Broker {
    /// The URL of one of its pages.
    pub(crate) fn page(&self, path: &str) -> Result<Target, Failure> {
        target::announce_development(self.dev);
        target::parse(&format!("{}{path}", self.broker.trim_end_matches('/')), self.dev)
    }

    /// The same for the operator, on the broker's own machine as a rule: `http://127.0.0.1:3000` needs no development mode.
    pub(crate) fn page_inside(&self, path: &str) -> Result<Target, Failure> {
        target::announce_development(self.dev);
        target::parse(&format!("{}{path}", self.broker.trim_end_matches('/')), self.is_here())
    }

    /// Whether the broker's URL is plain http to this machine, or development allows it.
    fn is_here(&self) -> bool {
        let is_loopback = |target: Target| !target.tls && target.is_loopback();
        self.dev || Target::parse(self.broker.trim_end_matches('/')).is_ok_and(is_loopback)
    }

    /// Signs and sends, and sends again what was not answered.
    pub(crate) fn post_signed(
        &self,
        path: &str,
        agent: &keys::Agent,
        purpose: Purpose,
        nonce: &[u8; 16],
        body: String,
    ) -> Result<Answer, Failure> {
        let target = self.page(path)?;
        let url = target.url();
        let claims = Claims { agent_id: agent.name(self.dev)?, resource: &url, purpose, ads_displayed: false };
        let headers = sign::sign_with(&agent.key_pair()?, &claims, nonce, system::now())?;
        self.send(http::Method::POST, &target, &headers, body)
    }

    /// Sends a request, and sends it again while no answer comes or a server says that it will have one later.
    pub(crate) fn send(
        &self,
        method: http::Method,
        target: &Target,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<Answer, Failure> {
        let runtime = net::runtime()?;
        let settings = {
            let _inside = runtime.enter();
            self.net.settings(self.is_here())?
        };
        let body = Bytes::from(body);
        runtime.block_on(async {
            let mut attempt = 1;
            loop {
                let answer = self.attempt(&method, target, &settings, headers, body.clone()).await;
                let again = matches!(&answer, Err(_) | Ok(Answer { status: 503, .. }));
                if !again || attempt == ATTEMPTS {
                    return answer;
                }
                attempt += 1;
                print::remark("no answer yet: the same request is sent again");
                sleep(PAUSE).await;
            }
        })
    }

    async fn attempt(
        &self,
        method: &http::Method,
        target: &Target,
        settings: &Settings,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let patience = Duration::from_secs(self.max_time);
        let exchange = async {
            // The user typed the URL: any address is good.
            let reach = if self.is_here() { Reach::Loopback } else { Reach::Anywhere };
            let mut connection = Connection::open(target, settings, &reach, patience).await?;
            let response = connection.send(method.clone(), target, headers, body).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|error| Failure::failed(format!("the answer broke off: {error}"), ""))?;
            Ok(Answer { status, body: serde_json::from_slice(&body.to_bytes()).unwrap_or_default() })
        };
        let late = |_| Failure::failed(format!("no answer within {} s", self.max_time), "see --max-time");
        timeout(patience, exchange).await.map_err(late)?
    }
}

impl Answer {
    /// The body of a good answer; else what the broker said.
    pub(crate) fn good(self) -> Result<Value, Failure> {
        if self.status == 200 {
            return Ok(self.body);
        }
        let said = |name: &str| self.body[name].as_str().map(print::shown).unwrap_or_default();
        let fix = match self.status {
            402 => "the account does not hold the price: have it credited (`imagxp broker credit`)".to_owned(),
            _ => said("message"),
        };
        Err(Failure::failed(format!("the broker answered {} {}", self.status, said("error")).trim_end(), fix))
    }
}

/// Prints a good answer: as JSON, or by `show`.
pub(crate) fn finish(answer: &Value, json: bool, show: impl FnOnce(&Value) -> Result<(), Failure>) -> Outcome {
    if json {
        print::line(&answer.to_string())?;
    } else {
        show(answer)?;
    }
    Ok(std::process::ExitCode::SUCCESS)
}
