//! The ids of the small world: one shard number, the item that has it, another one that may get it
//! again, and a ticket for each of a few users.

use ids::{CommandId, Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use inventory_svc::domain::{ReserveEntry, Terms};
use journal::ItemOpened;

pub(crate) const PARTITION: u32 = 0;

pub(crate) const LIMIT_PER_USER: u32 = 1;

/// When everything happens, by the ledger's clock.
pub(crate) const NOW_MS: u64 = 1;

/// The same, of looks and attempts; an attempt that is placed after GetOrder was answered is later.
pub(crate) const LOOK_US: u64 = NOW_MS * 1000;

/// No epoch has this number: both are hashed as an `i64` (see [`crate::fingerprint`]).
const PRICE: i64 = 4_999;

pub(crate) const TERMS: Terms =
    Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: LIMIT_PER_USER };

pub(crate) fn shard() -> ShardNo {
    ShardNo::new(1).expect("1 is a shard number")
}

/// The `number`-th epoch that was thought of, from 1.
pub(crate) fn epoch(number: u8) -> Epoch {
    Epoch::new(number.into()).expect("they count from 1")
}

/// The item that has the number from the beginning.
pub(crate) const ITEM: ItemId = ItemId::from_bytes([0; 16]);

/// The one that a catalog gives the number to which has forgotten the first.
pub(crate) const LATER_ITEM: ItemId = ItemId::from_bytes([1; 16]);

/// How many tickets there are.
pub(crate) const TICKETS: u8 = 3;

/// What a ticket is for: the last one, for the later item.
pub(crate) fn item_of(ticket: u8) -> ItemId {
    if ticket + 1 < TICKETS { ITEM } else { LATER_ITEM }
}

/// The order of a ticket.
pub(crate) fn order(ticket: u8) -> OrderId {
    OrderId::mint(shard(), [ticket; 12])
}

/// A command's id. It plays no part in what is modelled.
pub(crate) fn command() -> CommandId {
    CommandId::from_bytes([0; 16])
}

/// What the gateway sends for a ticket, for an attempt that was placed then.
pub(crate) fn entry(ticket: u8, placed_us: u64) -> ReserveEntry {
    ReserveEntry {
        order: order(ticket),
        user: UserId::from_bytes([ticket; 16]),
        quantity: 1,
        unit_price: PRICE,
        ticket_expires_ms: u64::MAX,
        placed_us,
        traceparent: String::new(),
    }
}

pub(crate) fn item_opened(item: ItemId, total: u32) -> ItemOpened {
    ItemOpened {
        sale: SaleId::from_bytes([0; 16]),
        item,
        total,
        limit_per_user: LIMIT_PER_USER,
        unit_price: PRICE,
        currency: "EUR".to_owned(),
        pay_within_s: 1,
    }
}
