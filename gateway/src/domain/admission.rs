//! What the door can say by itself before it asks the ledger. It may send a buyer on too often,
//! never too seldom: a hold that exists must be found (a retry goes on), and the ledger's clock,
//! not ours, decides about the window and the ticket's end.

use ids::OrderId;

use super::{item::Window, purchase::Entry, refusal::Refusal};

/// The stock of a shard that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) units_left: u32,
    pub(crate) is_paused: bool,
}

/// What was heard lately of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It can't be sold from: it is being loaded, or its keeper can't be reached.
    Loading,
    Open(Level),
}

/// What the local view shows of a first attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glimpse {
    /// What the ledger's clock shows, at most; `None` if that isn't known.
    pub(crate) ledger_ms: Option<u64>,
    pub(crate) window: Window,
    /// The ledger's clock may be ahead of what we know by this much.
    pub(crate) clock_slack_ms: u64,
    pub(crate) ticket_expires_ms: u64,
    /// Units.
    pub(crate) wanted: u32,
    /// `None` if nothing was heard lately.
    pub(crate) heard: Option<Heard>,
}

/// What may be said to a first attempt at once, in this order: NOT_OPEN, CLOSED, LOADING, PAUSED,
/// SOLD_OUT. An expired ticket isn't cut: what came of it is to be looked up.
pub(crate) fn cut(glimpse: &Glimpse) -> Option<Refusal> {
    let Glimpse { ledger_ms, window, clock_slack_ms, .. } = *glimpse;
    if ledger_ms.is_some_and(|now_ms| now_ms.saturating_add(clock_slack_ms) < window.opens_ms) {
        return Some(Refusal::NotOpen { opens_ms: window.opens_ms });
    }
    // The ledger's clock is there already.
    if ledger_ms.is_some_and(|now_ms| window.closes_ms <= now_ms) {
        return Some(Refusal::Closed);
    }
    if ledger_ms.is_some_and(|now_ms| glimpse.ticket_expires_ms <= now_ms) {
        return None;
    }
    // Near the opening the ledger itself has the word.
    let is_open = ledger_ms.is_none_or(|now_ms| window.opens_ms <= now_ms);
    match glimpse.heard? {
        Heard::Loading => Some(Refusal::Loading),
        Heard::Open(_) if !is_open => None,
        Heard::Open(Level { is_paused: true, .. }) => Some(Refusal::Paused),
        Heard::Open(level) => (level.units_left < glimpse.wanted).then_some(Refusal::SoldOut),
    }
}

/// Everything that the door looks at for one purchase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// See [`Glimpse`].
    pub(crate) ledger_ms: Option<u64>,
    pub(crate) window: Window,
    /// See [`Glimpse`].
    pub(crate) clock_slack_ms: u64,
    /// The client says so, and this gateway has not sent the order on before.
    pub(crate) is_first_attempt: bool,
    /// See [`Glimpse`].
    pub(crate) heard: Option<Heard>,
}

/// A wish that may go to the ledger. Made here only.
#[derive(Debug)]
pub(crate) struct Admitted(Entry);

impl Admitted {
    /// The order that it is about.
    pub(crate) fn order(&self) -> OrderId {
        self.0.order
    }

    /// What was admitted.
    pub(crate) fn into_entry(self) -> Entry {
        self.0
    }
}

/// What the door decided.
#[derive(Debug)]
pub(crate) enum Verdict {
    Admit(Admitted),
    /// The ticket is past its end, by the ledger's clock: an order that came of it in time is
    /// still to be told of.
    Expired(Entry),
    Refuse(Refusal),
}

/// Looks at one purchase whose ticket is authentic. A retry is never cut: it may be of a hold that
/// the ledger took by its own clock, or of the last unit.
pub(crate) fn look(entry: Entry, view: &View) -> Verdict {
    let View { ledger_ms, window, clock_slack_ms, heard, .. } = *view;
    let (ticket_expires_ms, wanted) = (entry.ticket_expires_ms, entry.quantity);
    let glimpse = Glimpse { ledger_ms, window, clock_slack_ms, ticket_expires_ms, wanted, heard };
    if view.is_first_attempt
        && let Some(refusal) = cut(&glimpse)
    {
        return Verdict::Refuse(refusal);
    }
    if ledger_ms.is_some_and(|now_ms| ticket_expires_ms <= now_ms) {
        return Verdict::Expired(entry);
    }
    Verdict::Admit(Admitted(entry))
}

#[cfg(test)]
mod tests;
