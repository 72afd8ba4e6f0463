//! Settling: a held payment goes to the publisher, or back to the agent. Once.

use std::collections::BTreeSet;

use imagxp::feedback::Outcome;
use imagxp::policy::Micros;
use sqlx::AnyConnection;

use super::database::Database;
use super::sql::{self, Transfer, number, statement, text};
use super::{agent_account, held_account, publisher_account};

/// Where a visa's payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Paid, and not yet anybody's.
    Held,
    /// The publisher's.
    Released,
    /// The agent's again.
    Refunded,
}

impl State {
    /// The name, as the books and the answers show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Refunded => "refunded",
        }
    }

    pub(super) fn of(name: &str) -> Self {
        match name {
            "released" => Self::Released,
            "refunded" => Self::Refunded,
            _ => Self::Held,
        }
    }
}

/// What became of a visa's payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is there now.
    Is {
        /// Where.
        state: State,
        /// How much.
        amount: Micros,
        /// For whom it was.
        publisher: String,
        /// By this word; else it was there before.
        is_new: bool,
    },
    /// It had been settled before, and otherwise.
    Otherwise(State),
    /// The dispute window has ended.
    TooLate,
    /// This agent has taken back as many payments as it may for now.
    TooMany,
    /// This agent has bought no such visa.
    Unknown,
}

/// A buyer's word on its visa.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Which visa.
    pub jti: String,
    /// Who says so.
    pub agent: String,
    /// What it means for the payment.
    pub outcome: Outcome,
    /// In millionths.
    pub score: u32,
    /// When, seconds since 1970.
    pub now_s: i64,
    /// Payments that an agent may take back within 24 hours; 0: any number.
    pub refunds_per_day: u32,
}

const DAY_S: i64 = 86_400;

/// Settles by feedback. The same word a second time changes nothing.
pub(super) async fn settle(connection: &mut AnyConnection, database: &Database, word: &Word) -> sqlx::Result<Settled> {
    let Word { jti, agent, outcome, score, now_s, refunds_per_day } = word;
    let (score, now_s, refunds_per_day) = (*score, *now_s, i64::from(*refunds_per_day));
    let lock = database.lock();
    let select = format!("SELECT publisher, amount, state, due FROM visas WHERE jti = $1 AND agent = $2{lock}");
    let found = statement(select).bind(jti.clone()).bind(agent.clone()).fetch_optional(&mut *connection).await?;
    let Some(row) = found else { return Ok(Settled::Unknown) };
    let (publisher, amount, state) = (text(&row, 0)?, number(&row, 1)?, State::of(&text(&row, 2)?));
    let wanted = match outcome {
        Outcome::Release => State::Released,
        Outcome::Withhold => State::Refunded,
        Outcome::Unchanged => state,
    };
    if state == wanted {
        return Ok(Settled::Is { state, amount, publisher, is_new: false });
    }
    if state != State::Held {
        return Ok(Settled::Otherwise(state));
    }
    if number(&row, 3)? <= now_s {
        return Ok(Settled::TooLate);
    }
    if wanted == State::Refunded
        && refunds_per_day > 0
        && refunds(connection, agent, now_s - DAY_S).await? >= refunds_per_day
    {
        return Ok(Settled::TooMany);
    }
    let to = if wanted == State::Released { publisher_account(&publisher) } else { agent_account(agent) };
    move_held(connection, database, vec![settlement(jti, agent, to, amount, now_s)]).await?;
    let update = "UPDATE visas SET state = $1, score = $2, settled = $3 WHERE jti = $4";
    let update = sqlx::query(update).bind(wanted.name()).bind(i64::from(score)).bind(now_s).bind(jti.clone());
    update.execute(connection).await?;
    Ok(Settled::Is { state: wanted, amount, publisher, is_new: true })
}

async fn refunds(connection: &mut AnyConnection, agent: &str, after_s: i64) -> sqlx::Result<i64> {
    let select = "SELECT COUNT(*) FROM visas WHERE state = 'refunded' AND agent = $1 AND settled > $2";
    let row = sqlx::query(select).bind(agent.to_owned()).bind(after_s).fetch_one(connection).await?;
    number(&row, 0)
}

/// Payments released in one transaction, at most.
const RELEASES: usize = 256;

/// Releases what nobody has disputed in time.
pub(super) async fn release_due(
    connection: &mut AnyConnection,
    database: &Database,
    now_s: i64,
) -> sqlx::Result<usize> {
    let lock = database.lock_free();
    let select = format!(
        "SELECT jti, agent, publisher, amount FROM visas WHERE state = 'held' AND due <= $1 ORDER BY due LIMIT {RELEASES}{lock}"
    );
    let due = statement(select).bind(now_s).fetch_all(&mut *connection).await?;
    let (mut transfers, mut names) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
    for row in &due {
        let (jti, agent, to) = (text(row, 0)?, text(row, 1)?, publisher_account(&text(row, 2)?));
        transfers.push(settlement(&jti, &agent, to, number(row, 3)?, now_s));
        names.push(jti);
    }
    move_held(connection, database, transfers).await?;
    for piece in sql::pieces(&names) {
        let list = sql::list(piece.len());
        let mut query = statement(format!("UPDATE visas SET state = 'released' WHERE jti IN ({list})"));
        for jti in piece {
            query = query.bind(jti.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(due.len())
}

/// The transfer's name is the visa's: it cannot be booked twice.
fn settlement(jti: &str, agent: &str, to: String, amount: Micros, now_s: i64) -> Transfer {
    Transfer { id: format!("{jti}/settle"), debit: held_account(agent), credit: to, amount, at: now_s }
}

/// All accounts are locked before the first statement posts, in the order of their names, as sales lock theirs.
async fn move_held(connection: &mut AnyConnection, database: &Database, transfers: Vec<Transfer>) -> sqlx::Result<()> {
    sql::make_accounts(connection, transfers.iter().map(|transfer| transfer.credit.clone()).collect()).await?;
    let legs = transfers.iter().flat_map(|transfer| [transfer.debit.clone(), transfer.credit.clone()]);
    let accounts: Vec<_> = legs.collect::<BTreeSet<_>>().into_iter().collect();
    let tail = format!(" ORDER BY id{}", database.lock());
    sql::select_in(connection, "SELECT id FROM accounts WHERE id", &accounts, &tail).await?;
    sql::book(connection, &transfers).await
}
