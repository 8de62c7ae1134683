//! When to stop asking a store that doesn't answer: before a hold is taken, so that saying no costs
//! nobody anything. Counts calls without an answer and slow ones over a rolling window, never
//! refusals. Open, it lets nobody through for a while, then a few probes; their answers close it
//! again or open it for twice as long. Pure: it is told the time, and what became of calls.

use std::time::Duration;

/// What a [`Breaker`] goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What is older doesn't count.
    pub(crate) window: Duration,
    /// Fewer calls in a window prove nothing.
    pub(crate) calls_min: u32,
    pub(crate) failed_percent: u32,
    /// From here on a call is slow.
    pub(crate) slow: Duration,
    pub(crate) slow_percent: u32,
    /// How long nobody is let through at first, and at most.
    pub(crate) open_for: Duration,
    pub(crate) open_for_max: Duration,
    /// Purchases that are let through to see.
    pub(crate) probes: u32,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fared {
    /// It was answered, whatever the answer, after so long.
    Answered(Duration),
    /// Time-out, no connection, no acknowledgement.
    Failed,
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
    failed: u32,
    slow: u32,
}

impl Breaker {
    /// Closed: everybody goes through.
    pub(crate) fn new(rules: Rules) -> Self {
        let parts = [Part::default(); PARTS];
        Self { rules, state: State::Closed, parts, newest: 0, newest_began_at: Duration::ZERO }
    }

    /// Whether a purchase may go through. A probe is counted.
    pub(crate) fn admits(&mut self, now: Duration) -> bool {
        let probing = |length| State::Probing {
            left: self.rules.probes.saturating_sub(1),
            until: now + self.rules.open_for,
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

    /// Whether nobody goes through now. Counts nothing.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        matches!(self.state, State::Open { until, .. } if now < until)
    }

    /// A call ended.
    pub(crate) fn saw(&mut self, fared: Fared, now: Duration) {
        let (is_failed, is_slow) = match fared {
            Fared::Answered(took) => (false, took >= self.rules.slow),
            Fared::Failed => (true, false),
        };
        match self.state {
            State::Closed => {
                self.count(is_failed, is_slow, now);
                if self.is_too_much() {
                    self.open(self.rules.open_for, now);
                }
            }
            State::Probing { length, .. } if is_failed || is_slow => {
                self.open((length * 2).min(self.rules.open_for_max), now);
            }
            State::Probing { .. } => self.state = State::Closed,
            // A call from before: it says nothing that isn't known.
            State::Open { .. } => {}
        }
    }

    fn open(&mut self, length: Duration, now: Duration) {
        self.state = State::Open { until: now + length, length };
        self.parts = [Part::default(); PARTS];
    }

    fn count(&mut self, is_failed: bool, is_slow: bool, now: Duration) {
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
        newest.failed += u32::from(is_failed);
        newest.slow += u32::from(is_slow);
    }

    fn is_too_much(&self) -> bool {
        let sum = |of: fn(&Part) -> u32| self.parts.iter().map(of).sum::<u32>();
        let (calls, failed, slow) =
            (sum(|part| part.calls), sum(|part| part.failed), sum(|part| part.slow));
        calls >= self.rules.calls_min
            && (failed * 100 >= calls * self.rules.failed_percent
                || slow * 100 >= calls * self.rules.slow_percent)
    }
}

#[cfg(test)]
mod tests;
