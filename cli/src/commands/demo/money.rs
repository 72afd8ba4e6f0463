//! The agent's and the operator's errands at the broker, over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use imagxp::feedback::{Feedback, Reason, sign as sign_feedback};
use imagxp::jose::jws;
use imagxp::story::{Sale, Story};
use imagxp::{Claims, Error, Purpose, Signing, spec};
use imagxp_broker::Broker;
use imagxp_host::fetch::{address::Reach, target::Target};
use imagxp_host::publisher::lines;
use imagxp_host::system;
use serde_json::Value;

use super::stage::{Stage, tell};
use crate::client::{Connection, broken};
use crate::commands::buy::order;
use crate::errand::Answer;
use crate::failure::Failure;
use crate::{print, sign};

/// What a page costs.
const PRICE: i64 = 1_000;

/// A visa that was bought.
pub(super) struct Visa {
    pub(super) token: String,
    pub(super) jti: String,
}

/// The broker, and who has to do with it.
pub(super) struct Counter {
    pub(super) broker: Broker,
}

impl Counter {
    pub(super) fn url(&self) -> &str {
        self.broker.url()
    }

    /// The operator credits the agent.
    pub(super) async fn credit(&self, stage: &Stage, amount: &str) -> Result<(), Failure> {
        let token = self.broker.admin_token().unwrap_or_default();
        let headers = [("authorization", format!("Bearer {token}")), ("idempotency-key", "demo".to_owned())];
        let body = format!("{{\"agent\":\"{}\",\"amount\":{amount}}}", stage.agent_id);
        self.send(stage, Method::POST, "/admin/credit", &headers, body).await?.good()?;
        Ok(())
    }

    /// What a publisher has earned, as the operator's report says.
    pub(super) async fn settlement(&self, stage: &Stage, publisher: &str) -> Result<Value, Failure> {
        let token = self.broker.admin_token().unwrap_or_default();
        let headers = [("authorization", format!("Bearer {token}"))];
        let path = format!("/admin/settlement?publisher={publisher}");
        let report = self.send(stage, Method::GET, &path, &headers, String::new()).await?.good()?;
        Ok(report["publishers"][0].clone())
    }

    /// The agent buys a visa; the sale is told.
    pub(super) async fn buy(&self, stage: &Stage, publisher: &str) -> Result<Visa, Failure> {
        let asked = system::now();
        let answer = self.send_signed(stage, "/issue-visa", order(publisher, PRICE)).await;
        let answered = system::now();
        let visa = answer.and_then(Answer::good).and_then(|sold| visa(&sold));
        let outcome = visa.as_ref().map(|visa| &*visa.jti).map_err(|_| Error::VisaRequired);
        let sale = Sale { agent_id: &stage.agent_id, audience: publisher, amount: PRICE, asked, answered, outcome };
        tell("broker", &lines(&Story::broker(&sale)))?;
        visa
    }

    /// The agent's word on a page, signed, for the broker.
    pub(super) fn word(
        &self,
        stage: &Stage,
        visa: &Visa,
        url: &str,
        score: u32,
        reason: Reason,
    ) -> Result<String, Failure> {
        let word = Feedback {
            agent_id: &stage.agent_id,
            url,
            score,
            reason,
            audience: self.url(),
            jti: &format!("word-on-{}", visa.jti),
            request: None,
            visa: Some(&visa.jti),
        };
        let mut out = [0; spec::request::FEEDBACK_MAX];
        let signed = sign_feedback(&stage.key, &word, system::now(), Signing::default(), &mut out);
        signed.map(str::to_owned).map_err(Failure::of)
    }

    /// The agent sends its word to the broker: where the payment is now.
    pub(super) async fn judge(&self, stage: &Stage, word: &str) -> Result<Value, Failure> {
        let settled = self.send_signed(stage, "/feedback", word.to_owned()).await?.good()?;
        let at = time_of_day(system::now());
        let said = settled["message"].as_str().unwrap_or_default();
        tell("broker", &[format!("{at} | BROKER | Payment {}: {said}", state(&settled))])?;
        Ok(settled)
    }

    async fn send_signed(&self, stage: &Stage, path: &str, body: String) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.url());
        let purpose = Purpose::RagRetrieval;
        let claims = Claims { agent_id: &stage.agent_id, resource: &url, purpose, ads_displayed: false };
        let headers = sign::sign(&stage.key, &claims, None, system::now())?;
        self.send(stage, Method::POST, path, &headers, body).await
    }

    async fn send(
        &self,
        stage: &Stage,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<Answer, Failure> {
        let target = Target::parse(&format!("{}{path}", self.url())).map_err(|why| Failure::failed(why, ""))?;
        let patience = Duration::from_secs(5);
        let mut connection = Connection::open(&target, &stage.settings, &Reach::Loopback, patience).await?;
        let response = connection.send(method, &target, headers, Bytes::from(body)).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}

fn visa(sold: &Value) -> Result<Visa, Failure> {
    let token = sold["token"].as_str().unwrap_or_default().to_owned();
    let mut memory = [0; jws::CLAIMS_MAX];
    let claims = jws::Token::parse(token.as_bytes()).and_then(|token| {
        token.claims(&mut memory).map(|claims| serde_json::from_slice::<Value>(claims).unwrap_or_default())
    });
    let jti = claims.map_err(Failure::of)?["jti"].as_str().unwrap_or_default().to_owned();
    Ok(Visa { token, jti })
}

fn state(settled: &Value) -> &'static str {
    match settled["state"].as_str() {
        Some("released") => "RELEASED",
        Some("refunded") => "REFUSED",
        _ => "UNCHANGED",
    }
}

/// The time of day, as stories tell it.
fn time_of_day(now: imagxp::UnixMillis) -> String {
    let text = crate::clock::text(now);
    text.get(11..23).unwrap_or_default().to_owned()
}

/// A row of the operator's report.
pub(super) fn report(row: &Value) -> Result<(), Failure> {
    let cell = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let text = format!(
        "released {}, refunded {}, held {}, payable {}",
        cell("released"),
        cell("refunded"),
        cell("held"),
        cell("payable")
    );
    print::line(&format!("   settlement of {}: {text}", cell("publisher")))
}
