//! An item of a scheduled sale: the facts that never change once the sale has its window, so they
//! may be cached for ever. How much is left isn't one of them.

use std::time::Duration;

use ids::{ItemId, SaleId, ShardNo, UserId};

/// When an item is sold. Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Tickets are issued from here on.
    pub(crate) tickets_from_ms: u64,
    /// The window is `[opens_ms, closes_ms)`.
    pub(crate) opens_ms: u64,
    /// See `opens_ms`.
    pub(crate) closes_ms: u64,
}

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    /// ISO 4217.
    pub currency: String,
    /// Not negative.
    pub minor_units: i64,
}

/// A part of an item's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) no: ShardNo,
    /// What it is a part of.
    pub(crate) item: ItemId,
    /// Of the journal.
    pub(crate) partition: u32,
    /// L: how long after its Reserve call an answer may still be a promise.
    pub(crate) lease: Duration,
}

/// Something offered in one sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: ItemId,
    pub(crate) sale: SaleId,
    pub(crate) sku: String,
    pub(crate) title: String,
    pub(crate) price: Money,
    pub(crate) total_units: u32,
    pub(crate) limit_per_user: u32,
    pub(crate) window: Window,
    /// Never empty.
    pub(crate) shards: Vec<Shard>,
}

impl Item {
    /// The place in `shards` of the shard that serves a user.
    pub(crate) fn place_for(&self, user: UserId) -> usize {
        ShardNo::index_for(self.id, user, self.shards.len())
    }
}
