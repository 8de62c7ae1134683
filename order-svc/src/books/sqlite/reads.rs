//! What is read: for a batch, for an answer, for a load.

use std::collections::BTreeMap;

use ids::{ItemId, OrderId, ShardNo, UserId};
use law::OrderState;
use sqlx::{QueryBuilder, SqliteConnection};

use super::rows;
use crate::{
    books::{Error, PageEnd, Position, SnapshotOrder, basis::Basis, columns},
    domain::{Guard, Order},
    fold::{Touched, View},
};

/// Every item of which there are orders: a look for each into the index that begins with it. Not
/// those of shards, since an order that was refused for its item may be of one that has none.
pub(super) const ITEMS: &str = "WITH RECURSIVE items (item_id) AS (\
     SELECT MIN(item_id) FROM orders UNION ALL \
     SELECT (SELECT MIN(item_id) FROM orders WHERE item_id > items.item_id) FROM items \
     WHERE items.item_id IS NOT NULL) ";

/// Rows that a batch touches, and nothing else, or what is presumed of them. Inside a write
/// transaction they stay true.
pub(super) async fn view(
    connection: &mut SqliteConnection,
    touched: &Touched,
    basis: &Basis,
) -> Result<View, Error> {
    let shards: Vec<_> = touched.shards.iter().copied().collect();
    let guards = guards(connection, &shards).await?;
    let guards: BTreeMap<_, _> = guards.into_iter().map(|guard| (guard.shard, guard)).collect();
    let (orders, barred) = match basis {
        Basis::Presumed => Default::default(),
        Basis::Asked { barred } => {
            let ids: Vec<_> = touched.orders.iter().copied().collect();
            (states(connection, &ids).await?, barred.clone())
        }
    };
    let mut user_units = BTreeMap::new();
    for (item, users) in touched.users(&guards) {
        if basis.counts_units_of(item, &guards) {
            let users: Vec<_> = users.into_iter().collect();
            add_units(connection, item, &users, &mut user_units).await?;
        }
    }
    Ok(View { guards, orders, user_units, barred })
}

/// Of guard rows and, should one of those be lost, of orders, whose ids begin with it.
pub(super) async fn highest_shard(connection: &mut SqliteConnection) -> Result<u32, Error> {
    let guard: Option<i64> =
        sqlx::query_scalar("SELECT MAX(shard_no) FROM shard").fetch_one(&mut *connection).await?;
    let order: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT MAX(order_id) FROM orders").fetch_one(&mut *connection).await?;
    columns::highest_shard(guard, order.as_deref())
}

pub(super) async fn guards(
    connection: &mut SqliteConnection,
    shards: &[ShardNo],
) -> Result<Vec<Guard>, Error> {
    let mut guards = Vec::new();
    for chunk in columns::chunks(shards) {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns::GUARD).push(" FROM shard WHERE shard_no IN (");
        let mut list = query.separated(", ");
        for shard in chunk {
            list.push_bind(i64::from(shard.get()));
        }
        query.push(")");
        let found = query.build().fetch_all(&mut *connection).await?;
        guards.extend(found.iter().map(rows::guard).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(guards)
}

async fn states(
    connection: &mut SqliteConnection,
    ids: &[OrderId],
) -> Result<BTreeMap<OrderId, OrderState>, Error> {
    let mut states = BTreeMap::new();
    for chunk in columns::chunks(ids) {
        let mut query = QueryBuilder::new("SELECT order_id, state FROM orders WHERE order_id IN (");
        let mut list = query.separated(", ");
        for id in chunk {
            list.push_bind(id.as_bytes().as_slice());
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *connection).await? {
            states.insert(rows::order_id(&row, 0)?, rows::state(&row, 1)?);
        }
    }
    Ok(states)
}

async fn add_units(
    connection: &mut SqliteConnection,
    item: ItemId,
    users: &[UserId],
    units: &mut BTreeMap<(ItemId, UserId), u64>,
) -> Result<(), Error> {
    for chunk in columns::chunks(users) {
        let mut query = QueryBuilder::new(
            "SELECT user_id, SUM(quantity) FROM orders WHERE state IN (1, 2) AND item_id = ",
        );
        query.push_bind(item.as_bytes().as_slice()).push(" AND user_id IN (");
        let mut list = query.separated(", ");
        for user in chunk {
            list.push_bind(user.as_bytes().as_slice());
        }
        query.push(") GROUP BY user_id");
        for row in query.build().fetch_all(&mut *connection).await? {
            let user = UserId::from_bytes(rows::blob(&row, 0)?);
            units.insert((item, user), rows::number(&row, 1)?);
        }
    }
    Ok(())
}

pub(super) async fn orders(
    connection: &mut SqliteConnection,
    ids: &[OrderId],
) -> Result<Vec<Order>, Error> {
    let mut orders = Vec::new();
    for chunk in columns::chunks(ids) {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns::ORDER).push(" FROM orders WHERE order_id IN (");
        let mut list = query.separated(", ");
        for id in chunk {
            list.push_bind(id.as_bytes().as_slice());
        }
        query.push(")");
        let found = query.build().fetch_all(&mut *connection).await?;
        orders.extend(found.iter().map(rows::order).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(orders)
}

/// A look into the index for each item, since it begins with the item.
pub(super) async fn orders_of(
    connection: &mut SqliteConnection,
    user: UserId,
    after: Option<PageEnd>,
    len_max: u32,
) -> Result<Vec<Order>, Error> {
    let mut query = QueryBuilder::new(ITEMS);
    query.push("SELECT ").push(columns::ORDER);
    query.push(" FROM orders WHERE item_id IN (SELECT item_id FROM items) AND user_id = ");
    query.push_bind(user.as_bytes().as_slice());
    if let Some(PageEnd { placed_at_ms, order }) = &after {
        query.push(" AND (placed_at_ms, order_id) < (");
        query.push_bind(columns::signed(*placed_at_ms)?).push(", ");
        query.push_bind(order.as_bytes().as_slice()).push(")");
    }
    query.push(" ORDER BY placed_at_ms DESC, order_id DESC LIMIT ");
    query.push_bind(i64::from(len_max));
    let found = query.build().fetch_all(connection).await?;
    found.iter().map(rows::order).collect()
}

/// Where to go on, in every partition for which that was ever written down.
pub(super) async fn positions(
    connection: &mut SqliteConnection,
    journal_identity: &str,
) -> Result<Vec<(u32, Position)>, Error> {
    let found = sqlx::query(
        "SELECT next_offset, generation, last_digest, partition_id FROM journal_position \
         WHERE journal_identity = ?",
    )
    .bind(journal_identity)
    .fetch_all(connection)
    .await?;
    found.iter().map(|row| Ok((rows::number(row, 3)?, rows::position(row)?))).collect()
}

/// 0 while the journal's partition was never read.
pub(super) async fn generation(
    connection: &mut SqliteConnection,
    journal_identity: &str,
    partition: u32,
) -> Result<u64, Error> {
    let row = sqlx::query(
        "SELECT generation FROM journal_position WHERE journal_identity = ? AND partition_id = ?",
    )
    .bind(journal_identity)
    .bind(i64::from(partition))
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(0), |row| rows::number(&row, 0))
}

/// How many orders [`page`]s of a shard have in all.
pub(super) async fn count_for_snapshot(
    connection: &mut SqliteConnection,
    shard: ShardNo,
) -> Result<u64, Error> {
    let (low, high) = columns::stretch_after(shard, None);
    let row = sqlx::query("SELECT COUNT(*) FROM orders WHERE order_id > ? AND order_id <= ?")
        .bind(low.as_slice())
        .bind(high.as_slice())
        .fetch_one(connection)
        .await?;
    rows::number(&row, 0)
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    shard: ShardNo,
    after: Option<OrderId>,
    len_max: usize,
) -> Result<Vec<SnapshotOrder>, Error> {
    let (low, high) = columns::stretch_after(shard, after);
    let found = sqlx::query(
        "SELECT order_id, user_id, quantity, state FROM orders \
         WHERE order_id > ? AND order_id <= ? ORDER BY order_id LIMIT ?",
    )
    .bind(low.as_slice())
    .bind(high.as_slice())
    .bind(i64::try_from(len_max).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let order = |row| {
        Ok(SnapshotOrder {
            id: rows::order_id(row, 0)?,
            user: UserId::from_bytes(rows::blob(row, 1)?),
            quantity: rows::number(row, 2)?,
            state: rows::state(row, 3)?,
        })
    };
    found.iter().map(order).collect()
}
