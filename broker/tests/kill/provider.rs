//! A payment provider that charges, refuses, answers too late or not at all, and keeps books of its own. What it has
//! begun it does, whether or not the broker lives to hear of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use imagxp_host::system;
use serde_json::{Value, json};

/// What the broker gives it.
pub const TIMEOUT: Duration = Duration::from_millis(100);
/// How it answers, by the publisher's name; every other name gets a clear no.
pub const YES: &str = "yes.example.com";
pub const NO: &str = "no.example.com";
pub const LATE: &str = "late.example.com";
pub const BROKEN: &str = "broken.example.com";

/// One sale, as the provider knows it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub publisher: String,
    pub asked: usize,
    pub charged: bool,
    pub reversed: usize,
    /// Reversals that it did not take note of.
    pub ignored: usize,
}

type Accounts = Arc<Mutex<BTreeMap<String, Account>>>;

pub struct Provider {
    pub url: String,
    accounts: Accounts,
}

impl Provider {
    pub async fn new() -> Self {
        let accounts = Accounts::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/pay", listener.local_addr().unwrap());
        let router = Router::new().route("/pay", post(answer)).with_state(Arc::clone(&accounts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, accounts }
    }

    pub fn accounts(&self) -> BTreeMap<String, Account> {
        self.accounts.lock().unwrap().clone()
    }
}

async fn answer(State(accounts): State<Accounts>, body: Bytes) -> (StatusCode, String) {
    let question: Value = serde_json::from_slice(&body).unwrap();
    let sale = question["sale"].as_str().unwrap().to_owned();
    let publisher = question["publisher"].as_str().unwrap().to_owned();
    if question["type"] == "reversal" {
        return reverse(&accounts, sale, publisher);
    }
    // A task of its own: a broker that hangs up does not stop it.
    tokio::spawn(async move { charge(&accounts, sale, publisher).await }).await.unwrap()
}

async fn charge(accounts: &Accounts, sale: String, publisher: String) -> (StatusCode, String) {
    let [pause] = system::random::<1>().unwrap();
    tokio::time::sleep(Duration::from_micros(u64::from(pause) * 40)).await;
    {
        let mut accounts = accounts.lock().unwrap();
        let account = accounts.entry(sale).or_default();
        account.asked += 1;
        account.publisher.clone_from(&publisher);
        account.charged = [YES, LATE, BROKEN].contains(&&*publisher) && account.reversed == 0;
        if !account.charged {
            return (StatusCode::OK, json!({"paid": false}).to_string());
        }
    }
    match &*publisher {
        BROKEN => return (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        LATE => tokio::time::sleep(TIMEOUT * 2).await,
        _ => tokio::time::sleep(Duration::from_micros(u64::from(pause) * 40)).await,
    }
    (StatusCode::OK, json!({"paid": true}).to_string())
}

/// Every third reversal is not taken note of the first time.
fn reverse(accounts: &Accounts, sale: String, publisher: String) -> (StatusCode, String) {
    let mut accounts = accounts.lock().unwrap();
    let is_third = sale.bytes().map(u32::from).sum::<u32>().is_multiple_of(3);
    let account = accounts.entry(sale).or_default();
    account.publisher = publisher;
    if is_third && account.ignored == 0 {
        account.ignored += 1;
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    account.reversed += 1;
    (StatusCode::OK, String::new())
}
