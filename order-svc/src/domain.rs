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
/// wrong, so each is an alarm.
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
}

impl Guard {
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
