//! Counting for the audit: of rows, row by row, and never of a counter or an index that one of the
//! fold's own mistakes would have kept in step. So SQLite is told to look into no index.

use ids::ShardNo;
use sqlx::{QueryBuilder, Row as _, SqliteConnection};

use super::rows;
use crate::{
    books::{Count, Error, RowTerms, columns},
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
    let terms = row_terms(connection, &guard).await?;
    Ok(Count {
        live_orders: rows::number(&orders, 0)?,
        live_units: rows::number(&orders, 1)?,
        rejected_orders: rows::number(&orders, 2)?,
        duplicate_orders: rows::number(&duplicates, 0)?,
        user_units_max: rows::number(&user_units, 0)?,
        movement_watermark: 0,
        dead_letters: rows::number(&letters, 0)?,
        terms,
        guard,
    })
}

async fn row_terms(connection: &mut SqliteConnection, guard: &Guard) -> Result<RowTerms, Error> {
    let row = sqlx::query(
        "SELECT COALESCE(SUM(sale_id <> ? OR item_id <> ? OR currency <> ?), 0), \
         MIN(unit_price), MAX(unit_price), MAX(quantity) \
         FROM orders NOT INDEXED WHERE shard_no = ? AND state <> 5",
    )
    .bind(guard.sale.as_bytes().as_slice())
    .bind(guard.item.as_bytes().as_slice())
    .bind(&guard.currency)
    .bind(i64::from(guard.shard.get()))
    .fetch_one(connection)
    .await?;
    let prices = (row.try_get::<Option<i64>, _>(1)?, row.try_get::<Option<i64>, _>(2)?);
    let quantity: Option<i64> = row.try_get(3)?;
    Ok(RowTerms {
        foreign_orders: rows::number(&row, 0)?,
        unit_prices: prices.0.zip(prices.1),
        quantity_max: quantity.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
    })
}

/// By number, behind `after`.
pub(super) async fn guards_after(
    connection: &mut SqliteConnection,
    after: Option<ShardNo>,
    len_max: u32,
) -> Result<Vec<Guard>, Error> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(columns::GUARD).push(" FROM shard WHERE shard_no > ");
    query.push_bind(after.map_or(0, |after| i64::from(after.get())));
    query.push(" ORDER BY shard_no LIMIT ").push_bind(i64::from(len_max));
    let found = query.build().fetch_all(connection).await?;
    found.iter().map(rows::guard).collect()
}

/// Orders that no guard row speaks for.
pub(super) async fn orders_without_shard(connection: &mut SqliteConnection) -> Result<u64, Error> {
    let row = sqlx::query(
        "SELECT COUNT(*) FROM orders NOT INDEXED \
         WHERE shard_no NOT IN (SELECT shard_no FROM shard)",
    )
    .fetch_one(connection)
    .await?;
    rows::number(&row, 0)
}
