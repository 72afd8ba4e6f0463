//! The books, on both databases.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use imagxp::feedback::Outcome;
use imagxp_broker::ledger::{Asked, Charge, Funded, Ledger, Sale, Settled, Sold, State, Word};
use sqlx::Executor as _;
use support::{Books, both, postgres};

const NOW: i64 = 1_800_000_000;

async fn open(books: &Books) -> Ledger {
    Ledger::open(&books.location()).await.unwrap().0
}

fn sale(jti: &str, agent: &str, amount: i64) -> Sale {
    Sale {
        jti: jti.to_owned(),
        agent: agent.to_owned(),
        publisher: "pub.example.com".to_owned(),
        amount,
        jkt: "thumbprint".to_owned(),
        purpose: "SUMMARY".to_owned(),
        iat_s: NOW,
        lifetime_s: 3_600,
        kid: "1".to_owned(),
        due_s: NOW + 86_400,
    }
}

fn word(jti: &str, agent: &str, outcome: Outcome, now_s: i64) -> Word {
    Word { jti: jti.to_owned(), agent: agent.to_owned(), outcome, score: 1, now_s, refunds_per_day: 0 }
}

async fn assert_balanced(ledger: &Ledger) {
    let audit = ledger.audit().await.unwrap();
    assert!(audit.balances(), "{audit:?}");
}

#[tokio::test]
async fn a_sale_is_held_then_settled_once() {
    for books in both().await {
        let ledger = open(&books).await;
        assert_eq!(ledger.credit("a.example.com", 5_000, "c1", NOW).await.unwrap(), Funded::New(5_000));
        for jti in ["good", "bad", "even", "quiet"] {
            assert_eq!(ledger.sell(sale(jti, "a.example.com", 1_000)).await.unwrap(), Sold::New);
        }
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(1_000));
        assert_balanced(&ledger).await;

        let settle =
            async |jti: &str, outcome, agent: &str, now| ledger.settle(word(jti, agent, outcome, now)).await.unwrap();
        let told =
            |state, is_new| Settled::Is { state, amount: 1_000, publisher: "pub.example.com".to_owned(), is_new };
        let is = |state| told(state, true);
        assert_eq!(settle("good", Outcome::Release, "a.example.com", NOW).await, is(State::Released));
        assert_eq!(settle("bad", Outcome::Withhold, "a.example.com", NOW).await, is(State::Refunded));
        assert_eq!(settle("even", Outcome::Unchanged, "a.example.com", NOW).await, told(State::Held, false));
        // The same word again changes nothing; another is refused.
        assert_eq!(settle("good", Outcome::Release, "a.example.com", NOW).await, told(State::Released, false));
        assert_eq!(settle("good", Outcome::Withhold, "a.example.com", NOW).await, Settled::Otherwise(State::Released));
        assert_eq!(settle("bad", Outcome::Release, "a.example.com", NOW).await, Settled::Otherwise(State::Refunded));
        // Another agent's visa, and none.
        assert_eq!(settle("even", Outcome::Withhold, "b.example.com", NOW).await, Settled::Unknown);
        assert_eq!(settle("none", Outcome::Withhold, "a.example.com", NOW).await, Settled::Unknown);
        // The window has ended, whether or not the sweeper has come.
        assert_eq!(settle("even", Outcome::Withhold, "a.example.com", NOW + 86_400).await, Settled::TooLate);
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(2_000));

        assert_eq!(ledger.release_due(NOW + 86_399).await.unwrap(), 0);
        assert_eq!(ledger.release_due(NOW + 86_400).await.unwrap(), 2);
        assert_eq!(ledger.release_due(NOW + 86_400).await.unwrap(), 0);
        let report = ledger.settlement(Some("pub.example.com")).await.unwrap().remove(0);
        assert_eq!((report.visas, report.held, report.released, report.refunded), (4, 0, 3_000, 1_000));
        assert_eq!((report.paid_out, report.payable), (0, 3_000));
        assert_balanced(&ledger).await;

        // Paid out once, and never more than is owed.
        let pay = async |amount, key: &str| ledger.pay_out("pub.example.com", amount, key, NOW).await.unwrap();
        assert_eq!(pay(2_000, "p1").await, Funded::New(1_000));
        assert_eq!(pay(2_000, "p1").await, Funded::Before(1_000));
        assert_eq!(pay(2_001, "p1").await, Funded::Conflict);
        assert_eq!(pay(1_001, "p2").await, Funded::Refused);
        assert_eq!(ledger.pay_out("nobody.example.com", 1, "p3", NOW).await.unwrap(), Funded::Refused);
        let report = ledger.settlement(None).await.unwrap().remove(0);
        assert_eq!((report.paid_out, report.payable), (2_000, 1_000));
        assert_balanced(&ledger).await;
    }
}

#[tokio::test]
async fn the_same_sale_is_one_and_another_is_refused() {
    for books in both().await {
        let ledger = open(&books).await;
        ledger.credit("a.example.com", 10_000, "c1", NOW).await.unwrap();
        let first = sale("s1", "a.example.com", 1_000);
        assert_eq!(ledger.sell(first.clone()).await.unwrap(), Sold::New);
        // Later, and by another key of the broker: the first one's time and key stand.
        let again = Sale { iat_s: NOW + 9, kid: "2".to_owned(), due_s: NOW + 86_409, ..first.clone() };
        assert_eq!(ledger.sell(again).await.unwrap(), Sold::Before(first.clone()));
        for other in [
            Sale { amount: 999, ..first.clone() },
            Sale { publisher: "other.example.com".to_owned(), ..first.clone() },
            Sale { jkt: "another".to_owned(), ..first.clone() },
        ] {
            assert_eq!(ledger.sell(other).await.unwrap(), Sold::Conflict);
        }
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(9_000));
        assert_eq!(ledger.sell(sale("s2", "stranger.example.com", 1)).await.unwrap(), Sold::Unpaid);
        assert_eq!(ledger.sell(sale("s3", "a.example.com", 9_001)).await.unwrap(), Sold::Unpaid);
        assert_balanced(&ledger).await;
    }
}

/// 200 sales at once, the money for 50, each asked for twice: exactly 50 are sold, whatever the batches.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once() {
    for books in both().await {
        let ledger = open(&books).await;
        ledger.credit("a.example.com", 50_000, "c1", NOW).await.unwrap();
        let buy = |index: usize| {
            let ledger = ledger.clone();
            let sale = sale(&format!("s{}", index / 2), "a.example.com", 1_000);
            tokio::spawn(async move { ledger.sell(sale).await.unwrap() })
        };
        let buying: Vec<_> = (0..400).map(buy).collect();
        let (mut new, mut before) = (0, 0);
        for sold in buying {
            match sold.await.unwrap() {
                Sold::New => new += 1,
                Sold::Before(_) => before += 1,
                Sold::Unpaid => {}
                Sold::Conflict | Sold::Refunded => panic!("a conflict"),
            }
        }
        assert_eq!((new, before), (50, 50));
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(0));
        assert_balanced(&ledger).await;
    }
}

/// Three instances on one PostgreSQL: the same sales come to all of them, with credits, feedback and the sweeper.
#[tokio::test(flavor = "multi_thread")]
async fn several_instances() {
    let Some(books) = postgres().await else { return };
    let instances = [open(&books).await, open(&books).await, open(&books).await];
    for agent in 0..4 {
        instances[0].credit(&format!("a{agent}.example.com"), 40_000, &format!("c{agent}"), NOW).await.unwrap();
    }
    let mut working = Vec::new();
    for (at, ledger) in instances.iter().enumerate() {
        for index in 0..240 {
            let ledger = ledger.clone();
            // Each in an order of its own.
            let index = (index * [1, 7, 11][at] + at) % 240;
            working.push(tokio::spawn(async move {
                let agent = format!("a{}.example.com", index % 4);
                let sold = ledger.sell(sale(&format!("s{index}"), &agent, 1_000)).await.unwrap();
                if index % 5 == 0 {
                    let outcome = if index % 2 == 0 { Outcome::Release } else { Outcome::Withhold };
                    ledger.settle(word(&format!("s{index}"), &agent, outcome, NOW)).await.unwrap();
                }
                if index % 40 == 0 {
                    ledger.release_due(NOW).await.unwrap();
                    ledger.credit("a0.example.com", 1, "shared", NOW).await.unwrap();
                }
                usize::from(sold == Sold::New)
            }));
        }
    }
    let mut new = 0;
    for work in working {
        new += work.await.unwrap();
    }
    let audit = instances[1].audit().await.unwrap();
    assert!(audit.balances(), "{audit:?}");
    assert_eq!(i64::try_from(new).unwrap(), audit.visas, "each sale is new once");
    assert!((160..=240).contains(&new), "{new}");
    let due: usize = {
        let (a, b) = tokio::join!(instances[0].release_due(NOW + 90_000), instances[1].release_due(NOW + 90_000));
        a.unwrap() + b.unwrap()
    };
    assert!(due > 0);
    assert_balanced(&instances[2]).await;
}

/// What no code of ours does, the database refuses.
#[tokio::test]
async fn the_database_itself_refuses() {
    for books in both().await {
        let ledger = open(&books).await;
        ledger.credit("a.example.com", 1_000, "c1", NOW).await.unwrap();
        ledger.sell(sale("s1", "a.example.com", 600)).await.unwrap();
        for (what, statement) in [
            ("a debt", "INSERT INTO transfers VALUES ('x', 'agent/a.example.com', 'held/a.example.com', 401, 1)"),
            (
                "a negative amount",
                "INSERT INTO transfers VALUES ('x', 'agent/a.example.com', 'external/funding', -5, 1)",
            ),
            ("nothing", "INSERT INTO transfers VALUES ('x', 'agent/a.example.com', 'external/funding', 0, 1)"),
            ("one leg", "INSERT INTO transfers VALUES ('x', 'agent/a.example.com', 'agent/a.example.com', 5, 1)"),
            ("an unknown account", "INSERT INTO transfers VALUES ('x', 'agent/a.example.com', 'agent/none', 5, 1)"),
            ("the same name", "INSERT INTO transfers VALUES ('s1', 'agent/a.example.com', 'external/funding', 5, 1)"),
            ("a change", "UPDATE transfers SET amount = 1"),
            ("a deletion", "DELETE FROM transfers"),
            ("money from nowhere", "INSERT INTO accounts VALUES ('agent/b.example.com', 5)"),
            ("a debt by hand", "UPDATE accounts SET balance = -1 WHERE id = 'agent/a.example.com'"),
            (
                "an unpaid visa",
                "INSERT INTO visas VALUES ('free', 'a.example.com', 'p.example.com', 1, 'k', '', 1, 1, '1', 1, 'held', -1, 0)",
            ),
        ] {
            let mut connection = books.connect().await;
            if !books.is_postgres() {
                connection.execute("PRAGMA foreign_keys = ON").await.unwrap();
            }
            assert!(connection.execute(statement).await.is_err(), "{what}");
        }
        assert_balanced(&ledger).await;
        // And what it cannot refuse, the audit finds.
        let mut connection = books.connect().await;
        connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = 'agent/a.example.com'").await.unwrap();
        let audit = ledger.audit().await.unwrap();
        assert_eq!((audit.sum, audit.wrong_balances, audit.balances()), (1, 1, false));
        connection.execute("UPDATE accounts SET balance = balance - 1 WHERE id = 'agent/a.example.com'").await.unwrap();
        connection.execute("UPDATE visas SET state = 'released' WHERE jti = 's1'").await.unwrap();
        let audit = ledger.audit().await.unwrap();
        assert_eq!((audit.wrong_states, audit.wrong_holds), (1, 1));
    }
}

#[tokio::test]
async fn opened_again_it_is_all_there() {
    for books in both().await {
        let (ledger, writer) = Ledger::open(&books.location()).await.unwrap();
        ledger.credit("a.example.com", 1_000, "c1", NOW).await.unwrap();
        ledger.sell(sale("s1", "a.example.com", 600)).await.unwrap();
        drop(ledger);
        writer.await.unwrap();
        let ledger = open(&books).await;
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(400));
        assert_eq!(ledger.credit("a.example.com", 1_000, "c1", NOW).await.unwrap(), Funded::Before(400));
        assert_balanced(&ledger).await;
    }
}

/// What was refunded is paid for no more: the same request again buys nothing.
#[tokio::test]
async fn a_refunded_sale_is_over() {
    for books in both().await {
        let ledger = open(&books).await;
        ledger.credit("a.example.com", 1_000, "c1", NOW).await.unwrap();
        let first = sale("s1", "a.example.com", 1_000);
        assert_eq!(ledger.sell(first.clone()).await.unwrap(), Sold::New);
        ledger.settle(word("s1", "a.example.com", Outcome::Withhold, NOW)).await.unwrap();
        assert_eq!(ledger.sell(first.clone()).await.unwrap(), Sold::Refunded);
        assert_eq!(ledger.sell(Sale { amount: 1, ..first }).await.unwrap(), Sold::Conflict);
        assert_eq!(ledger.balance("a.example.com").await.unwrap(), Some(1_000));
        assert_balanced(&ledger).await;
    }
}

#[tokio::test]
async fn a_charged_sale_twice_is_one() {
    for books in both().await {
        let ledger = open(&books).await;
        let first = sale("s1", "a.example.com", 7);
        let Sale { jti, agent, publisher, amount, iat_s: at_s, .. } = first.clone();
        let charge = Charge { jti, agent, publisher, amount, at_s };
        assert_eq!(ledger.sell_charged(first.clone()).await.unwrap(), Sold::Unpaid, "nobody was asked");
        assert_eq!(ledger.open_charge(charge.clone()).await.unwrap(), Asked::New);
        assert_eq!(ledger.open_charge(charge.clone()).await.unwrap(), Asked::Pending, "another asks");
        assert_eq!(ledger.sell_charged(first.clone()).await.unwrap(), Sold::New);
        assert_eq!(ledger.sell_charged(first.clone()).await.unwrap(), Sold::Before(first.clone()));
        assert_eq!(ledger.sell_charged(Sale { amount: 8, ..first.clone() }).await.unwrap(), Sold::Conflict);
        ledger.settle(word("s1", "a.example.com", Outcome::Withhold, NOW)).await.unwrap();
        assert_eq!(ledger.sell_charged(first).await.unwrap(), Sold::Refunded);
        // What was given up is not sold.
        let late = sale("s2", "a.example.com", 7);
        ledger.open_charge(Charge { jti: "s2".to_owned(), ..charge }).await.unwrap();
        ledger.close_charge("s2".to_owned(), true).await.unwrap();
        assert_eq!(ledger.sell_charged(late).await.unwrap(), Sold::Unpaid);
        assert_balanced(&ledger).await;
    }
}

#[tokio::test]
async fn refunds_have_a_limit() {
    for books in both().await {
        let ledger = open(&books).await;
        ledger.credit("a.example.com", 10_000, "c1", NOW).await.unwrap();
        for jti in ["s1", "s2", "s3"] {
            ledger.sell(Sale { due_s: NOW + 200_000, ..sale(jti, "a.example.com", 1_000) }).await.unwrap();
        }
        let settle = async |jti: &str, outcome, now| {
            let word = Word { refunds_per_day: 2, ..word(jti, "a.example.com", outcome, now) };
            ledger.settle(word).await.unwrap()
        };
        let refunded = |is_new| Settled::Is {
            state: State::Refunded,
            amount: 1_000,
            publisher: "pub.example.com".to_owned(),
            is_new,
        };
        assert_eq!(settle("s1", Outcome::Withhold, NOW).await, refunded(true));
        assert_eq!(settle("s2", Outcome::Withhold, NOW + 10).await, refunded(true));
        assert_eq!(settle("s3", Outcome::Withhold, NOW + 86_399).await, Settled::TooMany);
        assert_eq!(settle("s2", Outcome::Withhold, NOW + 86_399).await, refunded(false), "what is done is done");
        assert_eq!(settle("s3", Outcome::Withhold, NOW + 86_400).await, refunded(true), "a day later");
        assert_balanced(&ledger).await;
    }
}

/// A reversal that is not taken note of comes back later, and keeps no other waiting.
#[tokio::test]
async fn reversals_are_postponed() {
    for books in both().await {
        let ledger = open(&books).await;
        for (at_s, jti) in ["first", "second"].into_iter().enumerate() {
            let (agent, publisher) = ("a.example.com".to_owned(), "pub.example.com".to_owned());
            let at_s = i64::try_from(at_s).unwrap() + 1;
            let charge = Charge { jti: jti.to_owned(), agent, publisher, amount: 1, at_s };
            ledger.open_charge(charge).await.unwrap();
        }
        let due = async |now| {
            let reversals = ledger.overdue_charges(NOW, now).await.unwrap();
            reversals.into_iter().map(|one| (one.charge.jti, one.attempts)).collect::<Vec<_>>()
        };
        assert_eq!(due(NOW).await, [("first".to_owned(), 0), ("second".to_owned(), 0)]);
        ledger.postpone_reversal("first".to_owned(), NOW + 10).await.unwrap();
        assert_eq!(due(NOW).await, [("second".to_owned(), 0)]);
        ledger.charge_reversed("second".to_owned()).await.unwrap();
        assert_eq!(due(NOW + 10).await, [("first".to_owned(), 1)]);
        let backlog = ledger.backlog().await.unwrap();
        assert_eq!((backlog.count, backlog.oldest_s), (1, 1));
    }
}

/// The sweeper takes its accounts in the order of their names, as sales do: neither waits for the other in a circle.
#[tokio::test]
async fn a_release_takes_accounts_in_order() {
    let Some(books) = postgres().await else { return };
    let ledger = open(&books).await;
    // Due in the order c, b, a: two would be booked by the first statement, and `a` by the second.
    for (at, agent) in ["c", "b", "a"].into_iter().enumerate() {
        ledger.credit(agent, 1_000, agent, NOW).await.unwrap();
        let due_s = NOW + i64::try_from(at).unwrap();
        ledger.sell(Sale { due_s, ..sale(agent, agent, 1_000) }).await.unwrap();
    }
    let mut other = books.connect().await;
    other.execute("BEGIN; SELECT 1 FROM accounts WHERE id = 'held/a' FOR NO KEY UPDATE").await.unwrap();
    let releasing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.release_due(NOW + 10).await }
    });
    let mut watcher = books.connect().await;
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    loop {
        let row = sqlx::query(waiting).fetch_one(&mut watcher).await.unwrap();
        if sqlx::Row::get::<i64, _>(&row, 0) > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Whoever has the first may have the next: the sweeper holds none that comes after.
    let next = "SET LOCAL lock_timeout = '300ms'; SELECT 1 FROM accounts WHERE id = 'held/c' FOR NO KEY UPDATE";
    other.execute(next).await.unwrap();
    other.execute("COMMIT").await.unwrap();
    assert_eq!(releasing.await.unwrap().unwrap(), 3);
    assert_balanced(&ledger).await;
}

/// Books of development, and real ones, stay what they are.
#[tokio::test]
async fn books_have_one_purpose() {
    for books in both().await {
        let ledger = open(&books).await;
        assert!(ledger.claim(true).await.unwrap() && ledger.claim(true).await.unwrap());
        assert!(!ledger.claim(false).await.unwrap());
    }
    for books in both().await {
        let ledger = open(&books).await;
        // Of a version that did not say.
        ledger.credit("a.example.com", 1, "c", NOW).await.unwrap();
        assert!(!ledger.claim(true).await.unwrap());
        assert!(ledger.claim(false).await.unwrap());
    }
}
