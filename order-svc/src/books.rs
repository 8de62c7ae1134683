//! The promise of the books: orders, guard rows, journal positions and dead letters, and one
//! transaction for each batch of records. Who keeps it passes `contract.rs`. What a record means is
//! the [fold](crate::fold)'s; what a row looks like, the keeper's.

use async_trait::async_trait;
use futures::stream::BoxStream;
use ids::{Epoch, OrderId, ShardNo, UserId};
use law::OrderState;

use crate::{
    domain::{Guard, Order},
    fold::{Entry, Outcome},
};

mod open;

pub mod mysql;
pub mod sqlite;

mod basis;
mod columns;

pub(crate) use open::{migrate, open};

/// Rows that a snapshot hands over at a time, at most.
pub const SNAPSHOT_PAGE_LEN_MAX: usize = 4096;

/// The books of one journal. Every read shows what is committed, on the primary; but an order or a
/// list of them may come from a replica, if there is one, and be a little old.
#[async_trait]
pub trait Books: Send + Sync {
    /// What keeps them, as traces name it.
    fn system(&self) -> &'static str;

    /// How many connections to it there are.
    fn connected(&self) -> store::Connected;

    /// Whether the store answers, and can be written as far as that is known.
    ///
    /// # Errors
    /// If it doesn't, or can't.
    async fn ping(&self) -> Result<(), Error>;

    /// Where to go on in a partition; its beginning if the books never heard of it.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn position(&self, partition: u32) -> Result<Position, Error>;

    /// All positions of this journal that were ever written down, of one moment.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn positions(&self) -> Result<Vec<(u32, Position)>, Error>;

    /// Folds `entries` into the books, in one transaction, and moves the position behind them.
    /// `expected` must be the position still, else nothing happens. `now_ms` becomes the time of
    /// new rows. May be dropped at any await, or fail with its outcome unknown: then all of it is
    /// done or nothing, and the position tells which.
    ///
    /// # Errors
    /// If the store doesn't answer or contradicts itself.
    async fn apply(
        &self,
        partition: u32,
        expected: &Position,
        entries: &[Entry],
        now_ms: u64,
    ) -> Result<Applied, Error>;

    /// Moves the position back to `offset`, to read the log again from there. `None` if `expected`
    /// isn't the position any more.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn rewind(
        &self,
        partition: u32,
        expected: &Position,
        offset: u64,
    ) -> Result<Option<Position>, Error>;

    /// One order. That there is none is the primary's word.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error>;

    /// A user's orders, the newest first: `len_max` at most, from behind `after` on.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn orders_of(
        &self,
        user: UserId,
        after: Option<PageEnd>,
        len_max: u32,
    ) -> Result<Vec<Order>, Error>;

    /// Which of `ids` there are.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn find(&self, ids: &[OrderId]) -> Result<Found, Error>;

    /// The guard row of a shard.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn guard(&self, shard: ShardNo) -> Result<Option<Guarded>, Error>;

    /// The highest shard number that a guard row or an order id has; 0 if there is none.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn highest_shard(&self) -> Result<u32, Error>;

    /// All that a load needs of a shard, in one transaction that itself shows `epoch` open.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn snapshot(&self, shard: ShardNo, epoch: Epoch) -> Result<Snapshot, Error>;

    /// Counts the rows of a shard one by one; slow on purpose.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn count(&self, shard: ShardNo) -> Result<Option<Count>, Error>;

    /// The guard rows of shards with a higher number than `after`, by number: `len_max` at most.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn guards_after(&self, after: Option<ShardNo>, len_max: u32)
    -> Result<Vec<Guard>, Error>;

    /// How many orders belong to a shard without a guard row; slow on purpose.
    ///
    /// # Errors
    /// If the store doesn't answer.
    async fn orders_without_shard(&self) -> Result<u64, Error>;
}

/// Where a partition's next record will be read, and what stands before that place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The offset of the next record.
    pub next_offset: u64,
    /// Grows with each transaction; a lower one than before says that the books are an older copy.
    pub generation: u64,
    /// SHA-256 of the record before; `None` if there is nothing to compare with.
    pub last_digest: Option<[u8; 32]>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is in the books.
    Committed {
        /// Where to go on.
        position: Position,
        /// What was written, and what follows from it.
        outcome: Outcome,
    },
    /// Nothing happened: someone else moved the position. Drop everything and read it again.
    PositionMoved,
}

/// The last order of a page; the next page begins behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageEnd {
    /// Its time.
    pub placed_at_ms: u64,
    /// Its id.
    pub order: OrderId,
}

/// What the books know of some order ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The known ones.
    pub orders: Vec<Order>,
    /// Each known shard that the asked ids belong to, of the same moment.
    pub shards: Vec<Guarded>,
}

/// A guard row, and the generation of its partition's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// The row.
    pub guard: Guard,
    /// See [`Position::generation`].
    pub generation: u64,
}

/// The answer to [`Books::snapshot`].
pub enum Snapshot {
    /// No guard row.
    UnknownShard,
    /// Another epoch is open, or none yet.
    OtherEpoch(Option<Epoch>),
    /// The asked one is.
    Open {
        /// The guard row.
        guarded: Guarded,
        /// The highest number of a movement; 0 while there are none.
        movement_watermark: u64,
        /// How many orders follow.
        orders: u64,
        /// Them, by id, at most [`SNAPSHOT_PAGE_LEN_MAX`] a page. Holds the transaction until it is
        /// read to its end or dropped: give it a deadline.
        pages: BoxStream<'static, Result<Vec<SnapshotOrder>, Error>>,
    },
}

/// What a load needs to know of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOrder {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// Units.
    pub quantity: u32,
    /// Live ones count, the others are tombstones.
    pub state: OrderState,
}

/// The rows of a shard, counted; its guard row beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The guard row, which the counts should agree with.
    pub guard: Guard,
    /// Rows that are PLACED or PAID.
    pub live_orders: u64,
    /// Their units.
    pub live_units: u64,
    /// Rows that are REJECTED.
    pub rejected_orders: u64,
    /// Rows whose order id another row of any shard has too.
    pub duplicate_orders: u64,
    /// The most live units that one user has of the shard's item.
    pub user_units_max: u64,
    /// The highest number of a movement; 0 while there are none.
    pub movement_watermark: u64,
    /// Of the shard's partition: what can't be read names no shard.
    pub dead_letters: u64,
    /// What rows but rejected ones say beside their units.
    pub terms: RowTerms,
}

/// What the rows of a shard say of what was sold, rejected ones apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowTerms {
    /// Rows whose sale, item or currency isn't that of the guard row.
    pub foreign_orders: u64,
    /// The least and the highest price of a row; `None` if there are none.
    pub unit_prices: Option<(i64, i64)>,
    /// The most units that one row has.
    pub quantity_max: Option<u32>,
}

/// The store didn't do it. Whether a write has happened is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another writer has it just now.
    #[error("the books are busy: {0}")]
    Busy(String),
    /// It can't be reached, or the connection was lost on the way.
    #[error("the books do not answer: {0}")]
    Lost(String),
    /// Rows contradict each other or can't be read.
    #[error("the books are damaged: {0}")]
    Damaged(String),
    /// Anything else that the store says.
    #[error("the books failed: {0}")]
    Failed(String),
}

#[cfg(test)]
pub(crate) mod contract;
