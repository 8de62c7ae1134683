//! What every keeper of the books must do, whoever it is: each test here is a promise of
//! [`Books`](super::Books), and is run once for each keeper. A keeper brings a [`Fixture`]: books
//! on a fresh store, and others on the same one. The other tests of this service stand on it too.

use std::{any::Any, collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use chassis::PausePoints;
use futures::{FutureExt, TryStreamExt};
use ids::{CommandId, Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use journal::{Command, ItemOpened, PlacedHold, Record};
use law::OrderState;

use super::{Applied, Books, PageEnd, Position, Snapshot};
use crate::fold::{Entry, Outcome};

mod batches;
mod reads;

/// A test for each promise, of a keeper's fixture; without one, there is nothing to test.
macro_rules! keeps_its_promises {
    ($keeper:ident: $fixture:expr) => {
        keeps_its_promises! { $keeper: $fixture;
            batches::a_batch_is_in_the_books_with_its_position
            batches::what_was_committed_is_seen_by_the_next_batch
            batches::units_from_before_count_in_a_batch_that_is_all_new
            batches::a_batch_that_is_not_all_new_is_decided_by_what_is_there
            batches::a_hold_that_contradicts_its_guard_row_is_kept_with_the_reason
            batches::large_batches_are_written_whole
            batches::a_batch_for_another_position_changes_nothing
            batches::two_writers_of_one_partition_write_nothing_twice_and_lose_nothing
            batches::a_crash_before_the_commit_leaves_nothing_and_blocks_nobody
            batches::a_batch_dropped_anywhere_is_done_whole_or_not_at_all
            batches::dead_letters_are_kept_once_and_block_nobody
            batches::partitions_do_not_stand_in_each_others_way
            reads::what_is_not_there_is_none
            reads::the_highest_number_is_that_of_a_row_or_of_an_order
            reads::positions_are_shown_all_at_once
            reads::ids_are_found_with_their_shard
            reads::pages_of_a_user_begin_with_the_newest_and_miss_nothing
            reads::an_order_of_an_item_without_a_shard_is_listed_too
            reads::a_snapshot_shows_one_moment_of_the_open_epoch
            reads::rows_are_counted_by_state_and_user
            reads::shards_are_listed_by_number_and_what_rows_say_is_told
        }
    };
    ($keeper:ident: $fixture:expr; $($room:ident::$promise:ident)*) => {
        mod $keeper {
            $(#[tokio::test]
            async fn $promise() {
                let fixture: Option<super::Fixture> = $fixture.await;
                if let Some(fixture) = fixture {
                    super::$room::$promise(fixture).await;
                }
            })*
        }
    };
}

keeps_its_promises! { sqlite: super::Fixture::on_sqlite() }
keeps_its_promises! { mariadb: super::Fixture::on_mariadb() }
keeps_its_promises! { mysql: super::Fixture::on_mysql() }

/// Books on a store of their own, which goes with this.
pub(crate) struct Fixture {
    pub(crate) books: Arc<dyn Books>,
    /// Others on the same store: another process.
    pub(crate) others: Arc<dyn Books>,
    /// Of `books`.
    pub(crate) pause: PausePoints,
    /// Where the store is, for whoever goes around the books.
    pub(crate) url: String,
    pub(crate) _store: Box<dyn Any + Send + Sync>,
}

/// Keeps a copy of the books beside them.
pub(crate) const KEEP_A_COPY: &str = "CREATE TABLE orders_copy AS SELECT * FROM orders; \
     CREATE TABLE shard_copy AS SELECT * FROM shard; \
     CREATE TABLE position_copy AS SELECT * FROM journal_position;";

/// Puts the books back to that copy, at one moment, as whoever reads them sees a restore.
pub(crate) const PUT_BACK: &str = "BEGIN; \
     DELETE FROM orders; INSERT INTO orders SELECT * FROM orders_copy; \
     DELETE FROM shard; INSERT INTO shard SELECT * FROM shard_copy; \
     DELETE FROM journal_position; INSERT INTO journal_position SELECT * FROM position_copy; \
     COMMIT;";

pub(crate) const PARTITION: u32 = 0;
pub(super) const NOW_MS: u64 = 1_700_000_000_000;

impl Fixture {
    async fn on_sqlite() -> Option<Self> {
        Some(Self::of_journal("a-journal").await)
    }

    async fn on_mariadb() -> Option<Self> {
        Some(Self::of_journal_on_mariadb("a-journal").await)
    }

    async fn on_mysql() -> Option<Self> {
        Self::of_journal_on_mysql("a-journal").await
    }

    /// Books of the journal with this identity, on MariaDB.
    pub(crate) async fn of_journal_on_mariadb(identity: &str) -> Self {
        let server = testbed::running::mariadb();
        super::mysql::tests::fixture(&server, identity).await
    }

    /// The same on MySQL, the one store that may be missing.
    pub(crate) async fn of_journal_on_mysql(identity: &str) -> Option<Self> {
        let server = testbed::running::mysql()?;
        Some(super::mysql::tests::fixture(&server, identity).await)
    }

    /// What somebody does by hand, in several statements.
    pub(crate) async fn by_hand(&self, sql: &'static str) {
        match store::Kind::of(&self.url).unwrap() {
            store::Kind::Sqlite => super::sqlite::tests::by_hand(&self.url, sql).await,
            store::Kind::MySql => super::mysql::tests::by_hand(&self.url, sql).await,
        }
    }

    /// Books of the journal with this identity, in a file.
    pub(crate) async fn of_journal(identity: &str) -> Self {
        super::sqlite::tests::fixture(identity).await
    }

    /// Applies records at the end of what is there; they must count as a batch of their own.
    pub(super) async fn apply(&self, contents: Vec<Option<(ShardNo, Command)>>) -> Outcome {
        let position = self.books.position(PARTITION).await.unwrap();
        let entries = entries(position.next_offset, contents);
        committed(self.books.apply(PARTITION, &position, &entries, NOW_MS).await.unwrap()).1
    }

    /// Opens a shard with its first epoch, 7.
    pub(super) async fn open(&self, shard: ShardNo, total: u32, limit: u32) {
        self.open_item(shard, ItemId::from_bytes([2; 16]), total, limit).await;
    }

    /// The same for a shard of that item.
    pub(super) async fn open_item(&self, shard: ShardNo, item: ItemId, total: u32, limit: u32) {
        let open = opened_item(item, total, limit);
        let change = Command::EpochChanged { from: None, to: epoch(7) };
        self.apply(vec![Some((shard, open)), Some((shard, change))]).await;
    }
}

pub(crate) fn committed(applied: Applied) -> (Position, Outcome) {
    match applied {
        Applied::Committed { position, outcome } => (position, outcome),
        Applied::PositionMoved => panic!("the position was ours"),
    }
}

pub(crate) fn entries(from: u64, contents: Vec<Option<(ShardNo, Command)>>) -> Vec<Entry> {
    let entry = |(offset, content): (u64, Option<(ShardNo, Command)>)| {
        let record = |(shard, command)| Record { command_id: CommandId::random(), shard, command };
        let decoded = content.map(record).ok_or_else(|| "not a record".to_owned());
        let bytes = match &decoded {
            Ok(record) => journal::encode(record),
            Err(_) => Bytes::copy_from_slice(&offset.to_be_bytes()),
        };
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&offset.to_be_bytes());
        Entry { offset, digest, bytes, decoded }
    };
    (from..).zip(contents).map(entry).collect()
}

pub(crate) fn opened(total: u32, limit_per_user: u32) -> Command {
    opened_item(ItemId::from_bytes([2; 16]), total, limit_per_user)
}

fn opened_item(item: ItemId, total: u32, limit_per_user: u32) -> Command {
    Command::ItemOpened(ItemOpened {
        sale: SaleId::from_bytes([1; 16]),
        item,
        total,
        limit_per_user,
        unit_price: 990,
        currency: "EUR".to_owned(),
        pay_within_s: 900,
    })
}

pub(crate) fn holds(
    shard: ShardNo,
    of_epoch: i64,
    holds: impl IntoIterator<Item = (u32, u32, u32)>,
) -> Option<(ShardNo, Command)> {
    let holds = holds.into_iter().map(|(id, user_no, quantity)| PlacedHold {
        order: order(shard, id),
        user: user(user_no),
        quantity,
        unit_price: 990,
        taken_at_ms: NOW_MS - 5,
        traceparent: String::new(),
    });
    let (epoch, holds) = (epoch(of_epoch), holds.collect());
    Some((shard, Command::HoldsPlaced { epoch, item: None, holds }))
}

pub(crate) fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

pub(crate) fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

pub(crate) fn user(number: u32) -> UserId {
    let mut bytes = [0xaa; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    UserId::from_bytes(bytes)
}

pub(crate) fn order(shard: ShardNo, number: u32) -> OrderId {
    let mut hash = [0x55; 12];
    hash[8..].copy_from_slice(&number.to_be_bytes());
    OrderId::mint(shard, hash)
}
