//! The law: the six invariants as numbered pure functions over plain numbers. The domains assert
//! them, the audit and the rehearsal judge by them, and every test ends in them, so that "right"
//! means the same thing everywhere. They know nothing of stores, services or time.

use std::fmt;

use ids::OrderId;

/// Which invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I-1: units of live orders of an item never exceed its total.
    NoOversell,
    /// I-2: an order that was answered ACCEPTED is in the books exactly once.
    PromiseKept,
    /// I-3: each unit is in the stock, in an open hold, in a live order, or in a movement that is
    /// not applied yet.
    NothingLeaks,
    /// I-4: at most one order per order id, and no user above the limit.
    Once,
    /// I-5: nothing is admitted outside the window, or after the ticket's end.
    LawfulAdmission,
    /// I-6: orders only move forward.
    Forward,
}

impl Invariant {
    /// Its number, `I-1` to `I-6`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::NoOversell => "I-1",
            Self::PromiseKept => "I-2",
            Self::NothingLeaks => "I-3",
            Self::Once => "I-4",
            Self::LawfulAdmission => "I-5",
            Self::Forward => "I-6",
        }
    }
}

/// A broken invariant, with the figures that show it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{} is broken: {says}", invariant.number())]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// One sentence with the figures.
    pub says: String,
}

fn holds(
    invariant: Invariant,
    is_kept: bool,
    says: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if is_kept { Ok(()) } else { Err(Violation { invariant, says: says() }) }
}

/// I-1 for an item or a shard.
///
/// # Errors
/// A [`Violation`] if more units are live than there are.
pub fn no_oversell(total: u64, live_units: u64) -> Result<(), Violation> {
    holds(Invariant::NoOversell, live_units <= total, || {
        format!("{live_units} units are in live orders, but there are only {total}")
    })
}

/// I-2 for one order that was answered ACCEPTED and neither cancelled, expired nor refunded since:
/// `live_rows` is how many live rows the books have of it.
///
/// # Errors
/// A [`Violation`] unless there is exactly one.
pub fn promise_kept(order: OrderId, live_rows: u64) -> Result<(), Violation> {
    holds(Invariant::PromiseKept, live_rows == 1, || {
        format!("order {order} was accepted and has {live_rows} live rows in the books")
    })
}

/// Where the units of a shard are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Units {
    /// In the ledger, for sale.
    pub stock: u64,
    /// In holds that the books have not decided.
    pub open: u64,
    /// In live orders in the books.
    pub live: u64,
    /// Given by the books in movements that the ledger has not applied.
    pub unapplied: u64,
}

impl Units {
    /// All of them together.
    pub fn sum(&self) -> u128 {
        [self.stock, self.open, self.live, self.unapplied].into_iter().map(u128::from).sum()
    }
}

/// I-3 at rest. Under load the two stores are read at different moments, so it says nothing then.
///
/// # Errors
/// A [`Violation`] if a unit is missing or there is one too many.
pub fn nothing_leaks(total: u64, units: Units) -> Result<(), Violation> {
    holds(Invariant::NothingLeaks, units.sum() == u128::from(total), || {
        let Units { stock, open, live, unapplied } = units;
        format!(
            "stock {stock} + open holds {open} + live {live} + movements not applied \
             {unapplied} is {}, not {total}",
            units.sum()
        )
    })
}

/// I-4, first half, for one order id.
///
/// # Errors
/// A [`Violation`] if the books have more than one row of it.
pub fn one_row(order: OrderId, rows: u64) -> Result<(), Violation> {
    holds(Invariant::Once, rows <= 1, || format!("order {order} has {rows} rows in the books"))
}

/// I-4, second half, for one user of one item.
///
/// # Errors
/// A [`Violation`] if the user's live units exceed the limit.
pub fn within_limit(limit: u32, user_units: u64) -> Result<(), Violation> {
    holds(Invariant::Once, user_units <= u64::from(limit), || {
        format!("one user has {user_units} live units of an item with a limit of {limit}")
    })
}

/// When something may be admitted. Milliseconds since the Unix epoch, by the ledger's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdmissionTimes {
    /// The window is `[opens_ms, closes_ms)`.
    pub opens_ms: u64,
    /// See `opens_ms`.
    pub closes_ms: u64,
    /// The ticket is good before this moment.
    pub ticket_expires_ms: u64,
}

/// I-5 for one hold taken at `at_ms`.
///
/// # Errors
/// A [`Violation`] if it was taken outside the window or at or after the ticket's end.
pub fn admitted_lawfully(at_ms: u64, times: AdmissionTimes) -> Result<(), Violation> {
    let AdmissionTimes { opens_ms, closes_ms, ticket_expires_ms } = times;
    let is_lawful = opens_ms <= at_ms && at_ms < closes_ms && at_ms < ticket_expires_ms;
    holds(Invariant::LawfulAdmission, is_lawful, || {
        format!(
            "a hold was taken at {at_ms}, outside [{opens_ms}, {closes_ms}) or not before the \
             ticket's end at {ticket_expires_ms}"
        )
    })
}

/// The life of an order in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderState {
    /// Sold, not paid.
    Placed,
    /// Paid: goods or refund.
    Paid,
    /// Given back by the buyer.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Refused by the books; was never promised.
    Rejected,
}

impl OrderState {
    /// Whether its units count as sold.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Placed | Self::Paid)
    }

    /// Whether nothing can follow it.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Placed)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placed => "PLACED",
            Self::Paid => "PAID",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Rejected => "REJECTED",
        })
    }
}

/// I-6 for one step: PLACED → PAID | CANCELLED | EXPIRED, and nothing else. Staying is not a step.
///
/// # Errors
/// A [`Violation`] for any other step.
pub fn moves_forward(from: OrderState, to: OrderState) -> Result<(), Violation> {
    use OrderState::{Cancelled, Expired, Paid, Placed};
    let is_step = from == Placed && matches!(to, Paid | Cancelled | Expired);
    holds(Invariant::Forward, is_step, || format!("an order went from {from} to {to}"))
}

#[cfg(test)]
mod tests;
