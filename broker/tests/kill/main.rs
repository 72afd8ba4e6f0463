//! `kill -9` at any moment: no committed entry is lost, no unpaid visa is issued, and the books balance.
//!
//! Four buyers ask without end, one of them with money for a few visas only, and a fifth for whom a payment provider pays,
//! or does not, or too late; an operator credits, a buyer judges, and visas of an earlier day become due by the hundred.
//! The broker is killed again and again in the midst of it. Whoever got no answer asks again, with the same request. At
//! the end every answer that anybody ever got must be in the books, and nothing else; the provider's own books agree.
//! `IMAGXP_BROKER_KILLS` is how often (SQLite; PostgreSQL half as often).

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod due;
mod judge;
mod provider;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use due::Due;
use http::{Method, StatusCode};
use imagxp_host::system;
use provider::{BROKEN, LATE, NO, Provider, TIMEOUT, YES};
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
    /// Has no money of its own.
    charged: Agent,
    due: Due,
    provider: Provider,
    /// Tokens by the request that bought them.
    sold: Mutex<BTreeMap<String, String>>,
    /// Orders whose charge was open when the broker was killed.
    unclear: Mutex<Vec<Request>>,
    /// Sales that got a 402, or the visa that was refused.
    unpaid: AtomicUsize,
    refunded: AtomicUsize,
    credited: AtomicUsize,
    answered: AtomicUsize,
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
                Ok(Ok((status, _, body))) => {
                    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                    // Not now: its books or the agent's manifest are not at hand yet. An open charge takes longer.
                    if status != StatusCode::SERVICE_UNAVAILABLE || body["error"] == "SALE_PENDING" {
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        return (status, body);
                    }
                }
                Ok(Err(_)) | Err(_) => _ = self.unanswered.fetch_add(1, Ordering::Relaxed),
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }

    /// Until so many more requests are answered, however fast this machine is, and then a moment.
    async fn let_live(&self) {
        let [answers, moment] = system::random::<2>().unwrap().map(u64::from);
        let enough = self.answered.load(Ordering::Relaxed) + usize::try_from(answers * answers / 1_024).unwrap();
        let began = Instant::now();
        while self.answered.load(Ordering::Relaxed) < enough && began.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(moment * 40)).await;
    }

    fn order(&self, agent: &Agent, publisher: &str) -> Request {
        let headers = agent.sign(&format!("{}/issue-visa", self.url));
        ("/issue-visa".to_owned(), headers, format!(r#"{{"publisher":"{publisher}","amount":0.001}}"#))
    }

    fn keep(&self, order: &Request, body: &Value) -> String {
        let token = body["token"].as_str().unwrap().to_owned();
        let name = order.1[0].1.clone();
        assert!(self.sold.lock().unwrap().insert(name, token.clone()).is_none());
        token
    }

    /// Buys until it is over and `least` are bought; every fifth order is asked for twice, and is the same visa.
    async fn buy(&self, agent: &Agent, least: i64) {
        let mut number = 0;
        while !self.over.load(Ordering::Relaxed) || number < least {
            let order = self.order(agent, "nytimes.com");
            let (status, body) = self.insist(&order).await;
            match status {
                StatusCode::OK => {
                    let token = self.keep(&order, &body);
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
                // The provider pays for nobody here: that order will come to nothing, whenever it is closed.
                StatusCode::PAYMENT_REQUIRED | StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => panic!("{other} {body}"),
            }
        }
    }

    /// Buys on the provider's account.
    async fn buy_charged(&self) {
        for publisher in [YES, YES, LATE, YES, NO, YES, BROKEN].into_iter().cycle() {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let order = self.order(&self.charged, publisher);
            if !self.try_charged(&order).await {
                self.unclear.lock().unwrap().push(order);
            }
        }
    }

    /// Whether the answer is clear.
    async fn try_charged(&self, order: &Request) -> bool {
        match self.insist(order).await {
            (StatusCode::OK, body) => drop(self.keep(order, &body)),
            (StatusCode::PAYMENT_REQUIRED, _) => _ = self.unpaid.fetch_add(1, Ordering::Relaxed),
            (StatusCode::SERVICE_UNAVAILABLE, _) => return false,
            (other, body) => panic!("{other} {body}"),
        }
        true
    }

    /// Every order gets its answer in the end.
    async fn clear_up(&self) {
        let unclear = std::mem::take(&mut *self.unclear.lock().unwrap());
        for order in &unclear {
            while !self.try_charged(order).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Takes back what is just about to be the publisher's.
    async fn dispute(&self) {
        let Due { agent, refunded, .. } = &self.due;
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Some(visa) = self.due.pick() else { continue };
            let (status, body) = self.judge(agent, due::PUBLISHER, visa).await;
            match status {
                StatusCode::OK => _ = refunded.lock().unwrap().insert(visa.to_owned()),
                StatusCode::CONFLICT => {}
                other => panic!("{other} {body}"),
            }
        }
    }

    async fn refund(&self, agent: &Agent, token: &str) {
        if agent.name == self.poor.name {
            return;
        }
        let visa = claims(token)["jti"].as_str().unwrap().to_owned();
        let (status, body) = self.judge(agent, "nytimes.com", &visa).await;
        assert_eq!((status, &body["state"]), (StatusCode::OK, &Value::from("refunded")), "{body}");
        self.refunded.fetch_add(1, Ordering::Relaxed);
    }

    /// A score of 0.
    async fn judge(&self, agent: &Agent, publisher: &str, visa: &str) -> (StatusCode, Value) {
        let word = agent.word(&self.url, &format!("https://{publisher}/a"), visa, 0);
        let headers = agent.sign(&format!("{}/feedback", self.url));
        self.insist(&("/feedback".to_owned(), headers, word)).await
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
    let provider = Provider::new().await;
    let hook = format!("[webhook]\nurl = \"{}\"\ntimeout_ms = {}\n", provider.url, TIMEOUT.as_millis());
    let limits = "rate_per_client = 0\nrate_per_agent = 0\nrefunds_per_day = 0\n";
    std::fs::write(&config, format!("{limits}{hook}")).unwrap();
    let (address, url) = (SocketAddr::from(([127, 0, 0, 1], port)), format!("http://localhost:{port}"));
    let start = || {
        let (listen, config) = (address.to_string(), config.to_str().unwrap());
        let arguments = ["--dev", "--listen", &listen, "--key", &key, "--database", &books.url, "--config", config];
        let mut command = command(&arguments);
        command.env("IMAGXP_BROKER_ADMIN_TOKEN", TOKEN).env("IMAGXP_BROKER_WEBHOOK_SECRET", TOKEN);
        Process::start(command)
    };
    let due = Due::sell(books).await;
    let mut broker = start();
    let world = Arc::new(World {
        address,
        url,
        rich: Agent::new().await,
        poor: Agent::new().await,
        charged: Agent::new().await,
        due,
        provider,
        sold: Mutex::default(),
        unclear: Mutex::default(),
        unpaid: AtomicUsize::new(0),
        refunded: AtomicUsize::new(0),
        credited: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
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
    for _ in 0..2 {
        let world = Arc::clone(&world);
        working.push(tokio::spawn(async move { world.buy_charged().await }));
    }
    let buyer = Arc::clone(&world);
    working.push(tokio::spawn(async move { buyer.dispute().await }));
    let operator = Arc::clone(&world);
    working.push(tokio::spawn(async move { operator.credit_on().await }));
    for _ in 0..kills {
        world.let_live().await;
        broker.kill();
        broker = tokio::task::block_in_place(start);
    }
    world.over.store(true, Ordering::Relaxed);
    wait_for(address);
    for work in working {
        work.await.unwrap();
    }
    world.clear_up().await;
    judge::wait_for_reversals(books).await;
    broker.kill();
    judge::judge(books, &world).await;
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
