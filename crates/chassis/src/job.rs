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
///
/// A step that changes what it captures can't be written as a closure here: loop over a [`Beat`].
pub async fn every<F>(interval: Duration, stopper: &Stopper, mut step: impl FnMut() -> F)
where
    // Not `AsyncFnMut`: the compiler doesn't see that such a job is Send, and it must be spawned.
    F: Future<Output = ()>,
{
    let mut beat = Beat::new(interval, stopper);
    while beat.next().await {
        step().await;
    }
}

/// The beat of a job: `while beat.next().await { … }`.
#[derive(Debug)]
pub struct Beat {
    interval: Duration,
    stopper: Stopper,
    is_first: bool,
}

impl Beat {
    /// A beat at once, and then one every `interval`, jittered by up to a tenth either way.
    pub fn new(interval: Duration, stopper: &Stopper) -> Self {
        Self { interval, stopper: stopper.clone(), is_first: true }
    }

    /// Waits for the next beat; `false` once the stopper has stopped, at once.
    pub async fn next(&mut self) -> bool {
        if !std::mem::take(&mut self.is_first) {
            tokio::select! {
                biased;
                () = self.stopper.stopped() => {}
                () = tokio::time::sleep(jittered(self.interval)) => {}
            }
        }
        !self.stopper.is_stopped()
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
        Self { first, max, next: first.min(max) }
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
