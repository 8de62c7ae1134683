//! What the ledger has yet to hear of the books' decisions, on its way there: a bounded queue that
//! never makes the books wait. What doesn't fit, or can't be told after a few tries, is left to the
//! ledger's own roll-forward (law C), which asks the books. Counted always, logged now and then.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{Clock, metrics::Counter};
use ids::{Epoch, ShardNo};
use tokio::sync::mpsc;

use crate::fold::Decision;

/// The most decisions in one call, as the ledger's contract says.
pub(crate) const DECISIONS_MAX: usize = 4096;

/// The books' decisions about holds of one epoch of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settle {
    /// Whose holds.
    pub shard: ShardNo,
    /// The epoch that they were taken in.
    pub epoch: Epoch,
    /// The generation of the position row at the commit, or a later one.
    pub generation: u64,
    /// In log order.
    pub decisions: Vec<Decision>,
}

/// The end of the queue where the consumers are. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Settles {
    queue: mpsc::Sender<Settle>,
    left_over: LeftOver,
}

impl Settles {
    /// A queue of at most `len_max` entries, and the end where they come out.
    pub(crate) fn new(len_max: usize, left_over: LeftOver) -> (Self, mpsc::Receiver<Settle>) {
        let (queue, entries) = mpsc::channel(len_max.max(1));
        (Self { queue, left_over }, entries)
    }

    /// Queues it, or leaves it over. Never waits.
    pub(crate) fn offer(&self, settle: Settle) {
        if let Err(error) = self.queue.try_send(settle) {
            let settle = error.into_inner();
            self.left_over.note(&settle, &"the queue is full");
        }
    }
}

/// Counts what was left to the roll-forward. Clones count together.
#[derive(Clone)]
pub(crate) struct LeftOver {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    log_every: Duration,
    holds: Counter,
    logged_at: Mutex<HashMap<ShardNo, Duration>>,
}

impl LeftOver {
    /// Logs once for each shard in `log_every`; `holds` counts.
    pub(crate) fn new(clock: Clock, log_every: Duration, holds: Counter) -> Self {
        let logged_at = Mutex::default();
        Self { inner: Arc::new(Inner { clock, log_every, holds, logged_at }) }
    }

    /// How many decisions in all.
    pub(crate) fn holds(&self) -> u64 {
        self.inner.holds.get()
    }

    /// One more that the ledger won't hear from here.
    pub(crate) fn note(&self, settle: &Settle, reason: &dyn std::fmt::Display) {
        let count = settle.decisions.len();
        self.inner.holds.inc_by(count as u64);
        if self.is_to_be_logged(settle.shard) {
            let (shard, total) = (settle.shard.get(), self.holds());
            tracing::warn!(
                shard, count, total, %reason,
                "decisions are left to the roll-forward; more of this shard may follow unlogged"
            );
        }
    }

    fn is_to_be_logged(&self, shard: ShardNo) -> bool {
        /// A crowd of shards costs log lines, not memory.
        const SHARDS_MAX: usize = 1024;
        let now = self.inner.clock.now();
        let mut logged_at = self.inner.logged_at.lock().unwrap_or_else(PoisonError::into_inner);
        if logged_at.len() >= SHARDS_MAX {
            logged_at.clear();
        }
        match logged_at.entry(shard) {
            Entry::Occupied(last) if now < *last.get() + self.inner.log_every => false,
            entry => {
                entry.insert_entry(now);
                true
            }
        }
    }
}

/// Puts together what belongs into one call. Generations must not go down on a shard's way to the
/// ledger, or the books would look restored; so all of a shard's calls get its latest.
pub(crate) fn merge(settles: Vec<Settle>) -> Vec<Settle> {
    let mut latest = HashMap::<ShardNo, u64>::new();
    for settle in &settles {
        let generation = latest.entry(settle.shard).or_default();
        *generation = settle.generation.max(*generation);
    }
    let mut merged: Vec<Settle> = Vec::new();
    for settle in settles {
        let generation = latest[&settle.shard];
        let mut decisions = settle.decisions.as_slice();
        let fits = |other: &&mut Settle| {
            let is_same = other.shard == settle.shard && other.epoch == settle.epoch;
            is_same && other.decisions.len() < DECISIONS_MAX
        };
        if let Some(other) = merged.iter_mut().rev().find(fits) {
            let room = (DECISIONS_MAX - other.decisions.len()).min(decisions.len());
            other.decisions.extend_from_slice(&decisions[..room]);
            decisions = &decisions[room..];
        }
        let Settle { shard, epoch, .. } = settle;
        merged.extend(decisions.chunks(DECISIONS_MAX).map(|chunk| {
            let decisions = chunk.to_vec();
            Settle { shard, epoch, generation, decisions }
        }));
    }
    merged
}

#[cfg(test)]
mod tests;
