//! What the door can say by itself before it asks the ledger. It may send a buyer on too often,
//! never too seldom: a hold that exists must be found (a retry goes on), and the ledger's clock,
//! not ours, decides about the window.

use ids::OrderId;

use super::{item::Window, purchase::Entry, refusal::Refusal};

/// Everything that the door looks at for one purchase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// By this gateway's wall clock.
    pub(crate) now_ms: u64,
    pub(crate) window: Window,
    /// The clock of another machine may be ahead of ours by this much.
    pub(crate) clock_slack_ms: u64,
    /// The client says so, and this gateway has not sent the order on before.
    pub(crate) is_first_attempt: bool,
    /// Units left as heard lately; `None` if nothing was, or if the stock can't be sold now.
    pub(crate) units_left: Option<u32>,
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
    /// The ticket is past its end: an order that came of it in time is still to be told of.
    Expired(Entry),
    Refuse(Refusal),
}

/// Looks at one purchase whose ticket is authentic.
pub(crate) fn look(entry: Entry, view: &View) -> Verdict {
    let View { now_ms, window, .. } = *view;
    // A retry may be of a hold that the ledger took by its own clock.
    if view.is_first_attempt && now_ms.saturating_add(view.clock_slack_ms) < window.opens_ms {
        return Verdict::Refuse(Refusal::NotOpen { opens_ms: window.opens_ms });
    }
    if entry.ticket_expires_ms <= now_ms {
        return Verdict::Expired(entry);
    }
    let is_open = window.opens_ms <= now_ms && now_ms < window.closes_ms;
    let is_cut = view.is_first_attempt
        && is_open
        && view.units_left.is_some_and(|units| units < entry.quantity);
    if is_cut { Verdict::Refuse(Refusal::SoldOut) } else { Verdict::Admit(Admitted(entry)) }
}

#[cfg(test)]
mod tests {
    use ids::{ShardNo, UserId};

    use super::*;

    /// `now attempt(first|retry) left(number|-)  wanted → verdict`, for the window [1000, 9000), a
    /// ticket that ends at 5000, and a slack of 100.
    fn check(case: &str) {
        let (input, expected) = case.split_once('→').unwrap();
        let words: Vec<_> = input.split_whitespace().collect();
        let [now, attempt, left, wanted] = words[..] else { panic!("{case}") };
        let entry = Entry {
            order: OrderId::mint(ShardNo::new(1).unwrap(), [7; 12]),
            user: UserId::from_bytes([1; 16]),
            quantity: wanted.parse().unwrap(),
            unit_price: 100,
            ticket_expires_ms: 5000,
            traceparent: String::new(),
        };
        let view = View {
            now_ms: now.parse().unwrap(),
            window: Window { tickets_from_ms: 0, opens_ms: 1000, closes_ms: 9000 },
            clock_slack_ms: 100,
            is_first_attempt: attempt == "first",
            units_left: left.parse().ok(),
        };
        let verdict = match look(entry, &view) {
            Verdict::Admit(_) => "admit",
            Verdict::Expired(_) => "expired",
            Verdict::Refuse(Refusal::SoldOut) => "sold out",
            Verdict::Refuse(Refusal::NotOpen { opens_ms: 1000 }) => "not open",
            Verdict::Refuse(other) => panic!("{case}: {other:?}"),
        };
        assert_eq!(verdict, expected.trim(), "{case}");
    }

    #[test]
    fn the_door_refuses_only_what_it_knows() {
        for case in [
            "899  first - 1 → not open",
            "0    first - 1 → not open",
            // The ledger may know its hold, so its clock answers.
            "899  retry - 1 → admit",
            "0    retry 0 1 → admit",
            // The ledger's clock may already be there, so ours doesn't refuse.
            "900  first - 1 → admit",
            "999  first 0 1 → admit",
            "1000 first 0 1 → sold out",
            "1000 first 1 1 → admit",
            "1000 first 1 2 → sold out",
            "1000 first - 1 → admit",
            // It may be the buyer who holds the last unit.
            "1000 retry 0 1 → admit",
            "4999 first 0 1 → sold out",
            "5000 first 0 1 → expired",
            "5000 retry 9 1 → expired",
        ] {
            check(case);
        }
    }
}
