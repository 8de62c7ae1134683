//! What is done unasked: again and again, or again after a failure.
//!
//! The loop knows when; the step knows what. A step is idempotent, bounds its own time, and logs
//! its own failures. Waits are jittered, so that instances which started together don't beat
//! their stores together.

use std::time::Duration;

use rand::RngExt;

use crate::stop::Stopper;

/// Runs `step`, waits `interval` (jittered by up to a tenth either way), and so on; returns when
/// `stopper` stops. A running step is finished first.
pub async fn every(interval: Duration, stopper: &Stopper, mut step: impl AsyncFnMut()) {
    while !stopper.is_stopped() {
        step().await;
        tokio::select! {
            biased;
            () = stopper.stopped() => {}
            () = tokio::time::sleep(jittered(interval)) => {}
        }
    }
}

/// Waits between attempts that fail: each twice as long as the one before, up to a bound.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits of about `first`, 2 `first`, 4 `first`, … and never more than `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            next: first.min(max),
        }
    }

    /// The next wait: a random one between half of its step and all of it.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.max);
        step.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.max);
    }
}

/// `interval`, give or take a tenth.
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests;
