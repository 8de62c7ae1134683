//! What the books are about: orders and the guard of a shard. Keeps I-1 and the half of I-4 that
//! limits a user ([`Guard::admits`]); the life of an order is `law::moves_forward`. Pure: it knows
//! no clock, store or message.

use ids::{Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use law::OrderState;

/// A row of the books. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    /// Its id, which also names its shard.
    pub id: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// The sale of its item.
    pub sale: SaleId,
    /// What was bought.
    pub item: ItemId,
    /// At least 1.
    pub quantity: u32,
    /// The price that the ticket fixed, per unit, in minor units of `currency`.
    pub unit_price: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where it is in its life.
    pub state: OrderState,
    /// When the ledger took the hold, by the ledger's clock.
    pub held_at_ms: u64,
    /// When the row was written.
    pub placed_at_ms: u64,
    /// Until when it may be paid, counted from `placed_at_ms`: a buyer whose hold was rolled
    /// forward late has the whole time.
    pub pay_by_ms: u64,
    /// Why the books refused it, if they did and this is known.
    pub refusal: Option<Refusal>,
}

/// The guard row of a shard: what was offered, and how much of it is sold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guard {
    /// The shard.
    pub shard: ShardNo,
    /// The journal partition whose writer owns this row.
    pub partition: u32,
    /// The item's sale.
    pub sale: SaleId,
    /// The item that this is a part of.
    pub item: ItemId,
    /// Units of this shard.
    pub total: u64,
    /// The most live units of the item that one user may have.
    pub limit_per_user: u32,
    /// The item's price per unit, in minor units of `currency`. None in a row that was made by a
    /// version which didn't keep it: then no price is refused.
    pub unit_price: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// How long an order may wait for its payment, in seconds.
    pub pay_within_s: u32,
    /// Units of live orders. At most `total` (I-1).
    pub sold: u64,
    /// The epoch whose records count; `None` before the first load.
    pub open_epoch: Option<Epoch>,
}

/// Why the books refuse a hold. None of them can happen in an open epoch unless the ledger was
/// wrong, or somebody wrote who may not, so each is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// I-1: more units than are left.
    #[error("the shard has fewer units left")]
    Oversold,
    /// I-4: more units than one user may have.
    #[error("the user would have more units than the limit")]
    OverLimit,
    /// A unique key of the books refused the row.
    #[error("a unique key refuses the row")]
    Key,
    /// The record says that it is of another item than the shard is part of.
    #[error("the hold is of another item than the shard's")]
    OtherItem,
    /// Not the item's price.
    #[error("the hold has another price than the item")]
    OtherPrice,
}

impl Refusal {
    /// Each in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Oversold => "oversold",
            Self::OverLimit => "over_limit",
            Self::Key => "key",
            Self::OtherItem => "other_item",
            Self::OtherPrice => "other_price",
        }
    }
}

impl Guard {
    /// Whether a hold at `unit_price`, whose record is of `item`, can be one of this shard's. Both
    /// are fixed before the first hold, so one that differs was never rightly taken.
    ///
    /// # Errors
    /// What contradicts it: the item, then the price.
    pub fn agrees(&self, item: Option<ItemId>, unit_price: i64) -> Result<(), Refusal> {
        if item.is_some_and(|item| item != self.item) {
            return Err(Refusal::OtherItem);
        }
        match self.unit_price {
            Some(known) if known != unit_price => Err(Refusal::OtherPrice),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether `quantity` more units may go to a user who has `user_units` live ones of the item.
    ///
    /// # Errors
    /// The first rule that they would break: the guard, then the limit.
    pub fn admits(&self, user_units: u64, quantity: u32) -> Result<(), Refusal> {
        let quantity = u64::from(quantity);
        let sold = self.sold.checked_add(quantity).ok_or(Refusal::Oversold)?;
        law::no_oversell(self.total, sold).map_err(|_| Refusal::Oversold)?;
        let units = user_units.checked_add(quantity).ok_or(Refusal::OverLimit)?;
        law::within_limit(self.limit_per_user, units).map_err(|_| Refusal::OverLimit)
    }
}
