//! Selling: the price moves from prepaid to held, and the visa is written down, together.

use std::collections::HashMap;

use imagxp::policy::Micros;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::database::Database;
use super::settle::State;
use super::sql::{self, Transfer, number, rows, statement, text};
use super::{PROVIDER, agent_account, charge, held_account};

/// A visa to sell: all that it takes to write its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The sale's name, and the visa's.
    pub jti: String,
    /// Who buys.
    pub agent: String,
    /// Where it is good.
    pub publisher: String,
    /// What it costs.
    pub amount: Micros,
    /// The thumbprint of the buyer's key; empty: good for anybody.
    pub jkt: String,
    /// What it is bought for; empty: anything.
    pub purpose: String,
    /// When, seconds since 1970.
    pub iat_s: i64,
    /// How long it is good, seconds.
    pub lifetime_s: u32,
    /// By which key it is signed.
    pub kid: String,
    /// When its dispute window ends.
    pub due_s: i64,
}

impl Sale {
    /// Whether a second request means the same sale. When it was made, and by which key it is signed, the first one says.
    fn is_same(&self, other: &Self) -> bool {
        let terms = |sale: &Self| {
            (sale.agent.clone(), sale.publisher.clone(), sale.amount, sale.jkt.clone(), sale.purpose.clone())
        };
        terms(self) == terms(other)
    }

    fn hold(&self) -> Transfer {
        Transfer {
            id: self.jti.clone(),
            debit: agent_account(&self.agent),
            credit: held_account(&self.agent),
            amount: self.amount,
            at: self.iat_s,
        }
    }
}

/// What became of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sold {
    /// Booked now.
    New,
    /// Booked before, as it says.
    Before(Sale),
    /// Booked before, and refunded since: it is paid for no more.
    Refunded,
    /// Another sale has this name.
    Conflict,
    /// The money does not suffice.
    Unpaid,
}

/// Sells in the order of asking; the answers are in that order, too.
pub(super) async fn sell(
    connection: &mut AnyConnection,
    database: &Database,
    sales: &[Sale],
) -> sqlx::Result<Vec<Sold>> {
    let mut balances = balances(connection, database, sales).await?;
    let mut booked = booked(connection, sales).await?;
    let mut new = Vec::new();
    let mut answers = Vec::with_capacity(sales.len());
    for sale in sales {
        let balance = balances.get_mut(&agent_account(&sale.agent));
        let answer = match (booked.get(&sale.jti), balance) {
            (Some(before), _) => before.again(sale),
            (None, Some(balance)) if *balance >= sale.amount => {
                *balance -= sale.amount;
                booked.insert(sale.jti.clone(), Entry { sale: sale.clone(), state: State::Held });
                new.push(sale);
                Sold::New
            }
            (None, _) => Sold::Unpaid,
        };
        answers.push(answer);
    }
    let holds: Vec<_> = new.iter().map(|sale| sale.hold()).collect();
    sql::book(connection, &holds).await?;
    write(connection, &new).await?;
    Ok(answers)
}

/// Sells what the payment provider pays for: its money passes through the agent's account.
pub(super) async fn sell_charged(connection: &mut AnyConnection, sale: &Sale) -> sqlx::Result<Sold> {
    if !charge::take(connection, &sale.jti).await? {
        // Either it was given up, or this very sale is booked, and the answer to its COMMIT was lost.
        let booked = booked(connection, std::slice::from_ref(sale)).await?;
        return Ok(booked.get(&sale.jti).map_or(Sold::Unpaid, |before| before.again(sale)));
    }
    let agent = agent_account(&sale.agent);
    let fund = Transfer { id: format!("{}/fund", sale.jti), debit: PROVIDER.to_owned(), credit: agent, ..sale.hold() };
    sql::make_accounts(connection, vec![fund.credit.clone(), held_account(&sale.agent)]).await?;
    sql::book(connection, &[fund]).await?;
    sql::book(connection, &[sale.hold()]).await?;
    write(connection, &[sale]).await?;
    Ok(Sold::New)
}

/// Balances of the buyers' accounts. All accounts that the sales touch are locked, in the order of their names.
async fn balances(
    connection: &mut AnyConnection,
    database: &Database,
    sales: &[Sale],
) -> sqlx::Result<HashMap<String, Micros>> {
    let mut accounts: Vec<_> =
        sales.iter().flat_map(|sale| [agent_account(&sale.agent), held_account(&sale.agent)]).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let select = "SELECT id, balance FROM accounts WHERE id";
    let tail = format!(" ORDER BY id{}", database.lock());
    let found = sql::select_in(connection, select, &accounts, &tail).await?;
    found.iter().map(|row| Ok((text(row, 0)?, number(row, 1)?))).collect()
}

const COLUMNS: &str = "jti, agent, publisher, amount, jkt, purpose, iat, lifetime, kid, due";

/// A sale in the books.
struct Entry {
    sale: Sale,
    state: State,
}

impl Entry {
    /// What a second request of that name gets.
    fn again(&self, sale: &Sale) -> Sold {
        match self.state {
            _ if !self.sale.is_same(sale) => Sold::Conflict,
            State::Refunded => Sold::Refunded,
            State::Held | State::Released => Sold::Before(self.sale.clone()),
        }
    }
}

/// Those that are booked already. Their buyers are locked: no other instance can book one meanwhile.
async fn booked(connection: &mut AnyConnection, sales: &[Sale]) -> sqlx::Result<HashMap<String, Entry>> {
    let names: Vec<_> = sales.iter().map(|sale| sale.jti.clone()).collect();
    let select = format!("SELECT {COLUMNS}, state FROM visas WHERE jti");
    let found = sql::select_in(connection, &select, &names, "").await?;
    let booked = |row| {
        let (sale, state) = (read(row)?, State::of(&text(row, 10)?));
        Ok((sale.jti.clone(), Entry { sale, state }))
    };
    found.iter().map(booked).collect()
}

fn read(row: &AnyRow) -> sqlx::Result<Sale> {
    Ok(Sale {
        jti: text(row, 0)?,
        agent: text(row, 1)?,
        publisher: text(row, 2)?,
        amount: number(row, 3)?,
        jkt: text(row, 4)?,
        purpose: text(row, 5)?,
        iat_s: number(row, 6)?,
        lifetime_s: u32::try_from(number(row, 7)?).unwrap_or_default(),
        kid: text(row, 8)?,
        due_s: number(row, 9)?,
    })
}

async fn write(connection: &mut AnyConnection, sales: &[&Sale]) -> sqlx::Result<()> {
    for piece in sql::pieces(sales) {
        let rows = rows(piece.len(), 10).replace(')', ",'held')");
        let mut query = statement(format!("INSERT INTO visas ({COLUMNS}, state) VALUES {rows}"));
        for sale in piece {
            query = query.bind(sale.jti.clone()).bind(sale.agent.clone()).bind(sale.publisher.clone());
            query = query.bind(sale.amount).bind(sale.jkt.clone()).bind(sale.purpose.clone());
            query = query.bind(sale.iat_s).bind(i64::from(sale.lifetime_s)).bind(sale.kid.clone()).bind(sale.due_s);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
