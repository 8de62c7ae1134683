//! A ledger with a known capacity: each shard takes entries one by one at a fixed pace, and every
//! answer to Reserve is on its way for a while. Everything else is as fast as memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::Clock;
use ids::{Epoch, OrderId, ShardNo};
use inventory_svc::ledger::{
    ActivateError, Activation, Count, Error, ForgetError, Holds, Identity, KnownOrders, Ledger,
    Look, MemoryLedger, OpenHold, Peek, Place, ReserveEntry, Reserved, Settled, Settlement,
    StageError, StagedOrder,
};

/// See the module.
pub(super) struct SlowLedger {
    inner: MemoryLedger,
    clock: Clock,
    way_takes: Duration,
    entry_takes: Duration,
    /// When each shard has done what it was given.
    free_at: Mutex<HashMap<ShardNo, Duration>>,
}

impl SlowLedger {
    /// `capacity` entries a second for each shard; answers are on their way for `way_takes`.
    pub(super) fn new(capacity: u32, way_takes: Duration) -> Self {
        Self {
            inner: MemoryLedger::new(Clock::system()),
            clock: Clock::system(),
            way_takes,
            entry_takes: Duration::from_secs(1) / capacity,
            free_at: Mutex::default(),
        }
    }

    /// How long until so many entries that come now are done, in their turn.
    fn takes(&self, shard: ShardNo, entries: usize) -> Duration {
        let now = self.clock.now();
        let mut shards = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let free_at = shards.entry(shard).or_insert(now);
        let entries = u32::try_from(entries).expect("a batch is small");
        *free_at = now.max(*free_at) + self.entry_takes * entries;
        *free_at - now + self.way_takes
    }
}

#[tonic::async_trait]
impl Ledger for SlowLedger {
    async fn identity(&self) -> Result<Identity, Error> {
        self.inner.identity().await
    }

    async fn reserve(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Reserved, Error> {
        tokio::time::sleep(self.takes(shard, entries.len())).await;
        self.inner.reserve(shard, epoch, paused, entries).await
    }

    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error> {
        self.inner.settle(shard, epoch, generation, decisions).await
    }

    async fn close(&self, shard: ShardNo, mark: Epoch) -> Result<(), Error> {
        self.inner.close(shard, mark).await
    }

    async fn begin_staging(&self, shard: ShardNo, to: Epoch) -> Result<Identity, StageError> {
        self.inner.begin_staging(shard, to).await
    }

    async fn stage(
        &self,
        shard: ShardNo,
        to: Epoch,
        identity: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), StageError> {
        self.inner.stage(shard, to, identity, orders).await
    }

    async fn activate(&self, shard: ShardNo, activation: Activation) -> Result<(), ActivateError> {
        self.inner.activate(shard, activation).await
    }

    async fn forget(&self, shard: ShardNo, mark: Epoch) -> Result<(), ForgetError> {
        self.inner.forget(shard, mark).await
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        self.inner.now_ms().await
    }

    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        self.inner.peek(shards).await
    }

    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        bars: bool,
        orders: &[OrderId],
    ) -> Result<Look, Error> {
        self.inner.find(shard, epoch, bars, orders).await
    }

    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error> {
        self.inner.due(shard, limit).await
    }

    async fn postpone(&self, shard: ShardNo, epoch: Epoch, places: &[Place]) -> Result<(), Error> {
        self.inner.postpone(shard, epoch, places).await
    }

    async fn holds(
        &self,
        shard: ShardNo,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Error> {
        self.inner.holds(shard, after, limit).await
    }

    async fn count(&self, shard: ShardNo) -> Result<Count, Error> {
        self.inner.count(shard).await
    }

    async fn known(&self, shard: ShardNo) -> Result<KnownOrders, Error> {
        self.inner.known(shard).await
    }
}
