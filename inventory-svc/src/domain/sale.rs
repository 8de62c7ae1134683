//! Sales, their items and shards, and what an operator may ask of them. What is wrong with a
//! request is told all at once, field by field. Stock and holds are not known here: this is the
//! plan, the books own what became of it.

mod draft;

use std::time::Duration;

use ids::{Epoch, ItemId, SaleId, ShardNo};

pub use draft::{ItemDraft, NewItem, NewSale, SaleDraft, ScheduleDraft, Violation};

/// Something an operator has planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Which one.
    pub id: SaleId,
    /// For people.
    pub title: String,
    /// How far the plan is.
    pub state: State,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// In the order of the request that made the sale.
    pub items: Vec<Item>,
}

/// How far a sale is planned. Whether it is open follows from the window and the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Has no window yet.
    Draft,
    /// Has one, for good.
    Scheduled(Schedule),
}

/// When a sale is open: `[opens_ms, closes_ms)`, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// The first millisecond.
    pub opens_ms: u64,
    /// The first millisecond after it.
    pub closes_ms: u64,
    /// How long before `opens_ms` the shards are loaded and tickets issued, in seconds.
    pub warm_up_s: u32,
}

/// Something offered in one sale. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which one.
    pub id: ItemId,
    /// Of this sale.
    pub sale: SaleId,
    /// The shop's own name for it; unique within the sale.
    pub sku: String,
    /// For people.
    pub title: String,
    /// ISO 4217.
    pub currency: String,
    /// Per unit, in the currency's smallest unit.
    pub unit_price: i64,
    /// Planned units, over all shards.
    pub total_units: u32,
    /// How many live units one user may have.
    pub limit_per_user: u32,
    /// How long a placed order may stay unpaid, in seconds.
    pub pay_within_s: u32,
    /// A user's shard is `shards[ShardNo::index_for(item, user, len)]`.
    pub shards: Vec<Shard>,
}

/// A part of an item's stock, as the catalog sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Never used again.
    pub no: ShardNo,
    /// The journal partition, fixed at creation.
    pub partition: u32,
    /// Planned units; what counts once it is loaded is what the books say.
    pub total_units: u32,
    /// L of the protocol, fixed at creation.
    pub lease: Duration,
    /// Where its loading is.
    pub phase: Phase,
    /// The latest epoch that an attempt to load it has claimed.
    pub epoch: Option<Epoch>,
    /// An operator's flag; loading never clears it.
    pub paused: bool,
}

/// Where the loading of a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Never loaded.
    New,
    /// An attempt has claimed it.
    Loading,
    /// Admits buyers inside the window.
    Open,
    /// Over and settled; the books alone answer.
    Retired,
}

impl Schedule {
    /// When loading begins, in milliseconds since the Unix epoch.
    pub fn warm_up_at_ms(&self) -> u64 {
        self.opens_ms.saturating_sub(u64::from(self.warm_up_s) * 1000)
    }
}

/// What comes of scheduling a sale that is in a certain state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduling {
    /// It has no window yet and may get this one.
    Fresh,
    /// It has this very window.
    Already,
    /// It has another window, and windows don't change.
    OtherWindow,
}

impl State {
    /// What comes of asking for `schedule`.
    pub fn schedule(&self, schedule: &Schedule) -> Scheduling {
        match self {
            Self::Draft => Scheduling::Fresh,
            Self::Scheduled(before) if before == schedule => Scheduling::Already,
            Self::Scheduled(_) => Scheduling::OtherWindow,
        }
    }
}

#[cfg(test)]
mod tests;
