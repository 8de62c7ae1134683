//! The epoch lease: this process may use a shard's ledger only while it has read (OPEN, epoch) from
//! the catalog's primary less than L/2 ago, counted from *before that query was sent* (protocol
//! section 3). A loader waits 2 L before it changes the epoch, so a process that was frozen finds
//! its lease over (I-2). The view is refreshed by a job and read by every core; it does not know
//! the ledger.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chassis::Clock;
use ids::{Epoch, ItemId, ShardNo};

use crate::{
    catalog::{LeaseRow, LeaseRows},
    domain::sale::Phase,
};

/// What the catalog said of every shard, and when it was asked. Clones show the same.
#[derive(Clone)]
pub struct LeaseView {
    clock: Clock,
    seen: Arc<RwLock<Arc<Seen>>>,
}

#[derive(Default)]
struct Seen {
    /// When the query was about to be sent; none before the first.
    asked_at: Option<Duration>,
    highest: u32,
    rows: HashMap<ShardNo, LeaseRow>,
}

/// How long an answer of the catalog says something of a shard that isn't open. L/2 of most shards,
/// and about three reads.
const TOLD_FOR: Duration = Duration::from_secs(1);

/// The right to use an open shard for a while. Made only by [`LeaseView::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased {
    /// The shard.
    pub shard: ShardNo,
    /// The epoch that the catalog shows as open.
    pub epoch: Epoch,
    /// Whether an operator has paused the shard.
    pub paused: bool,
    /// L of the protocol, from the shard's catalog row.
    pub lease: Duration,
    /// The item that the shard is a part of.
    pub item: ItemId,
    /// The item's price.
    pub unit_price: i64,
    until: Duration,
}

/// Why a shard may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLeased {
    /// Never loaded, or being loaded.
    Loading,
    /// Over and settled: the books alone answer.
    Retired,
    /// The catalog has assigned no such number.
    UnknownShard,
    /// The catalog wasn't read recently enough to tell.
    Lapsed,
}

impl LeaseView {
    /// A view that knows nothing yet: every shard is [`NotLeased::Lapsed`].
    pub fn new(clock: Clock) -> Self {
        Self { clock, seen: Arc::default() }
    }

    /// Asks, and takes over the answer. The moment is noted before `ask` is first polled, so before
    /// the query is sent: noted afterwards, an ACCEPTED is lost (protocol section 9).
    ///
    /// # Errors
    /// Those of `ask`; the view stays as it is.
    pub async fn refresh<E>(
        &self,
        ask: impl Future<Output = Result<LeaseRows, E>>,
    ) -> Result<(), E> {
        let asked_at = self.clock.now();
        self.show(asked_at, ask.await?);
        Ok(())
    }

    /// Takes over what a query answered that was sent after `asked_at`, read off the same clock.
    /// An answer to an older query than the one shown is dropped.
    pub fn show(&self, asked_at: Duration, answer: LeaseRows) {
        let LeaseRows { highest, rows } = answer;
        let rows = rows.into_iter().map(|row| (row.shard, row)).collect();
        let fresh = Arc::new(Seen { asked_at: Some(asked_at), highest, rows });
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.asked_at.is_none_or(|before| before <= asked_at) {
            *seen = fresh;
        }
    }

    /// Whether `shard` may be used now.
    ///
    /// # Errors
    /// Why not. A number that the catalog has assigned but doesn't list is a retired one, for good;
    /// whatever else it said is no answer any more once it is old.
    pub fn check(&self, shard: ShardNo) -> Result<Leased, NotLeased> {
        let seen = self.seen();
        let asked_at = seen.asked_at.ok_or(NotLeased::Lapsed)?;
        let told = |why| if self.is_fresh() { why } else { NotLeased::Lapsed };
        let Some(row) = seen.rows.get(&shard) else {
            let is_assigned = shard.get() <= seen.highest;
            return Err(if is_assigned {
                NotLeased::Retired
            } else {
                told(NotLeased::UnknownShard)
            });
        };
        match (row.phase, row.epoch) {
            (Phase::Retired, _) => Err(NotLeased::Retired),
            (Phase::New | Phase::Loading, _) | (Phase::Open, None) => Err(told(NotLeased::Loading)),
            (Phase::Open, Some(epoch)) => {
                let LeaseRow { paused, lease, item, unit_price, .. } = *row;
                let until = asked_at + lease / 2;
                let leased = Leased { shard, epoch, paused, lease, item, unit_price, until };
                if self.clock.now() < until { Ok(leased) } else { Err(NotLeased::Lapsed) }
            }
        }
    }

    /// Whether the catalog has answered lately.
    pub fn is_fresh(&self) -> bool {
        let asked_at = self.seen().asked_at;
        asked_at.is_some_and(|asked_at| self.clock.now() < asked_at + TOLD_FOR)
    }

    /// Whether `leased` has not run out. It isn't prolonged by a later look at the catalog: a
    /// process that was frozen under it has to say so, whichever of its tasks wakes first.
    pub fn still_valid(&self, leased: &Leased) -> bool {
        self.clock.now() < leased.until
    }

    /// The shards that the catalog showed as OPEN when it was last asked, with their epochs;
    /// whatever the age of that answer.
    pub fn open_shards(&self) -> Vec<(ShardNo, Epoch)> {
        self.open_items().into_iter().map(|(shard, epoch, _)| (shard, epoch)).collect()
    }

    /// The same, with the items that the catalog showed.
    pub fn open_items(&self) -> Vec<(ShardNo, Epoch, ItemId)> {
        let is_open = |row: &LeaseRow| row.phase == Phase::Open;
        let rows = self.seen();
        let open = rows.rows.values().filter(|row| is_open(row));
        open.filter_map(|row| row.epoch.map(|epoch| (row.shard, epoch, row.item))).collect()
    }

    /// The shortest lease of any shard that isn't retired.
    pub fn shortest_lease(&self) -> Option<Duration> {
        self.seen().rows.values().map(|row| row.lease).min()
    }

    fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
