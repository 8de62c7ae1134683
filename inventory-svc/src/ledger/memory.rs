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
    ActivateError, Activation, Count, Error, ForgetError, Holds, Identity, KnownOrders, Ledger,
    Look, OpenHold, Peek, Place, ReserveEntry, Reserved, Settled, Settlement, StageError,
    StagedOrder,
};
use crate::domain::ShardKeeper;

/// See the module.
pub struct MemoryLedger {
    clock: Clock,
    keeper: RwLock<Keeper>,
}

/// What a restart loses.
struct Keeper {
    identity: Identity,
    shards: HashMap<ShardNo, Mutex<ShardKeeper>>,
}

impl Keeper {
    fn empty() -> Self {
        let identity = Identity::new(&format!("memory-{:032x}", rand::random::<u128>()));
        Self { identity, shards: HashMap::new() }
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
        self.at(shard, |_, shard| shard.tamper(delta))
    }

    /// Runs `step` on the shard, alone on it, with who keeps it. What it does to a shard that is
    /// absent is lost.
    fn at<T>(&self, shard: ShardNo, step: impl FnOnce(&Identity, &mut ShardKeeper) -> T) -> T {
        let keeper = self.keeper.read().expect(NEVER_POISONED);
        match keeper.shards.get(&shard) {
            Some(shard) => step(&keeper.identity, &mut shard.lock().expect(NEVER_POISONED)),
            None => step(&keeper.identity, &mut ShardKeeper::default()),
        }
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
        let reserved = self
            .at(shard, |me, shard| shard.reserve(me, epoch, self.clock.wall_us(), paused, entries));
        Ok(reserved?)
    }

    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error> {
        Ok(self.at(shard, |me, shard| shard.settle(me, epoch, generation, decisions))?)
    }

    async fn close(&self, shard: ShardNo, mark: Epoch) -> Result<(), Error> {
        // Found and closed under one lock: between two it might be forgotten.
        if let Some(there) = self.keeper.read().expect(NEVER_POISONED).shards.get(&shard) {
            there.lock().expect(NEVER_POISONED).close(mark);
            return Ok(());
        }
        let mut keeper = self.keeper.write().expect(NEVER_POISONED);
        let there = keeper.shards.entry(shard).or_default();
        there.get_mut().expect(NEVER_POISONED).close(mark);
        Ok(())
    }

    async fn begin_staging(&self, shard: ShardNo, to: Epoch) -> Result<Identity, StageError> {
        Ok(self.at(shard, |me, shard| shard.begin_staging(to).map(|()| me.clone()))?)
    }

    async fn stage(
        &self,
        shard: ShardNo,
        to: Epoch,
        identity: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), StageError> {
        Ok(self.at(shard, |me, shard| shard.stage(me, to, identity, orders))?)
    }

    async fn activate(&self, shard: ShardNo, activation: Activation) -> Result<(), ActivateError> {
        let before = self.at(shard, |me, shard| shard.activate(me, &activation))?;
        // A large epoch is dropped when no lock is held.
        drop(before);
        Ok(())
    }

    async fn forget(&self, shard: ShardNo, mark: Epoch) -> Result<(), ForgetError> {
        let before = self.at(shard, |_, shard| shard.forget(mark))?;
        let mut keeper = self.keeper.write().expect(NEVER_POISONED);
        let is_absent =
            |shard: &Mutex<ShardKeeper>| shard.lock().expect(NEVER_POISONED).is_absent();
        // Someone may have closed it again meanwhile.
        if keeper.shards.get(&shard).is_some_and(is_absent) {
            keeper.shards.remove(&shard);
        }
        drop(keeper);
        // A large epoch is dropped when no lock is held.
        drop(before);
        Ok(())
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        Ok(self.clock.wall_ms())
    }

    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        let peek = |shard: &ShardNo| self.at(*shard, |me, shard| shard.peek(me));
        Ok(shards.iter().map(peek).collect())
    }

    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        bars: bool,
        orders: &[OrderId],
    ) -> Result<Look, Error> {
        Ok(self.at(shard, |me, shard| shard.find(me, epoch, self.clock.wall_us(), bars, orders))?)
    }

    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error> {
        Ok(self.at(shard, |me, shard| shard.due(me, self.clock.wall_ms(), limit))?)
    }

    async fn postpone(&self, shard: ShardNo, epoch: Epoch, places: &[Place]) -> Result<(), Error> {
        let now_ms = self.clock.wall_ms();
        Ok(self.at(shard, |me, shard| shard.postpone(me, epoch, now_ms, places))?)
    }

    async fn holds(
        &self,
        shard: ShardNo,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Error> {
        Ok(self.at(shard, |me, shard| shard.holds(me, after, limit))?)
    }

    async fn count(&self, shard: ShardNo) -> Result<Count, Error> {
        Ok(self.at(shard, |me, shard| shard.count(me, self.clock.wall_ms()))?)
    }

    async fn known(&self, shard: ShardNo) -> Result<KnownOrders, Error> {
        Ok(self.at(shard, |me, shard| shard.known(me))?)
    }
}

#[cfg(test)]
mod tests;
