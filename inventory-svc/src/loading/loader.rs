//! The shell around attempts: one load per shard and process, each a row of attempts with fresh ids
//! until the shard is open or someone else has opened it, or until it is retired if its sale is
//! over. Whoever starts a load may be wrong: it begins with a look at the catalog's primary. Many
//! loads wait at once, but few stream a snapshot.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{Clock, Kind, PausePoints, Tasks, metrics::Counters};
use ids::{Epoch, ShardNo};
use journal::Journal;
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    Foreign, LoadRequests, Why,
    attempt::{Action, Answer, Attempt, End, Plan},
    over::SeenOver,
    steps::{Silences, Steps},
};
use crate::{
    catalog::{self, Catalog, ItemKey},
    config::Loading,
    domain::sale::{Item, Phase, Schedule, Shard, State},
    ledger::Ledger,
    upstream::books::Books,
};

/// Attempts in a row before the load is left to whoever asks for it next.
const ATTEMPTS_MAX: usize = 8;

/// A wait is looked at again so often, since the clock that it is measured by may jump ahead.
const NAP: Duration = Duration::from_millis(50);

/// What a load needs to reach.
#[derive(Clone)]
pub struct Rooms {
    /// The plan, and which epoch may be used.
    pub catalog: Arc<dyn Catalog>,
    /// What is loaded.
    pub ledger: Arc<dyn Ledger>,
    /// What elects the epoch.
    pub journal: Journal,
    /// What is loaded from.
    pub books: Books,
    /// Leases are measured by it.
    pub clock: Clock,
    /// Has a point before each step of an attempt, and `inventory.before_renew`.
    pub pause: PausePoints,
}

/// Why a load is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its sale's warm-up has begun.
    Opening,
    /// Its loader's lease has run out.
    Abandoned,
    /// Someone met a sick epoch.
    Requested(Why),
    /// Its sale is over.
    Over,
}

/// What came of starting a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It runs.
    Started,
    /// This process loads the shard already; that load may be about to end.
    AlreadyLoading,
    /// As many loads as allowed are running.
    NoSeat,
}

/// Starts loads. Clones are the same one.
#[derive(Clone)]
pub struct Loader(Arc<Inner>);

struct Inner {
    rooms: Rooms,
    settings: Loading,
    ledger_address: String,
    tasks: Tasks,
    background: Handle,
    requests: LoadRequests,
    loads: Counters<1>,
    foreign: Foreign,
    /// Of those that stream a snapshot. A load doesn't hold one while it waits for leases or for
    /// the books: shards that were lost together are open again together, and shards that can't be
    /// opened are in nobody's way.
    snapshots: Semaphore,
    loading: Mutex<HashSet<ShardNo>>,
    seen_over: Mutex<SeenOver>,
    silences: Silences,
}

/// What an attempt is about.
struct Planned {
    shard: Shard,
    item: Item,
    schedule: Schedule,
    is_over: bool,
}

/// Whom a plan could not be asked of.
#[derive(Debug, thiserror::Error)]
enum NotPlanned {
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error(transparent)]
    Ledger(#[from] crate::ledger::Error),
}

/// What an attempt came to, as the shell sees it.
enum Outcome {
    /// The attempt's own end.
    Ended(End),
    /// The catalog shows nothing to load any more.
    NothingToDo,
    /// Catalog or ledger gave no answer before anything was begun.
    NotBegun,
}

impl Loader {
    /// A loader whose loads are tasks of `tasks` on `background`, counted by outcome and told of in
    /// `seen`. A request whose load came to nothing goes back to `requests`.
    pub fn new(
        rooms: Rooms,
        settings: Loading,
        ledger_address: String,
        tasks: Tasks,
        background: Handle,
        requests: LoadRequests,
        seen: (Counters<1>, Foreign),
    ) -> Self {
        let (loads, foreign) = seen;
        let snapshots = Semaphore::new(settings.snapshots_max);
        let loading = Mutex::default();
        Self(Arc::new(Inner {
            rooms,
            settings,
            ledger_address,
            tasks,
            background,
            requests,
            loads,
            foreign,
            snapshots,
            loading,
            seen_over: Mutex::default(),
            silences: Silences::default(),
        }))
    }

    /// Starts to load `shard`, unless this process does so already or loads as many as it may.
    pub fn start(&self, shard: ShardNo, cause: Cause) -> Start {
        let seat = match self.seat(shard) {
            Ok(seat) => seat,
            Err(start) => return start,
        };
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn_on(&self.0.background, Kind::Disposable, "load", async move {
            inner.load(shard, cause).await;
            drop(seat);
        });
        Start::Started
    }

    /// Whether this process loads the shard.
    pub fn is_loading(&self, shard: ShardNo) -> bool {
        self.0.loading.lock().unwrap_or_else(PoisonError::into_inner).contains(&shard)
    }

    /// Takes note of the shards whose sales have closed by the catalog's clock, and of no others.
    /// Answers those of them for which that was so for long enough.
    pub fn saw_over(&self, over: &[ShardNo]) -> Vec<ShardNo> {
        let now = self.0.rooms.clock.now();
        let long = self.0.settings.retire_after();
        let mut seen = self.0.seen_over.lock().unwrap_or_else(PoisonError::into_inner);
        seen.look(now, over);
        over.iter().copied().filter(|shard| seen.is_over(*shard, now, long)).collect()
    }

    fn seat(&self, shard: ShardNo) -> Result<Seat, Start> {
        let mut loading = self.0.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if loading.contains(&shard) {
            return Err(Start::AlreadyLoading);
        }
        if loading.len() >= self.0.settings.loads_max {
            return Err(Start::NoSeat);
        }
        loading.insert(shard);
        Ok(Seat { inner: Arc::clone(&self.0), shard })
    }
}

/// A load's place among those of this process; it gives it back when the load ends in any way.
struct Seat {
    inner: Arc<Inner>,
    shard: ShardNo,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.inner.loading.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.shard);
    }
}

impl Inner {
    async fn load(&self, shard: ShardNo, cause: Cause) {
        let mut backoff = self.settings.backoff();
        // The ids of this load's attempts: whatever is left of them may be overtaken at once.
        let mut mine = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(shard, cause, &mut mine).await {
                Outcome::Ended(End::Opened) => {
                    self.foreign.over(shard);
                    let epoch = mine.last().map(|epoch: &Epoch| epoch.get());
                    self.loads.with(["opened"]).inc();
                    self.silences.over();
                    tracing::info!(%shard, epoch, ?cause, "a shard was loaded");
                    return;
                }
                Outcome::Ended(End::Overtaken) => {
                    self.loads.with(["overtaken"]).inc();
                    tracing::info!(%shard, ?cause, "someone else loads the shard");
                    return;
                }
                Outcome::Ended(End::Retired) => {
                    self.foreign.over(shard);
                    self.loads.with(["retired"]).inc();
                    tracing::info!(%shard, ?cause, "a shard was retired");
                    return;
                }
                // The attempt has told; whoever comes next will meet the same.
                Outcome::Ended(End::Foreign(_)) | Outcome::NothingToDo => return,
                Outcome::Ended(end @ (End::StartOver(_) | End::OutOfPatience)) => {
                    self.loads.with(["attempt failed"]).inc();
                    tracing::warn!(%shard, ?end, "an attempt to load a shard has failed");
                }
                Outcome::NotBegun => {}
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
        self.loads.with(["given up"]).inc();
        tracing::error!(%shard, ?cause, "a shard could not be loaded; it will be tried again");
        // What was told only once must not be lost; the catalog shows the other causes by itself.
        if let Cause::Requested(why) = cause {
            self.requests.put_back(shard, why);
        }
    }

    async fn attempt(&self, shard: ShardNo, cause: Cause, mine: &mut Vec<Epoch>) -> Outcome {
        let planned = match self.plan(shard, cause, mine).await {
            Ok(Some(planned)) => planned,
            Ok(None) => return Outcome::NothingToDo,
            Err(error) => {
                tracing::warn!(%shard, %error, "loading: nothing could be planned");
                return Outcome::NotBegun;
            }
        };
        let to = Epoch::from_random_bits(rand::random());
        mine.push(to);
        let Planned { shard: shard_row, item, schedule, is_over } = planned;
        let (lease, item_id) = (shard_row.lease, item.id);
        let attempt = Attempt::new(Plan {
            to,
            item: item_id,
            is_opening: shard_row.phase == Phase::New,
            is_over,
            lease,
            give_up_at: self.rooms.clock.now() + self.settings.patience() + 2 * lease,
            pace: self.settings.pace(),
        });
        let loader_lease = self.settings.loader_lease();
        let plan = (shard_row, item, schedule);
        let (address, silences) = (&self.ledger_address, &self.silences);
        let steps = Steps::new(&self.rooms, plan, to, loader_lease, address, silences);
        let is_claimed = AtomicBool::new(false);
        let end = tokio::select! {
            end = self.drive(attempt, steps, &is_claimed) => end,
            () = self.keep_claim(shard, to, &is_claimed) => End::Overtaken,
        };
        if let End::Foreign(in_books) = end
            && self.foreign.met(shard, item_id, in_books)
        {
            self.loads.with(["foreign"]).inc();
        }
        Outcome::Ended(end)
    }

    /// What is to be loaded or retired, if the catalog's primary shows that it should be.
    async fn plan(
        &self,
        shard: ShardNo,
        cause: Cause,
        mine: &[Epoch],
    ) -> Result<Option<Planned>, NotPlanned> {
        let catalog = &self.rooms.catalog;
        let Some(row) = catalog.shard(shard).await? else { return Ok(None) };
        if !is_wanted(row.phase, row.epoch, cause, mine) {
            return Ok(None);
        }
        let (item, schedule) = match catalog.item(ItemKey::Shard(shard)).await? {
            Some((item, State::Scheduled(schedule))) => (item, schedule),
            Some((_, State::Draft)) | None => return Ok(None),
        };
        // As it stood there when the item was read: a catalog may be put back between two reads.
        let row = item.shards.iter().find(|row| row.no == shard).cloned();
        let wanted = row.filter(|row| is_wanted(row.phase, row.epoch, cause, mine));
        let Some(row) = wanted else { return Ok(None) };
        let is_over = self.is_over(shard, &schedule).await?;
        if cause == Cause::Over && !is_over {
            return Ok(None);
        }
        Ok(Some(Planned { shard: row, item, schedule, is_over }))
    }

    /// Whether the sale has been over for long enough: by the catalog's clock, by the one that
    /// admission goes by, and as this process has watched it. Retiring is final, and any clock that
    /// can be set may have jumped.
    async fn is_over(&self, shard: ShardNo, schedule: &Schedule) -> Result<bool, NotPlanned> {
        let Rooms { catalog, ledger, clock, .. } = &self.rooms;
        let long = self.settings.retire_after();
        let is_seen = {
            let seen = self.seen_over.lock().unwrap_or_else(PoisonError::into_inner);
            seen.is_over(shard, clock.now(), long)
        };
        let long_ms = u64::try_from(long.as_millis()).unwrap_or(u64::MAX);
        let over_at_ms = schedule.closes_ms.saturating_add(long_ms);
        if !is_seen || catalog.now_ms().await? < over_at_ms {
            return Ok(false);
        }
        Ok(ledger.now_ms().await? >= over_at_ms)
    }

    async fn drive(
        &self,
        mut attempt: Attempt,
        mut steps: Steps<'_>,
        is_claimed: &AtomicBool,
    ) -> End {
        let clock = &self.rooms.clock;
        let mut snapshot = None;
        loop {
            let now = clock.now();
            match attempt.next(now) {
                Action::End(end) => return end,
                Action::Wait(until) => {
                    snapshot = None;
                    tokio::time::sleep(until.saturating_sub(now).min(NAP)).await;
                }
                action => {
                    snapshot = match (needs_snapshot(&action), snapshot) {
                        (false, _) => None,
                        (true, Some(permit)) => Some(permit),
                        // Never closed.
                        (true, None) => self.snapshots.acquire().await.ok(),
                    };
                    self.rooms.pause.reach(before(&action)).await;
                    let limit = step_time(&self.settings, &action);
                    let answer = tokio::time::timeout(limit, steps.perform(action)).await;
                    let answer = answer.unwrap_or(Answer::Silent);
                    tracing::debug!(to = %attempt.to(), ?action, ?answer, "loading");
                    if (action, answer) == (Action::Claim, Answer::Done) {
                        is_claimed.store(true, Ordering::SeqCst);
                    }
                    attempt.answered(answer, clock.now());
                }
            }
        }
    }

    /// Renews the loader's lease while the attempt has claimed the shard; returns once someone else
    /// has.
    async fn keep_claim(&self, shard: ShardNo, to: Epoch, is_claimed: &AtomicBool) {
        let lease = self.settings.loader_lease();
        loop {
            tokio::time::sleep(lease / 4).await;
            if !is_claimed.load(Ordering::SeqCst) {
                continue;
            }
            self.rooms.pause.reach("inventory.before_renew").await;
            match self.rooms.catalog.renew(shard, to, lease).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%shard, %error, "a loader's lease was not renewed"),
            }
        }
    }
}

/// Whether a shard that the catalog's primary shows in `phase` with `epoch` should be loaded
/// because of `cause`, by whoever made the attempts `mine` before.
pub fn is_wanted(phase: Phase, epoch: Option<Epoch>, cause: Cause, mine: &[Epoch]) -> bool {
    match (phase, cause) {
        (Phase::Retired, _) => false,
        (Phase::New, cause) => cause == Cause::Opening,
        (Phase::Loading, cause) => {
            let is_mine = epoch.is_some_and(|epoch| mine.contains(&epoch));
            // After the first attempt someone else's claim is a fresh one.
            is_mine || (cause == Cause::Abandoned && mine.is_empty())
        }
        (Phase::Open, Cause::Requested(why)) => epoch == Some(why.epoch()),
        (Phase::Open, Cause::Over) => true,
        (Phase::Open, Cause::Opening | Cause::Abandoned) => false,
    }
}

/// Where a test may stop an attempt: before it does this.
fn before(action: &Action) -> &'static str {
    match action {
        Action::ReadBooks => "inventory.before_read_books",
        Action::PublishItemOpened => "inventory.before_publish_item",
        Action::Claim => "inventory.before_claim",
        Action::Close => "inventory.before_close",
        Action::CheckClaim => "inventory.before_check_claim",
        Action::CheckHolds { .. } => "inventory.before_check_holds",
        Action::PublishHolds { .. } => "inventory.before_publish_holds",
        Action::PublishChange { .. } => "inventory.before_publish_change",
        Action::Stage => "inventory.before_stage",
        Action::Activate => "inventory.before_activate",
        Action::Open => "inventory.before_open",
        Action::Forget => "inventory.before_forget",
        Action::Retire => "inventory.before_retire",
        Action::Wait(_) | Action::End(_) => "inventory.between_steps",
    }
}

/// From a snapshot's first part until it is in use.
fn needs_snapshot(action: &Action) -> bool {
    match action {
        Action::Stage | Action::Activate => true,
        Action::Wait(_)
        | Action::End(_)
        | Action::ReadBooks
        | Action::PublishItemOpened
        | Action::Claim
        | Action::Close
        | Action::CheckClaim
        | Action::CheckHolds { .. }
        | Action::PublishHolds { .. }
        | Action::PublishChange { .. }
        | Action::Open
        | Action::Forget
        | Action::Retire => false,
    }
}

fn step_time(settings: &Loading, action: &Action) -> Duration {
    match action {
        // Both work through everything that a shard has.
        Action::CheckHolds { .. } | Action::PublishHolds { .. } | Action::Stage => {
            settings.long_step()
        }
        Action::Wait(_)
        | Action::End(_)
        | Action::ReadBooks
        | Action::PublishItemOpened
        | Action::Claim
        | Action::Close
        | Action::CheckClaim
        | Action::PublishChange { .. }
        | Action::Activate
        | Action::Open
        | Action::Forget
        | Action::Retire => settings.step(),
    }
}

#[cfg(test)]
mod tests;
