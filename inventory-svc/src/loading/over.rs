//! What a clock that jumps must not decide: retiring a shard is final, and the clocks that say that
//! its sale is over may be wrong together, since the catalog's and the ledger's may be one on one
//! host. So this process wants to have seen it for as long by its own monotonic clock, which nobody
//! sets; and a clock that jumps is told of, so that somebody can put it right meanwhile.

use std::{collections::HashMap, time::Duration};

use ids::ShardNo;

/// What is no jump: two answers may have been under way for seconds.
const JUMP_MS: u64 = 10_000;

/// Since when this process has seen that sales are over.
#[derive(Debug, Default)]
pub struct SeenOver(HashMap<ShardNo, Duration>);

impl SeenOver {
    /// At `now` these, and no others, are shards of sales that have closed. What isn't among them
    /// begins anew: a clock that had jumped was put right.
    pub fn look(&mut self, now: Duration, over: &[ShardNo]) {
        let before = std::mem::take(&mut self.0);
        let since = |shard: &ShardNo| before.get(shard).copied().unwrap_or(now);
        self.0 = over.iter().map(|shard| (*shard, since(shard))).collect();
    }

    /// Whether every look since `now` less `long` has shown that the sale is over.
    pub fn is_over(&self, shard: ShardNo, now: Duration, long: Duration) -> bool {
        self.0.get(&shard).is_some_and(|since| now.saturating_sub(*since) >= long)
    }
}

/// Compares a wall clock with the monotonic one.
#[derive(Debug, Default)]
pub struct Pace(Option<(Duration, u64)>);

impl Pace {
    /// The wall clock showed `wall_ms` at `now`. By how many milliseconds it has jumped since the
    /// look before; none if it has gone as time does.
    pub fn look(&mut self, now: Duration, wall_ms: u64) -> Option<i64> {
        let (was, wall_was_ms) = self.0.replace((now, wall_ms))?;
        let passed_ms = u64::try_from(now.saturating_sub(was).as_millis()).unwrap_or(u64::MAX);
        let wanted_ms = wall_was_ms.saturating_add(passed_ms);
        let jumped_ms = i64::try_from(wall_ms).ok()?.checked_sub_unsigned(wanted_ms)?;
        (jumped_ms.unsigned_abs() > JUMP_MS).then_some(jumped_ms)
    }
}

#[cfg(test)]
mod tests;
