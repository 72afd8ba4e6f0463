//! Visas that were sold before: some hundreds become due in every second of the test, and their buyer takes some back at
//! the last moment.

use std::collections::BTreeSet;
use std::sync::Mutex;

use imagxp_broker::ledger::{Ledger, Sale, Sold};
use imagxp_host::system;

use super::PRICE;
use super::support::{Agent, Books};

pub const PUBLISHER: &str = "due.example.com";
/// So many become due in a second: more than are released in one transaction.
const EACH_SECOND: i64 = 300;
/// The first of them after so many seconds, and for how long.
const FROM_S: i64 = 3;
const FOR_S: i64 = 40;

pub struct Due {
    pub agent: Agent,
    /// When the first ones are due.
    from_s: i64,
    names: Vec<String>,
    /// What its buyer was told that it has back.
    pub refunded: Mutex<BTreeSet<String>>,
}

impl Due {
    /// Sells them, before any broker runs.
    pub async fn sell(books: &Books) -> Self {
        let agent = Agent::new().await;
        let (ledger, ended) = Ledger::open(&books.location()).await.unwrap();
        assert!(ledger.claim(true).await.unwrap(), "books of development");
        let count = EACH_SECOND * FOR_S;
        let now_s = system::now().s();
        ledger.credit(&agent.name, PRICE * count, "due", now_s).await.unwrap();
        let names: Vec<_> = (0..count).map(|number| format!("due-{number:05}")).collect();
        let mut selling = tokio::task::JoinSet::new();
        let from_s = now_s + FROM_S;
        for (number, jti) in (0..).zip(&names) {
            let (ledger, sale) = (ledger.clone(), sale(jti, &agent.name, now_s, from_s + number / EACH_SECOND));
            selling.spawn(async move { ledger.sell(sale).await.unwrap() });
        }
        assert!(selling.join_all().await.iter().all(|sold| *sold == Sold::New));
        drop(ledger);
        ended.await.unwrap();
        Self { agent, from_s, names, refunded: Mutex::default() }
    }

    /// One of those that are due within a second, by chance.
    pub fn pick(&self) -> Option<&str> {
        let [chance] = system::random::<1>().unwrap();
        let number = (system::now().s() + 1 - self.from_s) * EACH_SECOND + i64::from(chance);
        self.names.get(usize::try_from(number).ok()?).map(|name| &**name)
    }

    pub fn count(&self) -> i64 {
        i64::try_from(self.names.len()).unwrap()
    }

    /// Those that are due by then.
    pub fn due_by(&self, at_s: i64) -> i64 {
        ((at_s - self.from_s + 1) * EACH_SECOND).clamp(0, self.count())
    }
}

fn sale(jti: &str, agent: &str, now_s: i64, due_s: i64) -> Sale {
    Sale {
        jti: jti.to_owned(),
        agent: agent.to_owned(),
        publisher: PUBLISHER.to_owned(),
        amount: PRICE,
        jkt: String::new(),
        purpose: String::new(),
        iat_s: now_s,
        lifetime_s: 60,
        kid: "1".to_owned(),
        due_s,
    }
}
