//! The end: everything that was answered is in the books, and nothing else is.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use imagxp_broker::ledger::{Audit, Ledger};
use imagxp_host::system;
use sqlx::{AnyConnection, Row as _};

use super::provider::{LATE, NO, YES};
use super::support::{Books, claims};
use super::{POOR, PRICE, World, due};

/// The broker gives an open charge up after half a minute.
pub async fn wait_for_reversals(books: &Books) {
    let (began, mut connection) = (Instant::now(), books.connect().await);
    let open = "SELECT jti FROM charges WHERE state IN ('asked', 'reversing')";
    while !names(&mut connection, open).await.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(120), "charges stay open");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub async fn judge(books: &Books, world: &World) {
    let (ledger, _) = Ledger::open(&books.location()).await.unwrap();
    let audit = ledger.audit().await.unwrap();
    assert!(audit.balances(), "{audit:?}");
    let mut connection = books.connect().await;
    judge_sales(&ledger, &audit, world).await;
    judge_charges(&ledger, &mut connection, world).await;
    judge_due(&ledger, &mut connection, world).await;
    let [answered, unanswered] = [&world.answered, &world.unanswered].map(|number| number.load(Ordering::Relaxed));
    println!("{} transfers, {answered} requests answered, {unanswered} not", audit.transfers);
}

async fn judge_sales(ledger: &Ledger, audit: &Audit, world: &World) {
    let sold = world.sold.lock().unwrap().clone();
    let jtis: BTreeSet<_> = sold.values().map(|token| claims(token)["jti"].as_str().unwrap().to_owned()).collect();
    assert_eq!(jtis.len(), sold.len(), "each request its own visa");
    let answered = count(jtis.len()) + world.due.count();
    assert_eq!(audit.visas, answered, "every visa was answered for, and every answer is a visa");
    let bought_by = |agent: &str| count(sold.values().filter(|token| claims(token)["sub"] == agent).count());
    let (poor, rich) = (bought_by(&world.poor.name), bought_by(&world.rich.name));
    assert_eq!(poor, POOR, "as many as it could pay");
    assert_eq!(ledger.balance(&world.poor.name).await.unwrap(), Some(0));
    let refunded = count(world.refunded.load(Ordering::Relaxed));
    let credited = 1_000_000_000 + 10_000 * count(world.credited.load(Ordering::Relaxed));
    assert_eq!(ledger.balance(&world.rich.name).await.unwrap(), Some(credited - PRICE * (rich - refunded)));
    let report = ledger.settlement(Some("nytimes.com")).await.unwrap();
    assert_eq!(report[0].refunded, PRICE * refunded);
    let repeated = world.repeated.load(Ordering::Relaxed);
    println!("prepaid: {rich} visas, and {poor} of the poor agent, {repeated} repeated, {refunded} refunded");
}

/// What the provider has charged is a visa, or was reversed; never both, and never twice.
async fn judge_charges(ledger: &Ledger, connection: &mut AnyConnection, world: &World) {
    let buyer = &world.charged.name;
    let visas = names(connection, &format!("SELECT jti FROM visas WHERE agent = '{buyer}'")).await;
    let accounts = world.provider.accounts();
    for jti in &visas {
        let account = accounts.get(jti).expect("the provider knows of it");
        assert!(account.charged && account.reversed == 0, "an unpaid visa: {account:?}");
    }
    for (sale, account) in &accounts {
        assert!(account.asked <= 1, "{sale} asked twice: {account:?}");
        assert!(
            !account.charged || visas.contains(sale) || account.reversed > 0,
            "{sale} charged for nothing: {account:?}"
        );
    }
    let balance = ledger.balance(buyer).await.unwrap().unwrap_or_default();
    assert_eq!(balance, 0, "the provider's money is in its visas");
    let charged = accounts.values().filter(|account| account.charged);
    let (paid, reversed): (Vec<_>, Vec<_>) = charged.partition(|account| account.reversed == 0);
    let of = |publisher: &str| reversed.iter().filter(|account| account.publisher == publisher).count();
    let refused = accounts.values().filter(|account| account.publisher == NO && account.asked == 1).count();
    let (late, lost, unpaid) = (of(LATE), of(YES), world.unpaid.load(Ordering::Relaxed));
    assert!(!paid.is_empty() && late > 0 && refused > 0 && unpaid > 0, "{} {late} {refused} {unpaid}", paid.len());
    assert_eq!(paid.len(), visas.len());
    println!(
        "provider: {} paid, {} reversed ({late} too late, {lost} lost), {refused} refused",
        paid.len(),
        reversed.len()
    );
}

/// Each is the publisher's once, or the buyer's again; those of which the buyer was told so.
async fn judge_due(ledger: &Ledger, connection: &mut AnyConnection, world: &World) {
    let buyer = &world.due.agent.name;
    let refunds = format!("SELECT jti FROM visas WHERE agent = '{buyer}' AND state = 'refunded'");
    let refunded = names(connection, &refunds).await;
    assert_eq!(refunded, *world.due.refunded.lock().unwrap(), "every refund was answered for");
    let transfers = format!("SELECT id FROM transfers WHERE credit = 'publisher/{}'", due::PUBLISHER);
    let released = count(names(connection, &transfers).await.len());
    let report = ledger.settlement(Some(due::PUBLISHER)).await.unwrap().remove(0);
    let back = count(refunded.len());
    assert_eq!((report.released, report.payable, report.refunded), (PRICE * released, PRICE * released, PRICE * back));
    assert_eq!(ledger.balance(buyer).await.unwrap(), Some(PRICE * back));
    // Some seconds of grace: the last round was a moment ago.
    let now_s = system::now().s();
    let settled = released + back;
    assert!(settled >= world.due.due_by(now_s - 5), "{settled} of {} are settled", world.due.due_by(now_s - 5));
    assert!(released > 0 && released <= world.due.due_by(now_s), "none before its time");
    println!("due: {released} released, {back} taken back in time");
}

async fn names(connection: &mut AnyConnection, select: &str) -> BTreeSet<String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(select.to_owned())).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}
