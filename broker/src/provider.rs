//! The payment provider: asked before a visa is issued that prepaid money does not pay for.
//!
//! One POST of `{"type":"payment","sale":…,"agent":…,"publisher":…,"amount":"0.001","currency":…}` with
//! `x-imagxp-webhook-signature: t=<seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. Paid is what answers 200 and
//! `{"paid":true}` in time. Whatever is not a clear answer counts as not paid and is reversed by a second POST of type
//! `reversal` with the same `sale`, repeated ever less often until it answers 2xx: after it that sale must never be
//! charged.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use imagxp_host::Settings;
use imagxp_host::fetch::address::Reach;
use imagxp_host::fetch::connect::Connector;
use imagxp_host::fetch::target::Target;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::feedback::json_amount;
use crate::ledger::Charge;

/// Asks a payment provider.
pub(crate) struct Provider {
    pub(crate) target: Target,
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) timeout: Duration,
    pub(crate) currency: Option<String>,
    pub(crate) settings: Settings,
}

/// What a provider said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Yes,
    No,
    /// Nothing in time, or nothing that is an answer: it may have charged or not.
    Unknown,
}

impl Reply {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// An answer is a few words.
const REPLY_MAX: usize = 4_096;

impl Provider {
    /// Whether it pays.
    pub(crate) async fn ask(&self, charge: &Charge) -> Reply {
        match self.post("payment", charge).await {
            Ok((200, Some(true))) => Reply::Yes,
            // A clear no: it has read the question and will not charge.
            Ok((200, Some(false)) | (402, _)) => Reply::No,
            Ok((status, _)) => {
                tracing::warn!(status, "the payment provider gave no answer");
                Reply::Unknown
            }
            Err(why) => {
                tracing::warn!(why, "the payment provider cannot be reached");
                Reply::Unknown
            }
        }
    }

    /// Tells it that the charge is void.
    ///
    /// # Errors
    /// Why it has not taken note. 404 and 410 do not say that it has: a wrong URL answers so, too.
    pub(crate) async fn reverse(&self, charge: &Charge) -> Result<(), String> {
        match self.post("reversal", charge).await? {
            (200..300, _) => Ok(()),
            (status, _) => Err(format!("it answered {status}")),
        }
    }

    async fn post(&self, kind: &str, charge: &Charge) -> Result<(u16, Option<bool>), String> {
        let body = json!({
            "type": kind, "sale": charge.jti, "agent": charge.agent, "publisher": charge.publisher,
            "amount": json_amount(charge.amount), "currency": self.currency, "at": charge.at_s,
        });
        let exchange = self.exchange(body.to_string());
        tokio::time::timeout(self.timeout, exchange).await.map_err(|_| "no answer in time".to_owned())?
    }

    async fn exchange(&self, body: String) -> Result<(u16, Option<bool>), String> {
        let Settings { network, tls, limits, .. } = &self.settings;
        let connector = Connector { network: &**network, tls, limits };
        // The operator wrote the URL: any address is good.
        let stream = connector.open(&self.target, &Reach::Anywhere, |_| Ok(())).await.map_err(|why| why.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let request = Request::post(&*self.target.path)
            .header(HOST, &*self.target.authority)
            .header(USER_AGENT, concat!("imagxp-broker/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .header("x-imagxp-webhook-signature", self.signature(&body))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), REPLY_MAX).collect().await.map_err(|error| error.to_string())?;
        driver.abort();
        let reply: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        Ok((status, reply["paid"].as_bool()))
    }

    /// `t=<seconds>,v1=<hex>`: the time is signed, so that the receiver can refuse what is old.
    fn signature(&self, body: &str) -> String {
        use std::fmt::Write as _;
        let seconds = imagxp_host::system::now().s();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return String::new() };
        mac.update(format!("{seconds}.{body}").as_bytes());
        let mut text = format!("t={seconds},v1=");
        for byte in mac.finalize().into_bytes() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
