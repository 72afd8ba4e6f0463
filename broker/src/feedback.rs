//! `POST /feedback`: the agent's signed word on what it bought. It settles the payment of the visa that it names, once.
//!
//! The request is signed as any other, so the agent's present key is known; the feedback is signed by the same key, and
//! must be for this broker (`aud`). The visa must be one that this agent bought.

use bytes::Bytes;
use http::HeaderMap;
use imagxp::feedback::{Judgement, Signer, verify};
use imagxp::{Error, UnixMillis, money, spec};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::ledger::{Settled, State, Word};
use crate::service::{Service, seconds};
use crate::story;

impl Service {
    /// Where the payment is now.
    pub(crate) async fn feedback(
        &self,
        target: &str,
        headers: &HeaderMap,
        body: Bytes,
        client: Option<std::net::IpAddr>,
    ) -> Result<Value, Refusal> {
        let agent = self.agents.verify("POST", target, headers, client).await?;
        let told = |refusal: &Refusal| story::refused(&agent.agent_id, *refusal);
        self.limits.agent(&agent.agent_id).inspect_err(told)?;
        let now = imagxp_host::system::now();
        let header = headers.get(spec::header::FEEDBACK).map(http::HeaderValue::as_bytes);
        let text = header.unwrap_or(&body).trim_ascii();
        let signer = Signer { agent_id: &agent.agent_id, key: &agent.key, audiences: &[&self.config.public_url] };
        let mut memory = [0; Judgement::MEMORY];
        let judgement = verify(text, &signer, now, &mut memory)
            .map_err(|_| Refusal::Identity(Error::FeedbackInvalid))
            .inspect_err(|_| story::unreadable_feedback(&agent.agent_id, now))?;
        let settled = self.settle(&agent.agent_id, &judgement, now).await;
        story::feedback(&agent.agent_id, &judgement, now, settled.as_ref().map(|(state, _)| *state));
        let (_, answer) = settled?;
        self.agents.follow_up(agent.hints);
        Ok(answer)
    }

    async fn settle(
        &self,
        agent_id: &str,
        judgement: &Judgement<'_>,
        now: UnixMillis,
    ) -> Result<(State, Value), Refusal> {
        let jti = judgement.visa.ok_or(Refusal::VisaUnnamed)?.to_owned();
        let (outcome, score) = (judgement.outcome, judgement.score);
        let (agent, refunds_per_day) = (agent_id.to_owned(), self.config.refunds_per_day);
        let word = Word { jti: jti.clone(), agent, outcome, score, now_s: seconds(now), refunds_per_day };
        match self.ledger.settle(word).await.map_err(|_| Refusal::LedgerUnavailable)? {
            Settled::Is { state, amount, publisher, is_new } => {
                if is_new {
                    self.metrics.settled(state.name());
                }
                let answer = json!({
                    "visa": jti, "outcome": outcome.name(), "state": state.name(), "publisher": publisher,
                    "amount": json_amount(amount), "message": message(state),
                });
                Ok((state, answer))
            }
            Settled::Otherwise(_) => Err(Refusal::AlreadySettled),
            Settled::TooMany => Err(Refusal::RefundLimit),
            Settled::TooLate => Err(Refusal::DisputeOver),
            Settled::Unknown => Err(Refusal::VisaUnknown),
        }
    }
}

fn message(state: State) -> &'static str {
    match state {
        State::Released => "the payment is the publisher's",
        State::Refunded => "the payment is refused to the publisher, and the agent's again",
        State::Held => "nothing has changed: the score is exactly 0.5",
    }
}

/// Money as a JSON text, exact: `"0.001"`.
pub(crate) fn json_amount(amount: i64) -> Value {
    Value::from(money::decimal(amount).as_str())
}
