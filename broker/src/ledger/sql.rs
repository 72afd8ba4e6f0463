//! The little that queries of varying size take. Both databases read `$1` placeholders.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _};

/// A query in the making. SQL is this crate's own text only; values are bound, never written into it.
pub(super) type Statement = Query<'static, Any, AnyArguments>;

pub(super) fn statement(sql: String) -> Statement {
    sqlx::query(AssertSqlSafe(sql))
}

/// `$1,$2,$3`
pub(super) fn list(count: usize) -> String {
    placeholders(1, count)
}

/// `($1,$2),($3,$4)`
pub(super) fn rows(count: usize, width: usize) -> String {
    let row = |index: usize| format!("({})", placeholders(index * width + 1, width));
    (0..count).map(row).collect::<Vec<_>>().join(",")
}

fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(",")
}

/// Rows of one statement, at most: one for each of these lengths stays prepared.
const ROWS: usize = 16;

/// What is written by one statement each.
pub(super) fn pieces<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    items.chunks(ROWS)
}

/// Rows of `select` for which its last column is one of `keys`; `tail` is what follows. One statement, so that rows are
/// locked in one order; the last key is repeated up to a power of two.
pub(super) async fn select_in(
    connection: &mut AnyConnection,
    select: &str,
    keys: &[String],
    tail: &str,
) -> sqlx::Result<Vec<AnyRow>> {
    let Some(last) = keys.last() else { return Ok(Vec::new()) };
    let count = keys.len().next_power_of_two();
    let mut query = statement(format!("{select} IN ({}){tail}", list(count)));
    for key in keys.iter().chain(std::iter::repeat(last)).take(count) {
        query = query.bind(key.clone());
    }
    query.fetch_all(connection).await
}

pub(super) fn text(row: &AnyRow, column: usize) -> sqlx::Result<String> {
    row.try_get(column)
}

pub(super) fn number(row: &AnyRow, column: usize) -> sqlx::Result<i64> {
    row.try_get(column)
}

/// An entry of the books: both its legs.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) id: String,
    pub(super) debit: String,
    pub(super) credit: String,
    pub(super) amount: i64,
    pub(super) at: i64,
}

/// Books transfers; the database posts them to the balances, and refuses what would leave a debt.
pub(super) async fn book(connection: &mut AnyConnection, transfers: &[Transfer]) -> sqlx::Result<()> {
    for piece in pieces(transfers) {
        let rows = rows(piece.len(), 5);
        let mut query = statement(format!("INSERT INTO transfers (id, debit, credit, amount, at) VALUES {rows}"));
        for Transfer { id, debit, credit, amount, at } in piece {
            query = query.bind(id.clone()).bind(debit.clone()).bind(credit.clone()).bind(*amount).bind(*at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Makes accounts that are not there yet, in the order of their names.
pub(super) async fn make_accounts(connection: &mut AnyConnection, mut accounts: Vec<String>) -> sqlx::Result<()> {
    accounts.sort_unstable();
    accounts.dedup();
    for piece in pieces(&accounts) {
        let rows = rows(piece.len(), 1);
        let mut query = statement(format!("INSERT INTO accounts (id) VALUES {rows} ON CONFLICT (id) DO NOTHING"));
        for account in piece {
            query = query.bind(account.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered() {
        assert_eq!(list(3), "$1,$2,$3");
        assert_eq!(rows(2, 2), "($1,$2),($3,$4)");
    }
}
