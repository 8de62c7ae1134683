//! What stands in the journal: one record is one command for one shard. The types hold what the
//! ids can prove; [`Record::check`] holds the rest, and both ends ask it, so that nothing is
//! written that a reader would turn into a dead letter. It does not know when a command counts:
//! that is the books' fold.

use ids::{CommandId, Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};

pub use crate::codec::{Undecodable, decode, encode};

/// The largest record in bytes, which is also what Kafka's brokers take by default.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The most holds in one record.
pub const HOLDS_MAX: usize = 1024;

/// The longest `traceparent` in bytes. The W3C's has 55; a longer one is left out of the record,
/// since telemetry must never cost an order.
pub const TRACEPARENT_LEN_MAX: usize = 64;

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who sends a command again sends the same id; it changes nothing the second time.
    pub command_id: CommandId,
    /// The shard that the command is about. The partition is the shard's.
    pub shard: ShardNo,
    /// What shall happen.
    pub command: Command,
}

/// What a record asks the books to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Makes the shard's guard row.
    ItemOpened(ItemOpened),
    /// Counts only if `from` is the shard's open epoch; then `to` is (law B).
    EpochChanged {
        /// The epoch that ends; none before the first load.
        from: Option<Epoch>,
        /// The epoch that begins, used once, ever.
        to: Epoch,
    },
    /// Holds that the ledger took in `epoch`. Counts only while that epoch is the open one.
    HoldsPlaced {
        /// The epoch in which all of them were taken.
        epoch: Epoch,
        /// The item that all of them are of; none if the writer's version didn't say it.
        item: Option<ItemId>,
        /// 1 to [`HOLDS_MAX`], all of the record's shard.
        holds: Vec<PlacedHold>,
    },
}

/// An item's shard as the books shall guard it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ItemOpened {
    /// The sale that the item is part of.
    pub sale: SaleId,
    /// The item.
    pub item: ItemId,
    /// Units of this shard.
    pub total: u32,
    /// How many live units one user may have; 1 or more.
    pub limit_per_user: u32,
    /// In the smallest unit of `currency`; not negative.
    pub unit_price: i64,
    /// ISO 4217, three capital letters.
    pub currency: String,
    /// How long a placed order may stay unpaid, in seconds.
    pub pay_within_s: u32,
}

/// A hold as the ledger stored it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlacedHold {
    /// The order that the hold is for; it names the record's shard.
    pub order: OrderId,
    /// Who buys.
    pub user: UserId,
    /// Units, 1 or more.
    pub quantity: u32,
    /// In the smallest unit of the item's currency; not negative.
    pub unit_price: i64,
    /// When the ledger took it, by its own clock, in milliseconds since the Unix epoch.
    pub taken_at_ms: u64,
    /// The purchase's W3C trace context; may be empty. Left out of the record if it is longer than
    /// [`TRACEPARENT_LEN_MAX`].
    pub traceparent: String,
}

/// A rule that a record breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// `HoldsPlaced` without a hold.
    #[error("holds_placed has no holds")]
    NoHolds,
    /// `HoldsPlaced` with more holds than a record may have.
    #[error("holds_placed has {0} holds, more than {HOLDS_MAX}")]
    TooManyHolds(usize),
    /// A hold whose order belongs to another shard than the record.
    #[error("hold {index} is for an order of shard {found}, but the record is for shard {shard}")]
    ForeignHold {
        /// Its place in the record, from 0.
        index: usize,
        /// The shard in the order id.
        found: ShardNo,
        /// The record's shard.
        shard: ShardNo,
    },
    /// A hold of nothing.
    #[error("hold {0} has a quantity of 0")]
    NoQuantity(usize),
    /// A hold at less than nothing.
    #[error("hold {0} has a negative unit price")]
    NegativePrice(usize),
    /// An epoch that follows itself, although each is used once.
    #[error("epoch_changed has the same epoch on both sides")]
    SameEpoch,
    /// An item that nobody may buy.
    #[error("item_opened has a limit of 0 per user")]
    NoLimit,
    /// An item at less than nothing.
    #[error("item_opened has a negative unit price")]
    NegativeItemPrice,
    /// Not three capital letters.
    #[error("item_opened has a currency that is not three capital letters")]
    NotACurrency,
}

impl Record {
    /// Whether a reader will accept the record.
    ///
    /// # Errors
    /// The first [`Flaw`] found.
    pub fn check(&self) -> Result<(), Flaw> {
        match &self.command {
            Command::ItemOpened(opened) => opened.check(),
            Command::EpochChanged { from, to } if *from == Some(*to) => Err(Flaw::SameEpoch),
            Command::EpochChanged { .. } => Ok(()),
            Command::HoldsPlaced { epoch: _, item: _, holds } => check_holds(self.shard, holds),
        }
    }
}

impl ItemOpened {
    fn check(&self) -> Result<(), Flaw> {
        let is_currency =
            self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase());
        if self.limit_per_user == 0 {
            Err(Flaw::NoLimit)
        } else if self.unit_price < 0 {
            Err(Flaw::NegativeItemPrice)
        } else if !is_currency {
            Err(Flaw::NotACurrency)
        } else {
            Ok(())
        }
    }
}

fn check_holds(shard: ShardNo, holds: &[PlacedHold]) -> Result<(), Flaw> {
    if holds.is_empty() {
        return Err(Flaw::NoHolds);
    }
    if holds.len() > HOLDS_MAX {
        return Err(Flaw::TooManyHolds(holds.len()));
    }
    for (index, hold) in holds.iter().enumerate() {
        let found = hold.order.shard();
        if found != shard {
            return Err(Flaw::ForeignHold { index, found, shard });
        }
        if hold.quantity == 0 {
            return Err(Flaw::NoQuantity(index));
        }
        if hold.unit_price < 0 {
            return Err(Flaw::NegativePrice(index));
        }
    }
    Ok(())
}
