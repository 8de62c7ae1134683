//! The time, and who may move it.
//!
//! Two times: `now`, monotonic, which also counts while the machine is suspended (leases rest on
//! it: a process that was frozen must see that its lease is over), and `wall_ms`, what a calendar
//! shows. Both come from the system; a test holds a [`ClockShift`] and moves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Tells the time. Cloning is cheap, and clones of an adjustable clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift: Option<Arc<Shift>>,
}

/// Moves an adjustable [`Clock`] and all of its clones.
#[derive(Clone, Debug)]
pub struct ClockShift {
    shift: Arc<Shift>,
}

#[derive(Debug, Default)]
struct Shift {
    monotonic_ns: AtomicU64,
    wall_ms: AtomicI64,
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self { shift: None }
    }

    /// A clock that runs with the machine's, and that a test can move.
    pub fn adjustable() -> (Self, ClockShift) {
        let shift = Arc::new(Shift::default());
        (Self { shift: Some(Arc::clone(&shift)) }, ClockShift { shift })
    }

    /// Time since some fixed moment before this process began. Never goes back, and goes on while
    /// the machine is suspended (`CLOCK_BOOTTIME`).
    pub fn now(&self) -> Duration {
        let shift =
            self.shift.as_ref().map_or(0, |shift| shift.monotonic_ns.load(Ordering::SeqCst));
        boot_time() + Duration::from_nanos(shift)
    }

    /// Milliseconds since 1970-01-01 UTC. May jump in both directions: never measure with it.
    pub fn wall_ms(&self) -> u64 {
        self.wall_us() / 1000
    }

    /// The same in microseconds.
    pub fn wall_us(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that others ask")]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shift = self.shift.as_ref().map_or(0, |shift| shift.wall_ms.load(Ordering::SeqCst));
        micros(wall).saturating_add_signed(shift.saturating_mul(1000))
    }
}

impl ClockShift {
    /// Both times jump ahead: what a process sees that was frozen for so long.
    pub fn jump(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.shift.monotonic_ns.fetch_add(ns, Ordering::SeqCst);
        self.shift.wall_ms.fetch_add(signed_millis(by), Ordering::SeqCst);
    }

    /// The wall time alone jumps ahead: what a wrong system clock looks like.
    pub fn jump_wall_ahead(&self, by: Duration) {
        self.shift.wall_ms.fetch_add(signed_millis(by), Ordering::SeqCst);
    }

    /// The wall time alone jumps back: what a corrected system clock looks like.
    pub fn jump_wall_back(&self, by: Duration) {
        self.shift.wall_ms.fetch_sub(signed_millis(by), Ordering::SeqCst);
    }
}

/// The machine's monotonic time, unmoved by any [`ClockShift`].
pub(crate) fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // The kernel counts it up from zero at boot, so neither part is ever negative.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn signed_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_an_adjustable_clock_jump_together() {
        let (clock, shift) = Clock::adjustable();
        let twin = clock.clone();
        let (now, wall) = (twin.now(), twin.wall_ms());
        shift.jump(Duration::from_secs(3600));
        assert!(twin.now() >= now + Duration::from_secs(3600));
        assert!(twin.wall_ms() >= wall + 3_600_000);
    }

    #[test]
    fn wall_time_jumps_back_alone() {
        let (clock, shift) = Clock::adjustable();
        let (now, wall) = (clock.now(), clock.wall_ms());
        shift.jump_wall_back(Duration::from_secs(3600));
        assert!(clock.now() >= now);
        assert!(clock.wall_ms() <= wall - 3_590_000);
    }

    #[test]
    fn system_clock_never_goes_back() {
        let clock = Clock::system();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
