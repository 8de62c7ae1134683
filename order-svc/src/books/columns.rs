//! How values stand in the rows of every SQL keeper: which columns, in which order, and what is a
//! number there. A driver's types are the keeper's own.

use std::collections::{BTreeMap, BTreeSet};

use ids::{OrderId, ShardNo};
use law::OrderState;

use super::Error;
use crate::{
    domain::{Guard, Refusal},
    fold::GuardChange,
};

/// The columns of an order that are read back, in their order.
pub(super) const ORDER: &str = "order_id, user_id, sale_id, item_id, quantity, unit_price, \
     currency, state, held_at_ms, placed_at_ms, pay_by_ms, refusal";

/// The columns of a guard row, in their order.
pub(super) const GUARD: &str = "shard_no, partition_id, sale_id, item_id, total, \
     limit_per_user, currency, pay_within_s, sold, open_epoch, unit_price";

/// A count or a time for a column.
pub(super) fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Failed(format!("{number} is too large for a column")))
}

pub(super) fn state(number: i64) -> Result<OrderState, Error> {
    match number {
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

pub(super) fn refusal(number: i64) -> Result<Refusal, Error> {
    match number {
        1 => Ok(Refusal::Oversold),
        2 => Ok(Refusal::OverLimit),
        3 => Ok(Refusal::Key),
        4 => Ok(Refusal::OtherItem),
        5 => Ok(Refusal::OtherPrice),
        other => Err(damaged("refusal", &other)),
    }
}

pub(super) const fn refusal_number(refusal: Refusal) -> i64 {
    match refusal {
        Refusal::Oversold => 1,
        Refusal::OverLimit => 2,
        Refusal::Key => 3,
        Refusal::OtherItem => 4,
        Refusal::OtherPrice => 5,
    }
}

/// The shards of a batch whose item has a limit of 1: their live orders have the user's only
/// `live_slot`.
pub(super) fn single_unit_shards(
    known: &BTreeMap<ShardNo, Guard>,
    changes: &[GuardChange],
) -> BTreeSet<ShardNo> {
    let opened = changes.iter().filter_map(|change| match change {
        GuardChange::Opened(guard) => Some(guard),
        GuardChange::Moved { .. } => None,
    });
    let guards = known.values().chain(opened).filter(|guard| guard.limit_per_user == 1);
    guards.map(|guard| guard.shard).collect()
}

/// A value that the keeper can't have written.
pub(super) fn damaged(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Damaged(format!("{what} can't be read back: {why}"))
}

/// The number of the last guard row or of the last order, whichever is higher.
pub(super) fn highest_shard(guard: Option<i64>, order: Option<&[u8]>) -> Result<u32, Error> {
    let guard = u32::try_from(guard.unwrap_or_default());
    let guard = guard.map_err(|error| damaged("a shard number", &error))?;
    let order = order.map(OrderId::try_from).transpose();
    let order = order.map_err(|error| damaged("an order id", &error))?;
    Ok(order.map_or(0, |order| order.shard().get()).max(guard))
}

/// The ids that a shard's orders can have, which begin with its number: from behind `after` on, if
/// there is one, and behind the first of the two up to and with the second.
pub(super) fn stretch_after(shard: ShardNo, after: Option<OrderId>) -> ([u8; 16], [u8; 16]) {
    let (mut low, mut high) = ([0; 16], [0xff; 16]);
    low[..4].copy_from_slice(&shard.get().to_be_bytes());
    high[..4].copy_from_slice(&shard.get().to_be_bytes());
    (after.map_or(low, |id| *id.as_bytes()), high)
}

/// Cuts a list into a few fixed lengths, so that a handful of statements serve any batch and stay
/// prepared, and none has more variables than a store takes (SQLite 32,766, MySQL 65,535).
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

    #[test]
    fn states_are_read_back_as_they_were_written() {
        for number in 1..=5 {
            assert_eq!(state_number(state(number).unwrap()), number);
        }
        assert!(state(0).is_err() && state(6).is_err());
        for number in 1..=5 {
            assert_eq!(refusal_number(refusal(number).unwrap()), number);
        }
        assert!(refusal(0).is_err() && refusal(6).is_err());
    }
}
