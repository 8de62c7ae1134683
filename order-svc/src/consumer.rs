//! The shell around the fold: one for each partition that is read. Reads on from where the books
//! are, hands batches to the books, tells the ledger. It never gives up, never skips a record, and
//! believes the books rather than itself: after anything unexpected it reads the position again and
//! starts there, and it looks at the position again though nothing happens.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{
    Clock, PausePoints, Stopper, TraceContext, Traced as _, job::Backoff, logs::Lasting,
};
use journal::{Command, PartitionReader, Raw, ReadError};
use serde::Deserialize;

use crate::{
    books::{self, Applied, Books, Position},
    fold::{Entry, Outcome},
    settle::{Settle, Settles},
};

mod look;
mod place;
mod seen;
mod standstill;

pub(crate) use look::{Look, Looks, look_again};
pub use place::{Place, place};
pub(crate) use seen::Sight;
use standstill::Standstill;

/// How often a partition's end is looked at. 5 s: a question to the broker each time, and metrics
/// are read less often.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// How partitions are read. The reasons stand in `config.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerSettings {
    /// The group among whose members the partitions are spread.
    pub group: String,
    /// How long to wait for that group before all partitions are read.
    pub assignment_wait_ms: u64,
    /// Records that are read at a time.
    pub batch_records_max: usize,
    /// Holds that go into one transaction; a record is never cut.
    pub batch_holds_max: usize,
    /// From the beginning of a transaction of a partition to that of its next one, at least.
    pub gather_ms: u64,
    /// How long a read waits for the first record.
    pub read_wait_ms: u64,
    /// How often the books are asked where they are, though nothing happens.
    pub look_again_ms: u64,
    /// The wait after a failure; it doubles.
    pub retry_first_ms: u64,
    /// The longest wait after a failure, and between two looks at a partition that halted.
    pub retry_max_ms: u64,
}

/// Partitions that have halted, since the journal lost what the books had not read; or those whose
/// records the books don't take. Clones share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Halted(Arc<Mutex<BTreeSet<u32>>>);

impl Halted {
    /// Whether any has.
    pub(crate) fn any(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether that is news.
    fn set(&self, partition: u32, is_halted: bool) -> bool {
        let mut halted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_halted { halted.insert(partition) } else { halted.remove(&partition) }
    }
}

/// What a consumer works with.
pub(crate) struct Consumer {
    /// Where records go.
    pub books: Arc<dyn Books>,
    /// Of the consumer's partition, and nobody else's.
    pub reader: PartitionReader,
    /// Where decisions go.
    pub settles: Settles,
    /// Names this partition while it has halted.
    pub halted: Halted,
    /// Where the books are, as they are asked again and again.
    pub looks: Looks,
    /// Where this consumer left the books; none before it has read a position.
    pub left: Option<Position>,
    /// Names this partition from a failure of the books on, be it that they don't write or that
    /// they don't tell their position, until a write works or none is due.
    pub unwritten: Halted,
    /// For the time of new rows.
    pub clock: Clock,
    /// Has `order.after_commit`.
    pub pause: PausePoints,
    /// How it is seen.
    pub sight: Sight,
    /// See there.
    pub settings: ConsumerSettings,
}

/// What follows from setbacks, until something works again.
struct Recovery {
    backoff: Backoff,
    trouble: Lasting,
}

/// Why reading has to begin anew from the books' position.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error("the books are not where they were left")]
    PositionMoved,
    #[error("records before offset {low} are gone, and the books are at {next_offset}")]
    UnreadGone { next_offset: u64, low: u64 },
    #[error("nothing comes at offset {next_offset}, and the log ends at {high}")]
    StoodStill { next_offset: u64, high: u64 },
    #[error(transparent)]
    Books(#[from] books::Error),
    #[error(transparent)]
    Journal(#[from] ReadError),
}

impl Consumer {
    /// Reads until `stopper` stops; a transaction that was begun is finished. May be dropped at any
    /// await.
    pub(crate) async fn run(mut self, stopper: Stopper) {
        let first = Duration::from_millis(self.settings.retry_first_ms);
        let longest = Duration::from_millis(self.settings.retry_max_ms);
        let backoff = Backoff::new(first, longest);
        let mut recovery = Recovery { backoff, trouble: Lasting::default() };
        while !stopper.is_stopped() {
            let Err(setback) = self.follow(&stopper, &mut recovery).await else { break };
            let wait = match setback {
                Setback::UnreadGone { .. } => longest,
                Setback::PositionMoved
                | Setback::StoodStill { .. }
                | Setback::Books(_)
                | Setback::Journal(_) => recovery.backoff.next_wait(),
            };
            self.note(&setback, &recovery.trouble);
            tokio::select! {
                biased;
                () = stopper.stopped() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // Whoever reads it next will see for itself.
        self.halted.set(self.reader.partition(), false);
        self.unwritten.set(self.reader.partition(), false);
    }

    fn note(&self, setback: &Setback, trouble: &Lasting) {
        let partition = self.reader.partition();
        match setback {
            // What it means shows when the position is read again.
            Setback::PositionMoved => {
                if let Some(unsaid) = trouble.again() {
                    tracing::info!(partition, unsaid, "the books are not where they were left");
                }
            }
            Setback::UnreadGone { .. } => {
                if self.halted.set(partition, true) {
                    tracing::error!(partition, error = %setback, "the partition halts");
                }
            }
            Setback::Books(error) => {
                // Somebody else's transaction, if that is all, ends by itself.
                let is_busy = matches!(error, books::Error::Busy(_));
                if !is_busy {
                    self.unwritten.set(partition, true);
                }
                if let Some(unsaid) = trouble.again() {
                    tracing::warn!(
                        partition, %error, unsaid,
                        "the books take no records: orders stay PROCESSING until they do"
                    );
                }
            }
            Setback::StoodStill { .. } | Setback::Journal(_) => {
                if let Some(unsaid) = trouble.again() {
                    tracing::warn!(partition, error = %setback, unsaid, "reading begins anew");
                }
            }
        }
    }

    /// The books have all that could be read, or take it again.
    fn recovered(&self, recovery: &mut Recovery) {
        let partition = self.reader.partition();
        recovery.backoff.reset();
        self.unwritten.set(partition, false);
        if let Some(after) = recovery.trouble.over() {
            let seconds = after.as_secs();
            tracing::info!(partition, seconds, "records go into the books again");
        }
    }

    /// Returns on a stop; anything else is a setback.
    async fn follow(&mut self, stopper: &Stopper, recovery: &mut Recovery) -> Result<(), Setback> {
        let position = self.books.position(self.reader.partition()).await?;
        self.compare(&position);
        let mut position = self.verified(position).await?;
        self.left = Some(position.clone());
        self.halted.set(self.reader.partition(), false);
        self.reader.start(position.next_offset)?;
        self.reader.committed(position.next_offset);
        let wait = Duration::from_millis(self.settings.read_wait_ms);
        let records_max = self.settings.batch_records_max.max(1);
        let gather = Duration::from_millis(self.settings.gather_ms);
        let mut looked = self.clock.now();
        let mut committed_at = looked;
        let mut standstill = Standstill::default();
        let mut gathered_at = looked;
        loop {
            if self.clock.now().saturating_sub(looked) >= LAG_EVERY {
                looked = self.clock.now();
                self.look(position.next_offset, &mut standstill).await?;
            }
            let gathers = gathered_at.saturating_sub(self.clock.now());
            let batch = tokio::select! {
                biased;
                () = stopper.stopped() => return Ok(()),
                batch = async {
                    tokio::time::sleep(gathers).await;
                    self.reader.next_batch(records_max, wait).await
                } => batch?,
            };
            gathered_at = self.clock.now() + gather;
            if batch.is_empty() {
                self.recovered(recovery);
            }
            let appended: Vec<_> = batch
                .iter()
                .filter_map(|raw| raw.appended_at.map(|place| (raw.offset, place)))
                .collect();
            let entries: Vec<_> = batch.into_iter().map(entry).collect();
            for batch in batches(&entries, self.settings.batch_holds_max) {
                position = self.commit(&position, batch, &appended).await?;
                committed_at = self.clock.now();
                self.left = Some(position.clone());
                self.recovered(recovery);
                // The partition may have a new reader already, which would have to fight for it.
                if stopper.is_stopped() {
                    return Ok(());
                }
            }
            let partition = self.reader.partition();
            if self.looks.borrow().contradicts(partition, &position, committed_at) {
                return Err(Setback::PositionMoved);
            }
        }
    }

    /// Says if the books are an older copy than those that were left. What they have lost comes
    /// again: it is read from where they are.
    fn compare(&mut self, now: &Position) {
        let Some(left) = self.left.take().filter(|left| look::went_back(left, now)) else { return };
        self.sight.instruments.put_back.inc();
        tracing::warn!(
            partition = self.reader.partition(),
            from_offset = left.next_offset,
            to_offset = now.next_offset,
            from_generation = left.generation,
            to_generation = now.generation,
            "the books were put back to an older copy; what they have lost is read again"
        );
    }

    /// The place to read from: the position, if the log shows before it what the books saw there.
    async fn verified(&mut self, position: Position) -> Result<Position, Setback> {
        let partition = self.reader.partition();
        let (low, high) = self.reader.watermarks().await?;
        let next_offset = position.next_offset;
        self.set_lag(high, next_offset);
        let is_same = match place(next_offset, low, high) {
            Place::UnreadGone => return Err(Setback::UnreadGone { next_offset, low }),
            Place::NothingBefore => true,
            Place::BehindTheEnd => false,
            Place::After(offset) => {
                let digest = self.reader.record_at(offset).await?.map(|raw| raw.digest());
                digest.is_some() && digest == position.last_digest
            }
        };
        if is_same {
            return Ok(position);
        }
        tracing::error!(
            partition,
            next_offset,
            low,
            high,
            "the journal has lost records that the books have read; all of it is read again"
        );
        let rewound = self.books.rewind(partition, &position, low).await?;
        rewound.ok_or(Setback::PositionMoved)
    }

    /// How far the books are behind, and whether reading stands still. One that gets no answer
    /// changes nothing.
    async fn look(&self, next_offset: u64, standstill: &mut Standstill) -> Result<(), Setback> {
        let Ok((_, high)) = self.reader.watermarks().await else { return Ok(()) };
        self.set_lag(high, next_offset);
        if standstill.saw(next_offset, high) {
            self.sight.instruments.standstills.inc();
            return Err(Setback::StoodStill { next_offset, high });
        }
        Ok(())
    }

    fn set_lag(&self, high: u64, next_offset: u64) {
        let unread = u32::try_from(high.saturating_sub(next_offset)).unwrap_or(u32::MAX);
        let partition = self.reader.partition().to_string();
        self.sight.instruments.unread.with([partition]).set(unread.into());
    }

    async fn commit(
        &self,
        expected: &Position,
        batch: &[Entry],
        appended: &[(u64, TraceContext)],
    ) -> Result<Position, Setback> {
        let partition = self.reader.partition();
        let now_ms = self.clock.wall_ms();
        let seen = self.sight.begin(batch, appended);
        let applied = self.books.apply(partition, expected, batch, now_ms).at(seen.place()).await;
        let (position, outcome) = match applied {
            Ok(Applied::Committed { position, outcome }) => (position, outcome),
            Ok(Applied::PositionMoved) => {
                seen.failed("the position has moved");
                return Err(Setback::PositionMoved);
            }
            Err(error) => {
                seen.failed("the books gave no answer");
                return Err(error.into());
            }
        };
        seen.committed(self.books.system(), &outcome);
        self.reader.committed(position.next_offset);
        self.pause.reach("order.after_commit").await;
        alarm(partition, &outcome);
        for ((shard, epoch), decisions) in outcome.settles {
            let generation = position.generation;
            self.settles.offer(Settle { shard, epoch, generation, decisions });
        }
        Ok(position)
    }
}

fn alarm(partition: u32, outcome: &Outcome) {
    if let Some(first) = outcome.dead_letters.first() {
        let count = outcome.dead_letters.len();
        let (offset, reason) = (first.offset, first.reason.as_str());
        tracing::error!(partition, count, offset, reason, "records became dead letters");
    }
    if let Some(first) = outcome.alarms.first() {
        let count = outcome.alarms.len();
        let (shard, epoch) = (first.shard.get(), first.epoch.get());
        let reason = &first.refusal;
        tracing::error!(partition, count, shard, epoch, %reason, "the books refused open holds");
    }
    if outcome.ignored > 0 {
        let count = outcome.ignored;
        tracing::debug!(partition, count, "records do not count where they stand");
    }
}

fn entry(raw: Raw) -> Entry {
    Entry {
        offset: raw.offset,
        digest: raw.digest(),
        decoded: journal::decode(&raw.bytes).map_err(|error| error.to_string()),
        bytes: raw.bytes,
    }
}

/// Cuts what was read into transactions of a bounded size. The borders don't matter to the books.
fn batches(mut entries: &[Entry], holds_max: usize) -> impl Iterator<Item = &[Entry]> {
    std::iter::from_fn(move || {
        let mut holds = 0;
        let is_over = |entry: &Entry| {
            holds += match &entry.decoded {
                Ok(record) => match &record.command {
                    Command::HoldsPlaced { holds, .. } => holds.len(),
                    Command::ItemOpened(_) | Command::EpochChanged { .. } => 0,
                },
                Err(_) => 0,
            };
            holds > holds_max
        };
        let fitting = entries.iter().position(is_over).unwrap_or(entries.len());
        // A record that is too large by itself is a batch of its own.
        let (batch, later) = entries.split_at(fitting.max(1).min(entries.len()));
        entries = later;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests;
