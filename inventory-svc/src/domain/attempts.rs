//! When attempts were placed, and which of them may still take a hold. One that was placed longer
//! ago than any attempt lasts may not, nor one that was placed before somebody was told that there
//! is nothing of its order: that bars the order for all attempts so far, wherever they hang.
//!
//! Time as admission knows it never goes back: a step back of a second is smoothed over, a longer
//! one is refused until the shard is loaded anew or the clock has caught up. Times are microseconds
//! since the Unix epoch, by the keeper's clock.

use std::collections::HashMap;

use ids::OrderId;

/// How long after it was placed an attempt may still take a hold.
pub const ATTEMPT_LASTS_US: u64 = 10_000_000;

/// What an attempt says that doesn't say when it was placed, as gateways did once: it may take a
/// hold whenever it comes.
pub const PLACED_NOBODY_SAYS: u64 = u64::MAX;

/// A step back of the clock that is smoothed over.
const STEP_BACK_US: u64 = 1_000_000;

/// A bar takes some 100 bytes: 20 MB for a shard at most, in two generations.
const BARS_MAX: usize = 100_000;

/// The clock was ahead of this by more than a second when it was looked at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockBack;

/// See the module. The default is that of an epoch which begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    /// What was placed before isn't known any more.
    pub(super) since_us: u64,
    /// The latest time that counted.
    pub(super) latest_us: u64,
    /// When the young bars began. They become the old ones when no attempt lasts any more that they
    /// could be about.
    pub(super) turned_us: u64,
    pub(super) young: HashMap<OrderId, u64>,
    pub(super) old: HashMap<OrderId, u64>,
}

impl Attempts {
    /// Knows nothing of what was placed before `now_us`.
    pub fn since(now_us: u64) -> Self {
        Self { since_us: now_us, latest_us: now_us, turned_us: now_us, ..Self::default() }
    }

    /// The time that counts while the clock says `now_us`.
    ///
    /// # Errors
    /// [`ClockBack`].
    pub fn time_at(&mut self, now_us: u64) -> Result<u64, ClockBack> {
        if now_us.saturating_add(STEP_BACK_US) < self.latest_us {
            return Err(ClockBack);
        }
        self.latest_us = self.latest_us.max(now_us);
        Ok(self.latest_us)
    }

    /// From `now_us` on, no attempt that was placed up to then takes a hold for the order. Whether
    /// there was room to remember that.
    pub fn bar(&mut self, order: OrderId, now_us: u64) -> bool {
        if now_us >= self.turned_us.saturating_add(ATTEMPT_LASTS_US) {
            self.old = std::mem::take(&mut self.young);
            self.turned_us = now_us;
        }
        if self.young.len() >= BARS_MAX && !self.young.contains_key(&order) {
            return false;
        }
        self.young.insert(order, now_us);
        true
    }

    /// Whether an attempt that was placed then may take a hold at `now_us`.
    pub fn may_hold(&self, order: OrderId, placed_us: u64, now_us: u64) -> bool {
        let barred = self.young.get(&order).or_else(|| self.old.get(&order));
        let barred_us = barred.copied().unwrap_or(self.since_us);
        placed_us > barred_us && now_us < placed_us.saturating_add(ATTEMPT_LASTS_US)
    }
}

#[cfg(test)]
mod tests;
