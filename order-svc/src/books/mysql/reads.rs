//! What is read: for a batch, for an answer, for a load.

use std::collections::BTreeMap;

use ids::{ItemId, OrderId, ShardNo, UserId};
use law::OrderState;
use sqlx::{MySqlConnection, QueryBuilder};

use super::rows;
use crate::{
    books::{Error, Guarded, PageEnd, Position, SnapshotOrder, basis::Basis, columns},
    domain::{Guard, Order},
    fold::{Touched, View},
};

/// Rows that a batch touches, and nothing else, or what is presumed of them. Inside a write
/// transaction they stay true.
pub(super) async fn view(
    connection: &mut MySqlConnection,
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
pub(super) async fn highest_shard(connection: &mut MySqlConnection) -> Result<u32, Error> {
    let guard: Option<i64> =
        sqlx::query_scalar("SELECT MAX(shard_no) FROM shard").fetch_one(&mut *connection).await?;
    let order: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT MAX(order_id) FROM orders").fetch_one(&mut *connection).await?;
    columns::highest_shard(guard, order.as_deref())
}

pub(super) async fn guards(
    connection: &mut MySqlConnection,
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
    connection: &mut MySqlConnection,
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
    connection: &mut MySqlConnection,
    item: ItemId,
    users: &[UserId],
    units: &mut BTreeMap<(ItemId, UserId), u64>,
) -> Result<(), Error> {
    for chunk in columns::chunks(users) {
        let mut query = QueryBuilder::new(
            "SELECT user_id, CAST(SUM(quantity) AS SIGNED) FROM orders \
             WHERE state IN (1, 2) AND item_id = ",
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
    connection: &mut MySqlConnection,
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

pub(super) async fn orders_of(
    connection: &mut MySqlConnection,
    user: UserId,
    after: Option<PageEnd>,
    len_max: u32,
) -> Result<Vec<Order>, Error> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(columns::ORDER).push(" FROM orders WHERE user_id = ");
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

/// The guard rows of those of `shards` that there are, each with the generation of its partition's
/// position: 0 while the journal's partition was never read. One statement, so of one moment.
pub(super) async fn guarded(
    connection: &mut MySqlConnection,
    journal_identity: &str,
    shards: &[ShardNo],
) -> Result<Vec<Guarded>, Error> {
    let mut guarded = Vec::new();
    for chunk in columns::chunks(shards) {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns::GUARD).push(
            ", COALESCE((SELECT generation FROM journal_position AS place \
             WHERE place.partition_id = shard.partition_id AND place.journal_identity = ",
        );
        query.push_bind(journal_identity).push("), 0) FROM shard WHERE shard_no IN (");
        let mut list = query.separated(", ");
        for shard in chunk {
            list.push_bind(i64::from(shard.get()));
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *connection).await? {
            guarded
                .push(Guarded { guard: rows::guard(&row)?, generation: rows::number(&row, 11)? });
        }
    }
    Ok(guarded)
}

/// Where to go on in a partition, if that was ever written down.
pub(super) async fn position(
    connection: &mut MySqlConnection,
    journal_identity: &str,
    partition: u32,
) -> Result<Option<Position>, Error> {
    let row = sqlx::query(
        "SELECT next_offset, generation, last_digest FROM journal_position \
         WHERE journal_identity = ? AND partition_id = ?",
    )
    .bind(journal_identity)
    .bind(i64::from(partition))
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(rows::position).transpose()
}

/// The same of every partition for which that was ever written down.
pub(super) async fn positions(
    connection: &mut MySqlConnection,
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

/// How many orders [`page`]s of a shard have in all.
pub(super) async fn count_for_snapshot(
    connection: &mut MySqlConnection,
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
    connection: &mut MySqlConnection,
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
