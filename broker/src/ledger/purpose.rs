//! What the books are for. Development books hold money from nowhere (the sample's own credit), and agents of this machine.

use sqlx::AnyConnection;

use super::sql::number;

/// Whether the books may be used so. The first broker on new books says what they are for; books with transfers that say
/// nothing are a real broker's.
pub(super) async fn claim(connection: &mut AnyConnection, development: bool) -> sqlx::Result<bool> {
    let insert = "INSERT INTO purpose (id, development)
        SELECT 1, CASE WHEN EXISTS (SELECT 1 FROM transfers) THEN 0 ELSE $1 END
        WHERE 1 = 1 ON CONFLICT (id) DO NOTHING";
    sqlx::query(insert).bind(i64::from(development)).execute(&mut *connection).await?;
    let row = sqlx::query("SELECT development FROM purpose WHERE id = 1").fetch_one(connection).await?;
    Ok(number(&row, 0)? == i64::from(development))
}
