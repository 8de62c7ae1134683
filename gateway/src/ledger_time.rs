//! The ledger's time as a gateway knows it, shard by shard: what the ledger said last, and how long
//! ago by a clock that never goes back. It is never later than the ledger's own clock, so what is
//! over by it is over there. Nothing final is said by this machine's wall clock: it may be wrong by
//! an hour, and then it would be the only one that is.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use ids::Epoch;

/// Two clocks that were compared this long ago are up to 60 ms apart, by the drift of bad ones.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// Clocks of machines run alike up to a part in this many.
const DRIFT: u64 = 1000;

/// A ledger whose time isn't known is asked for it this often, however many want to know.
const ASK_EVERY_US: u64 = 100_000;

/// One look at the ledger's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Times of different epochs are not compared: each has its own process, and perhaps machine.
    pub(crate) epoch: Epoch,
    /// The ledger's clock less ours, at least.
    ahead_us: i64,
    /// When it arrived, by our clock.
    at_us: u64,
}

impl Reading {
    /// The ledger said `now_us`, which arrived at `at`, by a clock that never goes back. `None` if
    /// it said nothing.
    pub(crate) fn heard(epoch: Epoch, now_us: u64, at: Duration) -> Option<Self> {
        let at_us = micros(at);
        let ahead_us = i64::try_from(now_us).ok()? - i64::try_from(at_us).ok()?;
        (now_us > 0).then_some(Self { epoch, ahead_us, at_us })
    }

    /// What the ledger's clock showed at a moment of ours, at most.
    pub(crate) fn us_at(&self, moment: Duration) -> u64 {
        let moment_us = micros(moment);
        let told = moment_us.saturating_add_signed(self.ahead_us);
        told.saturating_sub(moment_us.abs_diff(self.at_us) / DRIFT)
    }

    /// Whether it tells as much as `other` at `moment`, or more.
    fn is_as_sharp(&self, other: &Self, moment: Duration) -> bool {
        self.epoch != other.epoch || self.us_at(moment) >= other.us_at(moment)
    }

    /// Whether it shows that `before` was of another clock, or wrong by a second.
    pub(crate) fn corrects(&self, before: &Self, moment: Duration) -> bool {
        self.epoch != before.epoch
            || self.us_at(moment) > before.us_at(moment).saturating_add(1_000_000)
    }

    fn is_good_at(&self, moment: Duration) -> bool {
        moment.saturating_sub(Duration::from_micros(self.at_us)) <= GOOD_FOR
    }
}

/// The time of one shard's ledger: written by whoever hears it, read by every purchase without a
/// lock.
#[derive(Debug, Default)]
pub(crate) struct LedgerTime {
    last: Mutex<Option<Reading>>,
    /// The same for those who only want to know the time; 0 if nothing is known.
    at_us: AtomicU64,
    ahead_us: AtomicI64,
    asked_us: AtomicU64,
    is_over: AtomicBool,
}

impl LedgerTime {
    /// Takes a reading in. Of those of one epoch the sharpest is kept, as long as it is good.
    pub(crate) fn hear(&self, heard: Reading, now: Duration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| !last.is_good_at(now) || heard.is_as_sharp(&last, now)) {
            *last = Some(heard);
            self.ahead_us.store(heard.ahead_us, Ordering::Release);
            self.at_us.store(heard.at_us, Ordering::Release);
        }
    }

    /// Another epoch is open: what was heard in the one before tells nothing any more.
    pub(crate) fn epoch_is(&self, epoch: i64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.epoch.get() != epoch) {
            *last = None;
            self.at_us.store(0, Ordering::Release);
        }
    }

    /// What was heard last, if that still is worth something.
    pub(crate) fn reading(&self, now: Duration) -> Option<Reading> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|last| last.is_good_at(now))
    }

    /// What the ledger's clock shows, at most, in milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self, now: Duration) -> Option<u64> {
        let at_us = self.at_us.load(Ordering::Acquire);
        let ahead_us = self.ahead_us.load(Ordering::Acquire);
        let is_good = at_us > 0 && micros(now).saturating_sub(at_us) <= micros(GOOD_FOR);
        is_good.then(|| {
            let lag_us = micros(now).abs_diff(at_us) / DRIFT;
            micros(now).saturating_add_signed(ahead_us).saturating_sub(lag_us) / 1000
        })
    }

    /// Whether it is time that somebody asks the ledger.
    pub(crate) fn may_ask(&self, now: Duration) -> bool {
        let (asked_us, now_us) = (self.asked_us.load(Ordering::Acquire), micros(now));
        let is_due = asked_us == 0 || now_us >= asked_us.saturating_add(ASK_EVERY_US);
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        is_due && self.asked_us.compare_exchange(asked_us, now_us, success, failure).is_ok()
    }

    /// The shard is retired: its sale is over, whatever any clock says.
    pub(crate) fn set_over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// See [`LedgerTime::set_over`].
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn reading(epoch: i64, ledger_ms: u64, at_ms: u64) -> Reading {
        Reading::heard(Epoch::new(epoch).unwrap(), ledger_ms * 1000, at(at_ms)).unwrap()
    }

    #[test]
    fn it_goes_on_and_never_ahead_of_the_ledger() {
        let heard = reading(7, 500_000, 1_000);
        assert_eq!(heard.us_at(at(1_000)), 500_000_000);
        // A part in a thousand less than what has passed, since ours may be the faster clock.
        assert_eq!(heard.us_at(at(2_000)), 500_999_000);
        assert_eq!(heard.us_at(at(0)), 498_999_000, "nor later than it was back then");
        assert_eq!(Reading::heard(Epoch::new(7).unwrap(), 0, at(5)), None, "nothing was said");
    }

    #[test]
    fn the_sharpest_of_an_epoch_is_kept_and_another_epoch_counts() {
        let time = LedgerTime::default();
        assert_eq!(time.now_ms(at(1_000)), None);
        time.hear(reading(7, 500_000, 1_000), at(1_000));
        // The answer took 50 ms longer.
        time.hear(reading(7, 499_960, 1_010), at(1_010));
        assert_eq!(time.now_ms(at(1_010)), Some(500_009));
        time.hear(reading(7, 500_030, 1_020), at(1_020));
        assert_eq!(time.now_ms(at(1_020)), Some(500_030));
        time.hear(reading(8, 400_000, 1_030), at(1_030));
        assert_eq!(time.now_ms(at(1_030)), Some(400_000));
        time.epoch_is(8);
        assert!(time.reading(at(1_030)).is_some());
        time.epoch_is(9);
        assert_eq!((time.reading(at(1_030)), time.now_ms(at(1_030))), (None, None));
    }

    #[test]
    fn it_dies_of_silence() {
        let time = LedgerTime::default();
        time.hear(reading(7, 500_000, 1_000), at(1_000));
        assert!(time.now_ms(at(61_000)).is_some() && time.reading(at(61_000)).is_some());
        assert_eq!((time.now_ms(at(61_001)), time.reading(at(61_001))), (None, None));
        // Whatever it said: its clock may have been the faster one.
        time.hear(reading(7, 540_000, 61_001), at(61_001));
        assert_eq!(time.now_ms(at(61_001)), Some(540_000));
    }

    #[test]
    fn a_crowd_asks_ten_times_a_second() {
        let time = LedgerTime::default();
        let asked = (1_000..2_000).filter(|ms| time.may_ask(at(*ms)));
        assert_eq!(asked.count(), 10);
    }
}
