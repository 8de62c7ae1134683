//! Whose turn it is to be rolled forward. Shards don't know each other: one that fails is passed
//! over for a while, and the others go on. Each round begins elsewhere, so whoever comes last has a
//! turn before the budget is spent. Pure: `now` is passed in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ids::ShardNo;

/// The first time that a shard is passed over after a failure; then twice as long, and no longer
/// than a hold may wait on top of an outage that is over.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// What kept a shard from being rolled forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The ledger gave no answer.
    Ledger,
    /// The books gave none.
    Books,
    /// The journal took no record.
    Journal,
    /// It took too long altogether.
    Time,
}

/// A shard that failed in its last turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub kind: Kind,
    /// In words.
    pub says: String,
    /// In a row.
    pub failures: usize,
    again_at: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Turns {
    troubles: BTreeMap<ShardNo, Trouble>,
    rounds: usize,
}

impl Turns {
    /// Those of `shards` that have a turn at `now`, in their order. What is known of others is
    /// forgotten.
    pub fn round(&mut self, now: Duration, shards: &[ShardNo]) -> Vec<ShardNo> {
        let known: BTreeSet<_> = shards.iter().collect();
        self.troubles.retain(|shard, _| known.contains(shard));
        let is_paused = |shard: &ShardNo| {
            self.troubles.get(shard).is_some_and(|trouble| now < trouble.again_at)
        };
        let mut order: Vec<_> = shards.iter().copied().filter(|shard| !is_paused(shard)).collect();
        let first = self.rounds.checked_rem(order.len()).unwrap_or(0);
        order.rotate_left(first);
        self.rounds = self.rounds.wrapping_add(1);
        order
    }

    /// A turn went well.
    pub fn went_well(&mut self, shard: ShardNo) {
        self.troubles.remove(&shard);
    }

    /// A turn failed at `now`.
    pub fn failed(&mut self, shard: ShardNo, now: Duration, kind: Kind, says: String) {
        let failures = self.failures(shard) + 1;
        let doubled = PAUSE_FIRST.saturating_mul(1 << (failures - 1).min(8));
        let again_at = now + doubled.min(PAUSE_MOST);
        self.troubles.insert(shard, Trouble { kind, says, failures, again_at });
    }

    /// How often a shard has failed in a row.
    pub fn failures(&self, shard: ShardNo) -> usize {
        self.troubles.get(&shard).map_or(0, |trouble| trouble.failures)
    }

    /// How many shards have failed last because of `kind`, and the first of them.
    pub fn troubled(&self, kind: Kind) -> Option<(usize, ShardNo, &Trouble)> {
        let mut all = self.troubles.iter().filter(|(_, trouble)| trouble.kind == kind);
        let (shard, trouble) = all.next()?;
        Some((1 + all.count(), *shard, trouble))
    }
}

#[cfg(test)]
mod tests;
