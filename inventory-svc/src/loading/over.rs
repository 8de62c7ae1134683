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
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(300);

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn shard(number: u32) -> ShardNo {
        ShardNo::new(number).unwrap()
    }

    #[test]
    fn a_sale_is_over_once_it_was_seen_so_all_the_while() {
        let mut seen = SeenOver::default();
        assert!(!seen.is_over(shard(1), at(1_000), Duration::ZERO), "never seen");
        seen.look(at(1_000), &[shard(1)]);
        seen.look(at(1_200), &[shard(1), shard(2)]);
        assert!(!seen.is_over(shard(1), at(1_299), LONG));
        assert!(seen.is_over(shard(1), at(1_300), LONG));
        assert!(!seen.is_over(shard(2), at(1_499), LONG));
        assert!(seen.is_over(shard(2), at(1_500), LONG));
    }

    #[test]
    fn a_clock_that_is_put_right_begins_anew() {
        let mut seen = SeenOver::default();
        seen.look(at(1_000), &[shard(1)]);
        seen.look(at(1_299), &[]);
        seen.look(at(1_300), &[shard(1)]);
        assert!(!seen.is_over(shard(1), at(1_301), LONG));
        assert!(seen.is_over(shard(1), at(1_600), LONG));
    }

    #[test]
    fn a_clock_that_goes_as_time_does_has_not_jumped() {
        let mut pace = Pace::default();
        assert_eq!(pace.look(at(100), 1_000_000), None, "the first look");
        assert_eq!(pace.look(at(101), 1_001_000), None);
        assert_eq!(pace.look(at(102), 1_011_999), None, "late answers");
        assert_eq!(pace.look(at(102), 4_611_999), Some(3_600_000));
        assert_eq!(pace.look(at(103), 1_012_999), Some(-3_600_000));
        assert_eq!(pace.look(at(104), 1_013_999), None);
    }
}
