//! The payment provider's webhook, a real server that says yes, no, nothing, or yes too late.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode};
use imagxp_broker::config::Webhook;
use imagxp_broker::{Broker, Config};
use imagxp_host::fetch::target::Target;
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Agent, Books, both, broker_with, hex, sqlite};

const SECRET: &[u8] = b"a secret of thirty-two bytes, or";
const TIMEOUT: Duration = Duration::from_millis(400);

/// What the provider was asked, and how it answers: by the publisher's name.
type Asked = Arc<Mutex<Vec<Value>>>;

async fn provider() -> (String, Asked) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/pay", listener.local_addr().unwrap());
    let router = Router::new().route("/pay", post(answer)).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn answer(State(asked): State<Asked>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    assert!(is_signed(&headers, &body), "the signature is HMAC-SHA256 of time and body");
    let question: Value = serde_json::from_slice(&body).unwrap();
    asked.lock().unwrap().push(question.clone());
    if question["type"] == "reversal" {
        return (StatusCode::OK, String::new());
    }
    let paid = |paid: bool| (StatusCode::OK, json!({"paid": paid}).to_string());
    match question["publisher"].as_str().unwrap() {
        "yes.example.com" => paid(true),
        "no.example.com" => paid(false),
        "late.example.com" => {
            tokio::time::sleep(TIMEOUT * 2).await;
            paid(true)
        }
        "slow.example.com" => {
            tokio::time::sleep(TIMEOUT / 2).await;
            paid(true)
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let signature = headers["x-imagxp-webhook-signature"].to_str().unwrap();
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut expected = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    expected.update(time.as_bytes());
    expected.update(b".");
    expected.update(body);
    hex(&expected.finalize().into_bytes()) == mac
}

async fn start(books: &Books, url: &str) -> Broker {
    let webhook = Webhook { target: Target::parse(url).unwrap(), secret: SECRET.to_vec().into(), timeout: TIMEOUT };
    broker_with(books, |config: &mut Config| config.webhook = Some(webhook)).await
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come");
}

fn reversals(asked: &Asked) -> Vec<Value> {
    asked.lock().unwrap().iter().filter(|question| question["type"] == "reversal").cloned().collect()
}

#[tokio::test]
async fn yes_no_and_too_late() {
    for books in both().await {
        let (url, asked) = provider().await;
        let (broker, agent) = (start(&books, &url).await, Agent::new().await);
        let (status, sold) = agent.buy(&broker, "yes.example.com", "0.25").await;
        assert_eq!(status, StatusCode::OK, "{sold}");
        let question = asked.lock().unwrap()[0].clone();
        let jti = support::claims(sold["token"].as_str().unwrap())["jti"].clone();
        assert_eq!(
            (&question["sale"], &question["amount"], &question["agent"]),
            (&jti, &json!("0.25"), &json!(agent.name))
        );

        for publisher in ["no.example.com", "late.example.com", "broken.example.com"] {
            let (status, body) = agent.buy(&broker, publisher, "0.25").await;
            assert_eq!(
                (status, body),
                (StatusCode::PAYMENT_REQUIRED, json!({"error": "Payment Required"})),
                "{publisher}"
            );
        }
        // The clear no needs no reversal. The others may have been charged: both are reversed, the late yes, too.
        until("both reversals", async || reversals(&asked).len() == 2).await;
        tokio::time::sleep(TIMEOUT * 3).await;
        let mut reversed: Vec<_> = reversals(&asked).iter().map(|question| question["publisher"].clone()).collect();
        reversed.sort_by_key(Value::to_string);
        assert_eq!(reversed, ["broken.example.com", "late.example.com"]);

        let audit = broker.ledger().audit().await.unwrap();
        assert!(audit.balances() && audit.visas == 1, "{audit:?}");
        assert_eq!(broker.ledger().balance(&agent.name).await.unwrap(), Some(0));
        broker.stop().await;
    }
}

#[tokio::test]
async fn prepaid_money_is_asked_first() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let (url, asked) = provider().await;
    let broker = start(&books, &url).await;
    broker.ledger().credit(&agent.name, 1_000, "c", 1).await.unwrap();
    assert_eq!(agent.buy(&broker, "no.example.com", "0.001").await.0, StatusCode::OK);
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(agent.buy(&broker, "no.example.com", "0.001").await.0, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

/// Copies of one request while the provider thinks: one question, one charge, one visa.
#[tokio::test(flavor = "multi_thread")]
async fn one_sale_is_charged_once() {
    for books in both().await {
        let (url, asked) = provider().await;
        let agent = Agent::new().await;
        let (one, two) = (start(&books, &url).await, start(&books, &url).await);
        let public = one.url().to_owned();
        drop(two);
        let headers = agent.sign(&format!("{public}/issue-visa"));
        let order = r#"{"publisher":"slow.example.com","amount":1}"#;
        let address = one.address();
        let buy = || {
            let headers = headers.clone();
            tokio::spawn(async move { support::post(address, "/issue-visa", &headers, order).await })
        };
        let mut tokens = Vec::new();
        for bought in [buy(), buy(), buy()] {
            let (status, body) = bought.await.unwrap();
            match status {
                StatusCode::OK => tokens.push(body["token"].clone()),
                StatusCode::SERVICE_UNAVAILABLE => {}
                other => panic!("{other} {body}"),
            }
        }
        let (status, body) = support::post(address, "/issue-visa", &headers, order).await;
        assert_eq!(status, StatusCode::OK);
        assert!(tokens.iter().all(|token| *token == body["token"]));
        assert_eq!(asked.lock().unwrap().len(), 1, "asked once");
        assert!(one.ledger().audit().await.unwrap().balances());
    }
}

/// The instance ends between question and answer: another one gives the charge up, and has it reversed.
#[tokio::test]
async fn a_lost_charge_is_reversed() {
    for books in both().await {
        let (url, asked) = provider().await;
        let broker = start(&books, &url).await;
        let charge = imagxp_broker::ledger::Charge {
            jti: "lost".to_owned(),
            agent: "a.example.com".to_owned(),
            publisher: "p.example.com".to_owned(),
            amount: 7,
            at_s: 1_700_000_000,
        };
        broker.ledger().open_charge(charge).await.unwrap();
        until("the reversal", async || reversals(&asked).len() == 1).await;
        assert_eq!(reversals(&asked)[0]["sale"], "lost");
        until("its end", async || broker.ledger().overdue_charges(i64::MAX).await.unwrap().is_empty()).await;
        assert!(broker.ledger().audit().await.unwrap().balances());
    }
}
