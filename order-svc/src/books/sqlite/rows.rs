//! How things stand in rows, and how they are read back: ids are blobs of 16 bytes, epochs have 0
//! for none, counts are 64-bit. What can't be read back is damage and is said so.

use ids::{Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use law::OrderState;
use sqlx::{Row, sqlite::SqliteRow};

use crate::{
    books::Error,
    domain::{Guard, Order},
};

/// The columns that [`order`] reads, in its order.
pub(super) const ORDER_COLUMNS: &str = "order_id, user_id, sale_id, item_id, quantity, unit_price, \
     currency, state, held_at_ms, placed_at_ms, pay_by_ms";

/// The columns that [`guard`] reads, in its order.
pub(super) const GUARD_COLUMNS: &str = "shard_no, partition_id, sale_id, item_id, total, \
     limit_per_user, currency, pay_within_s, sold, open_epoch";

pub(super) fn order(row: &SqliteRow) -> Result<Order, Error> {
    Ok(Order {
        id: order_id(row, 0)?,
        user: UserId::from_bytes(blob(row, 1)?),
        sale: SaleId::from_bytes(blob(row, 2)?),
        item: ItemId::from_bytes(blob(row, 3)?),
        quantity: number(row, 4)?,
        unit_price: row.try_get(5)?,
        currency: row.try_get(6)?,
        state: state(row, 7)?,
        held_at_ms: number(row, 8)?,
        placed_at_ms: number(row, 9)?,
        pay_by_ms: number(row, 10)?,
    })
}

pub(super) fn guard(row: &SqliteRow) -> Result<Guard, Error> {
    let shard = ShardNo::new(number(row, 0)?).map_err(|error| damaged("shard_no", &error))?;
    let open_epoch =
        Epoch::from_wire(row.try_get(9)?).map_err(|error| damaged("open_epoch", &error))?;
    Ok(Guard {
        shard,
        partition: number(row, 1)?,
        sale: SaleId::from_bytes(blob(row, 2)?),
        item: ItemId::from_bytes(blob(row, 3)?),
        total: number(row, 4)?,
        limit_per_user: number(row, 5)?,
        currency: row.try_get(6)?,
        pay_within_s: number(row, 7)?,
        sold: number(row, 8)?,
        open_epoch,
    })
}

pub(super) fn order_id(row: &SqliteRow, column: usize) -> Result<OrderId, Error> {
    OrderId::from_bytes(blob(row, column)?).map_err(|error| damaged("order_id", &error))
}

pub(super) fn blob<const LEN: usize>(row: &SqliteRow, column: usize) -> Result<[u8; LEN], Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|error| damaged("a blob", &error))
}

pub(super) fn number<N>(row: &SqliteRow, column: usize) -> Result<N, Error>
where
    N: TryFrom<i64>,
    N::Error: std::fmt::Display,
{
    let number: i64 = row.try_get(column)?;
    N::try_from(number).map_err(|error| damaged("a number", &error))
}

/// A count or a time for a column.
pub(super) fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Failed(format!("{number} is too large for a column")))
}

pub(super) fn state(row: &SqliteRow, column: usize) -> Result<OrderState, Error> {
    match row.try_get::<i64, _>(column)? {
        1 => Ok(OrderState::Placed),
        2 => Ok(OrderState::Paid),
        3 => Ok(OrderState::Cancelled),
        4 => Ok(OrderState::Expired),
        5 => Ok(OrderState::Rejected),
        other => Err(damaged("state", &other)),
    }
}

pub(super) const fn state_number(state: OrderState) -> i64 {
    match state {
        OrderState::Placed => 1,
        OrderState::Paid => 2,
        OrderState::Cancelled => 3,
        OrderState::Expired => 4,
        OrderState::Rejected => 5,
    }
}

fn damaged(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Damaged(format!("{what} can't be read back: {why}"))
}

/// Cuts a list into a few fixed lengths, so that a handful of statements serve any batch and stay
/// prepared, and none has more variables than SQLite takes (32,766).
pub(super) fn chunks<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    const LENGTHS: [usize; 5] = [256, 64, 16, 4, 1];
    std::iter::from_fn(move || {
        let len = LENGTHS.into_iter().find(|len| *len <= rest.len())?;
        let (chunk, later) = rest.split_at(len);
        rest = later;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_few_lengths_and_lose_nothing() {
        let all: Vec<_> = (0..600).collect();
        let lengths: Vec<_> = chunks(&all).map(<[i32]>::len).collect();
        assert_eq!(lengths, [256, 256, 64, 16, 4, 4]);
        assert_eq!(chunks(&all).flatten().copied().collect::<Vec<_>>(), all);
        assert_eq!(chunks::<i32>(&[]).count(), 0);
    }
}
