//! PostgreSQL fails at the worst moment: an answer is lost, a host vanishes.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use imagxp::feedback::Outcome;
use imagxp_broker::ledger::{Asked, Charge, Funded, Ledger, Sale, Settled, Sold, State, Word};
use support::postgres;
use support::proxy::Proxy;

const NOW: i64 = 1_800_000_000;
const AGENT: &str = "a.example.com";
const PUBLISHER: &str = "p.example.com";

fn sale(jti: &str) -> Sale {
    Sale {
        jti: jti.to_owned(),
        agent: AGENT.to_owned(),
        publisher: PUBLISHER.to_owned(),
        amount: 10,
        jkt: String::new(),
        purpose: String::new(),
        iat_s: NOW,
        lifetime_s: 3_600,
        kid: "1".to_owned(),
        due_s: NOW + 86_400,
    }
}

fn charge(jti: &str) -> Charge {
    Charge { jti: jti.to_owned(), agent: AGENT.to_owned(), publisher: PUBLISHER.to_owned(), amount: 10, at_s: NOW }
}

/// The work was committed, the answer is lost, and the work is tried again: it says what it said the first time.
#[tokio::test]
async fn a_lost_commit() {
    let Some(books) = postgres().await else { return };
    let proxy = Proxy::new(&books).await;
    let (ledger, _) = Ledger::open(&proxy.books(&books).location()).await.unwrap();
    proxy.cut_at(1);
    assert_eq!(ledger.credit(AGENT, 10, "c", NOW).await.unwrap(), Funded::Before(10));
    proxy.cut_at(1);
    assert_eq!(ledger.sell(sale("prepaid")).await.unwrap(), Sold::Before(sale("prepaid")));
    // The provider is asked by whoever opened the charge, and by nobody else.
    proxy.cut_at(1);
    assert_eq!(ledger.open_charge(charge("charged")).await.unwrap(), Asked::New);
    assert_eq!(ledger.open_charge(charge("charged")).await.unwrap(), Asked::Pending);
    proxy.cut_at(1);
    assert_eq!(ledger.sell_charged(sale("charged")).await.unwrap(), Sold::Before(sale("charged")));
    let word = Word {
        jti: "charged".to_owned(),
        agent: AGENT.to_owned(),
        outcome: Outcome::Withhold,
        score: 0,
        now_s: NOW,
        refunds_per_day: 1,
    };
    proxy.cut_at(1);
    let is = Settled::Is { state: State::Refunded, amount: 10, publisher: PUBLISHER.to_owned(), is_new: false };
    assert_eq!(ledger.settle(word).await.unwrap(), is);
    assert_eq!(proxy.cuts(), 5);
    let audit = ledger.audit().await.unwrap();
    assert!(audit.balances() && audit.visas == 2, "{audit:?}");
}

/// Nothing is answered and nothing closed: the writer gives that connection up, and goes on with another.
#[tokio::test]
async fn a_host_that_vanishes() {
    let Some(books) = postgres().await else { return };
    let proxy = Proxy::new(&books).await;
    let (ledger, _) = Ledger::open(&proxy.books(&books).location()).await.unwrap();
    ledger.credit(AGENT, 10, "c", NOW).await.unwrap();
    ledger.ping().await.unwrap();
    proxy.vanish();
    let (began, selling) = (Instant::now(), ledger.sell(sale("s")));
    let (sold, healthy) = tokio::join!(tokio::time::timeout(Duration::from_secs(60), selling), async {
        let healthy = ledger.ping().await.is_ok();
        (healthy, began.elapsed() < Duration::from_secs(10))
    });
    assert_eq!(healthy, (false, true), "it is told soon");
    assert_eq!(sold.expect("given up").unwrap(), Sold::New);
    ledger.ping().await.unwrap();
}
