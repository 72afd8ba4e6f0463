//! Settling: a held payment goes to the publisher, or back to the agent. Once.

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

    fn of(name: &str) -> Self {
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
    },
    /// It had been settled before, and otherwise.
    Otherwise(State),
    /// The dispute window has ended.
    TooLate,
    /// This agent has bought no such visa.
    Unknown,
}

/// Settles by feedback. The same word a second time changes nothing.
pub(super) async fn settle(
    connection: &mut AnyConnection,
    database: &Database,
    jti: &str,
    agent: &str,
    outcome: Outcome,
    score: u32,
    now_s: i64,
) -> sqlx::Result<Settled> {
    let lock = database.lock();
    let select = format!("SELECT publisher, amount, state, due FROM visas WHERE jti = $1 AND agent = $2{lock}");
    let found = statement(select).bind(jti.to_owned()).bind(agent.to_owned()).fetch_optional(&mut *connection).await?;
    let Some(row) = found else { return Ok(Settled::Unknown) };
    let (publisher, amount, state) = (text(&row, 0)?, number(&row, 1)?, State::of(&text(&row, 2)?));
    let wanted = match outcome {
        Outcome::Release => State::Released,
        Outcome::Withhold => State::Refunded,
        Outcome::Unchanged => state,
    };
    if state == wanted {
        return Ok(Settled::Is { state, amount, publisher });
    }
    if state != State::Held {
        return Ok(Settled::Otherwise(state));
    }
    if number(&row, 3)? <= now_s {
        return Ok(Settled::TooLate);
    }
    let to = if wanted == State::Released { publisher_account(&publisher) } else { agent_account(agent) };
    move_held(connection, vec![settlement(jti, agent, to, amount, now_s)]).await?;
    let update = "UPDATE visas SET state = $1, score = $2 WHERE jti = $3";
    let update = sqlx::query(update).bind(wanted.name()).bind(i64::from(score)).bind(jti.to_owned());
    update.execute(connection).await?;
    Ok(Settled::Is { state: wanted, amount, publisher })
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
    move_held(connection, transfers).await?;
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

async fn move_held(connection: &mut AnyConnection, transfers: Vec<Transfer>) -> sqlx::Result<()> {
    let accounts = transfers.iter().map(|transfer| transfer.credit.clone()).collect();
    sql::make_accounts(connection, accounts).await?;
    sql::book(connection, &transfers).await
}
