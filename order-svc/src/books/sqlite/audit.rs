//! Counting for the audit: of rows, row by row, and never of a counter or an index that one of the
//! fold's own mistakes would have kept in step. So SQLite is told to look into no index.

use sqlx::SqliteConnection;

use super::rows;
use crate::{
    books::{Count, Error},
    domain::Guard,
};

/// The connection is in a transaction, so all counts are of one moment.
pub(super) async fn count(connection: &mut SqliteConnection, guard: Guard) -> Result<Count, Error> {
    let shard = i64::from(guard.shard.get());
    let orders = sqlx::query(
        "SELECT COALESCE(SUM(state IN (1, 2)), 0), \
         COALESCE(SUM(CASE WHEN state IN (1, 2) THEN quantity ELSE 0 END), 0), \
         COALESCE(SUM(state = 5), 0) FROM orders NOT INDEXED WHERE shard_no = ?",
    )
    .bind(shard)
    .fetch_one(&mut *connection)
    .await?;
    // The primary key makes this 0. Asked all the same: an index can be damaged.
    let duplicates = sqlx::query(
        "SELECT COUNT(*) FROM orders NOT INDEXED WHERE shard_no = ? AND order_id IN \
         (SELECT order_id FROM orders NOT INDEXED WHERE shard_no = ? \
         GROUP BY order_id HAVING COUNT(*) > 1)",
    )
    .bind(shard)
    .bind(shard)
    .fetch_one(&mut *connection)
    .await?;
    let user_units = sqlx::query(
        "SELECT COALESCE(MAX(units), 0) FROM (SELECT SUM(quantity) AS units \
         FROM orders NOT INDEXED WHERE item_id = ? AND state IN (1, 2) GROUP BY user_id)",
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
