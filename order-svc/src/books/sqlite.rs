//! Books in a SQLite file. One writer connection and `BEGIN IMMEDIATE` serialise all transactions,
//! so what a transaction reads stays true until it commits. The position row is written first all
//! the same: it is what keeps two processes from folding the same records.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chassis::PausePoints;
use futures::stream;
use ids::{Epoch, OrderId, ShardNo, UserId};
use sqlx::{Sqlite, SqliteConnection, Transaction, migrate::Migrator};

use super::{
    Applied, Books, Count, Error, Found, Guarded, PageEnd, Position, SNAPSHOT_PAGE_LEN_MAX,
    Snapshot, SnapshotOrder, basis::Basis, columns,
};
use crate::{
    domain::{Guard, Order},
    fold::{Entry, Touched, fold},
};

mod audit;
mod reads;
mod rows;
mod writes;

/// The schema of this adapter.
pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The books of one journal in a SQLite file. Cloning is cheap.
#[derive(Clone)]
pub struct SqliteBooks {
    store: store::sqlite::Sqlite,
    journal_identity: String,
    pause: PausePoints,
}

impl SqliteBooks {
    /// `store` has the schema of [`MIGRATIONS`]. Positions are those of the journal named
    /// `journal_identity`.
    pub fn new(store: store::sqlite::Sqlite, journal_identity: &str, pause: PausePoints) -> Self {
        Self { store, journal_identity: journal_identity.to_owned(), pause }
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.store.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A transaction whose reads all show the same moment.
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.store.reader.begin().await?)
    }

    /// One try at a batch.
    async fn attempt(
        &self,
        partition: u32,
        expected: &Position,
        entries: &[Entry],
        now_ms: u64,
        basis: &Basis,
    ) -> Result<Attempt, Error> {
        let Some(last) = entries.last() else {
            return Err(Error::Failed("a batch needs an entry".to_owned()));
        };
        let position = Position {
            next_offset: last.offset + 1,
            generation: expected.generation + 1,
            last_digest: Some(last.digest),
        };
        let mut tx = self.write().await?;
        let journal = self.journal_identity.as_str();
        if !writes::move_position(&mut tx, journal, partition, expected, &position).await? {
            return Ok(Attempt::Done(Applied::PositionMoved));
        }
        let view = reads::view(&mut tx, &Touched::by(entries), basis).await?;
        let known = view.guards.clone();
        let outcome = fold(view, partition, entries, now_ms);
        // The guard rows first: an order's row doesn't stand without its shard's.
        writes::guards(&mut tx, &outcome.guards).await?;
        let single = columns::single_unit_shards(&known, &outcome.guards);
        let refused = writes::orders(&mut tx, &outcome.orders, &single, basis).await?;
        if !refused.is_empty() {
            return Ok(Attempt::Refused(refused));
        }
        writes::dead_letters(&mut tx, journal, partition, &outcome.dead_letters, now_ms).await?;
        self.pause.reach("order.before_commit").await;
        tx.commit().await?;
        Ok(Attempt::Done(Applied::Committed { position, outcome }))
    }
}

/// What became of one try. Unless it was committed, dropping its transaction rolled it back.
enum Attempt {
    Done(Applied),
    /// Unique keys refuse these, though the fold saw no reason.
    Refused(Vec<OrderId>),
}

#[async_trait]
impl Books for SqliteBooks {
    fn system(&self) -> &'static str {
        "sqlite"
    }

    fn connected(&self) -> store::Connected {
        self.store.connected()
    }

    async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1 FROM journal_position LIMIT 1")
            .fetch_optional(&self.store.reader)
            .await?;
        Ok(self.store.look().await?)
    }

    async fn position(&self, partition: u32) -> Result<Position, Error> {
        let mut tx = self.write().await?;
        let position = writes::position(&mut tx, &self.journal_identity, partition).await?;
        tx.commit().await?;
        Ok(position)
    }

    async fn positions(&self) -> Result<Vec<(u32, Position)>, Error> {
        let mut connection = self.store.reader.acquire().await?;
        reads::positions(&mut connection, &self.journal_identity).await
    }

    async fn apply(
        &self,
        partition: u32,
        expected: &Position,
        entries: &[Entry],
        now_ms: u64,
    ) -> Result<Applied, Error> {
        let mut basis = Basis::Presumed;
        loop {
            match self.attempt(partition, expected, entries, now_ms, &basis).await? {
                Attempt::Done(applied) => return Ok(applied),
                Attempt::Refused(refused) => basis = basis.after(refused)?,
            }
        }
    }

    async fn rewind(
        &self,
        partition: u32,
        expected: &Position,
        offset: u64,
    ) -> Result<Option<Position>, Error> {
        let position = Position {
            next_offset: offset,
            generation: expected.generation + 1,
            last_digest: None,
        };
        let mut tx = self.write().await?;
        let journal = self.journal_identity.as_str();
        if !writes::move_position(&mut tx, journal, partition, expected, &position).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(position))
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        let mut connection = self.store.reader.acquire().await?;
        Ok(reads::orders(&mut connection, &[id]).await?.pop())
    }

    async fn orders_of(
        &self,
        user: UserId,
        after: Option<PageEnd>,
        len_max: u32,
    ) -> Result<Vec<Order>, Error> {
        let mut connection = self.store.reader.acquire().await?;
        reads::orders_of(&mut connection, user, after, len_max).await
    }

    async fn find(&self, ids: &[OrderId]) -> Result<Found, Error> {
        let shards: BTreeSet<_> = ids.iter().map(OrderId::shard).collect();
        let mut tx = self.read().await?;
        let mut known = Vec::new();
        for shard in shards {
            known.extend(self.guarded(&mut tx, shard).await?);
        }
        let orders = reads::orders(&mut tx, ids).await?;
        Ok(Found { orders, shards: known })
    }

    async fn guard(&self, shard: ShardNo) -> Result<Option<Guarded>, Error> {
        let mut tx = self.read().await?;
        self.guarded(&mut tx, shard).await
    }

    async fn highest_shard(&self) -> Result<u32, Error> {
        reads::highest_shard(&mut *self.store.reader.acquire().await?).await
    }

    async fn snapshot(&self, shard: ShardNo, epoch: Epoch) -> Result<Snapshot, Error> {
        let mut tx = self.read().await?;
        let Some(guarded) = self.guarded(&mut tx, shard).await? else {
            return Ok(Snapshot::UnknownShard);
        };
        if guarded.guard.open_epoch != Some(epoch) {
            return Ok(Snapshot::OtherEpoch(guarded.guard.open_epoch));
        }
        let orders = reads::count_for_snapshot(&mut tx, shard).await?;
        let pages = stream::try_unfold(Some((tx, None)), move |state| async move {
            let Some((mut tx, after)) = state else { return Ok(None) };
            let page = reads::page(&mut tx, shard, after, SNAPSHOT_PAGE_LEN_MAX).await?;
            let Some(last) = page.last().map(|order: &SnapshotOrder| order.id) else {
                return Ok(None);
            };
            let is_full = page.len() == SNAPSHOT_PAGE_LEN_MAX;
            Ok(Some((page, is_full.then_some((tx, Some(last))))))
        });
        let pages = Box::pin(pages);
        Ok(Snapshot::Open { guarded, movement_watermark: 0, orders, pages })
    }

    async fn count(&self, shard: ShardNo) -> Result<Option<Count>, Error> {
        let mut tx = self.read().await?;
        match self.guarded(&mut tx, shard).await? {
            Some(guarded) => Ok(Some(audit::count(&mut tx, guarded.guard).await?)),
            None => Ok(None),
        }
    }

    async fn guards_after(
        &self,
        after: Option<ShardNo>,
        len_max: u32,
    ) -> Result<Vec<Guard>, Error> {
        audit::guards_after(&mut *self.read().await?, after, len_max).await
    }

    async fn orders_without_shard(&self) -> Result<u64, Error> {
        audit::orders_without_shard(&mut *self.read().await?).await
    }
}

impl SqliteBooks {
    async fn guarded(
        &self,
        connection: &mut SqliteConnection,
        shard: ShardNo,
    ) -> Result<Option<Guarded>, Error> {
        let Some(guard) = reads::guards(connection, &[shard]).await?.pop() else {
            return Ok(None);
        };
        let journal = self.journal_identity.as_str();
        let generation = reads::generation(connection, journal, guard.partition).await?;
        Ok(Some(Guarded { guard, generation }))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match store::trouble(&error) {
            store::Trouble::Busy => Self::Busy(error.to_string()),
            store::Trouble::Lost => Self::Lost(error.to_string()),
            store::Trouble::Duplicate | store::Trouble::Other => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
