//! `kill -9` at any moment: no committed entry is lost, no unpaid visa is issued, and the books balance.
//!
//! Four buyers ask without end, one of them with money for a few visas only; an operator credits, and a buyer judges.
//! The broker is killed again and again in the midst of it. Whoever got no answer asks again, with the same request. At
//! the end every answer that anybody ever got must be in the books, and nothing else.
//! `IMAGXP_BROKER_KILLS` is how often (SQLite; PostgreSQL half as often).

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, StatusCode};
use imagxp::Signing;
use imagxp::feedback::{Feedback, Reason, sign};
use imagxp_broker::ledger::Ledger;
use imagxp_host::system;
use serde_json::Value;
use support::process::{Process, command, free_port, key_file, wait_for};
use support::{Agent, Books, claims, postgres, send, sqlite};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PRICE: i64 = 1_000;
/// Visas that the poor agent can pay.
const POOR: i64 = 40;

type Request = (String, Vec<(String, String)>, String);

struct World {
    address: SocketAddr,
    url: String,
    rich: Agent,
    poor: Agent,
    /// Tokens by the request that bought them.
    sold: Mutex<BTreeMap<String, String>>,
    refunded: AtomicUsize,
    credited: AtomicUsize,
    unanswered: AtomicUsize,
    repeated: AtomicUsize,
    over: AtomicBool,
}

impl World {
    /// Sends a request until it is answered, whatever becomes of the broker meanwhile.
    async fn insist(&self, (path, headers, body): &Request) -> (StatusCode, Value) {
        loop {
            let sending = send(self.address, Method::POST, path, headers, body.clone().into());
            match tokio::time::timeout(Duration::from_secs(10), sending).await {
                // Not now: its books or the agent's manifest are not at hand yet.
                Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, ..))) => {}
                Ok(Ok((status, _, body))) => return (status, serde_json::from_slice(&body).unwrap_or_default()),
                Ok(Err(_)) | Err(_) => _ = self.unanswered.fetch_add(1, Ordering::Relaxed),
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }

    fn order(&self, agent: &Agent) -> Request {
        let headers = agent.sign(&format!("{}/issue-visa", self.url));
        ("/issue-visa".to_owned(), headers, r#"{"publisher":"nytimes.com","amount":0.001}"#.to_owned())
    }

    /// Buys until it is over and `least` are bought; every fifth order is asked for twice, and is the same visa.
    async fn buy(&self, agent: &Agent, least: i64) {
        let mut number = 0;
        while !self.over.load(Ordering::Relaxed) || number < least {
            let order = self.order(agent);
            let (status, body) = self.insist(&order).await;
            match status {
                StatusCode::OK => {
                    let token = body["token"].as_str().unwrap().to_owned();
                    let name = order.1[0].1.clone();
                    assert!(self.sold.lock().unwrap().insert(name, token.clone()).is_none());
                    number += 1;
                    if number % 5 == 0 {
                        let (status, again) = self.insist(&order).await;
                        assert_eq!((status, again["token"].as_str()), (StatusCode::OK, Some(&*token)));
                        self.repeated.fetch_add(1, Ordering::Relaxed);
                    }
                    if number % 7 == 0 {
                        self.refund(agent, &token).await;
                    }
                }
                StatusCode::PAYMENT_REQUIRED => tokio::time::sleep(Duration::from_millis(2)).await,
                other => panic!("{other} {body}"),
            }
        }
    }

    async fn refund(&self, agent: &Agent, token: &str) {
        if agent.name == self.poor.name {
            return;
        }
        let visa = claims(token)["jti"].as_str().unwrap().to_owned();
        let feedback = Feedback {
            agent_id: &agent.name,
            url: "https://nytimes.com/a",
            score: 0,
            reason: Reason::SeoSpam,
            audience: &self.url,
            jti: "f",
            request: None,
            visa: Some(&visa),
        };
        let mut out = [0; 2_048];
        let word = sign(&agent.key, &feedback, system::now(), Signing::default(), &mut out).unwrap().to_owned();
        let headers = agent.sign(&format!("{}/feedback", self.url));
        let (status, body) = self.insist(&("/feedback".to_owned(), headers, word)).await;
        assert_eq!((status, &body["state"]), (StatusCode::OK, &Value::from("refunded")), "{body}");
        self.refunded.fetch_add(1, Ordering::Relaxed);
    }

    async fn credit(&self, agent: &Agent, amount: &str, key: &str) {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {TOKEN}")),
            ("idempotency-key".to_owned(), key.to_owned()),
        ];
        let body = format!(r#"{{"agent":"{}","amount":{amount}}}"#, agent.name);
        let (status, body) = self.insist(&("/admin/credit".to_owned(), headers, body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    async fn credit_on(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.credited.load(Ordering::Relaxed);
            self.credit(&self.rich, "0.01", &format!("c{number}")).await;
            self.credited.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn kill_often(books: &Books, kills: usize) {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let key = key_file(folder.path(), "key.pem", 0o600);
    let config = folder.path().join("broker.toml");
    std::fs::write(&config, "rate_per_client = 0\nrate_per_agent = 0\nrefunds_per_day = 0\n").unwrap();
    let (address, url) = (SocketAddr::from(([127, 0, 0, 1], port)), format!("http://localhost:{port}"));
    let start = || {
        let (listen, config) = (address.to_string(), config.to_str().unwrap());
        let arguments = ["--dev", "--listen", &listen, "--key", &key, "--database", &books.url, "--config", config];
        let mut command = command(&arguments);
        command.env("IMAGXP_BROKER_ADMIN_TOKEN", TOKEN);
        Process::start(command)
    };
    let mut broker = start();
    let world = Arc::new(World {
        address,
        url,
        rich: Agent::new().await,
        poor: Agent::new().await,
        sold: Mutex::default(),
        refunded: AtomicUsize::new(0),
        credited: AtomicUsize::new(0),
        unanswered: AtomicUsize::new(0),
        repeated: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    world.credit(&world.rich, "1000", "rich").await;
    world.credit(&world.poor, "0.04", "poor").await;
    let mut working = Vec::new();
    for _ in 0..3 {
        let world = Arc::clone(&world);
        working.push(tokio::spawn(async move { world.buy(&world.rich, 1).await }));
    }
    let poor = Arc::clone(&world);
    working.push(tokio::spawn(async move { poor.buy(&poor.poor, POOR).await }));
    let operator = Arc::clone(&world);
    working.push(tokio::spawn(async move { operator.credit_on().await }));
    for _ in 0..kills {
        let [pause] = system::random::<1>().unwrap();
        tokio::time::sleep(Duration::from_micros(u64::from(pause) * if books.is_postgres() { 700 } else { 350 })).await;
        broker.kill();
        broker = tokio::task::block_in_place(start);
    }
    world.over.store(true, Ordering::Relaxed);
    wait_for(address);
    for work in working {
        work.await.unwrap();
    }
    broker.kill();
    judge(books, &world).await;
}

/// Everything that was answered is in the books, and nothing else is.
async fn judge(books: &Books, world: &World) {
    let (ledger, _) = Ledger::open(&books.location()).await.unwrap();
    let audit = ledger.audit().await.unwrap();
    assert!(audit.balances(), "{audit:?}");
    let sold = std::mem::take(&mut *world.sold.lock().unwrap());
    let names: std::collections::BTreeSet<_> =
        sold.values().map(|token| claims(token)["jti"].as_str().unwrap().to_owned()).collect();
    let count = |number: usize| i64::try_from(number).unwrap();
    assert_eq!(names.len(), sold.len(), "each request its own visa");
    assert_eq!(audit.visas, count(names.len()), "every visa was answered for, and every answer is a visa");
    let poor = sold.values().filter(|token| claims(token)["sub"] == world.poor.name.as_str()).count();
    assert_eq!(count(poor), POOR, "as many as it could pay");
    assert_eq!(ledger.balance(&world.poor.name).await.unwrap(), Some(0));
    let refunded = count(world.refunded.load(Ordering::Relaxed));
    let credited = 1_000_000_000 + 10_000 * count(world.credited.load(Ordering::Relaxed));
    let spent = PRICE * (count(names.len() - poor) - refunded);
    assert_eq!(ledger.balance(&world.rich.name).await.unwrap(), Some(credited - spent));
    let report = ledger.settlement(None).await.unwrap();
    assert_eq!(report[0].refunded, PRICE * refunded);
    println!(
        "{} visas ({poor} of the poor agent), {} repeated, {} refunded, {} unanswered requests, {} transfers",
        sold.len(),
        world.repeated.load(Ordering::Relaxed),
        refunded,
        world.unanswered.load(Ordering::Relaxed),
        audit.transfers,
    );
}

fn kills() -> usize {
    std::env::var("IMAGXP_BROKER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_sqlite() {
    kill_often(&sqlite(), kills()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_postgres() {
    let Some(books) = postgres().await else { return };
    kill_often(&books, kills() / 2).await;
}
