//! When to stop asking a store that doesn't answer: before a hold is taken, so that saying no costs
//! nobody anything. Counts calls without an answer and late ones over a rolling window, never
//! refusals; and, whatever the window holds, those since the last answer, or few calls and silence
//! could never open it. Open, it lets nobody through for a while, then a few probes; their answers
//! close it again or open it for twice as long. Pure: it is told when, and what became of calls.

use std::time::Duration;

/// What a [`Breaker`] goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What is older doesn't count.
    pub(crate) window: Duration,
    /// Fewer calls in a window prove nothing; so many failures in a row do, however far apart.
    pub(crate) calls_min: u32,
    pub(crate) failed_percent: u32,
    /// From here on a call is late, though it may still be answered.
    pub(crate) slow: Duration,
    /// So many late ones in a row are silence. There must be so many at once, since a store that is
    /// silent gets no more than those.
    pub(crate) silent_calls_min: u32,
    /// How long nobody is let through at first, and at most.
    pub(crate) open_for: Duration,
    pub(crate) open_for_max: Duration,
    /// Purchases that are let through to see.
    pub(crate) probes: u32,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fared {
    /// It was answered in time, whatever the answer.
    Answered,
    /// No connection, no acknowledgement.
    Failed,
    /// It is still under way, and too long already. What becomes of it isn't told any more.
    Late,
}

/// The state towards one store.
#[derive(Debug)]
pub(crate) struct Breaker {
    rules: Rules,
    state: State,
    /// The window in parts, the newest at `newest`: a part at a time is forgotten.
    parts: [Part; PARTS],
    newest: usize,
    newest_began_at: Duration,
    in_a_row: Unanswered,
}

/// Calls since the last answer.
#[derive(Debug, Clone, Copy, Default)]
struct Unanswered {
    all: u32,
    late: u32,
}

const PARTS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Duration,
        length: Duration,
    },
    /// Some may see how it is now. Should none of them ever tell, others may after `until`.
    Probing {
        left: u32,
        until: Duration,
        length: Duration,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    calls: u32,
    /// Late ones, too: they had no answer when they needed one.
    failed: u32,
}

impl Breaker {
    /// Closed: everybody goes through.
    pub(crate) fn new(rules: Rules) -> Self {
        let parts = [Part::default(); PARTS];
        Self {
            rules,
            state: State::Closed,
            parts,
            newest: 0,
            newest_began_at: Duration::ZERO,
            in_a_row: Unanswered::default(),
        }
    }

    /// Whether a purchase may go through. A probe is counted.
    pub(crate) fn admits(&mut self, now: Duration) -> bool {
        let probing = |length| State::Probing {
            left: self.rules.probes.saturating_sub(1),
            // By then they have met the store, and it is late.
            until: now + self.rules.open_for + self.rules.slow,
            length,
        };
        match &mut self.state {
            State::Closed => true,
            State::Probing { left: left @ 1.., .. } => {
                *left -= 1;
                true
            }
            State::Open { until, length } | State::Probing { until, length, .. } => {
                let may = *until <= now;
                if may {
                    self.state = probing(*length);
                }
                may
            }
        }
    }

    /// What [`Breaker::admits`] would say. Counts nothing.
    pub(crate) fn would_admit(&self, now: Duration) -> bool {
        match self.state {
            State::Closed | State::Probing { left: 1.., .. } => true,
            State::Open { until, .. } | State::Probing { until, .. } => until <= now,
        }
    }

    /// Whether nobody goes through before a probe does. Who was let through earlier is none.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// One that was let through had nothing to ask: if it was a probe, another may be.
    pub(crate) fn was_not_asked(&mut self) {
        if let State::Probing { left, .. } = &mut self.state {
            *left = (*left + 1).min(self.rules.probes);
        }
    }

    /// A call ended, or is late.
    pub(crate) fn saw(&mut self, fared: Fared, now: Duration) {
        match (self.state, fared) {
            (State::Closed, fared) => {
                self.count(fared, now);
                if self.is_too_much() {
                    self.open(self.rules.open_for, now);
                }
            }
            (State::Probing { length, .. }, Fared::Failed | Fared::Late) => {
                self.open((length * 2).min(self.rules.open_for_max), now);
            }
            (State::Probing { .. }, Fared::Answered) => self.state = State::Closed,
            // A call from before: it says nothing that isn't known.
            (State::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, length: Duration, now: Duration) {
        self.state = State::Open { until: now + length, length };
        self.parts = [Part::default(); PARTS];
        self.in_a_row = Unanswered::default();
    }

    fn count(&mut self, fared: Fared, now: Duration) {
        let part = (self.rules.window / PARTS as u32).max(Duration::from_nanos(1));
        let age = now.saturating_sub(self.newest_began_at);
        let passed = usize::try_from(age.as_nanos() / part.as_nanos()).unwrap_or(usize::MAX);
        if passed > 0 {
            for _ in 0..passed.min(PARTS) {
                self.newest = (self.newest + 1) % PARTS;
                self.parts[self.newest] = Part::default();
            }
            self.newest_began_at = now;
        }
        let newest = &mut self.parts[self.newest];
        newest.calls += 1;
        newest.failed += u32::from(fared != Fared::Answered);
        let Unanswered { all, late } = &mut self.in_a_row;
        match fared {
            Fared::Answered => (*all, *late) = (0, 0),
            Fared::Failed => *all += 1,
            Fared::Late => (*all, *late) = (*all + 1, *late + 1),
        }
    }

    fn is_too_much(&self) -> bool {
        let sum = |of: fn(&Part) -> u32| self.parts.iter().map(of).sum::<u32>();
        let (calls, failed) = (sum(|part| part.calls), sum(|part| part.failed));
        let of_many =
            calls >= self.rules.calls_min && failed * 100 >= calls * self.rules.failed_percent;
        of_many
            || self.in_a_row.all >= self.rules.calls_min
            || self.in_a_row.late >= self.rules.silent_calls_min
    }
}

#[cfg(test)]
mod tests;
