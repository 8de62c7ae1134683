//! How many purchases one core may have under way: learnt from how long they take, since any number
//! that somebody writes down is wrong by the time it matters. A gradient on measured latency, after
//! Netflix's and Envoy's: while purchases take about as long as on an idle system the limit grows,
//! and when they take `stretch` times as long it shrinks in proportion. It comes to rest near
//! capacity x time, with a queue of a root of that behind the door. No clock and no I/O: it is told
//! what ended and when. It doesn't know who asks; see `layers/adaptive.rs` for that.
//!
//! It is lowered by nothing that passes by itself: a store, or the machine, that stood still for a
//! moment makes a window slow, or two, and works off what waited; then as many are answered in
//! time. And it isn't lowered below what ends within the latency that it allows at the best pace of
//! late: slow windows say that there is a queue, not that less can be done. To refuse costs time
//! too, where it is short already: without that bound refusals made purchases slower, and slower
//! purchases made refusals, until nearly everybody was refused.

use std::time::Duration;

use crate::pace::Pace;

/// The best pace counts for half of itself after so long. A store that was replaced by a slower one
/// has a queue of what it once could do as long as that.
const BEST_HALF_LIFE_S: f64 = 3.0;

/// So many slow windows are a queue that doesn't go away by itself, unless as many are answered in
/// time between them. With one, a process that was replaced under load took a limit of 256 places
/// to the least, and buyers were refused for seconds. In a row they needn't be: where one sale has
/// a queue and another has none, windows with but a few answers of the second come between.
const SLOW_WINDOWS: u32 = 3;

/// What a [`Limit`] goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    /// Before anything was learnt.
    pub(crate) places_first: usize,
    /// Never fewer, or nothing could be learnt any more.
    pub(crate) places_min: usize,
    pub(crate) places_max: usize,
    /// How many times the unloaded latency is no overload yet: purchases wait for the batch before
    /// theirs, which alone doubles it.
    pub(crate) stretch: f64,
    /// A wait that nobody minds, whatever multiple of the unloaded latency it is.
    pub(crate) unhurried: Duration,
    /// What ends in one window is judged together; it lasts longer until enough has ended.
    pub(crate) window: Duration,
    pub(crate) samples_min: u32,
    /// After so long above the latency that is allowed the unloaded one is measured anew: perhaps
    /// everything has become slower for good. One window counts for a tenth of it, at most.
    pub(crate) doubt_after: Duration,
}

/// How a purchase ended that went all the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer, after so long.
    Answered(Duration),
    /// Nobody can say how; it took too long, or a store failed.
    Unknown,
}

/// The limit of one core.
#[derive(Debug)]
pub(crate) struct Limit {
    rules: Rules,
    places: f64,
    /// The shortest mean of a window, which follows slowly where nothing presses.
    unloaded: Option<Duration>,
    /// When latency was last one that is allowed; later by the lulls since.
    confirmed_at: Duration,
    /// Since as many were answered in time as had been slow.
    slow_windows: u32,
    /// Answers of those that have yet to be made up for.
    slow_answers: u32,
    /// Of answers.
    pace: Pace,
    /// The highest of those, a second, as of the last window's end.
    best_per_s: f64,
    phase: Phase,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Steady,
    /// A quarter of the places for two windows: the first drains, the second measures.
    Measuring {
        has_drained: bool,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began_at: Duration,
    answered: u32,
    unknown: u32,
    sum: Duration,
    in_flight_max: usize,
}

impl Limit {
    /// Has learnt nothing yet.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            places: rules.places_first as f64,
            unloaded: None,
            confirmed_at: Duration::ZERO,
            slow_windows: 0,
            slow_answers: 0,
            pace: Pace::default(),
            best_per_s: 0.0,
            phase: Phase::Steady,
            window: Window::default(),
        }
    }

    /// How many may be under way now.
    pub(crate) fn places(&self) -> usize {
        // Within the bounds of a usize, since the rules' are.
        match self.phase {
            Phase::Steady => self.places as usize,
            // Below the least, too: measured with a queue, the unloaded latency would only grow.
            Phase::Measuring { .. } => ((self.places / 4.0) as usize).max(1),
        }
    }

    /// A purchase ended, of `in_flight` with itself.
    pub(crate) fn saw(&mut self, ended: Ended, in_flight: usize, now: Duration) {
        let window = &mut self.window;
        match ended {
            Ended::Answered(took) => {
                self.pace.happened(now);
                window.answered += 1;
                window.sum += took;
            }
            Ended::Unknown => window.unknown += 1,
        }
        window.in_flight_max = window.in_flight_max.max(in_flight);
        let is_over = now.saturating_sub(window.began_at) >= self.rules.window
            && window.answered + window.unknown >= self.rules.samples_min;
        if is_over {
            let window =
                std::mem::replace(&mut self.window, Window { began_at: now, ..Window::default() });
            self.learn(window, now);
        }
    }

    /// How many are answered a second, as of lately.
    pub(crate) fn answered_per_s(&self, now: Duration) -> f64 {
        self.pace.per_s(now)
    }

    fn learn(&mut self, window: Window, now: Duration) {
        let lasted = now.saturating_sub(window.began_at);
        // A lull is no time above it: a sale would open with a quarter of its places. But slow ones
        // raise the doubt in the end, however few come: each window counts for something.
        self.confirmed_at += lasted.saturating_sub(self.rules.doubt_after / 10);
        let forgotten = lasted.as_secs_f64() / BEST_HALF_LIFE_S;
        self.best_per_s = (self.best_per_s * (-forgotten).exp2()).max(self.pace.per_s(now));
        // One in ten without an answer says more than how long the others took.
        if window.unknown * 10 >= window.answered + window.unknown {
            self.set(self.places * 0.8);
            return;
        }
        let mean = window.sum / window.answered;
        match &mut self.phase {
            Phase::Measuring { has_drained: has_drained @ false } => *has_drained = true,
            Phase::Measuring { has_drained: true } => {
                self.unloaded = Some(mean);
                self.confirmed_at = now;
                self.phase = Phase::Steady;
            }
            Phase::Steady => self.adapt(mean, window, now),
        }
    }

    fn adapt(&mut self, mean: Duration, window: Window, now: Duration) {
        let Window { answered, in_flight_max, .. } = window;
        // What wasn't used by half says nothing about the limit, but it shows an unloaded system.
        let was_used = in_flight_max as f64 * 2.0 >= self.places;
        let unloaded = match self.unloaded {
            Some(known) if mean > known && was_used => known,
            Some(known) if mean > known => known.mul_f64(0.9) + mean.mul_f64(0.1),
            Some(_) | None => mean,
        };
        self.unloaded = Some(unloaded);
        let allowed = unloaded.mul_f64(self.rules.stretch).max(unloaded + self.rules.unhurried);
        if mean <= allowed {
            self.slow_answers = self.slow_answers.saturating_sub(answered);
            if self.slow_answers > 0 {
                return;
            }
            self.confirmed_at = now;
            self.slow_windows = 0;
            if was_used || self.places < self.rules.places_first as f64 {
                // Half of the way: one window may be an accident. What was learnt from a burst is
                // forgotten without another: the next one is as likely to find everything faster.
                self.set(self.places + self.places.sqrt() / 2.0);
            }
            return;
        }
        if now.saturating_sub(self.confirmed_at) >= self.rules.doubt_after {
            self.phase = Phase::Measuring { has_drained: false };
            return;
        }
        self.slow_windows = self.slow_windows.saturating_add(1);
        // No more than these windows had, or a long rush would be remembered for as long.
        let remembered = answered.saturating_mul(SLOW_WINDOWS);
        self.slow_answers = self.slow_answers.saturating_add(answered).min(remembered);
        if self.slow_windows >= SLOW_WINDOWS {
            let (allowed, mean) = (allowed.as_secs_f64(), mean.as_secs_f64());
            // What was never used can't have been the measure: a limit that was far too high comes
            // down at once to what made purchases slow.
            let used = self.places.min(in_flight_max as f64);
            let worth_it = self.best_per_s * allowed;
            self.set((used * (allowed / mean).max(0.5) + used.sqrt()).max(worth_it));
        }
    }

    fn set(&mut self, places: f64) {
        let Rules { places_min, places_max, .. } = self.rules;
        self.places = places.clamp(places_min as f64, places_max as f64);
    }
}

#[cfg(test)]
mod tests;
