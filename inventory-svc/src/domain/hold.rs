//! A hold: units taken from a shard's stock for one order id, until the books settle it. It keeps
//! everything that the journal's record needs, so that any replay publishes the same order. It does
//! not know the stock that it was taken from.

use ids::{OrderId, UserId};

use super::{Refusal, waiting::Place};

/// A request for units, with what its ticket fixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReserveEntry {
    /// The order that this becomes; the idempotency key.
    pub order: OrderId,
    /// The buyer.
    pub user: UserId,
    /// Units, 1 or more.
    pub quantity: u32,
    /// Per unit, in minor units of the item's currency.
    pub unit_price: i64,
    /// The ticket's end, in milliseconds since the Unix epoch: it is good before this moment.
    pub ticket_expires_ms: u64,
    /// When this attempt was placed, by the ledger's clock, in microseconds since the Unix epoch;
    /// never later than it was. See [`super::attempts`].
    pub placed_us: u64,
    /// W3C `traceparent` of the purchase, or empty.
    pub traceparent: String,
}

/// Units taken for one order, as they were stored when they were taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The order that this becomes.
    pub order: OrderId,
    /// The buyer.
    pub user: UserId,
    /// Units, 1 or more.
    pub quantity: u32,
    /// Per unit, in minor units of the item's currency.
    pub unit_price: i64,
    /// By the ledger's clock, in milliseconds since the Unix epoch.
    pub taken_at_ms: u64,
    /// W3C `traceparent` of the purchase, or empty.
    pub traceparent: String,
}

/// A hold that the books have not settled, and where it stands in the back-off of the roll-forward.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OpenHold {
    /// What was taken.
    pub hold: Hold,
    /// How often it was put off, counted up to [`ATTEMPTS_MAX`].
    pub attempts: u8,
    /// When it was taken, or last put off, by the ledger's clock.
    pub since_ms: u64,
}

impl OpenHold {
    /// Where it waits. It leaves that place when it is put off or settled, and never comes back.
    pub fn place(&self) -> Place {
        Place { attempts: self.attempts, since_ms: self.since_ms, order: self.hold.order }
    }
}

/// What the books decided about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Settled {
    /// It is live.
    Placed,
    /// A tombstone: the books refused it. It was never promised.
    Rejected,
    /// A tombstone: it was cancelled, or has expired.
    Released,
}

/// The ledger's answer to one [`ReserveEntry`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntryAnswer {
    /// Taken now.
    Held(Hold),
    /// Taken before and not settled: what was stored then.
    Open(Hold),
    /// The books have decided it already.
    Settled(Settled),
    /// Nothing was taken.
    Refused(Refusal),
}

/// An order of the books' snapshot, as it is staged for a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StagedOrder {
    /// Its id; known from then on.
    pub order: OrderId,
    /// Who bought, or tried to.
    pub user: UserId,
    /// Units. They count for the user's limit while the order is [`Settled::Placed`].
    pub quantity: u32,
    /// What the books say of it.
    pub state: Settled,
}

/// Where [`OpenHold::attempts`] stops counting: the back-off no longer grows.
pub const ATTEMPTS_MAX: u8 = 6;

const FIRST_WAIT_MS: u64 = 5_000;
const LONGEST_WAIT_MS: u64 = 300_000;

/// How long a hold is left alone after it was taken (0 attempts) or put off for the `attempts`-th
/// time, in milliseconds: 5 s, 10 s, 20 s … 5 min.
pub const fn patience_ms(attempts: u8) -> u64 {
    if attempts >= ATTEMPTS_MAX { LONGEST_WAIT_MS } else { FIRST_WAIT_MS << attempts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_doubles_from_five_seconds_to_five_minutes() {
        let waits: Vec<_> = (0..=ATTEMPTS_MAX).map(|n| patience_ms(n) / 1_000).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300]);
        assert_eq!(patience_ms(u8::MAX), 300_000);
    }
}
