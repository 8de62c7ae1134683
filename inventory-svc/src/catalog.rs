//! The catalog's promise: the plan of every sale, and for each shard which epoch may be used. An
//! epoch changes by compare-and-set only, on ids that are never used twice (law B), so whoever was
//! overtaken finds out here. Every call reads and writes the primary. What is due, over or
//! abandoned is judged by the store's own clock, one for all processes. It does not know the ledger
//! or the books.

mod open;

pub mod mysql;
pub mod sqlite;

mod columns;
#[cfg(test)]
pub mod contract;

pub(crate) use open::{migrate, open};

use std::time::Duration;

use async_trait::async_trait;
use ids::{Epoch, ItemId, SaleId, ShardNo};

use crate::domain::sale::{Item, NewSale, Phase, Sale, Schedule, Shard, State};

/// Who keeps the plan.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Stores a checked sale as DRAFT, with one shard per item; the same (operator, request id)
    /// again answers with the sale that the first call made. Shards get numbers that this catalog
    /// never gave and that are above `seen`: it may be a copy that doesn't remember all of them.
    async fn create_sale(
        &self,
        sale: &NewSale,
        by: &str,
        now_ms: u64,
        seen: u32,
    ) -> Result<Sale, Error>;

    /// Gives a DRAFT sale its window; the same window again changes nothing.
    async fn schedule(&self, sale: SaleId, schedule: Schedule) -> Result<Scheduled, Error>;

    /// One sale with its items and shards.
    async fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Error>;

    /// At most `count` sales without their items, the newest first, from below `before` on.
    async fn sales(&self, before: Option<Page>, count: u32) -> Result<Vec<(Page, Sale)>, Error>;

    /// One item with its sale's state.
    async fn item(&self, by: ItemKey) -> Result<Option<(Item, State)>, Error>;

    /// Sets or clears the operator's flag of all shards of an item, whatever their phase; the item
    /// as it is then. None: no such item.
    async fn set_paused(&self, item: ItemId, paused: bool) -> Result<Option<Item>, Error>;

    /// What the epoch lease rests on: every shard that isn't retired, in one query.
    async fn lease_rows(&self) -> Result<LeaseRows, Error>;

    /// A shard as a loader sees it.
    async fn shard(&self, shard: ShardNo) -> Result<Option<Shard>, Error>;

    /// The time that the catalog goes by, in milliseconds since the Unix epoch: the store's own, so
    /// that it is the same for all who ask.
    async fn now_ms(&self) -> Result<u64, Error>;

    /// At most `count` shards that are NEW and whose sale's warm-up has begun.
    async fn due_to_open(&self, count: u32) -> Result<Vec<ShardNo>, Error>;

    /// At most `count` shards that are LOADING or OPEN and whose sale has closed, the longest
    /// closed first.
    async fn over(&self, count: u32) -> Result<Vec<ShardNo>, Error>;

    /// At most `count` shards that are LOADING by a loader whose lease has run out, or reaches
    /// further ahead than `lease_most` (the store's clock jumped back).
    async fn abandoned(&self, lease_most: Duration, count: u32) -> Result<Vec<ShardNo>, Error>;

    /// (LOADING, `claim.to`) for `claim.lasts` from now on, if the shard still is what was `seen`,
    /// its item included: in a catalog that was restored the number may be another's. False: it
    /// isn't, nothing was changed.
    async fn begin_loading(&self, seen: Seen, claim: Claim<'_>) -> Result<bool, Error>;

    /// The loader's lease lasts for `lasts` from now on, while (LOADING, `to`).
    async fn renew(&self, shard: ShardNo, to: Epoch, lasts: Duration) -> Result<bool, Error>;

    /// Whether it is (LOADING, `to`).
    async fn still_loading(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error>;

    /// (OPEN, `to`), if it is (LOADING, `to`).
    async fn open(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error>;

    /// (RETIRED, `to`), if it is (LOADING, `to`).
    async fn retire(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error>;

    /// How many connections to it there are, without those that read leases.
    fn connected(&self) -> store::Connected;

    /// Whether it can be asked, and written as far as that is known.
    async fn ping(&self) -> Result<(), Error>;
}

/// No answer: a write may or may not have happened.
#[derive(Debug, thiserror::Error)]
#[error("the catalog gave no answer: {0}")]
pub struct Error(pub String);

/// What came of giving a sale its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduled {
    /// It has this window, now or before.
    Done(Sale),
    /// It has another one.
    OtherWindow(Sale),
    /// No such sale.
    NotFound,
}

/// A place in the list of sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page(pub i64);

/// How an item is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKey {
    /// By its id.
    Id(ItemId),
    /// By one of its shards.
    Shard(ShardNo),
}

/// What the catalog says of all shards at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseRows {
    /// The highest shard number ever assigned; 0 if none was.
    pub highest: u32,
    /// One for each shard that isn't retired.
    pub rows: Vec<LeaseRow>,
}

/// What the catalog says of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRow {
    /// Which one.
    pub shard: ShardNo,
    /// The journal partition, fixed at creation.
    pub partition: u32,
    /// A part of whose stock it is.
    pub item: ItemId,
    /// The latest claimed.
    pub epoch: Option<Epoch>,
    /// Where its loading is.
    pub phase: Phase,
    /// An operator's flag.
    pub paused: bool,
    /// L of the protocol.
    pub lease: Duration,
    /// The item's price per unit, in minor units of its currency.
    pub unit_price: i64,
}

/// What a loader saw of a shard before it claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Which one.
    pub shard: ShardNo,
    /// A part of whose stock it was.
    pub item: ItemId,
    /// The phase then.
    pub phase: Phase,
    /// The epoch then.
    pub epoch: Option<Epoch>,
}

/// What a loader claims a shard for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The attempt's id, fresh.
    pub to: Epoch,
    /// How long the loader's lease lasts. A length and no end: ends are the catalog's to say, since
    /// those who judge them have other clocks than who claims.
    pub lasts: Duration,
    /// Where the ledger is that will be loaded.
    pub ledger_address: &'a str,
}
