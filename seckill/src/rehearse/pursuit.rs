//! What a patient shopper does next: a state machine without I/O. A refusal is final; "later" is
//! tried again with the same ticket; whatever is unknown is asked about until it is known. The same
//! ticket all the way, so however often it tries, there is one order (I-4).

use std::time::Duration;

/// A shopper stops after so many purchase calls.
const ATTEMPTS_MAX: u32 = 50;
/// … and this long after the scheduled arrival.
const PATIENCE: Duration = Duration::from_secs(30);
/// The waits between questions about an order: doubling, from the first to the last.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_LAST: Duration = Duration::from_millis(500);
/// The longest delay that a shop can ask of a shopper.
const LATER_MAX: Duration = Duration::from_secs(5);

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// To a purchase: promised.
    Accepted,
    /// To a purchase or a question: unknown yet.
    Processing,
    /// To a purchase: no, for this reason. Final.
    Refused(String),
    /// To a purchase: not now, for this reason; nothing was done.
    Later(String, Duration),
    /// No answer, or one that says nothing: it may have happened.
    Lost,
    /// To a question: neither a hold nor an order, as yet. An attempt whose answer was lost may
    /// still be under way through another gateway.
    NotPlaced,
    /// To a question: a live order in the books.
    Row,
    /// To a question: an order in the books that isn't live, in this state.
    Gone(String),
}

/// What the shopper does next, after a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Purchase { attempt: u32, after: Duration },
    Ask { after: Duration },
    End(Ending),
}

/// How it ended for a shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The shop said that the order stands: by its promise, or, if that answer was PROCESSING or
    /// lost, by its row.
    Accepted,
    Refused(String),
    /// Still unknown when the patience ended.
    Unknown,
}

/// One shopper's way through the sale.
#[derive(Debug, Clone)]
pub(super) struct Pursuit {
    attempt: u32,
    asked: u32,
    /// A purchase call may have taken a hold that no answer has told of.
    may_have_happened: bool,
    /// Whether a promise or a row came only after an answer that said neither.
    pub(super) was_unknown: bool,
}

impl Pursuit {
    /// A shopper who is sending attempt 1.
    pub(super) fn begin() -> Self {
        Self { attempt: 1, asked: 0, may_have_happened: false, was_unknown: false }
    }

    /// What to do about an answer that came `elapsed` after the scheduled arrival.
    pub(super) fn saw(&mut self, seen: Seen, elapsed: Duration) -> Next {
        match seen {
            Seen::Accepted | Seen::Row => Next::End(Ending::Accepted),
            Seen::Refused(reason) | Seen::Gone(reason) => Next::End(Ending::Refused(reason)),
            Seen::Processing | Seen::Lost => {
                self.may_have_happened = true;
                self.was_unknown = true;
                self.ask(elapsed)
            }
            Seen::NotPlaced => self.again("NOT_PLACED".into(), Duration::ZERO, elapsed),
            Seen::Later(reason, delay) => self.again(reason, delay, elapsed),
        }
    }

    fn ask(&mut self, elapsed: Duration) -> Next {
        if elapsed >= PATIENCE {
            return Next::End(Ending::Unknown);
        }
        let after = ASK_FIRST.saturating_mul(1 << self.asked.min(16)).min(ASK_LAST);
        self.asked += 1;
        Next::Ask { after }
    }

    fn again(&mut self, reason: String, delay: Duration, elapsed: Duration) -> Next {
        if self.attempt >= ATTEMPTS_MAX || elapsed >= PATIENCE {
            return Next::End(if self.may_have_happened {
                Ending::Unknown
            } else {
                Ending::Refused(reason)
            });
        }
        self.attempt += 1;
        Next::Purchase { attempt: self.attempt, after: delay.min(LATER_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn later() -> Seen {
        Seen::Later("LOADING".into(), Duration::from_millis(70))
    }

    #[test]
    fn promises_and_refusals_are_final() {
        for (seen, ending) in [
            (Seen::Accepted, Ending::Accepted),
            (Seen::Row, Ending::Accepted),
            (Seen::Refused("SOLD_OUT".into()), Ending::Refused("SOLD_OUT".into())),
            (Seen::Gone("REJECTED".into()), Ending::Refused("REJECTED".into())),
        ] {
            assert_eq!(Pursuit::begin().saw(seen, SOON), Next::End(ending));
        }
    }

    #[test]
    fn later_is_tried_again_with_the_next_attempt_after_the_delay() {
        let mut pursuit = Pursuit::begin();
        let after = Duration::from_millis(70);
        assert_eq!(pursuit.saw(later(), SOON), Next::Purchase { attempt: 2, after });
        assert_eq!(pursuit.saw(later(), SOON), Next::Purchase { attempt: 3, after });
    }

    #[test]
    fn what_is_unknown_is_asked_about_and_only_then_tried_again() {
        let mut pursuit = Pursuit::begin();
        assert_eq!(pursuit.saw(Seen::Lost, SOON), Next::Ask { after: ASK_FIRST });
        assert_eq!(pursuit.saw(Seen::Processing, SOON), Next::Ask { after: ASK_FIRST * 2 });
        let again = Next::Purchase { attempt: 2, after: Duration::ZERO };
        assert_eq!(pursuit.saw(Seen::NotPlaced, SOON), again);
    }

    #[test]
    fn patience_ends_in_unknown_only_where_something_may_have_happened() {
        let refused = Next::End(Ending::Refused("LOADING".into()));
        assert_eq!(Pursuit::begin().saw(later(), PATIENCE), refused);
        let mut pursuit = Pursuit::begin();
        pursuit.saw(Seen::Lost, SOON);
        pursuit.saw(Seen::NotPlaced, SOON);
        assert_eq!(pursuit.clone().saw(later(), PATIENCE), Next::End(Ending::Unknown));
        assert_eq!(pursuit.saw(Seen::Processing, PATIENCE), Next::End(Ending::Unknown));
    }

    #[test]
    fn attempts_have_a_bound() {
        let mut pursuit = Pursuit::begin();
        let ends = |_: &u32| matches!(pursuit.saw(later(), SOON), Next::End(_));
        assert_eq!((1..1_000).find(ends), Some(ATTEMPTS_MAX));
    }

    #[test]
    fn waits_between_questions_have_a_bound() {
        let mut pursuit = Pursuit::begin();
        for _ in 0..100 {
            let Next::Ask { after } = pursuit.saw(Seen::Processing, SOON) else { panic!() };
            assert!(after <= ASK_LAST);
        }
    }
}
