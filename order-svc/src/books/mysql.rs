//! Books on MySQL or MariaDB. The position row is written first in every transaction, and its lock
//! serialises the writers of a partition: what a transaction reads after that stays true until it
//! commits, at READ COMMITTED. SQL is what both kinds of servers have. Any error rolls back all of
//! a transaction, and a connection on which something went wrong is never used again (`store`).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chassis::PausePoints;
use futures::stream;
use ids::{Epoch, OrderId, ShardNo, UserId};
use sqlx::{MySqlConnection, migrate::Migrator};
use store::mysql::MySql;

use super::{
    Applied, Books, Count, Error, Found, Guarded, PageEnd, Position, SNAPSHOT_PAGE_LEN_MAX,
    Snapshot, SnapshotOrder, basis::Basis, columns,
};
use crate::{
    domain::{Guard, Order},
    fold::{Entry, Outcome, Touched, fold},
};

mod audit;
mod reads;
mod replica;
mod rows;
mod writes;

pub use replica::Replica;

/// The schema of this adapter.
pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/mysql");

/// The books of one journal on a server. Cloning is cheap.
#[derive(Clone)]
pub struct MySqlBooks {
    store: MySql,
    replica: Option<Replica>,
    journal_identity: String,
    pause: PausePoints,
}

impl MySqlBooks {
    /// `store` has the schema of [`MIGRATIONS`]; `replica` follows it. Positions are those of the
    /// journal named `journal_identity`.
    pub fn new(
        store: MySql,
        replica: Option<Replica>,
        journal_identity: &str,
        pause: PausePoints,
    ) -> Self {
        Self { store, replica, journal_identity: journal_identity.to_owned(), pause }
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
        let step = Step { partition, expected, next: &position, entries, now_ms, basis };
        let mut tx = self.store.writer.begin().await?;
        match self.store.writer.in_time(self.write(&mut tx, step)).await {
            Ok(Written::Whole(outcome)) => {
                self.pause.reach("order.before_commit").await;
                tx.commit().await?;
                Ok(Attempt::Done(Applied::Committed { position, outcome }))
            }
            Ok(Written::PositionMoved) => {
                tx.roll_back().await?;
                Ok(Attempt::Done(Applied::PositionMoved))
            }
            Ok(Written::Refused(orders)) => {
                tx.roll_back().await?;
                Ok(Attempt::Refused(orders))
            }
            Err(error) => {
                tx.abandon().await;
                Err(error)
            }
        }
    }

    /// All that a batch's transaction does between its begin and its end.
    async fn write(&self, tx: &mut MySqlConnection, step: Step<'_>) -> Result<Written, Error> {
        let Step { partition, expected, next, entries, now_ms, basis } = step;
        let journal = self.journal_identity.as_str();
        if !writes::move_position(tx, journal, partition, expected, next).await? {
            return Ok(Written::PositionMoved);
        }
        let view = reads::view(tx, &Touched::by(entries), basis).await?;
        let known = view.guards.clone();
        let outcome = fold(view, partition, entries, now_ms);
        let single = columns::single_unit_shards(&known, &outcome.guards);
        let refused = writes::orders(tx, &outcome.orders, &single, basis).await?;
        if !refused.is_empty() {
            return Ok(Written::Refused(refused));
        }
        // Locks are taken in one order everywhere: position, orders by their ids, guard rows.
        writes::guards(tx, &outcome.guards).await?;
        writes::dead_letters(tx, journal, partition, &outcome.dead_letters, now_ms).await?;
        Ok(Written::Whole(outcome))
    }
}

/// A batch and where it goes.
struct Step<'a> {
    partition: u32,
    expected: &'a Position,
    next: &'a Position,
    entries: &'a [Entry],
    now_ms: u64,
    basis: &'a Basis,
}

/// What a transaction has come to.
enum Written {
    /// It can be committed.
    Whole(Outcome),
    /// It has nothing to do.
    PositionMoved,
    /// It is good for nothing but to have found out these.
    Refused(Vec<OrderId>),
}

/// What became of one try.
enum Attempt {
    Done(Applied),
    /// Unique keys refuse these, though the fold saw no reason.
    Refused(Vec<OrderId>),
}

#[async_trait]
impl Books for MySqlBooks {
    fn system(&self) -> &'static str {
        "mysql"
    }

    fn connected(&self) -> store::Connected {
        self.store.connected()
    }

    async fn ping(&self) -> Result<(), Error> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query("SELECT 1 FROM journal_position LIMIT 1").fetch_optional(it).await
        };
        self.store.reader.ask(look).await?;
        Ok(())
    }

    async fn position(&self, partition: u32) -> Result<Position, Error> {
        let journal = self.journal_identity.as_str();
        let look = async |it: &mut MySqlConnection| writes::position(it, journal, partition).await;
        self.store.writer.ask(look).await
    }

    async fn positions(&self) -> Result<Vec<(u32, Position)>, Error> {
        let journal = self.journal_identity.as_str();
        let look = async |it: &mut MySqlConnection| reads::positions(it, journal).await;
        self.store.reader.ask(look).await
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
        let journal = self.journal_identity.as_str();
        let moved = self.store.writer.ask(async |it: &mut MySqlConnection| {
            writes::move_position(it, journal, partition, expected, &position).await
        });
        Ok(moved.await?.then_some(position))
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        let look = async |it: &mut MySqlConnection| Ok(reads::orders(it, &[id]).await?.pop());
        if let Some(replica) = &self.replica {
            // That there is none is the primary's word: a replica may not have it yet.
            if let Some(Some(order)) = replica.ask(look).await {
                return Ok(Some(order));
            }
        }
        self.store.reader.ask(look).await
    }

    async fn orders_of(
        &self,
        user: UserId,
        after: Option<PageEnd>,
        len_max: u32,
    ) -> Result<Vec<Order>, Error> {
        let look =
            async |it: &mut MySqlConnection| reads::orders_of(it, user, after, len_max).await;
        if let Some(replica) = &self.replica
            && let Some(orders) = replica.ask(look).await
        {
            return Ok(orders);
        }
        self.store.reader.ask(look).await
    }

    async fn find(&self, ids: &[OrderId]) -> Result<Found, Error> {
        let shards: BTreeSet<_> = ids.iter().map(OrderId::shard).collect();
        let shards: Vec<_> = shards.into_iter().collect();
        let journal = self.journal_identity.as_str();
        let look = async |it: &mut MySqlConnection| {
            let shards = reads::guarded(it, journal, &shards).await?;
            let orders = reads::orders(it, ids).await?;
            Ok(Found { orders, shards })
        };
        self.store.reader.ask_snapshot(look).await
    }

    async fn guard(&self, shard: ShardNo) -> Result<Option<Guarded>, Error> {
        let journal = self.journal_identity.as_str();
        let look =
            async |it: &mut MySqlConnection| Ok(reads::guarded(it, journal, &[shard]).await?.pop());
        self.store.reader.ask(look).await
    }

    async fn highest_shard(&self) -> Result<u32, Error> {
        self.store.reader.ask(async |it: &mut MySqlConnection| reads::highest_shard(it).await).await
    }

    async fn snapshot(&self, shard: ShardNo, epoch: Epoch) -> Result<Snapshot, Error> {
        let (reader, journal) = (self.store.reader.clone(), self.journal_identity.as_str());
        let mut tx = reader.begin_snapshot().await?;
        let known = reader.in_time(reads::guarded(&mut tx, journal, &[shard])).await?.pop();
        let guarded = match known {
            Some(guarded) if guarded.guard.open_epoch == Some(epoch) => guarded,
            other => {
                tx.roll_back().await?;
                return Ok(match other {
                    Some(guarded) => Snapshot::OtherEpoch(guarded.guard.open_epoch),
                    None => Snapshot::UnknownShard,
                });
            }
        };
        let orders = reader.in_time(reads::count_for_snapshot(&mut tx, shard)).await?;
        let pages = stream::try_unfold(Some((tx, None)), move |state| {
            let reader = reader.clone();
            async move {
                let Some((mut tx, after)) = state else { return Ok(None) };
                let page = reads::page(&mut tx, shard, after, SNAPSHOT_PAGE_LEN_MAX);
                let page = reader.in_time(page).await?;
                let last = page.last().map(|order: &SnapshotOrder| order.id);
                if page.len() == SNAPSHOT_PAGE_LEN_MAX {
                    return Ok(Some((page, Some((tx, last)))));
                }
                tx.roll_back().await?;
                Ok(last.map(|_| (page, None)))
            }
        });
        let pages = Box::pin(pages);
        Ok(Snapshot::Open { guarded, movement_watermark: 0, orders, pages })
    }

    async fn count(&self, shard: ShardNo) -> Result<Option<Count>, Error> {
        let journal = self.journal_identity.as_str();
        let look = async |it: &mut MySqlConnection| match reads::guarded(it, journal, &[shard])
            .await?
            .pop()
        {
            Some(guarded) => Ok(Some(audit::count(it, guarded.guard).await?)),
            None => Ok(None),
        };
        self.store.reader.ask_snapshot(look).await
    }

    async fn guards_after(
        &self,
        after: Option<ShardNo>,
        len_max: u32,
    ) -> Result<Vec<Guard>, Error> {
        let look = async |it: &mut MySqlConnection| audit::guards_after(it, after, len_max).await;
        self.store.reader.ask_snapshot(look).await
    }

    async fn orders_without_shard(&self) -> Result<u64, Error> {
        let look = async |it: &mut MySqlConnection| audit::orders_without_shard(it).await;
        self.store.reader.ask_snapshot(look).await
    }
}

#[cfg(test)]
pub(super) mod tests;
