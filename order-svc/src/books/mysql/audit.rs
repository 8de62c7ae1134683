//! Counting for the audit: of rows, row by row, and never of a counter or an index that one of the
//! fold's own mistakes would have kept in step.

use sqlx::MySqlConnection;

use super::rows;
use crate::{
    books::{Count, Error},
    domain::Guard,
};

/// The connection is in a transaction that shows one moment, so all counts are of it.
pub(super) async fn count(connection: &mut MySqlConnection, guard: Guard) -> Result<Count, Error> {
    let shard = i64::from(guard.shard.get());
    // Sums are decimals unless they are told otherwise.
    let orders = sqlx::query(
        "SELECT CAST(COALESCE(SUM(state IN (1, 2)), 0) AS SIGNED), \
         CAST(COALESCE(SUM(CASE WHEN state IN (1, 2) THEN quantity ELSE 0 END), 0) AS SIGNED), \
         CAST(COALESCE(SUM(state = 5), 0) AS SIGNED) FROM orders WHERE shard_no = ?",
    )
    .bind(shard)
    .fetch_one(&mut *connection)
    .await?;
    // The primary key makes this 0. Asked all the same: an index can be damaged. A join and no IN,
    // which MariaDB 10.11 refuses when it is executed the second time.
    let duplicates = sqlx::query(
        "SELECT COUNT(*) FROM orders JOIN (SELECT order_id FROM orders GROUP BY order_id \
         HAVING COUNT(*) > 1) AS twice USING (order_id) WHERE shard_no = ?",
    )
    .bind(shard)
    .fetch_one(&mut *connection)
    .await?;
    let user_units = sqlx::query(
        "SELECT CAST(COALESCE(MAX(units), 0) AS SIGNED) FROM (SELECT SUM(quantity) AS units \
         FROM orders WHERE item_id = ? AND state IN (1, 2) GROUP BY user_id) AS of_users",
    )
    .bind(guard.item.as_bytes().as_slice())
    .fetch_one(&mut *connection)
    .await?;
    let letters = sqlx::query("SELECT COUNT(*) FROM dead_letter WHERE partition_id = ?")
        .bind(i64::from(guard.partition))
        .fetch_one(&mut *connection)
        .await?;
    Ok(Count {
        live_orders: rows::number(&orders, 0)?,
        live_units: rows::number(&orders, 1)?,
        rejected_orders: rows::number(&orders, 2)?,
        duplicate_orders: rows::number(&duplicates, 0)?,
        user_units_max: rows::number(&user_units, 0)?,
        movement_watermark: 0,
        dead_letters: rows::number(&letters, 0)?,
        guard,
    })
}
