//! What came of a stretch of load: how many were served, and how long they waited from the moment
//! in which they wanted to come. Knows no shop.

use std::time::Duration;

/// A generator that is later than this measures the machine and not the shop.
const LATE_MAX: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Seen {
    /// What is judged: scheduled, or done, from here on …
    from: Duration,
    /// … to here.
    to: Duration,
    pub(super) offered: usize,
    pub(super) overloaded: usize,
    /// Of those who were accepted; in order once it is closed.
    latencies: Vec<Duration>,
    /// Accepted in the time that is judged, whenever they were scheduled.
    done: usize,
    /// How far the generator was behind its schedule at worst.
    late_max: Duration,
}

impl Seen {
    /// Of what is scheduled, or done, between these moments.
    pub(super) fn new(from: Duration, to: Duration) -> Self {
        let (latencies, late_max) = (Vec::new(), Duration::ZERO);
        Self { from, to, offered: 0, overloaded: 0, latencies, done: 0, late_max }
    }

    /// A purchase was sent, so much later than it was scheduled.
    pub(super) fn sent(&mut self, late: Duration) {
        self.late_max = self.late_max.max(late);
    }

    /// It was accepted.
    pub(super) fn accepted(&mut self, scheduled: Duration, now: Duration) {
        self.done += usize::from(now >= self.from && now < self.to);
        if scheduled >= self.from {
            self.offered += 1;
            self.latencies.push(now.saturating_sub(scheduled));
        }
    }

    /// It was refused.
    pub(super) fn overloaded(&mut self, scheduled: Duration) {
        let counts = usize::from(scheduled >= self.from);
        self.offered += counts;
        self.overloaded += counts;
    }

    /// Everything has ended.
    pub(super) fn close(&mut self) {
        self.latencies.sort_unstable();
    }

    /// Accepted in a second.
    pub(super) fn goodput(&self) -> f64 {
        self.done as f64 / (self.to - self.from).as_secs_f64()
    }

    /// How many of those who came were accepted, then or a moment later.
    pub(super) fn accepted_in_all(&self) -> usize {
        self.latencies.len()
    }

    /// The part of those who came that was accepted at once.
    pub(super) fn accepted_part(&self) -> f64 {
        1.0 - self.overloaded as f64 / self.offered.max(1) as f64
    }

    /// The latency that 99 of 100 accepted don't exceed.
    pub(super) fn p99(&self) -> Duration {
        self.latencies[self.latencies.len() * 99 / 100]
    }

    pub(super) fn p50(&self) -> Duration {
        self.latencies[self.latencies.len() / 2]
    }

    /// For the reader of the output.
    pub(super) fn tell(&self, what: &str) {
        let Self { offered, overloaded, late_max, .. } = self;
        #[expect(clippy::print_stdout, reason = "the figures are what the story is about")]
        {
            println!(
                "{what}: {offered} offered, {:.0}/s accepted, p50 {:.1?}, p99 {:.1?}, \
                 {overloaded} told OVERLOADED; the generator was {late_max:.0?} late at most",
                self.goodput(),
                self.p50(),
                self.p99(),
            );
        }
    }

    /// Whether what was seen tells of the shop, and not of a generator that had no time.
    pub(super) fn is_on_time(&self) -> bool {
        self.late_max < LATE_MAX
    }
}

/// The one in the middle: one round that something else disturbed doesn't decide.
pub(super) fn median(rounds: &[Seen], of: impl Fn(&Seen) -> Duration) -> Duration {
    let mut all: Vec<_> = rounds.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}
