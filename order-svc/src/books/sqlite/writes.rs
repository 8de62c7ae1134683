//! What a batch's transaction writes, as sets. Each function is one step of the sequence in
//! `SqliteBooks::attempt`.

use std::collections::BTreeSet;

use ids::{Epoch, OrderId, ShardNo};
use sqlx::{QueryBuilder, SqliteConnection};
use store::Trouble;

use super::rows;
use crate::{
    books::{Error, Position, basis::Basis, columns},
    domain::{Guard, Order},
    fold::{DeadLetter, GuardChange},
};

/// The position row of a partition, made if there is none.
pub(super) async fn position(
    connection: &mut SqliteConnection,
    journal_identity: &str,
    partition: u32,
) -> Result<Position, Error> {
    sqlx::query(
        "INSERT INTO journal_position (journal_identity, partition_id, next_offset, generation) \
         VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING",
    )
    .bind(journal_identity)
    .bind(i64::from(partition))
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query(
        "SELECT next_offset, generation, last_digest FROM journal_position \
         WHERE journal_identity = ? AND partition_id = ?",
    )
    .bind(journal_identity)
    .bind(i64::from(partition))
    .fetch_one(connection)
    .await?;
    rows::position(&row)
}

/// Compare-and-set. Whether `expected` was the position.
pub(super) async fn move_position(
    connection: &mut SqliteConnection,
    journal_identity: &str,
    partition: u32,
    expected: &Position,
    next: &Position,
) -> Result<bool, Error> {
    let moved = sqlx::query(
        "UPDATE journal_position SET next_offset = ?, generation = ?, last_digest = ? \
         WHERE journal_identity = ? AND partition_id = ? AND next_offset = ? AND generation = ?",
    )
    .bind(columns::signed(next.next_offset)?)
    .bind(columns::signed(next.generation)?)
    .bind(next.last_digest.as_ref().map(<[u8; 32]>::as_slice))
    .bind(journal_identity)
    .bind(i64::from(partition))
    .bind(columns::signed(expected.next_offset)?)
    .bind(columns::signed(expected.generation)?)
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

pub(super) async fn guards(
    connection: &mut SqliteConnection,
    changes: &[GuardChange],
) -> Result<(), Error> {
    for change in changes {
        match change {
            GuardChange::Opened(guard) => open(connection, guard).await?,
            GuardChange::Moved { shard, sold_more, open_epoch } => {
                // The guard of I-1, once more where it can't be forgotten.
                let moved = sqlx::query(
                    "UPDATE shard SET sold = sold + ?1, open_epoch = ?2 \
                     WHERE shard_no = ?3 AND sold + ?1 <= total",
                )
                .bind(columns::signed(*sold_more)?)
                .bind(Epoch::to_wire(*open_epoch))
                .bind(i64::from(shard.get()))
                .execute(&mut *connection)
                .await?;
                if moved.rows_affected() != 1 {
                    let what = format!("the guard of shard {shard} refuses what the fold allowed");
                    return Err(Error::Damaged(what));
                }
            }
        }
    }
    Ok(())
}

async fn open(connection: &mut SqliteConnection, guard: &Guard) -> Result<(), Error> {
    let mut query = QueryBuilder::new("INSERT INTO shard (");
    query.push(columns::GUARD).push(") VALUES (");
    let mut list = query.separated(", ");
    list.push_bind(i64::from(guard.shard.get()))
        .push_bind(i64::from(guard.partition))
        .push_bind(guard.sale.as_bytes().as_slice())
        .push_bind(guard.item.as_bytes().as_slice())
        .push_bind(columns::signed(guard.total)?)
        .push_bind(i64::from(guard.limit_per_user))
        .push_bind(&guard.currency)
        .push_bind(i64::from(guard.pay_within_s))
        .push_bind(columns::signed(guard.sold)?)
        .push_bind(Epoch::to_wire(guard.open_epoch))
        .push_bind(guard.unit_price);
    query.push(")");
    query.build().execute(connection).await?;
    Ok(())
}

/// Writes new rows. Returns those that a unique key refuses: the transaction is good for nothing
/// then but to have found out which.
pub(super) async fn orders(
    connection: &mut SqliteConnection,
    orders: &[Order],
    single: &BTreeSet<ShardNo>,
    basis: &Basis,
) -> Result<Vec<OrderId>, Error> {
    let mut refused = Vec::new();
    for chunk in columns::chunks(orders) {
        if *basis == Basis::Presumed {
            // A failed one leaves the rows before the refused one. The transaction ends then, so
            // SQLite needn't copy each page for taking a statement back.
            if !insert(connection, "INSERT OR FAIL", chunk, single).await? {
                return Ok(chunk.iter().map(|order| order.id).collect());
            }
            continue;
        }
        // A failed statement leaves none of its rows, and the transaction as it was.
        if insert(connection, "INSERT", chunk, single).await? {
            continue;
        }
        for order in chunk {
            if !insert(connection, "INSERT", std::slice::from_ref(order), single).await? {
                refused.push(order.id);
            }
        }
    }
    Ok(refused)
}

/// Whether no unique key refused them.
async fn insert(
    connection: &mut SqliteConnection,
    verb: &str,
    orders: &[Order],
    single: &BTreeSet<ShardNo>,
) -> Result<bool, Error> {
    let mut query = QueryBuilder::new(verb);
    query.push(" INTO orders (").push(columns::ORDER).push(", shard_no, live_slot) ");
    let times = orders.iter().map(|order| {
        let [held, placed, pay_by] = [order.held_at_ms, order.placed_at_ms, order.pay_by_ms];
        Ok((order, columns::signed(held)?, columns::signed(placed)?, columns::signed(pay_by)?))
    });
    let times = times.collect::<Result<Vec<_>, Error>>()?;
    query.push_values(times, |mut row, (order, held_at_ms, placed_at_ms, pay_by_ms)| {
        let shard = order.id.shard();
        let live_slot = (order.state.is_live() && single.contains(&shard)).then_some(1_i64);
        row.push_bind(order.id.as_bytes().as_slice())
            .push_bind(order.user.as_bytes().as_slice())
            .push_bind(order.sale.as_bytes().as_slice())
            .push_bind(order.item.as_bytes().as_slice())
            .push_bind(i64::from(order.quantity))
            .push_bind(order.unit_price)
            .push_bind(order.currency.as_str())
            .push_bind(columns::state_number(order.state))
            .push_bind(held_at_ms)
            .push_bind(placed_at_ms)
            .push_bind(pay_by_ms)
            .push_bind(order.refusal.map(columns::refusal_number))
            .push_bind(i64::from(shard.get()))
            .push_bind(live_slot);
    });
    match query.build().execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(store::trouble(&error), Trouble::Duplicate) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn dead_letters(
    connection: &mut SqliteConnection,
    journal_identity: &str,
    partition: u32,
    letters: &[DeadLetter],
    now_ms: u64,
) -> Result<(), Error> {
    for letter in letters {
        // A replay finds the same ones again.
        sqlx::query(
            "INSERT INTO dead_letter (journal_identity, partition_id, record_offset, digest, \
             reason, bytes, found_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(journal_identity)
        .bind(i64::from(partition))
        .bind(columns::signed(letter.offset)?)
        .bind(letter.digest.as_slice())
        .bind(&letter.reason)
        .bind(letter.bytes.as_ref())
        .bind(columns::signed(now_ms)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
