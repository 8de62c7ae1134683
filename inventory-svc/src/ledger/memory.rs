//! The ledger in this process: the pure domain model behind a lock per shard. It is the embedded
//! default, and the reference for what any keeper answers. Its identity is random per keeper, and a
//! shard that isn't there is fenced, so a keeper that starts empty admits nothing. One object
//! serves all runtimes: no lock is held across an await, and none for longer than one batch.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, RwLock},
};

use chassis::Clock;
use ids::{Epoch, OrderId, ShardNo};

use super::{
    ActivateError, Activation, Count, Error, Found, Holds, Identity, Ledger, OpenHold, Peek,
    ReserveEntry, Reserved, Settled, Settlement, StageError, StagedOrder,
};
use crate::domain::{Opening, Staging, Stock};

/// See the module.
pub struct MemoryLedger {
    clock: Clock,
    keeper: RwLock<Keeper>,
}

/// What a restart loses.
struct Keeper {
    identity: Identity,
    shards: HashMap<ShardNo, Mutex<Shard>>,
}

enum Shard {
    Open(Stock),
    Closed {
        mark: Epoch,
        staging: Option<Staging>,
        /// The epoch before, for whoever wants to save its open holds.
        last: Option<Stock>,
    },
}

impl Keeper {
    fn empty() -> Self {
        let identity = Identity::new(&format!("memory-{:032x}", rand::random::<u128>()));
        Self { identity, shards: HashMap::new() }
    }
}

impl Shard {
    fn stock(&self) -> Option<&Stock> {
        match self {
            Self::Open(stock) | Self::Closed { last: Some(stock), .. } => Some(stock),
            Self::Closed { last: None, .. } => None,
        }
    }

    fn stock_mut(&mut self) -> Option<&mut Stock> {
        match self {
            Self::Open(stock) | Self::Closed { last: Some(stock), .. } => Some(stock),
            Self::Closed { last: None, .. } => None,
        }
    }

    fn open(&mut self) -> Result<&mut Stock, Error> {
        match self {
            Self::Open(stock) => Ok(stock),
            Self::Closed { .. } => Err(Error::Fenced),
        }
    }

    fn open_in(&mut self, epoch: Epoch) -> Result<&mut Stock, Error> {
        let stock = self.open()?;
        if stock.epoch() == epoch {
            Ok(stock)
        } else {
            Err(Error::StaleEpoch { loaded: stock.epoch() })
        }
    }

    fn close(&mut self, to: Epoch) {
        let emptied = Self::Closed { mark: to, staging: None, last: None };
        *self = match mem::replace(self, emptied) {
            Self::Open(stock) => Self::Closed { mark: to, staging: None, last: Some(stock) },
            Self::Closed { mark, staging, last } => {
                let staging = staging.filter(|_| mark == to);
                Self::Closed { mark: to, staging, last }
            }
        };
    }

    /// The place for what attempt `to` stages, while the shard is closed by it. An epoch that was
    /// active once is never staged again (law B).
    fn staging(&mut self, to: Epoch) -> Option<&mut Option<Staging>> {
        if self.stock().is_some_and(|stock| stock.epoch() == to) {
            return None;
        }
        match self {
            Self::Closed { mark, staging, .. } if *mark == to => Some(staging),
            Self::Closed { .. } | Self::Open(_) => None,
        }
    }

    /// The epoch before, to be dropped by who holds no lock.
    fn activate(&mut self, activation: &Activation) -> Result<Self, ActivateError> {
        let Activation { to, terms, stock, orders, generation, movement_watermark, .. } =
            *activation;
        if self.stock().is_some_and(|stock| stock.epoch() == to) {
            return Err(ActivateError::AlreadyActive);
        }
        let staging = self.staging(to).ok_or(ActivateError::MarkLost)?;
        let staged = staging.as_ref().map_or(0, Staging::orders);
        match staging.take_if(|_| staged == orders) {
            Some(staging) => {
                let opening = Opening { epoch: to, terms, stock, generation, movement_watermark };
                Ok(mem::replace(self, Self::Open(staging.open(opening))))
            }
            None => Err(ActivateError::Incomplete { staged }),
        }
    }
}

impl MemoryLedger {
    /// An empty ledger that tells the time by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, keeper: RwLock::new(Keeper::empty()) }
    }

    /// Replaces the keeper by an empty one with another identity, as a Redis does that restarts and
    /// has lost everything. A call is answered wholly before or wholly after.
    pub fn swap_for_empty(&self) {
        let old = mem::replace(&mut *self.keeper.write().expect(NEVER_POISONED), Keeper::empty());
        drop(old);
    }

    /// Damages a shard: changes its stock by `delta` units without a reason. Whether there is such
    /// a shard. For tests of the audit only.
    pub fn tamper_stock(&self, shard: ShardNo, delta: i32) -> bool {
        let tampered = self.at(shard, |shard| shard.stock_mut().map(|stock| stock.tamper(delta)));
        tampered.flatten().is_some()
    }

    /// Runs `step` on the shard, alone on it; none if there is no such shard.
    fn at<T>(&self, shard: ShardNo, step: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let keeper = self.keeper.read().expect(NEVER_POISONED);
        let mut shard = keeper.shards.get(&shard)?.lock().expect(NEVER_POISONED);
        Some(step(&mut shard))
    }

    /// The same for a step that wants the shard to be there.
    fn loaded<T>(
        &self,
        shard: ShardNo,
        step: impl FnOnce(&mut Shard) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.at(shard, step).unwrap_or(Err(Error::Fenced))
    }

    fn peek_one(&self, shard: ShardNo) -> Peek {
        let peek = self.at(shard, |shard| match shard {
            Shard::Open(stock) => {
                Peek::Open { epoch: stock.epoch(), version: stock.version(), left: stock.left() }
            }
            Shard::Closed { mark, .. } => Peek::Closed { mark: *mark },
        });
        peek.unwrap_or(Peek::Fenced)
    }
}

const NEVER_POISONED: &str = "no step panics, but for a broken invariant";

#[async_trait::async_trait]
impl Ledger for MemoryLedger {
    async fn identity(&self) -> Result<Identity, Error> {
        Ok(self.keeper.read().expect(NEVER_POISONED).identity.clone())
    }

    async fn reserve(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Reserved, Error> {
        self.loaded(shard, |shard| {
            let stock = shard.open_in(epoch)?;
            let answers = stock.reserve(self.clock.wall_ms(), paused, entries);
            Ok(Reserved { epoch, left: stock.left(), version: stock.version(), answers })
        })
    }

    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error> {
        self.loaded(shard, |shard| {
            let stock = shard.stock_mut().ok_or(Error::Fenced)?;
            Ok(stock.settle(epoch, generation, decisions))
        })
    }

    async fn close(&self, shard: ShardNo, mark: Epoch) -> Result<(), Error> {
        if self.at(shard, |shard| shard.close(mark)).is_none() {
            let mut keeper = self.keeper.write().expect(NEVER_POISONED);
            let closed = Shard::Closed { mark, staging: None, last: None };
            let shard = keeper.shards.entry(shard).or_insert_with(|| Mutex::new(closed));
            // Another attempt may have made it between the two locks.
            shard.get_mut().expect(NEVER_POISONED).close(mark);
        }
        Ok(())
    }

    async fn begin_staging(&self, shard: ShardNo, to: Epoch) -> Result<Identity, StageError> {
        let keeper = self.keeper.read().expect(NEVER_POISONED);
        let shard = keeper.shards.get(&shard).ok_or(StageError::MarkLost)?;
        let mut shard = shard.lock().expect(NEVER_POISONED);
        *shard.staging(to).ok_or(StageError::MarkLost)? = Some(Staging::default());
        Ok(keeper.identity.clone())
    }

    async fn stage(
        &self,
        shard: ShardNo,
        to: Epoch,
        identity: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), StageError> {
        let keeper = self.keeper.read().expect(NEVER_POISONED);
        if keeper.identity != *identity {
            return Err(StageError::IdentityChanged);
        }
        let shard = keeper.shards.get(&shard).ok_or(StageError::MarkLost)?;
        let mut shard = shard.lock().expect(NEVER_POISONED);
        let staging = shard.staging(to).and_then(Option::as_mut).ok_or(StageError::MarkLost)?;
        orders.into_iter().for_each(|order| staging.add(order));
        Ok(())
    }

    async fn activate(&self, shard: ShardNo, activation: Activation) -> Result<(), ActivateError> {
        let before = {
            let keeper = self.keeper.read().expect(NEVER_POISONED);
            if keeper.identity != activation.identity {
                return Err(ActivateError::IdentityChanged);
            }
            let shard = keeper.shards.get(&shard).ok_or(ActivateError::MarkLost)?;
            shard.lock().expect(NEVER_POISONED).activate(&activation)?
        };
        drop(before);
        Ok(())
    }

    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        Ok(shards.iter().map(|shard| self.peek_one(*shard)).collect())
    }

    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        orders: &[OrderId],
    ) -> Result<Vec<Found>, Error> {
        self.loaded(shard, |shard| {
            let stock = shard.open_in(epoch)?;
            Ok(orders.iter().map(|order| stock.find(*order)).collect())
        })
    }

    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error> {
        self.loaded(shard, |shard| {
            let stock = shard.open()?;
            let holds = stock.due(self.clock.wall_ms(), limit);
            Ok(Holds { epoch: stock.epoch(), generation: stock.generation(), holds })
        })
    }

    async fn postpone(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        orders: &[OrderId],
    ) -> Result<(), Error> {
        self.loaded(shard, |shard| {
            shard.open_in(epoch)?.postpone(self.clock.wall_ms(), orders);
            Ok(())
        })
    }

    async fn holds(
        &self,
        shard: ShardNo,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Error> {
        self.loaded(shard, |shard| {
            let stock = shard.stock().ok_or(Error::Fenced)?;
            let holds = stock.page(after, limit);
            Ok(Holds { epoch: stock.epoch(), generation: stock.generation(), holds })
        })
    }

    async fn count(&self, shard: ShardNo) -> Result<Count, Error> {
        self.loaded(shard, |shard| Ok(shard.open()?.count(self.clock.wall_ms())))
    }
}

#[cfg(test)]
mod tests;
