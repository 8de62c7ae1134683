//! What the stock of a shard answers: to a batch, to decisions of the books, to who looks or
//! counts.

use ids::Epoch;

use crate::domain::{EntryAnswer, Settled};

/// What became of decisions of the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// All that is known of these orders is settled.
    Applied {
        /// How many live orders the books refused. That can't be while the ledger is right: alarm,
        /// and load the shard.
        rejected: u32,
    },
    /// Nothing was done: a higher generation was seen before, so the books are an older copy. Load
    /// the shard.
    GenerationLower {
        /// The highest one seen.
        seen: u64,
    },
    /// Nothing was done: another epoch is loaded, so these holds are not there.
    OtherEpoch,
}

/// What is known of an order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// An open hold.
    Open,
    /// The books have decided it.
    Settled(Settled),
    /// Nothing: it was never taken, or in an epoch that doesn't count.
    Nothing,
    /// As little, but attempts so far could not be barred, so one of them may still take a hold.
    Unsure,
}

/// What is known of several orders, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// By the keeper's clock, in microseconds since the Unix epoch.
    pub now_us: u64,
    /// One for each order, in their order.
    pub found: Vec<Found>,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// See [`Look`].
    pub now_us: u64,
    /// One for each entry, in their order.
    pub answers: Vec<EntryAnswer>,
}

/// What one shard holds, counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The epoch that is loaded.
    pub epoch: Epoch,
    /// Units for sale.
    pub stock: u64,
    /// Holds that the books have not decided.
    pub open_holds: u64,
    /// Their units.
    pub open_units: u64,
    /// Orders that are live in the books, as far as the ledger was told.
    pub placed_orders: u64,
    /// Their units.
    pub placed_units: u64,
    /// Ids that can't be taken again.
    pub tombstones: u64,
    /// The units that the limit counts, summed user by user.
    pub user_units: u64,
    /// The most that one user has.
    pub user_units_max: u32,
    /// The last movement that was applied.
    pub movement_watermark: u64,
    /// Age of the oldest open hold in milliseconds, 0 if there is none.
    pub oldest_open_ms: u64,
}
