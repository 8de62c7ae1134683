//! Failures that were counted, and how long the next try has to wait for that. The first few cost
//! nothing, for people mistype; each further one doubles the wait, up to a bound. One failure is
//! forgiven at a time, so that nobody is locked out for good, and a patient guesser gets no more
//! tries than are forgiven. Times are of a monotonic clock.

use std::time::Duration;

/// When waiting begins, and how it grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Failures that cost no wait.
    pub(crate) failures_max: u32,
    /// After this long, one failure less counts.
    pub(crate) forgiven_after: Duration,
    /// After the first failure too many; then it doubles.
    pub(crate) first_wait: Duration,
    pub(crate) wait_max: Duration,
}

/// Failures of one account, of one address, or of one at the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    failures: u32,
    /// Tries whose result isn't known yet.
    pending: u32,
    /// Up to when they were forgiven.
    forgiven_at: Duration,
    last_at: Duration,
}

impl Tally {
    /// How long the next try has to wait; none: it may be made.
    pub(crate) fn wait(&self, now: Duration, patience: &Patience) -> Option<Duration> {
        let failures = self.forgive(now, patience).failures;
        // Many at once get no more tries than one after the other: as many as are free, then one.
        if self.pending > 0 && failures.saturating_add(self.pending) >= patience.failures_max {
            return Some(patience.first_wait);
        }
        let too_many = failures.checked_sub(patience.failures_max)?;
        let factor = 1_u32.checked_shl(too_many).unwrap_or(u32::MAX);
        let wait = patience.first_wait.saturating_mul(factor).min(patience.wait_max);
        let left = (self.last_at + wait).saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// With one try more.
    pub(crate) fn begun(self) -> Self {
        Self { pending: self.pending.saturating_add(1), ..self }
    }

    /// The try is over, and was no failure.
    pub(crate) fn ended(self) -> Self {
        Self { pending: self.pending.saturating_sub(1), ..self }
    }

    /// With one failure more.
    pub(crate) fn failed(self, now: Duration, patience: &Patience) -> Self {
        let before = self.forgive(now, patience);
        Self { failures: before.failures.saturating_add(1), last_at: now, ..before }
    }

    fn forgive(self, now: Duration, patience: &Patience) -> Self {
        let span = patience.forgiven_after.max(Duration::from_millis(1));
        let spans = now.saturating_sub(self.forgiven_at).as_millis() / span.as_millis();
        match u32::try_from(spans).ok().filter(|spans| *spans < self.failures) {
            Some(spans) => Self {
                failures: self.failures - spans,
                forgiven_at: self.forgiven_at + span.saturating_mul(spans),
                ..self
            },
            None => Self { failures: 0, forgiven_at: now, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        failures_max: 3,
        forgiven_after: Duration::from_secs(100),
        first_wait: Duration::from_secs(1),
        wait_max: Duration::from_secs(10),
    };

    /// Seconds of waiting after each failure, which happen as soon as they may.
    fn waits(count: u32) -> Vec<u64> {
        let (mut tally, mut now) = (Tally::default(), Duration::from_secs(1_000));
        (0..count)
            .map(|_| {
                tally = tally.failed(now, &PATIENCE);
                let wait = tally.wait(now, &PATIENCE).unwrap_or_default();
                now += wait;
                assert_eq!(tally.wait(now, &PATIENCE), None, "it has waited");
                wait.as_secs()
            })
            .collect()
    }

    #[test]
    fn the_first_failures_are_free_and_then_the_wait_doubles_up_to_its_bound() {
        assert_eq!(waits(8), [0, 0, 1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn one_failure_at_a_time_is_forgiven() {
        let start = Duration::from_secs(1_000);
        let mut tally = Tally::default();
        for _ in 0..4 {
            tally = tally.failed(start, &PATIENCE);
        }
        // Three still count after 100 s, two after 200 s: then one more is free again.
        for (after_s, failures) in [(99, 4), (100, 3), (199, 3), (200, 2), (399, 1), (400, 0)] {
            let now = start + Duration::from_secs(after_s);
            assert_eq!(tally.forgive(now, &PATIENCE).failures, failures, "after {after_s} s");
        }
        let now = start + Duration::from_secs(150);
        let waits = tally.failed(now, &PATIENCE).wait(now, &PATIENCE);
        assert_eq!(waits, Some(Duration::from_secs(2)), "the fourth that counts");
    }

    #[test]
    fn a_patient_guesser_gets_what_is_forgiven() {
        let (mut tally, mut tries) = (Tally::default(), 0);
        for second in 1_000..87_400 {
            let now = Duration::from_secs(second);
            if tally
                .wait(now, &Patience { wait_max: Duration::from_secs(900), ..PATIENCE })
                .is_none()
            {
                tally = tally.failed(now, &PATIENCE);
                tries += 1;
            }
        }
        // 864 were forgiven in a day of 86,400 s; the wait itself allows for no more than that.
        assert!((100..=880).contains(&tries), "{tries}");
    }

    #[test]
    fn tries_under_way_take_what_is_free_and_leave_no_trace() {
        let now = Duration::from_secs(5);
        let before = Tally::default().failed(now, &PATIENCE);
        let two = before.begun().begun();
        assert_eq!(before.begun().wait(now, &PATIENCE), None);
        assert_eq!(two.wait(now, &PATIENCE), Some(PATIENCE.first_wait), "none is free");
        assert_eq!(two.ended().ended(), before);
        assert_eq!(Tally::default().ended(), Tally::default());
    }

    #[test]
    fn who_has_waited_gets_one_try_at_a_time() {
        let start = Duration::from_secs(5);
        let tally = (0..5).fold(Tally::default(), |tally, _| tally.failed(start, &PATIENCE));
        let later = start + Duration::from_secs(4);
        assert_eq!(tally.wait(later, &PATIENCE), None);
        assert_eq!(tally.begun().wait(later, &PATIENCE), Some(PATIENCE.first_wait));
    }
}
