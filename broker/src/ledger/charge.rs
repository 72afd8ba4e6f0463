//! What a payment provider was asked. It is written down before it is asked, so that whatever happens in between, a
//! payment that nobody got a visa for is found and reversed.

use imagxp::policy::Micros;
use sqlx::AnyConnection;

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

pub(super) async fn open(connection: &mut AnyConnection, charge: &Charge) -> sqlx::Result<Asked> {
    let insert = "INSERT INTO charges (jti, agent, publisher, amount, at, state) VALUES ($1, $2, $3, $4, $5, 'asked')
        ON CONFLICT (jti) DO NOTHING";
    let Charge { jti, agent, publisher, amount, at_s } = charge.clone();
    let query = sqlx::query(insert).bind(jti.clone()).bind(agent).bind(publisher).bind(amount).bind(at_s);
    if query.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(Asked::New);
    }
    let select = sqlx::query("SELECT state FROM charges WHERE jti = $1").bind(jti);
    let state = text(&select.fetch_one(connection).await?, 0)?;
    // `paid` here means that the first request is just about to answer: the next one finds the visa.
    Ok(if state == "asked" || state == "paid" { Asked::Pending } else { Asked::Over })
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

/// Gives up what was asked before `before_s`, and lists what is to be reversed.
pub(super) async fn overdue(connection: &mut AnyConnection, before_s: i64) -> sqlx::Result<Vec<Charge>> {
    let give_up = "UPDATE charges SET state = 'reversing' WHERE state = 'asked' AND at < $1";
    sqlx::query(give_up).bind(before_s).execute(&mut *connection).await?;
    let select = "SELECT jti, agent, publisher, amount, at FROM charges WHERE state = 'reversing' ORDER BY at LIMIT 64";
    let rows = sqlx::query(select).fetch_all(connection).await?;
    let charge = |row: &_| {
        let (jti, agent, publisher) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        Ok(Charge { jti, agent, publisher, amount: number(row, 3)?, at_s: number(row, 4)? })
    };
    rows.iter().map(charge).collect()
}
