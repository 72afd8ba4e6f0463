//! Reading the books: balances, what publishers have earned, and whether it all adds up.

use std::collections::BTreeMap;

use imagxp::policy::Micros;
use sqlx::AnyPool;

use super::sql::{number, text};
use super::{Booked, publisher_account};

/// What a publisher has earned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Who.
    pub publisher: String,
    /// Visas sold.
    pub visas: i64,
    /// In open dispute windows.
    pub held: Micros,
    /// Released to it, ever.
    pub released: Micros,
    /// Given back to agents, ever.
    pub refunded: Micros,
    /// Paid out to it, ever.
    pub paid_out: Micros,
    /// What it is owed now: released, less paid out.
    pub payable: Micros,
}

pub(super) async fn balance(reads: &AnyPool, account: &str) -> Booked<Option<Micros>> {
    let select = sqlx::query("SELECT balance FROM accounts WHERE id = $1").bind(account.to_owned());
    let row = select.fetch_optional(reads).await?;
    Ok(row.map(|row| number(&row, 0)).transpose()?)
}

/// In one transaction, so that all of it is of one moment.
pub(super) async fn settlement(
    reads: &AnyPool,
    snapshot: &'static str,
    publisher: Option<&str>,
) -> Booked<Vec<Settlement>> {
    let mut reading = reads.begin_with(snapshot).await?;
    // An empty name stands for all: one text for both questions.
    let wanted = publisher.unwrap_or_default();
    let mut reports = BTreeMap::<String, Settlement>::new();
    let sums = "SELECT publisher, state, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM visas
        WHERE $1 = '' OR publisher = $1 GROUP BY publisher, state";
    for row in &sqlx::query(sums).bind(wanted.to_owned()).fetch_all(&mut *reading).await? {
        let (name, state, count, sum) = (text(row, 0)?, text(row, 1)?, number(row, 2)?, number(row, 3)?);
        let report = reports.entry(name).or_default();
        report.visas += count;
        match &*state {
            "held" => report.held = sum,
            "released" => report.released = sum,
            _ => report.refunded = sum,
        }
    }
    let payouts = "SELECT debit, CAST(SUM(amount) AS BIGINT) FROM transfers
        WHERE id LIKE 'payout/%' AND ($1 = '' OR debit = $1) GROUP BY debit";
    let account = publisher.map(publisher_account).unwrap_or_default();
    for row in &sqlx::query(payouts).bind(account.clone()).fetch_all(&mut *reading).await? {
        let debit = text(row, 0)?;
        reports.entry(name_of(&debit)).or_default().paid_out = number(row, 1)?;
    }
    let owed = "SELECT id, balance FROM accounts WHERE id LIKE 'publisher/%' AND ($1 = '' OR id = $1)";
    for row in &sqlx::query(owed).bind(account).fetch_all(&mut *reading).await? {
        let id = text(row, 0)?;
        reports.entry(name_of(&id)).or_default().payable = number(row, 1)?;
    }
    Ok(reports.into_iter().map(|(publisher, report)| Settlement { publisher, ..report }).collect())
}

fn name_of(account: &str) -> String {
    account.split_once('/').map_or(account, |(_, name)| name).to_owned()
}

/// Every account against its transfers, every visa against its payment. All but the counts must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Accounts.
    pub accounts: i64,
    /// Transfers.
    pub transfers: i64,
    /// Visas sold.
    pub visas: i64,
    /// The sum of all balances.
    pub sum: i64,
    /// Accounts whose balance is not what their transfers come to.
    pub wrong_balances: i64,
    /// Visas without the transfer that holds their price.
    pub unpaid_visas: i64,
    /// Visas whose state is not what their settlement says, and settlements of no visa.
    pub wrong_states: i64,
    /// Accounts of held money that are not the sum of their held visas.
    pub wrong_holds: i64,
    /// Payments taken from a provider without a visa, or the other way round.
    pub wrong_charges: i64,
}

impl Audit {
    /// Whether everything adds up.
    #[must_use]
    pub fn balances(&self) -> bool {
        let wrong =
            [self.sum, self.wrong_balances, self.unpaid_visas, self.wrong_states, self.wrong_holds, self.wrong_charges];
        wrong.iter().all(|count| *count == 0)
    }
}

/// In one transaction, so that all of it is of one moment.
pub(super) async fn audit(reads: &AnyPool, snapshot: &'static str) -> Booked<Audit> {
    let mut reading = reads.begin_with(snapshot).await?;
    let mut count = async |select: &'static str| -> Booked<i64> {
        Ok(number(&sqlx::query(select).fetch_one(&mut *reading).await?, 0)?)
    };
    Ok(Audit {
        accounts: count("SELECT COUNT(*) FROM accounts").await?,
        transfers: count("SELECT COUNT(*) FROM transfers").await?,
        visas: count("SELECT COUNT(*) FROM visas").await?,
        sum: count("SELECT CAST(COALESCE(SUM(balance), 0) AS BIGINT) FROM accounts").await?,
        wrong_balances: count(WRONG_BALANCES).await?,
        unpaid_visas: count(UNPAID_VISAS).await?,
        wrong_states: count(WRONG_STATES).await?,
        wrong_holds: count(WRONG_HOLDS).await?,
        wrong_charges: count(WRONG_CHARGES).await?,
    })
}

const WRONG_BALANCES: &str = "SELECT COUNT(*) FROM accounts
    LEFT JOIN (SELECT account, SUM(amount) AS amount FROM entries GROUP BY account) AS sums ON sums.account = accounts.id
    WHERE accounts.balance <> COALESCE(sums.amount, 0)";

const UNPAID_VISAS: &str = "SELECT COUNT(*) FROM visas LEFT JOIN transfers ON transfers.id = visas.jti
    WHERE transfers.id IS NULL OR transfers.amount <> visas.amount OR transfers.debit <> 'agent/' || visas.agent
        OR transfers.credit <> 'held/' || visas.agent";

const WRONG_STATES: &str = "SELECT (
        SELECT COUNT(*) FROM visas LEFT JOIN transfers ON transfers.id = visas.jti || '/settle'
        WHERE (visas.state = 'held') <> (transfers.id IS NULL)
            OR (visas.state = 'released' AND transfers.credit <> 'publisher/' || visas.publisher)
            OR (visas.state = 'refunded' AND transfers.credit <> 'agent/' || visas.agent)
            OR transfers.amount <> visas.amount
    ) + (
        SELECT COUNT(*) FROM transfers WHERE id LIKE '%/settle'
            AND NOT EXISTS (SELECT 1 FROM visas WHERE visas.jti || '/settle' = transfers.id)
    )";

const WRONG_HOLDS: &str = "SELECT COUNT(*) FROM accounts
    LEFT JOIN (SELECT agent, SUM(amount) AS amount FROM visas WHERE state = 'held' GROUP BY agent) AS sums
        ON 'held/' || sums.agent = accounts.id
    WHERE accounts.id LIKE 'held/%' AND accounts.balance <> COALESCE(sums.amount, 0)";

const WRONG_CHARGES: &str = "SELECT (
        SELECT COUNT(*) FROM charges WHERE (state = 'paid')
            <> EXISTS (SELECT 1 FROM transfers WHERE transfers.id = charges.jti || '/fund')
    ) + (
        SELECT COUNT(*) FROM transfers WHERE id LIKE '%/fund'
            AND NOT EXISTS (SELECT 1 FROM visas WHERE visas.jti || '/fund' = transfers.id)
    )";
