//! Finds shards that are OPEN in an epoch that the books don't have open, whose books have gone
//! back in that epoch, or whose number the books know as another item's: a catalog or books that
//! were restored from an older copy. Nobody is refused there, yet what is admitted may not count,
//! or counts as something else. One shard's silence says nothing of the others: several are asked
//! at once, a round ends in time, and the next one begins where it ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use ids::{Epoch, ItemId, ShardNo};

use super::Step;
use crate::{
    lease::LeaseView,
    ledger::Ledger,
    loading::{Foreign, LoadRequests, Why},
    upstream::books::Books,
};

/// Shards that are asked about at once: a few silent ones are not in the others' way.
const ASKED_MAX: usize = 8;

/// How long a round may take.
const ROUND_MAX: Duration = Duration::from_secs(5);

/// An open shard, as the catalog shows it.
type Open = (ShardNo, Epoch, ItemId);

pub(crate) struct CompareBooks {
    view: LeaseView,
    ledger: Arc<dyn Ledger>,
    books: Books,
    requests: LoadRequests,
    foreign: Foreign,
    seen: Mutex<Seen>,
}

/// What earlier rounds have left.
#[derive(Default)]
struct Seen {
    /// The highest generation of the books that was seen while an epoch was open. It begins anew
    /// with each epoch: a load ends what an older copy has brought, and goes by that copy.
    highest: HashMap<ShardNo, (Epoch, u64)>,
    /// The last shard that was asked about.
    last: Option<ShardNo>,
}

impl CompareBooks {
    pub(crate) fn new(
        view: LeaseView,
        ledger: Arc<dyn Ledger>,
        books: Books,
        requests: LoadRequests,
        foreign: Foreign,
    ) -> Self {
        Self { view, ledger, books, requests, foreign, seen: Mutex::default() }
    }

    async fn compare(&self, (shard, epoch, item): Open) {
        self.seen(|seen| seen.last = Some(shard));
        // The ledger is asked before the books are, so books that are the same copy have gone at
        // least as far as what it has heard of. It remembers longer than this process.
        let told = match self.ledger.due(shard, 1).await {
            Ok(due) if due.epoch == epoch => due.generation,
            // Whoever is refused by the ledger sees to that.
            Ok(_) | Err(_) => 0,
        };
        // order-svc down: it is asked again in a moment.
        let Ok(row) = self.books.shard(shard).await else { return };
        match row {
            Some(row) if row.item != item => {
                self.requests.request(shard, Why::OtherItem(epoch));
            }
            Some(row) if row.open == Some(epoch) => {
                // Another process may have loaded it.
                self.foreign.over(shard);
                let highest = self.seen(|seen| seen.raise(shard, epoch, told.max(row.generation)));
                if row.generation < highest {
                    let now = row.generation;
                    tracing::error!(%shard, %epoch, now, highest, "the books have gone back");
                    self.requests.request(shard, Why::LowerGeneration(epoch));
                }
            }
            Some(_) | None => self.requests.request(shard, Why::NotInBooks(epoch)),
        }
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    /// The shards of a round, from behind the last one on.
    fn round(&mut self, mut open: Vec<Open>) -> Vec<Open> {
        open.sort_unstable_by_key(|(shard, ..)| *shard);
        let is_open =
            |shard: &ShardNo| open.binary_search_by_key(shard, |(open, ..)| *open).is_ok();
        self.highest.retain(|shard, _| is_open(shard));
        let begin = open.partition_point(|(shard, ..)| Some(*shard) <= self.last);
        let count = open.len().max(1);
        open.rotate_left(begin % count);
        open
    }

    /// Notes a generation of the books in an open epoch; the highest one in it.
    fn raise(&mut self, shard: ShardNo, epoch: Epoch, generation: u64) -> u64 {
        let highest = self.highest.entry(shard).or_insert((epoch, generation));
        *highest = match *highest {
            (of, before) if of == epoch => (epoch, before.max(generation)),
            _ => (epoch, generation),
        };
        highest.1
    }
}

impl Step for CompareBooks {
    async fn step(&self) {
        // The epochs are taken before the books are asked. The books have an epoch open before the
        // catalog does, so a difference is either a load under way, which the load's own look at
        // the primary tells, or a copy that is too old.
        let open = self.view.open_items();
        let round = self.seen(|seen| seen.round(open));
        ask_all(round, ROUND_MAX, |open| self.compare(open)).await;
    }
}

/// Asks about each of `shards`, several at once, for as long as a round may take.
async fn ask_all<F: Future<Output = ()>>(
    shards: Vec<Open>,
    limit: Duration,
    ask: impl FnMut(Open) -> F,
) {
    let asked = stream::iter(shards).for_each_concurrent(ASKED_MAX, ask);
    if tokio::time::timeout(limit, asked).await.is_err() {
        tracing::debug!("not every shard was compared with the books in this round");
    }
}

#[cfg(test)]
mod tests;
