//! Rolls open holds forward that the books have not settled in time: asks the ledger which are due,
//! the books which they know, and performs the core's plan. A failure leaves the rest due; nothing
//! here may happen only once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::Clock;
use ids::{CommandId, Epoch, OrderId, ShardNo};
use journal::{AppendError, Journal};

use super::Step;
use crate::{
    catalog::{Catalog, LeaseRow},
    domain::sale::Phase,
    ledger::{Error, Holds, Ledger, Settlement},
    loading::{LoadRequests, Why},
    metrics::Instruments,
    roll_forward::{self, Known, Plan},
    upstream::{Silent, books::Books},
};

/// As many as the books tell about in one question.
const DUE_MAX: usize = 4_096;

/// How often one shard is asked within one step; the rest waits for the next.
const ROUNDS_MAX: usize = 8;

pub(crate) struct RollForward {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) books: Books,
    pub(crate) journal: Journal,
    pub(crate) requests: LoadRequests,
    /// Holds that one step may publish, over all shards.
    pub(crate) budget: usize,
    pub(crate) clock: Clock,
    pub(crate) instruments: Instruments,
    /// The shards of the step before.
    pub(crate) shards: Mutex<BTreeSet<ShardNo>>,
}

/// Why a shard is left for the next step.
enum Stop {
    Ledger(Error),
    Books(Silent),
    /// The producer takes no more, for whatever partition.
    JournalFull,
    /// The shard's partition can't take more now.
    Partition(String),
}

impl Step for RollForward {
    /// One round over all shards that have an epoch.
    async fn step(&self) {
        let shards = match self.catalog.lease_rows().await {
            Ok(answer) => answer.rows,
            Err(error) => {
                tracing::warn!(%error, "the roll-forward could not read the shards");
                return;
            }
        };
        self.forget_others(shards.iter().map(|row| row.shard).collect());
        let mut budget = self.budget;
        for row in shards {
            let Some(epoch) = row.epoch else { continue };
            match self.shard(&row, epoch, &mut budget).await {
                Ok(()) => {}
                // Being loaded: the loader reads what is left of it.
                Err(Stop::Ledger(Error::Fenced)) if row.phase != Phase::Open => {}
                Err(Stop::Ledger(Error::Fenced)) => {
                    self.requests.request(row.shard, Why::Fenced(epoch));
                }
                Err(Stop::Ledger(error)) => {
                    tracing::warn!(shard = %row.shard, %error, "the roll-forward stopped");
                }
                Err(Stop::Partition(error)) => {
                    tracing::warn!(shard = %row.shard, %error, "the roll-forward stopped");
                }
                // Neither is there for the next shard.
                Err(Stop::Books(error)) => {
                    tracing::warn!(%error, "the roll-forward stopped");
                    return;
                }
                Err(Stop::JournalFull) => {
                    tracing::warn!("the roll-forward stopped: the journal's queue is full");
                    return;
                }
            }
        }
    }
}

impl RollForward {
    async fn shard(&self, row: &LeaseRow, open: Epoch, budget: &mut usize) -> Result<(), Stop> {
        for _ in 0..ROUNDS_MAX {
            let due = self.ledger.due(row.shard, DUE_MAX).await.map_err(Stop::Ledger)?;
            if row.phase == Phase::Open && due.epoch != open {
                self.requests.request(row.shard, Why::StaleEpoch(open));
            }
            let (epoch, count) = (due.epoch, due.holds.len());
            self.show(row.shard, &due);
            if count == 0 {
                return Ok(());
            }
            let known = self.ask(row.shard, &due).await.map_err(Stop::Books)?;
            let plan = roll_forward::plan(due, &known, *budget);
            let published = plan.publish.iter().map(Vec::len).sum::<usize>();
            tracing::info!(
                shard = %row.shard, settled = plan.settle.len(), published, "holds rolled forward"
            );
            self.perform(row, epoch, plan, budget).await?;
            if count < DUE_MAX || *budget == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shards that were there before and aren't any more are retired.
    fn forget_others(&self, shards: BTreeSet<ShardNo>) {
        let mut before = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        before.difference(&shards).for_each(|retired| self.instruments.forget(*retired));
        *before = shards;
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

    /// What is published is taken off `budget`.
    async fn perform(
        &self,
        row: &LeaseRow,
        epoch: Epoch,
        plan: Plan,
        budget: &mut usize,
    ) -> Result<(), Stop> {
        let shard = row.shard;
        if plan.books_are_older {
            self.requests.request(shard, Why::LowerGeneration(epoch));
        }
        if !plan.settle.is_empty() {
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
        }
        // The shard's partition never changes; without the row there is nothing to publish to.
        let partition = match self.catalog.shard(shard).await {
            Ok(Some(row)) => row.partition,
            Ok(None) | Err(_) => return Ok(()),
        };
        for holds in plan.publish {
            if !self.journal.has_room(partition) {
                return Err(Stop::Partition(format!("partition {partition} has no room")));
            }
            let record = roll_forward::record(CommandId::random(), shard, row.item, epoch, &holds);
            let appended = self.journal.append(partition, &record).await;
            match &appended {
                // Not written for certain: they stay due.
                Err(AppendError::Full) => return Err(Stop::JournalFull),
                // Put off as well, or those behind a record that can't be written never had a turn.
                Err(AppendError::Refused(_) | AppendError::Unknown(_)) | Ok(_) => {}
            }
            *budget = budget.saturating_sub(holds.len());
            let orders: Vec<OrderId> = holds.iter().map(|hold| hold.order).collect();
            match self.ledger.postpone(shard, epoch, &orders).await {
                // Loaded anew meanwhile: these holds are gone from there.
                Ok(()) | Err(Error::StaleEpoch { .. } | Error::Fenced) => {}
                Err(error) => return Err(Stop::Ledger(error)),
            }
            // Each further record would wait as long, and so would the shards behind this one.
            if let Err(error) = appended {
                return Err(Stop::Partition(error.to_string()));
            }
        }
        Ok(())
    }
}

/// What one step may publish at `per_second`, when steps come every `interval`; at least one hold,
/// or nothing would ever move.
pub(crate) fn budget(per_second: u32, interval: Duration) -> usize {
    let holds = u128::from(per_second) * interval.as_millis() / 1_000;
    usize::try_from(holds).unwrap_or(usize::MAX).max(1)
}
