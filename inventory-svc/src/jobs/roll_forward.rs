//! Rolls open holds forward that the books have not settled in time: asks the ledger which are due,
//! the books which they know, and performs the core's plan. A failure leaves the rest of that shard
//! due and stops no other; nothing here may happen only once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{Clock, logs::Lasting};
use futures::{StreamExt as _, stream};
use ids::{CommandId, Epoch, OrderId, ShardNo};
use journal::{AppendError, Journal};

use super::Step;
use crate::{
    catalog::{Catalog, LeaseRow},
    domain::sale::Phase,
    ledger::{Error, Holds, Ledger, Settlement},
    loading::{Foreign, LoadRequests, Why},
    metrics::Instruments,
    roll_forward::{
        self, Known, Plan, RECORD_HOLDS,
        turns::{Kind, Turns},
    },
    upstream::{Silent, books::Books},
};

/// As many as the books tell about in one question.
const DUE_MAX: usize = 4_096;

/// How often one shard has a turn within one step; the rest waits for the next.
const ROUNDS_MAX: usize = 8;

/// Shards that have their turns at once: one that hangs holds up none but itself.
const AT_ONCE: usize = 8;

/// One turn of a shard. Longer than a question to the books and an append, each of which has a
/// deadline of its own.
const TURN_MAX: Duration = Duration::from_secs(5);

pub(crate) struct RollForward {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) books: Books,
    pub(crate) journal: Journal,
    pub(crate) requests: LoadRequests,
    pub(crate) foreign: Foreign,
    /// Holds that one step may publish, over all shards.
    pub(crate) budget: usize,
    pub(crate) clock: Clock,
    pub(crate) instruments: Instruments,
    pub(crate) seen: Mutex<Seen>,
    pub(crate) troubles: Troubles,
}

/// What was learned in the steps before.
#[derive(Default)]
pub(crate) struct Seen {
    /// The shards, as the catalog last showed them.
    rows: Vec<LeaseRow>,
    turns: Turns,
}

/// How it gets along with each of those it needs.
#[derive(Default)]
pub(crate) struct Troubles {
    shards: Lasting,
    ledger: Lasting,
    books: Lasting,
    journal: Lasting,
    time: Lasting,
}

/// What one step has left, and what it has done.
struct Round {
    budget: Mutex<usize>,
    /// Partitions that took no record: others needn't wait for them as long.
    full: Mutex<BTreeSet<u32>>,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    settled: usize,
    published: usize,
}

/// Why a shard is left for another step.
enum Stop {
    Ledger(Error),
    Books(Silent),
    Journal(String),
    TooSlow,
}

impl Step for RollForward {
    /// One step over all shards that have an epoch: turns of an equal share of the budget, until it
    /// is spent or nobody has more. It is for what is published: what the books know is settled
    /// without it, so each shard has its first turn.
    async fn step(&self) {
        let rows = self.rows().await;
        let round = Round {
            budget: Mutex::new(self.budget),
            full: Mutex::default(),
            done: Mutex::default(),
        };
        let mut wanting = self.order(rows);
        for _ in 0..ROUNDS_MAX {
            let left = *locked(&round.budget);
            if wanting.is_empty() || left == 0 {
                break;
            }
            let share = (left / wanting.len()).clamp(RECORD_HOLDS, DUE_MAX);
            let turns = stream::iter(wanting).map(|row| self.turn(row, share, &round));
            wanting =
                turns.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        }
        let Done { settled, published } = *locked(&round.done);
        if settled + published > 0 {
            tracing::info!(settled, published, "holds rolled forward");
        }
        self.tell();
    }
}

impl RollForward {
    /// All shards, as the catalog shows them, or has shown them last: rolling a hold forward is as
    /// right without it, since nothing here rests on a lease.
    async fn rows(&self) -> Vec<LeaseRow> {
        let answer = match self.catalog.lease_rows().await {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(unsaid) = self.troubles.shards.again() {
                    tracing::warn!(%error, unsaid, "the shards to roll forward were not read");
                }
                return locked(&self.seen).rows.clone();
            }
        };
        self.troubles.shards.over();
        let mut seen = locked(&self.seen);
        let now: BTreeSet<_> = answer.rows.iter().map(|row| row.shard).collect();
        // Shards that were there before and aren't any more are retired.
        let before = seen.rows.iter().map(|row| row.shard);
        for retired in before.filter(|shard| !now.contains(shard)) {
            self.instruments.forget(retired);
            self.foreign.over(retired);
        }
        seen.rows.clone_from(&answer.rows);
        answer.rows
    }

    /// Who has a turn in this step.
    fn order(&self, rows: Vec<LeaseRow>) -> Vec<LeaseRow> {
        let rows = rows.into_iter().filter(|row| row.epoch.is_some());
        let mut rows: HashMap<_, _> = rows.map(|row| (row.shard, row)).collect();
        let mut shards: Vec<_> = rows.keys().copied().collect();
        shards.sort_unstable();
        let order = locked(&self.seen).turns.round(self.clock.now(), &shards);
        order.into_iter().filter_map(|shard| rows.remove(&shard)).collect()
    }

    /// A turn of at most `share` published holds, and of none once the budget is spent. Answers the
    /// row if the shard wants another one.
    async fn turn(&self, row: LeaseRow, share: usize, round: &Round) -> Option<LeaseRow> {
        let granted = {
            let mut budget = locked(&round.budget);
            let granted = share.min(*budget);
            *budget -= granted;
            granted
        };
        let mut left = granted;
        let turn = tokio::time::timeout(TURN_MAX, self.shard(&row, &mut left, round)).await;
        *locked(&round.budget) += left;
        let why = match turn.unwrap_or(Err(Stop::TooSlow)) {
            Ok(wants_more) => {
                // Without a budget the journal wasn't tried, so no trouble with it is over.
                if granted > 0 || !wants_more {
                    locked(&self.seen).turns.went_well(row.shard);
                }
                return wants_more.then_some(row);
            }
            Err(why) => why,
        };
        let (kind, says) = match (why, row.epoch) {
            // Being loaded: the loader reads what is left of it. So nothing waits here any more,
            // whatever the trouble was before.
            (Stop::Ledger(Error::Fenced), _) if row.phase != Phase::Open => {
                locked(&self.seen).turns.went_well(row.shard);
                return None;
            }
            (Stop::Ledger(Error::Fenced), Some(epoch)) => {
                locked(&self.seen).turns.went_well(row.shard);
                self.requests.request(row.shard, Why::Fenced(epoch));
                return None;
            }
            (Stop::Ledger(error), _) => (Kind::Ledger, error.to_string()),
            (Stop::Books(error), _) => (Kind::Books, error.to_string()),
            (Stop::Journal(error), _) => (Kind::Journal, error),
            (Stop::TooSlow, _) => (Kind::Time, format!("no end after {TURN_MAX:?}")),
        };
        locked(&self.seen).turns.failed(row.shard, self.clock.now(), kind, says);
        None
    }

    /// Whether there is more to do. What is published is taken off `share`.
    async fn shard(&self, row: &LeaseRow, share: &mut usize, round: &Round) -> Result<bool, Stop> {
        let due = self.ledger.due(row.shard, DUE_MAX).await.map_err(Stop::Ledger)?;
        if let Some(open) = row.epoch
            && row.phase == Phase::Open
            && due.epoch != open
        {
            self.requests.request(row.shard, Why::StaleEpoch(open));
        }
        let (epoch, count) = (due.epoch, due.holds.len());
        self.show(row.shard, &due);
        if count == 0 {
            return Ok(false);
        }
        let known = self.ask(row.shard, &due).await.map_err(Stop::Books)?;
        let plan = roll_forward::plan(due, &known, *share);
        let wants_more = plan.left > 0 || count == DUE_MAX;
        self.settle(row.shard, epoch, &plan, round).await?;
        self.publish(row, epoch, plan, share, round).await?;
        Ok(wants_more)
    }

    /// The ledger is asked anyway, so this is where those that wait too long are seen.
    fn show(&self, shard: ShardNo, due: &Holds) {
        let taken_at = due.holds.iter().map(|open| open.hold.taken_at_ms).min();
        let age_ms = taken_at.map_or(0, |at| self.clock.wall_ms().saturating_sub(at));
        let Instruments { overdue_holds, oldest_hold_age, .. } = &self.instruments;
        let count = u32::try_from(due.holds.len()).unwrap_or(u32::MAX);
        overdue_holds.with([shard.to_string()]).set(count.into());
        let age = Duration::from_millis(age_ms);
        oldest_hold_age.with([shard.to_string()]).set(age.as_secs_f64());
    }

    async fn ask(&self, shard: ShardNo, due: &Holds) -> Result<Known, Silent> {
        let orders: Vec<OrderId> = due.holds.iter().map(|open| open.hold.order).collect();
        let known = self.books.find(&orders).await?;
        let generation = known.generations.iter().find(|(of, _)| *of == shard);
        Ok(Known {
            decided: known.decided.into_iter().collect(),
            generation: generation.map(|(_, generation)| *generation),
        })
    }

    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        plan: &Plan,
        round: &Round,
    ) -> Result<(), Stop> {
        if plan.books_are_older {
            self.requests.request(shard, Why::LowerGeneration(epoch));
        }
        if plan.settle.is_empty() {
            return Ok(());
        }
        // Without a generation: newer settles may have overtaken this look at the books.
        let settled = self.ledger.settle(shard, epoch, None, &plan.settle).await;
        match settled.map_err(Stop::Ledger)? {
            Settlement::Applied { rejected: 0 } | Settlement::OtherEpoch => {}
            Settlement::Applied { rejected } => {
                tracing::error!(%shard, rejected, "the books refused holds of an open epoch");
                self.requests.request(shard, Why::Rejected(epoch));
            }
            Settlement::GenerationLower { .. } => {
                self.requests.request(shard, Why::LowerGeneration(epoch));
            }
        }
        locked(&round.done).settled += plan.settle.len();
        Ok(())
    }

    async fn publish(
        &self,
        row: &LeaseRow,
        epoch: Epoch,
        plan: Plan,
        share: &mut usize,
        round: &Round,
    ) -> Result<(), Stop> {
        let (shard, partition) = (row.shard, row.partition);
        let mut groups = plan.publish;
        if groups.is_empty() {
            return Ok(());
        }
        // A record that is never acknowledged is in nobody's way: each try begins behind it.
        let failures = locked(&self.seen).turns.failures(shard);
        let first = failures % groups.len();
        groups.rotate_left(first);
        let mut refused = Ok(());
        for group in groups {
            if !self.journal.has_room(partition) || locked(&round.full).contains(&partition) {
                return Err(Stop::Journal(format!("partition {partition} takes no record")));
            }
            let id = CommandId::random();
            let record = roll_forward::record(id, shard, epoch, &group.holds);
            match self.journal.append(partition, &record).await {
                Ok(_) => {}
                // Nobody can say whether they are written: they stay due, and wait no longer.
                Err(error @ AppendError::Unknown(_)) => {
                    locked(&round.full).insert(partition);
                    return Err(Stop::Journal(error.to_string()));
                }
                Err(error @ AppendError::Full) => return Err(Stop::Journal(error.to_string())),
                // No later try can do better, so it is put off like one that was acknowledged.
                Err(error @ AppendError::Refused(_)) => {
                    refused = Err(Stop::Journal(error.to_string()));
                }
            }
            *share = share.saturating_sub(group.holds.len());
            locked(&round.done).published += group.holds.len();
            match self.ledger.postpone(shard, epoch, &group.places).await {
                // Loaded anew meanwhile: these holds are gone from there.
                Ok(()) | Err(Error::StaleEpoch { .. } | Error::Fenced) => {}
                Err(error) => return Err(Stop::Ledger(error)),
            }
        }
        refused
    }

    /// Says what doesn't work, or works again; not each time, and not for each shard.
    fn tell(&self) {
        let Troubles { ledger, books, journal, time, .. } = &self.troubles;
        let seen = locked(&self.seen);
        for (kind, trouble, what) in [
            (Kind::Ledger, ledger, "the ledger"),
            (Kind::Books, books, "the books"),
            (Kind::Journal, journal, "the journal"),
            (Kind::Time, time, "slow stores"),
        ] {
            if let Some((shards, first, last)) = seen.turns.troubled(kind) {
                if let Some(unsaid) = trouble.again() {
                    let error = &last.says;
                    tracing::warn!(
                        shards, %first, %error, unsaid,
                        "open holds wait for {what}: their buyers hear PROCESSING meanwhile"
                    );
                }
            } else if let Some(after) = trouble.over() {
                let seconds = after.as_secs();
                tracing::info!(seconds, "open holds no longer wait for {what}");
            }
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one step may publish at `per_second`, when steps come every `interval`; at least one hold,
/// or nothing would ever move.
pub(crate) fn budget(per_second: u32, interval: Duration) -> usize {
    let holds = u128::from(per_second) * interval.as_millis() / 1_000;
    usize::try_from(holds).unwrap_or(usize::MAX).max(1)
}
