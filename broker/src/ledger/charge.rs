//! What a payment provider was asked. It is written down before it is asked, so that whatever happens in between, a
//! payment that nobody got a visa for is found and reversed.

use imagxp::policy::Micros;
use sqlx::{AnyConnection, AnyPool};

use super::sql::{number, text};

/// A payment that a provider is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The sale's name.
    pub jti: String,
    /// Who pays.
    pub agent: String,
    /// For what.
    pub publisher: String,
    /// How much.
    pub amount: Micros,
    /// When it was asked for, seconds since 1970.
    pub at_s: i64,
}

/// Whether the provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Ask it now.
    New,
    /// It is being asked: the first request for this sale will tell.
    Pending,
    /// It was asked, and did not pay: the sale is over.
    Over,
}

/// A charge to reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// What is void.
    pub charge: Charge,
    /// How often the provider was told in vain.
    pub attempts: i64,
}

/// What is not reversed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// So many charges.
    pub count: i64,
    /// When the oldest was asked for, seconds since 1970; 0 where there is none.
    pub oldest_s: i64,
}

/// `asker` names the call: when it is repeated because the answer to its COMMIT was lost, the charge is still its own.
pub(super) async fn open(connection: &mut AnyConnection, charge: &Charge, asker: &str) -> sqlx::Result<Asked> {
    let insert = "INSERT INTO charges (jti, agent, publisher, amount, at, state, asker)
        VALUES ($1, $2, $3, $4, $5, 'asked', $6) ON CONFLICT (jti) DO NOTHING";
    let Charge { jti, agent, publisher, amount, at_s } = charge.clone();
    let query = sqlx::query(insert).bind(jti.clone()).bind(agent).bind(publisher).bind(amount).bind(at_s);
    if query.bind(asker.to_owned()).execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(Asked::New);
    }
    let select = sqlx::query("SELECT state, asker FROM charges WHERE jti = $1").bind(jti);
    let row = select.fetch_one(connection).await?;
    Ok(match &*text(&row, 0)? {
        "asked" if text(&row, 1)? == asker => Asked::New,
        // `paid` here means that the first request is just about to answer: the next one finds the visa.
        "asked" | "paid" => Asked::Pending,
        _ => Asked::Over,
    })
}

/// From asked to paid, by whoever comes first: false if it was given up meanwhile.
pub(super) async fn take(connection: &mut AnyConnection, jti: &str) -> sqlx::Result<bool> {
    step(connection, jti, "UPDATE charges SET state = 'paid' WHERE jti = $1 AND state = 'asked'").await
}

pub(super) async fn close(connection: &mut AnyConnection, jti: &str, reversing: bool) -> sqlx::Result<()> {
    let update = if reversing {
        "UPDATE charges SET state = 'reversing' WHERE jti = $1 AND state = 'asked'"
    } else {
        "UPDATE charges SET state = 'refused' WHERE jti = $1 AND state = 'asked'"
    };
    step(connection, jti, update).await.map(drop)
}

pub(super) async fn reversed(connection: &mut AnyConnection, jti: &str) -> sqlx::Result<()> {
    step(connection, jti, "UPDATE charges SET state = 'reversed' WHERE jti = $1 AND state = 'reversing'")
        .await
        .map(drop)
}

async fn step(connection: &mut AnyConnection, jti: &str, update: &'static str) -> sqlx::Result<bool> {
    let done = sqlx::query(update).bind(jti.to_owned()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// The provider has not taken note: not again before `next_s`.
pub(super) async fn postpone(connection: &mut AnyConnection, jti: &str, next_s: i64) -> sqlx::Result<()> {
    let update = "UPDATE charges SET attempts = attempts + 1, next_at = $1 WHERE jti = $2 AND state = 'reversing'";
    sqlx::query(update).bind(next_s).bind(jti.to_owned()).execute(connection).await.map(drop)
}

/// Gives up what was asked before `before_s`, and lists what is to be reversed now.
pub(super) async fn overdue(connection: &mut AnyConnection, before_s: i64, now_s: i64) -> sqlx::Result<Vec<Reversal>> {
    let give_up = "UPDATE charges SET state = 'reversing' WHERE state = 'asked' AND at < $1";
    sqlx::query(give_up).bind(before_s).execute(&mut *connection).await?;
    let select = "SELECT jti, agent, publisher, amount, at, attempts FROM charges
        WHERE state = 'reversing' AND next_at <= $1 ORDER BY next_at, at LIMIT 64";
    let rows = sqlx::query(select).bind(now_s).fetch_all(connection).await?;
    let reversal = |row: &_| {
        let (jti, agent, publisher) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let charge = Charge { jti, agent, publisher, amount: number(row, 3)?, at_s: number(row, 4)? };
        Ok(Reversal { charge, attempts: number(row, 5)? })
    };
    rows.iter().map(reversal).collect()
}

pub(super) async fn backlog(reads: &AnyPool) -> sqlx::Result<Backlog> {
    let select = "SELECT COUNT(*), COALESCE(MIN(at), 0) FROM charges WHERE state = 'reversing'";
    let row = sqlx::query(select).fetch_one(reads).await?;
    Ok(Backlog { count: number(&row, 0)?, oldest_s: number(&row, 1)? })
}
