//! Money that comes in and goes out by the operator's word: credits of agents, payouts to publishers.

use imagxp::policy::Micros;
use sqlx::AnyConnection;

use super::database::Database;
use super::sql::{self, Transfer, number, statement, text};
use super::{FUNDING, PAYOUT, agent_account, held_account, publisher_account};

/// What became of a credit or payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funded {
    /// Booked; what the account holds now.
    New(Micros),
    /// Booked before under this key; what the account holds now.
    Before(Micros),
    /// The key was used for something else.
    Conflict,
    /// The publisher has not earned that much, or the sum is beyond what the books can hold.
    Refused,
}

pub(super) fn credit(agent: &str, amount: Micros, key: &str, now_s: i64) -> Transfer {
    let (debit, credit) = (FUNDING.to_owned(), agent_account(agent));
    Transfer { id: format!("credit/{key}"), debit, credit, amount, at: now_s }
}

pub(super) fn payout(publisher: &str, amount: Micros, key: &str, now_s: i64) -> Transfer {
    let (debit, credit) = (publisher_account(publisher), PAYOUT.to_owned());
    Transfer { id: format!("payout/{key}"), debit, credit, amount, at: now_s }
}

/// Balances stay below this: sums of them still fit 64 bits.
const BALANCE_MAX: Micros = i64::MAX / 1_000;

pub(super) async fn book(
    connection: &mut AnyConnection,
    database: &Database,
    transfer: &Transfer,
) -> sqlx::Result<Funded> {
    let ours = if transfer.debit == FUNDING { &transfer.credit } else { &transfer.debit };
    let select = "SELECT debit, credit, amount FROM transfers WHERE id = $1";
    if let Some(row) = sqlx::query(select).bind(transfer.id.clone()).fetch_optional(&mut *connection).await? {
        let is_same = text(&row, 0)? == transfer.debit
            && text(&row, 1)? == transfer.credit
            && number(&row, 2)? == transfer.amount;
        let balance = balance(connection, database, ours).await?.unwrap_or_default();
        return Ok(if is_same { Funded::Before(balance) } else { Funded::Conflict });
    }
    if let Some(agent) = transfer.credit.strip_prefix("agent/") {
        sql::make_accounts(connection, vec![transfer.credit.clone(), held_account(agent)]).await?;
    }
    let Some(balance) = balance(connection, database, ours).await? else { return Ok(Funded::Refused) };
    let change = if *ours == transfer.credit { transfer.amount } else { transfer.amount.saturating_neg() };
    let after = balance.saturating_add(change);
    if !(0..=BALANCE_MAX).contains(&after) {
        return Ok(Funded::Refused);
    }
    sql::book(connection, std::slice::from_ref(transfer)).await?;
    Ok(Funded::New(after))
}

async fn balance(connection: &mut AnyConnection, database: &Database, account: &str) -> sqlx::Result<Option<Micros>> {
    let select = statement(format!("SELECT balance FROM accounts WHERE id = $1{}", database.lock()));
    let row = select.bind(account.to_owned()).fetch_optional(connection).await?;
    row.map(|row| number(&row, 0)).transpose()
}
