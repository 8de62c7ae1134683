//! What is left, told to many. One poller looks at all shards that anybody watches, ten times a
//! second, and shows each round to every stream; nobody's slowness holds up anybody else, since a
//! stream that falls behind sees only the newest round. Of what can't be told, nothing is said: a
//! ledger that doesn't answer, or a lease that has lapsed, is no news. A look that finds the ledger
//! fenced asks for a load, so an idle shop heals too.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{Stopper, job::Beat};
use futures::{Stream, stream};
use ids::{Epoch, ShardNo};
use tokio::sync::{Notify, watch};

use super::Inventory;
use crate::{
    lease::NotLeased,
    ledger::{Error, Peek},
};

/// How often the watched shards are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// From a ledger that doesn't answer within this, the round has nothing.
const PEEK_WITHIN: Duration = Duration::from_millis(250);
/// Shards per look.
const PEEK_MAX: usize = 1_024;
/// An unchanged shard is told again every second round: 200 ms, where 250 are promised.
const REPEAT_ROUNDS: u64 = 2;
/// Each gateway has one stream; this is far above what a cluster has of them.
const STREAMS_MAX: usize = 1_024;

/// What is left of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It admits.
    Open {
        /// The epoch that is loaded, which is the one that the catalog shows as open.
        epoch: Epoch,
        /// Grows with each change within the epoch.
        version: u64,
        /// Units left.
        left: u32,
        /// Whether an operator has paused it.
        paused: bool,
    },
    /// The catalog or the ledger says that it is loading, retired or fenced.
    NotOpen,
}

/// More streams than are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyStreams;

/// The poller and all who listen to it. Clones are the same one.
#[derive(Clone)]
pub struct StockWatch(Arc<Hub>);

struct Hub {
    inventory: Inventory,
    watched: Mutex<Watched>,
    somebody_came: Notify,
    rounds: watch::Sender<Arc<Round>>,
}

#[derive(Default)]
struct Watched {
    streams: usize,
    /// How many streams watch each shard.
    shards: BTreeMap<ShardNo, usize>,
}

/// What one round of looking found, of each shard that can be told of.
#[derive(Default)]
struct Round {
    number: u64,
    left: HashMap<ShardNo, Left>,
}

impl StockWatch {
    /// Nobody watches yet, and nothing is polled until [`StockWatch::poll`] runs.
    pub fn new(inventory: Inventory) -> Self {
        Self(Arc::new(Hub {
            inventory,
            watched: Mutex::default(),
            somebody_came: Notify::new(),
            rounds: watch::Sender::default(),
        }))
    }

    /// The job: looks at what is watched while anybody watches, until `stopper` stops. To be run
    /// once.
    pub async fn poll(&self, stopper: &Stopper) {
        let mut beat = Beat::new(POLL_INTERVAL, stopper);
        while beat.next().await {
            let shards = self.0.watched_shards();
            if shards.is_empty() {
                tokio::select! {
                    () = self.0.somebody_came.notified() => {}
                    () = stopper.stopped() => {}
                }
            } else {
                self.0.look(&shards).await;
            }
        }
    }

    /// Tells of each shard once it was looked at, then whenever it changed, and at least every
    /// 250 ms while the poller runs and can tell. Ends when `stopper` stops. A shard that is named
    /// twice is told of once.
    ///
    /// # Errors
    /// [`TooManyStreams`] beyond 1,024.
    pub fn watch(
        &self,
        mut shards: Vec<ShardNo>,
        stopper: Stopper,
    ) -> Result<impl Stream<Item = (ShardNo, Left)> + Send + use<>, TooManyStreams> {
        shards.sort_unstable();
        shards.dedup();
        let place = self.take_place(shards)?;
        let told = vec![None; place.shards.len()];
        let rounds = self.0.rounds.subscribe();
        let listener = Listener { place, told, rounds, news: Vec::new(), stopper };
        Ok(stream::unfold(listener, Listener::next))
    }

    fn take_place(&self, shards: Vec<ShardNo>) -> Result<Place, TooManyStreams> {
        let mut watched = self.0.watched();
        if watched.streams >= STREAMS_MAX {
            return Err(TooManyStreams);
        }
        watched.streams += 1;
        for shard in &shards {
            *watched.shards.entry(*shard).or_default() += 1;
        }
        drop(watched);
        self.0.somebody_came.notify_one();
        Ok(Place { hub: Arc::clone(&self.0), shards })
    }
}

impl Hub {
    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched_shards(&self) -> Vec<ShardNo> {
        self.watched().shards.keys().copied().collect()
    }

    async fn look(&self, shards: &[ShardNo]) {
        let mut left = HashMap::with_capacity(shards.len());
        for shards in shards.chunks(PEEK_MAX) {
            let before: Vec<_> = shards.iter().map(|shard| self.leased_epoch(*shard)).collect();
            let peeks = tokio::time::timeout(PEEK_WITHIN, self.inventory.ledger.peek(shards)).await;
            let peeks = peeks.unwrap_or(Err(Error::Unknown)).unwrap_or_default();
            let mut peeks = peeks.into_iter();
            let judged = shards.iter().zip(before);
            left.extend(judged.filter_map(|(shard, before)| {
                Some((*shard, self.judge(*shard, before, peeks.next())?))
            }));
        }
        let number = self.rounds.borrow().number + 1;
        self.rounds.send_replace(Arc::new(Round { number, left }));
    }

    fn leased_epoch(&self, shard: ShardNo) -> Option<Epoch> {
        self.inventory.leases.check(shard).ok().map(|leased| leased.epoch)
    }

    /// A shard is open if ledger and catalog agree on its epoch. Nothing can be told of it while
    /// one of them is silent, unless the catalog alone says that it isn't open. That they don't
    /// agree is reported only if the shard was leased in the same epoch `before` the ledger was
    /// looked at: what it showed then says nothing about an epoch that was loaded meanwhile.
    fn judge(&self, shard: ShardNo, before: Option<Epoch>, peek: Option<Peek>) -> Option<Left> {
        let leased = match self.inventory.leases.check(shard) {
            Ok(leased) => leased,
            Err(NotLeased::Lapsed) => return None,
            Err(NotLeased::Loading | NotLeased::Retired | NotLeased::UnknownShard) => {
                return Some(Left::NotOpen);
            }
        };
        let error = match peek? {
            Peek::Open { epoch, version, left } if epoch == leased.epoch => {
                return Some(Left::Open { epoch, version, left, paused: leased.paused });
            }
            Peek::Open { epoch, .. } => Error::StaleEpoch { loaded: epoch },
            Peek::Closed { .. } | Peek::Fenced => Error::Fenced,
        };
        if before == Some(leased.epoch) {
            self.inventory.report(shard, leased.epoch, error);
        }
        Some(Left::NotOpen)
    }
}

/// The right to watch; given back when the stream is dropped, so that nobody's shards are polled
/// for ever.
struct Place {
    hub: Arc<Hub>,
    shards: Vec<ShardNo>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut watched = self.hub.watched();
        watched.streams -= 1;
        for shard in mem::take(&mut self.shards) {
            if let Some(count) = watched.shards.get_mut(&shard) {
                *count -= 1;
                if *count == 0 {
                    watched.shards.remove(&shard);
                }
            }
        }
    }
}

struct Listener {
    place: Place,
    /// For each of the place's shards: the round and the news that were told last.
    told: Vec<Option<(u64, Left)>>,
    rounds: watch::Receiver<Arc<Round>>,
    /// To be told, the last one first. At most one for each shard.
    news: Vec<(ShardNo, Left)>,
    stopper: Stopper,
}

impl Listener {
    async fn next(mut self) -> Option<((ShardNo, Left), Self)> {
        loop {
            if self.stopper.is_stopped() {
                return None;
            }
            if let Some(news) = self.news.pop() {
                return Some((news, self));
            }
            tokio::select! {
                biased;
                () = self.stopper.stopped() => return None,
                round = self.rounds.changed() => round.ok()?,
            }
            self.hear();
        }
    }

    fn hear(&mut self) {
        let round = Arc::clone(&self.rounds.borrow_and_update());
        for (shard, told) in self.place.shards.iter().zip(&mut self.told) {
            let Some(left) = round.left.get(shard) else { continue };
            let is_news = told.is_none_or(|(number, before)| {
                before != *left || round.number >= number + REPEAT_ROUNDS
            });
            if is_news {
                *told = Some((round.number, *left));
                self.news.push((*shard, *left));
            }
        }
    }
}

#[cfg(test)]
mod tests;
