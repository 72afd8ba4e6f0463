//! `POST /issue-visa`: an agent's signed order becomes a sale in the books, and a committed sale becomes a token.
//!
//! The sale's name follows from agent and nonce, so a retried request finds its sale, whichever instance it comes to.
//! The token is written anew from the books each time: signing is deterministic (RFC 6979), so it is the same token,
//! and no table holds one that could be stolen.
//!
//! A signed request covers URL, agent, nonce and time, not the body (threats.md RR5): whoever ends TLS in front of this
//! broker could change publisher and amount of a first request. Of a second one it cannot: the nonce has its sale.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use imagxp::codec::base64;
use imagxp::key::{Kid, sha256_of};
use imagxp::visa::Holder;
use imagxp::{Error, Purpose, Signing, UnixMillis, broker, spec};
use serde_json::json;

use crate::answer::Refusal;
use crate::identity::Agent;
use crate::ledger::{Asked, Charge, Sale, Sold};
use crate::order::{self, Order};
use crate::provider::Reply;
use crate::service::{Service, seconds};
use crate::story;

/// The introduction's agent and publisher, for a bare request in development.
const SAMPLE: (&str, &str, i64) = ("openai.com", "nytimes.com", 1_000);

impl Service {
    /// The answer's body: `{"token":…,"header_name":"x-imagxp-credential"}`.
    pub(crate) async fn issue_visa(
        self: &Arc<Self>,
        target: &str,
        headers: &HeaderMap,
        body: Bytes,
        client: Option<std::net::IpAddr>,
    ) -> Result<String, Refusal> {
        let now = imagxp_host::system::now();
        if self.config.development && is_bare(headers, &body) {
            return self.issue_sample(now).await;
        }
        let agent = self.agents.verify("POST", target, headers, client).await?;
        let order = self.order(&agent, &body).inspect_err(|refusal| story::refused(&agent.agent_id, *refusal))?;
        let sold = self.sell_to(&agent, &order, now).await;
        story::sale(&agent.agent_id, &order, now, sold.as_ref().map(|(sale, _)| &*sale.jti));
        let (_, answer) = sold?;
        self.agents.follow_up(agent.hints);
        Ok(answer)
    }

    fn order(&self, agent: &Agent, body: &[u8]) -> Result<Order, Refusal> {
        self.limits.agent(&agent.agent_id)?;
        let order = order::order(body, self.config.development)?;
        if self.config.amounts.contains(&order.amount) { Ok(order) } else { Err(Refusal::AmountInvalid) }
    }

    async fn sell_to(
        self: &Arc<Self>,
        agent: &Agent,
        order: &Order,
        now: UnixMillis,
    ) -> Result<(Sale, String), Refusal> {
        let sale = self.sell(self.sale(agent, order, now)?).await?;
        let answer = self.token(&sale)?;
        Ok((sale, answer))
    }

    fn sale(&self, agent: &Agent, order: &Order, now: UnixMillis) -> Result<Sale, Refusal> {
        let keys = self.keys.load();
        let (_, kid) = keys.signing(now).ok_or(Refusal::Identity(Error::ClockUnknown))?;
        Ok(Sale {
            jti: sale_name(&agent.agent_id, &agent.nonce),
            agent: agent.agent_id.clone(),
            publisher: order.publisher.clone(),
            amount: order.amount,
            jkt: agent.kid.as_str().to_owned(),
            purpose: agent.purpose.to_owned(),
            iat_s: seconds(now),
            lifetime_s: self.config.lifetime_s,
            kid: kid.to_owned(),
            due_s: seconds(now) + i64::from(self.config.dispute_s),
        })
    }

    /// Prepaid money first; what it does not suffice for, the provider is asked to pay.
    async fn sell(self: &Arc<Self>, sale: Sale) -> Result<Sale, Refusal> {
        match self.ledger.sell(sale.clone()).await.map_err(|_| Refusal::LedgerUnavailable)? {
            Sold::New => Ok(sale),
            Sold::Before(before) => Ok(before),
            Sold::Refunded => Err(Refusal::PaymentRequired),
            Sold::Conflict => Err(Refusal::SaleConflict),
            Sold::Unpaid => {
                // A task of its own: what was asked is booked, even if the client hangs up meanwhile.
                let service = Arc::clone(self);
                let charging = tokio::spawn(async move { service.sell_charged(sale).await });
                charging.await.map_err(|_| Refusal::LedgerUnavailable)?
            }
        }
    }

    async fn sell_charged(&self, sale: Sale) -> Result<Sale, Refusal> {
        let Some(provider) = &self.provider else { return Err(Refusal::PaymentRequired) };
        let unavailable = |_| Refusal::LedgerUnavailable;
        let charge = Charge {
            jti: sale.jti.clone(),
            agent: sale.agent.clone(),
            publisher: sale.publisher.clone(),
            amount: sale.amount,
            at_s: sale.iat_s,
        };
        match self.ledger.open_charge(charge.clone()).await.map_err(unavailable)? {
            Asked::New => {}
            Asked::Pending => return Err(Refusal::SalePending),
            Asked::Over => return Err(Refusal::PaymentRequired),
        }
        let reply = provider.ask(&charge).await;
        self.metrics.provider(reply.name());
        match reply {
            Reply::Yes => match self.ledger.sell_charged(sale.clone()).await.map_err(unavailable)? {
                Sold::New => Ok(sale),
                Sold::Before(before) => Ok(before),
                Sold::Conflict => Err(Refusal::SaleConflict),
                // It took so long that the charge was given up: it is being reversed.
                Sold::Unpaid | Sold::Refunded => Err(Refusal::PaymentRequired),
            },
            Reply::No | Reply::Unknown => {
                let reversing = reply == Reply::Unknown;
                self.ledger.close_charge(charge.jti, reversing).await.map_err(unavailable)?;
                Err(Refusal::PaymentRequired)
            }
        }
    }

    /// The introduction's own walk: a token for its sample agent and publisher, bound to nobody.
    async fn issue_sample(self: &Arc<Self>, now: UnixMillis) -> Result<String, Refusal> {
        let nonce: [u8; 16] = imagxp_host::system::random().map_err(|_| Refusal::LedgerUnavailable)?;
        let (agent, publisher, amount) = SAMPLE;
        let keys = self.keys.load();
        let (_, kid) = keys.signing(now).ok_or(Refusal::Identity(Error::ClockUnknown))?;
        let sale = Sale {
            jti: name(&sha256_of(&[b"sample", &nonce])),
            agent: agent.to_owned(),
            publisher: publisher.to_owned(),
            amount,
            jkt: String::new(),
            purpose: String::new(),
            iat_s: seconds(now),
            lifetime_s: self.config.lifetime_s,
            kid: kid.to_owned(),
            due_s: seconds(now) + i64::from(self.config.dispute_s),
        };
        let credited = self.ledger.credit(agent, amount, &format!("sample-{}", sale.jti), sale.iat_s).await;
        credited.map_err(|_| Refusal::LedgerUnavailable)?;
        let sale = self.sell(sale).await?;
        let order = Order { publisher: publisher.to_owned(), amount };
        story::sale(agent, &order, now, Ok(&sale.jti));
        self.token(&sale)
    }

    /// The token of a committed sale. Should its key be gone from the configuration, the present one signs.
    fn token(&self, sale: &Sale) -> Result<String, Refusal> {
        let keys = self.keys.load();
        let issued = UnixMillis::from_s(sale.iat_s);
        let key = keys.named(&sale.kid).or_else(|| keys.signing(imagxp_host::system::now()));
        let (key, kid) = key.ok_or(Refusal::Identity(Error::ClockUnknown))?;
        let bound = Kid::from_text(&sale.jkt);
        let visa = broker::Visa {
            issuer: &self.config.public_url,
            audience: &sale.publisher,
            amount: sale.amount,
            lifetime_s: sale.lifetime_s,
            holder: bound.map(|key| Holder { agent_id: &sale.agent, key }),
            jti: Some(&sale.jti),
            purpose: Purpose::from_name(&sale.purpose).ok(),
            currency: self.config.currency.as_deref(),
        };
        let mut out = [0; spec::request::JWT_MAX];
        let token = broker::issue_visa(key, kid, &visa, issued, Signing::default(), &mut out);
        let token = token.map_err(Refusal::Identity)?;
        Ok(json!({"token": token, "header_name": spec::header::CREDENTIAL}).to_string())
    }
}

/// A request without a body, and without anything that claims an identity.
fn is_bare(headers: &HeaderMap, body: &Bytes) -> bool {
    body.is_empty() && !headers.keys().any(|name| name.as_str().starts_with("x-imagxp-"))
}

/// The name of a sale, of its visa, and of the transfer that pays for it: an agent's nonce has one.
fn sale_name(agent_id: &str, nonce: &str) -> String {
    // The grammar of names holds no colon behind a name in production; the length makes it plain in development, too.
    let len = [u8::try_from(agent_id.len()).unwrap_or(u8::MAX)];
    name(&sha256_of(&[b"imagxp sale", &len, agent_id.as_bytes(), nonce.as_bytes()]))
}

/// 192 bits in 32 characters.
fn name(digest: &[u8; 32]) -> String {
    let mut text = [0; 43];
    let text = base64::url_encode(digest, &mut text).unwrap_or_default();
    text.get(..32).unwrap_or_default().to_owned()
}
