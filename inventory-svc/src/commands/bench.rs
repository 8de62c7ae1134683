//! What the tests of the commands stand on: a shard that is open in the ledger and leased, on a
//! clock that the test moves, and ledgers that fail.

use std::{sync::Arc, time::Duration};

use chassis::{Clock, ClockShift, PausePoints, telemetry::Tracer};
use ids::{Epoch, ItemId, OrderId, ShardNo, UserId};

use super::Inventory;
use crate::{
    catalog::{LeaseRow, LeaseRows},
    domain::{PLACED_NOBODY_SAYS, sale::Phase},
    lease::LeaseView,
    ledger::{
        ActivateError, Activation, Count, Error, ForgetError, Holds, Identity, KnownOrders, Ledger,
        Look, MemoryLedger, OpenHold, Peek, Place, ReserveEntry, Reserved, Settled, Settlement,
        StageError, StagedOrder, Terms,
    },
    loading::{LoadRequests, Why},
    metrics::Instruments,
};

/// L of the shard; the epoch lease is half of it.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Of the shard's item.
pub(crate) const PRICE: i64 = 4_999;

pub(crate) struct Bench {
    pub(crate) inventory: Inventory,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) clock: Clock,
    pub(crate) shift: ClockShift,
}

impl Bench {
    /// Shard 1 is open in epoch 1 with `stock` units and a limit of 2, and leased from now on.
    pub(crate) async fn open(stock: u32) -> Self {
        let (clock, shift) = Clock::adjustable();
        let ledger = Arc::new(MemoryLedger::new(clock.clone()));
        load(&*ledger, shard(1), epoch(1), stock, clock.wall_ms()).await;
        let inventory = Inventory {
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            leases: LeaseView::new(clock.clone()),
            loads: LoadRequests::default(),
            pause: PausePoints::armed(),
            tracer: Tracer::default(),
            instruments: Instruments::new(&chassis::Metrics::new()),
        };
        let bench = Self { inventory, ledger, clock, shift };
        bench.show(Phase::Open, 1);
        bench
    }

    /// The same with a ledger that answers nothing but `error`.
    pub(crate) async fn failing(error: Error) -> Self {
        let mut bench = Self::open(1).await;
        bench.inventory.ledger = Arc::new(Failing::with(error));
        bench
    }

    /// The same with a ledger in which each shard is fenced when it is looked at, and in which
    /// `meanwhile` happens before that answer arrives.
    pub(crate) async fn fenced_while(meanwhile: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        let bench = Self::open(1).await;
        let (shown, ledger) = (bench.inventory.clone(), Arc::clone(&bench.ledger));
        let (clock, shift) = (bench.clock.clone(), bench.shift.clone());
        let there = Self { inventory: shown, ledger, clock, shift };
        let on_peek = Box::new(move || meanwhile(&there));
        let failing = Failing { error: Error::Unknown, on_peek: Some(on_peek) };
        Self { inventory: Inventory { ledger: Arc::new(failing), ..bench.inventory }, ..bench }
    }

    /// The catalog is read, and shows shard 1 like this. Shard 2 is assigned and retired.
    pub(crate) fn show(&self, phase: Phase, number: i64) {
        self.show_row(LeaseRow {
            shard: shard(1),
            partition: 1,
            epoch: Some(epoch(number)),
            phase,
            paused: false,
            lease: LEASE,
            item: item(),
            unit_price: PRICE,
        });
    }

    pub(crate) fn show_row(&self, row: LeaseRow) {
        let answer = LeaseRows { highest: 2, rows: vec![row] };
        self.inventory.leases.show(self.clock.now(), answer);
    }

    /// The loads that were asked for since the last look.
    pub(crate) fn loads(&self) -> Vec<(ShardNo, Why)> {
        self.inventory.loads.take()
    }
}

pub(crate) async fn load(ledger: &dyn Ledger, shard: ShardNo, to: Epoch, stock: u32, now_ms: u64) {
    ledger.close(shard, to).await.unwrap();
    let identity = ledger.begin_staging(shard, to).await.unwrap();
    let terms = Terms { opens_ms: now_ms, closes_ms: now_ms + 3_600_000, limit_per_user: 2 };
    let activation =
        Activation { to, identity, terms, stock, orders: 0, generation: 5, movement_watermark: 0 };
    ledger.activate(shard, activation).await.unwrap();
}

pub(crate) fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

pub(crate) fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

pub(crate) fn order(name: u8) -> OrderId {
    OrderId::mint(shard(1), [name; 12])
}

/// What the shard is a part of.
pub(crate) fn item() -> ItemId {
    ItemId::from_bytes([2; 16])
}

/// One unit for a user of the order's own, with a ticket that never ends.
pub(crate) fn entry(name: u8) -> ReserveEntry {
    ReserveEntry {
        order: order(name),
        user: UserId::from_bytes([name; 16]),
        quantity: 1,
        unit_price: PRICE,
        ticket_expires_ms: u64::MAX,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: String::new(),
    }
}

/// A ledger that answers nothing but one error, or to a look that everything is fenced.
struct Failing {
    error: Error,
    /// What happens before a look is answered.
    on_peek: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Failing {
    fn with(error: Error) -> Self {
        Self { error, on_peek: None }
    }
}

#[async_trait::async_trait]
impl Ledger for Failing {
    async fn identity(&self) -> Result<Identity, Error> {
        Err(self.error)
    }

    async fn reserve(
        &self,
        _: ShardNo,
        _: Epoch,
        _: bool,
        _: Vec<ReserveEntry>,
    ) -> Result<Reserved, Error> {
        Err(self.error)
    }

    async fn settle(
        &self,
        _: ShardNo,
        _: Epoch,
        _: Option<u64>,
        _: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error> {
        Err(self.error)
    }

    async fn close(&self, _: ShardNo, _: Epoch) -> Result<(), Error> {
        Err(self.error)
    }

    async fn begin_staging(&self, _: ShardNo, _: Epoch) -> Result<Identity, StageError> {
        Err(self.error.into())
    }

    async fn stage(
        &self,
        _: ShardNo,
        _: Epoch,
        _: &Identity,
        _: Vec<StagedOrder>,
    ) -> Result<(), StageError> {
        Err(self.error.into())
    }

    async fn activate(&self, _: ShardNo, _: Activation) -> Result<(), ActivateError> {
        Err(self.error.into())
    }

    async fn forget(&self, _: ShardNo, _: Epoch) -> Result<(), ForgetError> {
        Err(self.error.into())
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        Err(self.error)
    }

    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error> {
        let on_peek = self.on_peek.as_ref().ok_or(self.error)?;
        on_peek();
        Ok(vec![Peek::Fenced; shards.len()])
    }

    async fn find(&self, _: ShardNo, _: Epoch, _: bool, _: &[OrderId]) -> Result<Look, Error> {
        Err(self.error)
    }

    async fn due(&self, _: ShardNo, _: usize) -> Result<Holds, Error> {
        Err(self.error)
    }

    async fn postpone(&self, _: ShardNo, _: Epoch, _: &[Place]) -> Result<(), Error> {
        Err(self.error)
    }

    async fn holds(&self, _: ShardNo, _: Option<&OpenHold>, _: usize) -> Result<Holds, Error> {
        Err(self.error)
    }

    async fn count(&self, _: ShardNo) -> Result<Count, Error> {
        Err(self.error)
    }

    async fn known(&self, _: ShardNo) -> Result<KnownOrders, Error> {
        Err(self.error)
    }
}
