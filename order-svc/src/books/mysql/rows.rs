//! How things stand in rows, and how they are read back: ids are blobs of 16 bytes, epochs have 0
//! for none, counts are 64-bit. What can't be read back is damage and is said so.

use ids::{Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use law::OrderState;
use sqlx::{Row, mysql::MySqlRow};

use crate::{
    books::{
        Error, Position,
        columns::{self, damaged},
    },
    domain::{Guard, Order},
};

/// From the columns [`columns::ORDER`].
pub(super) fn order(row: &MySqlRow) -> Result<Order, Error> {
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
        refusal: row.try_get::<Option<i64>, _>(11)?.map(columns::refusal).transpose()?,
    })
}

/// From the columns [`columns::GUARD`].
pub(super) fn guard(row: &MySqlRow) -> Result<Guard, Error> {
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
        unit_price: row.try_get(10)?,
    })
}

/// From `next_offset`, `generation` and `last_digest`.
pub(super) fn position(row: &MySqlRow) -> Result<Position, Error> {
    let digest: Option<&[u8]> = row.try_get(2)?;
    Ok(Position {
        next_offset: number(row, 0)?,
        generation: number(row, 1)?,
        last_digest: digest.map(|_| blob(row, 2)).transpose()?,
    })
}

pub(super) fn order_id(row: &MySqlRow, column: usize) -> Result<OrderId, Error> {
    OrderId::from_bytes(blob(row, column)?).map_err(|error| damaged("order_id", &error))
}

pub(super) fn blob<const LEN: usize>(row: &MySqlRow, column: usize) -> Result<[u8; LEN], Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|error| damaged("a blob", &error))
}

pub(super) fn number<N>(row: &MySqlRow, column: usize) -> Result<N, Error>
where
    N: TryFrom<i64>,
    N::Error: std::fmt::Display,
{
    let number: i64 = row.try_get(column)?;
    N::try_from(number).map_err(|error| damaged("a number", &error))
}

pub(super) fn state(row: &MySqlRow, column: usize) -> Result<OrderState, Error> {
    columns::state(row.try_get(column)?)
}
