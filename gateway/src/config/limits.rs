//! What keeps the door calm: how many at once, how often each, and when to stop asking.

use std::time::Duration;

use serde::Deserialize;

use crate::{breaker, concurrency};

/// How many calls one core works on at once, as it learns.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencySettings {
    /// Purchases under way before anything was learnt, per core.
    pub places_first: usize,
    /// The fewest that are learnt.
    pub places_min: usize,
    /// The most.
    pub places_max: usize,
    /// How many times the unloaded latency is no overload yet, in percent.
    pub stretch_percent: u32,
    /// A wait that is no overload in any case, in milliseconds.
    pub unhurried_ms: u64,
    /// What ends within this is judged together, in milliseconds.
    pub window_ms: u64,
    /// … and no fewer purchases than this.
    pub samples_min: u32,
    /// After so long above the unloaded latency it is measured anew, in milliseconds.
    pub doubt_after_ms: u64,
    /// Calls that ask for orders, at once, per core.
    pub status_max: usize,
    /// Up to which part of the places tickets are issued.
    pub ticket_percent: usize,
    /// Up to which part the shop window is shown.
    pub browse_percent: usize,
    /// Up to which part people are registered and signed in.
    pub sign_in_percent: usize,
}

/// How often somebody may call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSettings {
    /// Each buyer.
    pub user: Allowance,
    /// All who come from one /24 or /64 together.
    pub network: Allowance,
    /// All purchases of one sale together.
    pub sale: Allowance,
    /// Users that are remembered, and as many networks and sales.
    pub keys_max: usize,
    /// How often those are forgotten whose allowance is whole, in milliseconds.
    pub forget_ms: u64,
}

/// A steady rate, and what may be saved up.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Calls a second.
    pub per_s: u32,
    /// Calls at once after a quiet time.
    pub burst: u32,
}

/// When a store isn't asked any more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerSettings {
    /// What is older doesn't count, in milliseconds.
    pub window_ms: u64,
    /// Batches in a window that prove something.
    pub calls_min: u32,
    /// Of those, without an answer in time.
    pub failed_percent: u32,
    /// From here on an answer is late, in milliseconds.
    pub slow_ms: u64,
    /// Late ones in a row that are silence.
    pub silent_calls_min: u32,
    /// How long nobody is let through at first, in milliseconds.
    pub open_ms: u64,
    /// … and at most.
    pub open_ms_max: u64,
    /// Purchases that are let through to see.
    pub probes: u32,
}

impl ConcurrencySettings {
    pub(crate) fn rules(&self) -> concurrency::Rules {
        concurrency::Rules {
            places_first: self.places_first,
            places_min: self.places_min,
            places_max: self.places_max,
            stretch: f64::from(self.stretch_percent) / 100.0,
            unhurried: Duration::from_millis(self.unhurried_ms),
            window: Duration::from_millis(self.window_ms),
            samples_min: self.samples_min,
            doubt_after: Duration::from_millis(self.doubt_after_ms),
        }
    }

    /// What makes no sense, in one sentence.
    pub(super) fn complaint(&self) -> Option<String> {
        let Self { places_first, places_min, places_max, .. } = *self;
        if places_min == 0 || places_first < places_min || places_max < places_first {
            return Some("concurrency.places_min, _first and _max must grow from 1".to_owned());
        }
        let percents = [self.ticket_percent, self.browse_percent, self.sign_in_percent];
        let falls = percents.is_sorted_by(|higher, lower| higher >= lower);
        if !falls || percents.iter().any(|percent| !(1..=100).contains(percent)) {
            return Some("concurrency.ticket_, browse_ and sign_in_percent must fall".to_owned());
        }
        if self.stretch_percent < 100 {
            return Some("concurrency.stretch_percent must be 100 or more".to_owned());
        }
        let above_zero =
            [("samples_min", self.samples_min as usize), ("status_max", self.status_max)];
        let zero = above_zero.into_iter().find(|(_, value)| *value == 0);
        zero.map(|(name, _)| format!("concurrency.{name} must be above 0"))
    }
}

impl RateSettings {
    pub(crate) fn forget_interval(&self) -> Duration {
        Duration::from_millis(self.forget_ms)
    }

    /// What makes no sense, in one sentence.
    pub(super) fn complaint(&self) -> Option<String> {
        for (name, Allowance { per_s, burst }) in
            [("user", self.user), ("network", self.network), ("sale", self.sale)]
        {
            if per_s == 0 || burst == 0 {
                return Some(format!("rates.{name}: per_s and burst must be above 0"));
            }
        }
        (self.keys_max == 0).then(|| "rates.keys_max must be above 0".to_owned())
    }
}

impl BreakerSettings {
    /// For stores that get at most so many calls of a shard at a time: silence can't take more.
    pub(crate) fn rules(&self, in_flight_max: usize) -> breaker::Rules {
        let in_flight_max = u32::try_from(in_flight_max).unwrap_or(u32::MAX);
        breaker::Rules {
            window: Duration::from_millis(self.window_ms),
            calls_min: self.calls_min,
            failed_percent: self.failed_percent,
            slow: Duration::from_millis(self.slow_ms),
            silent_calls_min: self.silent_calls_min.min(in_flight_max),
            open_for: Duration::from_millis(self.open_ms),
            open_for_max: Duration::from_millis(self.open_ms_max),
            probes: self.probes,
        }
    }

    /// What makes no sense, in one sentence: among it what could never open, with appends that are
    /// given up after so long.
    pub(super) fn complaint(&self, append_ms_max: u32) -> Option<String> {
        let above_zero = [
            ("window_ms", self.window_ms),
            ("calls_min", self.calls_min.into()),
            ("failed_percent", self.failed_percent.into()),
            ("slow_ms", self.slow_ms),
            ("silent_calls_min", self.silent_calls_min.into()),
            ("open_ms", self.open_ms),
            ("probes", self.probes.into()),
        ];
        let zero = above_zero.into_iter().find(|(_, value)| *value == 0);
        let is_short = || self.open_ms_max < self.open_ms;
        zero.map(|(name, _)| format!("breakers.{name} must be above 0"))
            .or_else(|| is_short().then(|| "breakers.open_ms_max is below open_ms".to_owned()))
            .or_else(|| {
                (self.slow_ms >= append_ms_max.into()).then(|| {
                    "breakers.slow_ms must be below journal.message_timeout_ms, or nothing is late"
                        .to_owned()
                })
            })
    }
}
