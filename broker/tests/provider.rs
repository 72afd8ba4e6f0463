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
use imagxp_broker::ledger::Charge;
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
        // It knows nothing of that sale, it says, or of that URL.
        if question["publisher"] == "gone.example.com" {
            return (StatusCode::NOT_FOUND, String::new());
        }
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
    start_as(books, url, String::new()).await
}

async fn start_as(books: &Books, url: &str, public_url: String) -> Broker {
    let webhook = Webhook { target: Target::parse(url).unwrap(), secret: SECRET.to_vec().into(), timeout: TIMEOUT };
    broker_with(books, |config: &mut Config| {
        config.webhook = Some(webhook);
        config.public_url = public_url;
    })
    .await
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

/// Copies of one request to two instances while the provider thinks: one question, one charge, one visa.
#[tokio::test(flavor = "multi_thread")]
async fn one_sale_is_charged_once() {
    for books in both().await {
        let (url, asked) = provider().await;
        let agent = Agent::new().await;
        let public = "http://localhost:1".to_owned();
        let one = start_as(&books, &url, public.clone()).await;
        let two = start_as(&books, &url, public.clone()).await;
        let headers = agent.sign(&format!("{public}/issue-visa"));
        let order = r#"{"publisher":"slow.example.com","amount":1}"#;
        let buy = |address| {
            let headers = headers.clone();
            tokio::spawn(async move { support::post(address, "/issue-visa", &headers, order).await })
        };
        let name = |body: &Value| support::claims(body["token"].as_str().unwrap())["jti"].clone();
        let mut visas = Vec::new();
        let (first, second) = (one.address(), two.address());
        for bought in [buy(first), buy(second), buy(first), buy(second)] {
            let (status, body) = bought.await.unwrap();
            match status {
                StatusCode::OK => visas.push(name(&body)),
                StatusCode::SERVICE_UNAVAILABLE => {}
                other => panic!("{other} {body}"),
            }
        }
        for address in [first, second] {
            let (status, body) = support::post(address, "/issue-visa", &headers, order).await;
            assert_eq!(status, StatusCode::OK);
            visas.push(name(&body));
        }
        assert!(visas.len() >= 3 && visas.iter().all(|visa| *visa == visas[0]), "{visas:?}");
        assert_eq!(asked.lock().unwrap().len(), 1, "asked once");
        assert!(one.ledger().audit().await.unwrap().balances());
    }
}

/// Whichever COMMIT of a charged sale loses its answer, the agent gets what it paid for.
#[tokio::test]
async fn a_charged_sale_survives_a_lost_commit() {
    let Some(books) = support::postgres().await else { return };
    let proxy = support::proxy::Proxy::new(&books).await;
    let (url, asked) = provider().await;
    let (broker, agent) = (start(&proxy.books(&books), &url).await, Agent::new().await);
    for nth in [1, 2, 3, 3, 2, 1] {
        proxy.cut_at(nth);
        let (status, sold) = agent.buy(&broker, "yes.example.com", "0.25").await;
        assert_eq!(status, StatusCode::OK, "{nth}: {sold}");
        until("the cut", async || proxy.cuts() > 0).await;
    }
    assert_eq!(asked.lock().unwrap().len(), 6, "one question each");
    let audit = broker.ledger().audit().await.unwrap();
    assert!(audit.balances() && audit.visas == 6, "{audit:?}");
}

/// A client that hangs up while the provider thinks: what was paid for is booked.
#[tokio::test]
async fn a_client_that_hangs_up() {
    let (books, (url, _)) = (sqlite(), provider().await);
    let (broker, agent) = (start(&books, &url).await, Agent::new().await);
    let headers = agent.sign(&format!("{}/issue-visa", broker.url()));
    let order = r#"{"publisher":"slow.example.com","amount":1}"#;
    let buying = support::post(broker.address(), "/issue-visa", &headers, order);
    assert!(tokio::time::timeout(TIMEOUT / 4, buying).await.is_err(), "it hangs up");
    until("the visa", async || broker.ledger().audit().await.unwrap().visas == 1).await;
    assert_eq!(support::post(broker.address(), "/issue-visa", &headers, order).await.0, StatusCode::OK);
}

/// The instance ends between question and answer: another one gives the charge up, and has it reversed.
#[tokio::test]
async fn a_lost_charge_is_reversed() {
    for books in both().await {
        let (url, asked) = provider().await;
        let broker = start(&books, &url).await;
        let charge = Charge {
            jti: "lost".to_owned(),
            agent: "a.example.com".to_owned(),
            publisher: "p.example.com".to_owned(),
            amount: 7,
            at_s: 1_700_000_000,
        };
        // Older, and never taken note of: it keeps the other one from nothing, and is told again.
        let gone = Charge {
            jti: "gone".to_owned(),
            publisher: "gone.example.com".to_owned(),
            at_s: charge.at_s - 1,
            ..charge.clone()
        };
        broker.ledger().open_charge(gone).await.unwrap();
        broker.ledger().open_charge(charge).await.unwrap();
        let told = |sale: &str| reversals(&asked).iter().filter(|question| question["sale"] == sale).count();
        until("the reversal", async || told("lost") == 1).await;
        until("another try", async || told("gone") >= 2).await;
        let backlog = async || broker.ledger().backlog().await.unwrap();
        until("its end", async || backlog().await.count == 1).await;
        let shown = "imagxp_broker_reversing 1\n";
        until("the gauge", async || support::get_text(broker.address(), "/metrics").await.contains(shown)).await;
        assert_eq!(told("lost"), 1);
        assert!(broker.ledger().audit().await.unwrap().balances());
    }
}
