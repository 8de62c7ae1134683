//! The shell of the coalescer: carries batches to the ledger and the journal. One for each serving
//! core, with one [`Coalescer`] for each shard in use. A batch runs in a task that belongs to no
//! request: a buyer who leaves cancels nothing, and frees no place. ACCEPTED is told only for what
//! the journal has acknowledged before the lease ran out (I-2). Limiter and breakers are told from
//! here how ledger and journal fare.

mod hop;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{
    Clock, Kind, PausePoints, Tasks, Traced as _,
    logs::Lasting,
    telemetry::{Members, SpanKind, Tracer, names},
};
use futures::FutureExt as _;
use ids::{CommandId, ItemId, ShardNo};
use journal::{Appended, Command, Journal, PlacedHold, Record};
use tokio::sync::oneshot;

use self::hop::Hop;
use crate::{
    breakers::{Breakers, Store},
    call::Room,
    coalesce::{Arrival, Batch, Bounds, Coalescer},
    concurrency::Ended,
    domain::{
        admission::Admitted,
        append_time::Lags,
        item::Shard,
        purchase::{Answer, Entry, EntryAnswer, Hold, Recorded, ReserveOutcome, Reserved, answers},
    },
    layers::adaptive::Limiter,
    ledger_time::Reading,
    metrics::Instruments,
    stock::StockView,
    under_way::{Mark, UnderWay},
    upstream::{Inventory, Until},
};

/// Turns of the core that a carrier lets pass before it leaves. In the first one connections are
/// read, in the second the calls that they brought are placed: all of those go along, for fewer
/// calls and records under load. On an idle core both are a look that finds nothing.
const TURNS: usize = 2;

/// Where an answer will come. An error means that none will: PROCESSING.
pub(crate) type Reply = oneshot::Receiver<Answer>;

/// More waits already than may; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// The batches of one serving core.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    depot: Arc<Depot>,
}

/// Who waits for an answer. Whether they have left or not, their order is under way, and takes up
/// its room, as long as its batch is.
#[derive(Debug)]
struct Waiter {
    reply: oneshot::Sender<Answer>,
    mark: Mark,
    room: Room,
    came_at: Duration,
}

/// A batch is of one item. So is a shard, unless the catalog is an older copy than the tickets.
type Lanes = HashMap<(ShardNo, ItemId), Coalescer<Waiter>>;

#[derive(Debug)]
struct Depot {
    bounds: Bounds,
    lanes_max: usize,
    /// Those with nothing to do are removed. Only this core comes here, so nobody waits.
    lanes: Mutex<Lanes>,
    under_way: Arc<UnderWay>,
    road: Road,
    tasks: Tasks,
}

/// The way of a batch.
#[derive(Debug)]
pub(crate) struct Road {
    pub(crate) inventory: Inventory,
    /// Knows the ledger's time.
    pub(crate) stock: Arc<StockView>,
    pub(crate) journal: Journal,
    /// How much later than holds were taken their records are written, by partition.
    pub(crate) lags: Mutex<HashMap<u32, Lags>>,
    pub(crate) clock: Clock,
    pub(crate) pause: PausePoints,
    /// Are told how each call fares.
    pub(crate) breakers: Arc<Breakers>,
    /// Is told how long each purchase took.
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) tracer: Tracer,
    pub(crate) instruments: Instruments,
}

impl Batches {
    /// With nothing to carry. What it carries stands in `under_way`.
    pub(crate) fn new(
        bounds: Bounds,
        lanes_max: usize,
        under_way: Arc<UnderWay>,
        road: Road,
        tasks: Tasks,
    ) -> Self {
        let lanes = Mutex::default();
        Self { depot: Arc::new(Depot { bounds, lanes_max, lanes, under_way, road, tasks }) }
    }

    /// Takes a wish to buy into the shard's next batch. Must be called on the runtime of the core.
    pub(crate) fn place(
        &self,
        shard: Shard,
        admitted: Admitted,
        room: Room,
    ) -> Result<Reply, Overloaded> {
        let (sender, reply) = oneshot::channel();
        let mark = self.depot.under_way.mark(admitted.order());
        let came_at = self.depot.road.clock.now();
        let waiter = Waiter { reply: sender, mark, room, came_at };
        let mut lanes = self.depot.lanes();
        if lanes.len() >= self.depot.lanes_max && !lanes.contains_key(&lane_of(shard)) {
            return Err(Overloaded);
        }
        let lane = lanes.entry(lane_of(shard)).or_insert_with(|| Coalescer::new(self.depot.bounds));
        match lane.arrived(admitted.into_entry(), waiter) {
            Arrival::Gathered => {}
            Arrival::Overloaded(_) => return Err(Overloaded),
            Arrival::WantsCarrier => {
                let carrying = Arc::clone(&self.depot).carry(shard);
                self.depot.tasks.spawn(Kind::Drained, "batches", carrying);
            }
        }
        Ok(reply)
    }
}

impl Depot {
    /// One carrier: takes what has gathered along, batch after batch, until nothing has.
    async fn carry(self: Arc<Self>, shard: Shard) {
        loop {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            let Some(batch) = self.next_batch(shard) else { return };
            // A panic must not leave the lane occupied for ever. Those who waited for the batch
            // lose their sender with it, and answer PROCESSING.
            let carried = AssertUnwindSafe(self.road.carry(shard, batch)).catch_unwind().await;
            if carried.is_err() {
                tracing::error!(shard = %shard.no, "carrying a batch panicked");
            }
        }
    }

    fn next_batch(&self, shard: Shard) -> Option<Batch<Waiter>> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(&lane_of(shard))?;
        let next = lane.next_batch();
        if lane.is_idle() {
            lanes.remove(&lane_of(shard));
        }
        next
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Road {
    async fn carry(&self, shard: Shard, batch: Batch<Waiter>) {
        let Batch { entries, waiters } = batch;
        let members = Members::of(entries.iter().map(|entry| entry.traceparent.as_str()));
        let mut span = members.batch(&self.tracer, SpanKind::Internal, "carry batch");
        span.set("seckill.batch.len", i64::try_from(entries.len()).unwrap_or(i64::MAX));
        let told = self.answers(shard, &entries, &members).at(span.context()).await;
        drop(span);
        for (waiters, answer) in waiters.into_iter().zip(told) {
            for Waiter { reply, mark, room, came_at } in waiters {
                if let Some(ended) = ended(answer, self.since(came_at)) {
                    self.limiter.saw(ended);
                }
                // Before the answer: who has it may ask what became of the order, or buy again.
                drop((mark, room));
                // Who has left isn't told.
                let _ = reply.send(answer);
            }
        }
    }

    /// One answer for each entry, in their order.
    async fn answers(&self, shard: Shard, entries: &[Entry], members: &Members) -> Vec<Answer> {
        let all = |answer| vec![answer; entries.len()];
        // Some gathered before a store failed: a hold that can't be recorded helps nobody.
        if !self.journal.has_room(shard.partition) || self.breakers.is_open(shard.partition) {
            self.breakers.was_not_asked(Store::Inventory);
            self.breakers.was_not_asked(Store::Journal(shard.partition));
            return all(Answer::Overloaded);
        }
        // Before the call is sent: the lease counts from here, whenever the call arrives.
        let before = self.clock.now();
        let reserve = Hop::begin(self, SpanKind::Client, "reserve");
        let limit = reserve_limit(shard.lease);
        let asking = self.reserve(shard, entries, limit);
        let is_answer = |outcome: &_| !matches!(outcome, ReserveOutcome::Unknown);
        let outcome = self.breakers.watch(Store::Inventory, limit, asking, is_answer).await;
        reserve.end(self, &self.instruments.reserve, members, |_| {});
        self.instruments.batch_holds.observe_size(entries.len());
        self.pause.reach("gateway.after_reserve").await;
        if !matches!(outcome, ReserveOutcome::Answered(_)) {
            self.breakers.was_not_asked(Store::Journal(shard.partition));
        }
        match outcome {
            ReserveOutcome::Answered(reserved) => self.told(shard, before, reserved, members).await,
            ReserveOutcome::Loading | ReserveOutcome::Unable | ReserveOutcome::Malformed => {
                all(Answer::Loading)
            }
            ReserveOutcome::Retired => all(Answer::Retired),
            ReserveOutcome::Unknown => all(Answer::Processing),
        }
    }

    /// Takes units, within `limit`. Once more if the ledger's time was not known, or was another
    /// one's: an attempt that can't say when it was placed takes nothing, and the answer tells the
    /// time.
    async fn reserve(&self, shard: Shard, entries: &[Entry], limit: Duration) -> ReserveOutcome {
        let until = Until::within(&self.clock, limit);
        let cell = self.stock.known(shard.no);
        let known = cell.as_ref().and_then(|cell| cell.time.reading(self.clock.now()));
        let ask =
            async |time| self.inventory.reserve(shard.no, shard.item, entries, time, until).await;
        let outcome = ask(known).await;
        let ReserveOutcome::Answered(reserved) = &outcome else { return outcome };
        let now = self.clock.now();
        let Some(heard) = Reading::heard(reserved.epoch, reserved.now_us, now) else {
            return outcome;
        };
        let is_news = known.is_none_or(|known| heard.corrects(&known, now));
        if let Some(cell) = cell {
            cell.time.hear(heard, now);
        }
        if !reserved.has_too_late() || !is_news || until.left(&self.clock).is_zero() {
            return outcome;
        }
        match ask(Some(heard)).await {
            again @ (ReserveOutcome::Answered(_) | ReserveOutcome::Unknown) => again,
            // It has taken nothing, and the first may have.
            ReserveOutcome::Loading
            | ReserveOutcome::Unable
            | ReserveOutcome::Retired
            | ReserveOutcome::Malformed => outcome,
        }
    }

    async fn told(
        &self,
        shard: Shard,
        before: Duration,
        reserved: Reserved,
        members: &Members,
    ) -> Vec<Answer> {
        let Reserved { epoch, lease_lapsed, answers: stored, now_us } = reserved;
        let holds: Vec<_> = stored.iter().filter_map(placed).collect();
        let journal = Store::Journal(shard.partition);
        let recorded = if holds.is_empty() {
            self.breakers.was_not_asked(journal);
            Recorded::Unsure
        } else {
            let command = Command::HoldsPlaced { epoch, item: Some(shard.item), holds };
            let record = Record { command_id: CommandId::random(), shard: shard.no, command };
            let append = Hop::begin(self, SpanKind::Producer, "append");
            let appending = self.journal.append_timed(shard.partition, &record);
            let appended =
                self.breakers.watch(journal, Duration::MAX, appending, Result::is_ok).await;
            append.end(self, &self.instruments.append, members, |span| {
                span.set(names::MESSAGING_SYSTEM, "kafka");
                span.set(names::MESSAGING_OPERATION_NAME, "send");
                let partition = shard.partition.to_string();
                span.set(names::MESSAGING_DESTINATION_PARTITION_ID, partition);
            });
            self.pause.reach("gateway.after_produce").await;
            match appended {
                Ok(Appended { at_ms, .. })
                    if self.since(before) < shard.lease && self.is_within(shard, now_us, at_ms) =>
                {
                    Recorded::InsideLease
                }
                Ok(_) => Recorded::Unsure,
                Err(error) => {
                    // The holds stay open; a retry or the roll-forward publishes them.
                    static APPENDS: LazyLock<Lasting> = LazyLock::new(Lasting::default);
                    if let Some(unsaid) = APPENDS.again() {
                        let shard = shard.no;
                        tracing::warn!(
                            %shard, %error, unsaid,
                            "holds were not recorded: their buyers are told PROCESSING"
                        );
                    }
                    Recorded::Unsure
                }
            }
        };
        answers(&stored, lease_lapsed, recorded)
    }

    /// What the clocks of ledger and broker say about the lease.
    fn is_within(&self, shard: Shard, taken_us: u64, appended_ms: Option<i64>) -> bool {
        static LATE: LazyLock<Lasting> = LazyLock::new(Lasting::default);
        let Some(appended_ms) = appended_ms.filter(|_| taken_us > 0) else { return true };
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        let lags = lags.entry(shard.partition).or_default();
        let now = self.clock.now();
        let is_within = lags.is_within(shard.lease, taken_us / 1000, appended_ms, now);
        if !is_within && let Some(unsaid) = LATE.again() {
            tracing::warn!(
                shard = %shard.no, unsaid,
                "holds were recorded long after they were taken"
            );
        }
        is_within
    }

    fn since(&self, moment: Duration) -> Duration {
        self.clock.now().saturating_sub(moment)
    }
}

const fn lane_of(shard: Shard) -> (ShardNo, ItemId) {
    (shard.no, shard.item)
}

/// What an answer says about how busy ledger and journal are: nothing, if it didn't need them.
fn ended(answer: Answer, took: Duration) -> Option<Ended> {
    match answer {
        Answer::Accepted | Answer::Refused(_) | Answer::Rejected => Some(Ended::Answered(took)),
        Answer::Processing => Some(Ended::Unknown),
        Answer::Loading | Answer::Retired | Answer::Overloaded => None,
    }
}

/// Leaves a quarter of the lease for the journal.
fn reserve_limit(lease: Duration) -> Duration {
    lease * 3 / 4
}

/// The record is built from what the ledger stored, never from what was asked.
fn placed(answer: &EntryAnswer) -> Option<PlacedHold> {
    match answer {
        EntryAnswer::Hold(hold) => {
            let Hold { order, user, quantity, unit_price, taken_at_ms, traceparent } = hold.clone();
            Some(PlacedHold { order, user, quantity, unit_price, taken_at_ms, traceparent })
        }
        EntryAnswer::Settled(_) | EntryAnswer::Refused(_) => None,
    }
}
