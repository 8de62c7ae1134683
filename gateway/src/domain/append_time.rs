//! A second look at the lease, for machines whose own clock stood still: how much later than the
//! ledger took a hold the broker wrote its record, by their clocks. Those may be apart, so only
//! what is above the least of the last seconds counts. A paused virtual machine doesn't see the
//! pause by any clock of its own, and here it shows (I-2).

use std::time::Duration;

/// How long the least is remembered, once or twice: clocks that were set are believed after that.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Of one partition.
#[derive(Debug, Default)]
pub(crate) struct Lags {
    young_ms: Option<i64>,
    old_ms: Option<i64>,
    since: Duration,
}

impl Lags {
    /// A record was written `appended_ms` by the broker's clock, of holds that were taken at
    /// `taken_ms` by the ledger's. Whether nothing speaks against less than `lease` between the
    /// two. `now` is of a clock that never goes back.
    pub(crate) fn is_within(
        &mut self,
        lease: Duration,
        taken_ms: u64,
        appended_ms: i64,
        now: Duration,
    ) -> bool {
        let lag_ms = appended_ms.saturating_sub_unsigned(taken_ms);
        if now.saturating_sub(self.since) >= REMEMBERED {
            // What is older than two times that is forgotten altogether.
            let is_idle = now.saturating_sub(self.since) >= REMEMBERED * 2;
            self.old_ms = self.young_ms.take().filter(|_| !is_idle);
            self.since = now;
        }
        let least_ms = self.young_ms.into_iter().chain(self.old_ms).min().unwrap_or(lag_ms);
        let is_within = lag_ms.saturating_sub(least_ms) < millis(lease);
        self.young_ms = Some(self.young_ms.map_or(lag_ms, |young_ms| young_ms.min(lag_ms)));
        is_within
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `at taken appended → within`, one after the other, in milliseconds; a lease of 2 s.
    fn check(story: &str) {
        let mut lags = Lags::default();
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let [at, taken, appended, _, expected] = words[..] else { panic!("{line}") };
            let now = Duration::from_millis(at.parse().unwrap());
            let (taken_ms, appended_ms) = (taken.parse().unwrap(), appended.parse().unwrap());
            let is_within = lags.is_within(Duration::from_secs(2), taken_ms, appended_ms, now);
            assert_eq!(is_within, expected == "within", "{line}");
        }
    }

    #[test]
    fn a_pause_that_our_clock_did_not_see_shows() {
        check(
            "0   1000000 1000003 → within
             10  1000010 1001013 → within
             20  1000020 1002022 → within
             20  1000020 1002024 → late
             30  1000030 1060030 → late
             40  1060040 1060043 → within",
        );
    }

    #[test]
    fn clocks_that_are_apart_are_not_held_against_anybody() {
        check(
            "0   1000000 4600002 → within
             10  1000010 4600015 → within
             20  1000020 4602023 → late
             30  4700000 1000000 → within",
        );
    }

    #[test]
    fn a_broker_whose_clock_was_set_is_believed_after_a_while() {
        check(
            "0     1000000 1000003 → within
             10    1000010 1005013 → late
             5000  1005000 1010003 → late
             10000 1010000 1015003 → within
             10010 1010010 1015012 → within",
        );
    }

    #[test]
    fn after_a_silence_there_is_nothing_to_compare_with() {
        check(
            "0     1000000 1000003 → within
             60000 1060000 1090000 → within",
        );
    }
}
