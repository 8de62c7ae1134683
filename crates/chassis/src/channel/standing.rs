//! Whether an instance gets its turn, by what became of the calls that it got. Who fails fast is
//! idle and would look best: it loses its turn for a while, and then one call shows how it is now.
//! Its answer gives the turn back, or takes it for twice as long, up to a bound.
//!
//! Only what the instance does counts, never what a caller chooses: that nobody waits for a call
//! any more says something only after [`PATIENCE`]. Pure: it is told the time.

use std::time::Duration;

/// Calls in a row that end without the instance's answer before it loses its turn. One may fall to
/// a connection that is made anew.
const FAILURES: u32 = 5;
/// How long a turn is lost at first, and at most: a store that is back is used again within this.
const OUT_FIRST: Duration = Duration::from_millis(500);
const OUT_MAX: Duration = Duration::from_secs(8);
/// How long, at least, a call may take to show how it is now, before another one may.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// What is usual takes so many times as long as elsewhere, and so much longer, before an instance
/// is slow: a busy machine makes differences too.
const SLOWER_TIMES: u32 = 5;
const SLOWER_BY: Duration = Duration::from_millis(200);
/// The part that one call has in what is usual.
const SHARE: u32 = 8;
/// Who had to wait so long for nothing was patient enough for it to mean something.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fared {
    /// It was answered after so long, whatever the answer.
    Answered(Duration),
    /// No connection, or UNAVAILABLE without a reason.
    Failed,
    /// The instance says that it is the one that can't.
    Unable,
    /// Nobody waits any more. Others were answered meanwhile.
    Left(Duration),
    /// The same, and the instance has said nothing to anybody meanwhile.
    Silent(Duration),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Standing {
    state: State,
    failures: u32,
    /// How long an answer usually takes.
    usual: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `next` is for how long the turn would be lost, unless `since` is long ago.
    In {
        since: Duration,
        next: Duration,
    },
    Out {
        until: Duration,
        length: Duration,
    },
    /// Should the call never tell, another may after `until`.
    Probing {
        until: Duration,
        length: Duration,
    },
}

impl Default for Standing {
    fn default() -> Self {
        let state = State::In { since: Duration::ZERO, next: OUT_FIRST };
        Self { state, failures: 0, usual: None }
    }
}

impl Standing {
    /// Whether it may be called now.
    pub(super) fn is_in_turn(&self, now: Duration) -> bool {
        match self.state {
            State::In { .. } => true,
            State::Out { until, .. } | State::Probing { until, .. } => until <= now,
        }
    }

    /// It gets a call, which may be the one that shows how it is.
    pub(super) fn called(&mut self, now: Duration) {
        match self.state {
            State::Out { until, length } | State::Probing { until, length } if until <= now => {
                self.state = State::Probing { until: now + length.max(PROBE_WITHIN), length };
            }
            State::In { .. } | State::Out { .. } | State::Probing { .. } => {}
        }
    }

    /// What an answer usually takes.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.usual
    }

    /// A call ended. `elsewhere` is what is usual at the quickest of the other instances.
    /// Returns whether that has cost the turn.
    pub(super) fn saw(&mut self, fared: Fared, elsewhere: Option<Duration>, now: Duration) -> bool {
        let took = match fared {
            Fared::Answered(took) => Some(took),
            Fared::Left(waited) => (waited >= PATIENCE).then_some(waited),
            Fared::Failed | Fared::Unable | Fared::Silent(_) => None,
        };
        let is_probe = match self.state {
            State::In { .. } => false,
            State::Probing { .. } => true,
            // A call from before: it says nothing that isn't known.
            State::Out { .. } => return false,
        };
        if let Some(took) = took {
            let before = if is_probe { None } else { self.usual };
            let usual = before.map_or(took, |usual| (usual * (SHARE - 1) + took) / SHARE);
            self.usual = Some(usual);
        }
        let is_slow = took.is_some() && self.is_slow(elsewhere);
        let is_ill = match fared {
            Fared::Answered(_) => {
                self.failures = 0;
                is_slow
            }
            Fared::Left(_) => is_slow,
            Fared::Failed => {
                self.failures += 1;
                is_probe || self.failures >= FAILURES
            }
            Fared::Unable => true,
            Fared::Silent(waited) => waited >= PATIENCE,
        };
        if is_ill {
            self.lose_turn(now);
        } else if let (State::Probing { length, .. }, Fared::Answered(_)) = (self.state, fared) {
            self.state = State::In { since: now, next: (length * 2).min(OUT_MAX) };
        }
        is_ill
    }

    /// It says that it is well again: a call may show that.
    pub(super) fn look_again(&mut self, now: Duration) {
        if let State::Out { until, .. } = &mut self.state {
            *until = now;
        }
    }

    fn is_slow(&self, elsewhere: Option<Duration>) -> bool {
        let both = self.usual.zip(elsewhere);
        both.is_some_and(|(here, there)| here > there * SLOWER_TIMES && here - there > SLOWER_BY)
    }

    fn lose_turn(&mut self, now: Duration) {
        let length = match self.state {
            State::In { since, .. } if now.saturating_sub(since) >= OUT_MAX => OUT_FIRST,
            State::In { next, .. } => next,
            State::Out { length, .. } | State::Probing { length, .. } => (length * 2).min(OUT_MAX),
        };
        self.state = State::Out { until: now + length, length };
        self.failures = 0;
        self.usual = None;
    }
}

#[cfg(test)]
mod tests;
