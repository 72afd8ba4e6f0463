//! The operator's part, behind a bearer token: credits, payouts, settlement, audit.

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use imagxp::key::sha256;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::answer::Refusal;
use crate::feedback::json_amount;
use crate::ledger::{Audit, Funded, Settlement};
use crate::order;
use crate::service::{Service, seconds};

/// The operator's token, as its SHA-256: compared in constant time, whatever was sent.
pub(crate) struct AdminToken([u8; 32]);

impl AdminToken {
    pub(crate) fn new(token: &[u8]) -> Self {
        Self(sha256(token))
    }

    fn is(&self, token: &[u8]) -> bool {
        self.0.ct_eq(&sha256(token)).into()
    }
}

/// Lengths of an idempotency key.
const KEY_LEN: std::ops::RangeInclusive<usize> = 1..=128;

impl Service {
    /// # Errors
    /// `ADMIN_REQUIRED`, also where no token is configured.
    pub(crate) fn check_admin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let sent = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let token = sent.strip_prefix(b"Bearer ").unwrap_or_default();
        let is_admin = self.admin.as_ref().is_some_and(|admin| admin.is(token));
        if is_admin { Ok(()) } else { Err(Refusal::AdminRequired) }
    }

    /// `POST /admin/credit`: an agent has paid.
    pub(crate) async fn credit(&self, headers: &HeaderMap, body: Bytes) -> Result<Value, Refusal> {
        let key = idempotency_key(headers)?;
        let (agent, amount) = order::payment(&body, "agent", self.config.development)?;
        let now = seconds(imagxp_host::system::now());
        let funded = self.ledger.credit(&agent, amount, key, now).await;
        let balance = booked(funded.map_err(|_| Refusal::LedgerUnavailable)?)?;
        tracing::info!(agent, amount, key, "credit");
        Ok(json!({"agent": agent, "balance": json_amount(balance)}))
    }

    /// `POST /admin/payout`: a publisher was paid.
    pub(crate) async fn payout(&self, headers: &HeaderMap, body: Bytes) -> Result<Value, Refusal> {
        let key = idempotency_key(headers)?;
        let (publisher, amount) = order::payment(&body, "publisher", self.config.development)?;
        let now = seconds(imagxp_host::system::now());
        let funded = self.ledger.pay_out(&publisher, amount, key, now).await;
        let payable = booked(funded.map_err(|_| Refusal::LedgerUnavailable)?)?;
        tracing::info!(publisher, amount, key, "payout");
        Ok(json!({"publisher": publisher, "payable": json_amount(payable)}))
    }

    /// `GET /admin/settlement?publisher=…`
    pub(crate) async fn settlement(&self, query: Option<&str>) -> Result<Value, Refusal> {
        let publisher = parameter(query, "publisher")?;
        let found = self.ledger.settlement(publisher).await.map_err(|_| Refusal::LedgerUnavailable)?;
        Ok(json!({"currency": self.config.currency, "publishers": found.iter().map(describe).collect::<Vec<_>>()}))
    }

    /// `GET /admin/balance?agent=…`
    pub(crate) async fn agent_balance(&self, query: Option<&str>) -> Result<Value, Refusal> {
        let agent = parameter(query, "agent")?.ok_or(Refusal::NameInvalid)?;
        let balance = self.ledger.balance(agent).await.map_err(|_| Refusal::LedgerUnavailable)?;
        Ok(json!({"agent": agent, "balance": balance.map(json_amount)}))
    }

    /// `GET /admin/audit`: everything added up again.
    pub(crate) async fn audit(&self) -> Result<Value, Refusal> {
        let audit = self.ledger.audit().await.map_err(|_| Refusal::LedgerUnavailable)?;
        let Audit { accounts, transfers, visas, sum, wrong_balances, .. } = audit;
        let Audit { unpaid_visas, wrong_states, wrong_holds, wrong_charges, .. } = audit;
        Ok(json!({
            "balances": audit.balances(), "accounts": accounts, "transfers": transfers, "visas": visas, "sum": sum,
            "wrong_balances": wrong_balances, "unpaid_visas": unpaid_visas, "wrong_states": wrong_states,
            "wrong_holds": wrong_holds, "wrong_charges": wrong_charges,
        }))
    }
}

/// What the account holds now.
fn booked(funded: Funded) -> Result<i64, Refusal> {
    match funded {
        Funded::New(balance) | Funded::Before(balance) => Ok(balance),
        Funded::Conflict => Err(Refusal::KeyConflict),
        Funded::Refused => Err(Refusal::BalanceRefused),
    }
}

fn describe(settlement: &Settlement) -> Value {
    let Settlement { publisher, visas, held, released, refunded, paid_out, payable } = settlement;
    let [held, released, refunded, paid_out, payable] =
        [held, released, refunded, paid_out, payable].map(|a| json_amount(*a));
    json!({
        "publisher": publisher, "visas": visas, "held": held, "released": released, "refunded": refunded,
        "paid_out": paid_out, "payable": payable,
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Refusal> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let good = KEY_LEN.contains(&key.len()) && key.bytes().all(plain);
    if good { Ok(key) } else { Err(Refusal::KeyMissing) }
}

/// A parameter of a query. Names of parties need no percent-encoding.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Result<Option<&'q str>, Refusal> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let plain = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(&byte));
    match value {
        Some(value) if value.is_empty() || !plain(value) => Err(Refusal::NameInvalid),
        value => Ok(value),
    }
}
