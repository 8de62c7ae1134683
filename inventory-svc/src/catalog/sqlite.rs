//! The catalog in one SQLite file. One writer with `BEGIN IMMEDIATE` makes each call one step;
//! readers see what was committed before they began, so every read is of the primary. Compare-
//! and-set is the WHERE of one UPDATE. The file's only process is this one, whose clock is the
//! store's.

mod rows;

use std::time::Duration;

use async_trait::async_trait;
use chassis::Clock;
use ids::{Epoch, ItemId, SaleId, ShardNo};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteQueryResult};
use store::{OpenError, PoolSettings, sqlite::Sqlite};

use super::{Catalog, Claim, Error, ItemKey, LeaseRows, Page, Scheduled, Seen, columns};
use crate::domain::sale::{
    Item, NewItem, NewSale, Phase, Sale, Schedule, Scheduling, Shard, State,
};

/// This catalog's schema.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections of our own reads: the epoch lease's, and one for loads and jobs beside it.
const OWN_READERS: u32 = 2;

/// A catalog in a file.
pub struct SqliteCatalog {
    db: Sqlite,
    /// For what leases, loads and jobs read. Anybody may ask for sales and items, so those who do
    /// queue elsewhere: a crowd of them must not let the leases lapse.
    own: SqlitePool,
    partitions: u32,
    clock: Clock,
}

impl SqliteCatalog {
    /// In the file at `url`, whether or not it has the schema yet. New shards are spread over
    /// `partitions` of the journal; what is due or over is so by `clock`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        url: &str,
        settings: &PoolSettings,
        partitions: u32,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let db = store::sqlite::open(url, settings).await?;
        let own = PoolSettings { readers_max: OWN_READERS, ..settings.clone() };
        let own = store::sqlite::open(url, &own).await?.reader;
        Ok(Self { db, own, partitions, clock })
    }

    /// Where the schema is kept up to date and checked.
    pub fn db(&self) -> &Sqlite {
        &self.db
    }

    async fn insert_item(
        &self,
        tx: &mut SqliteConnection,
        sale: SaleId,
        position: i64,
        new: &NewItem,
        seen: u32,
    ) -> Result<(), Error> {
        let item = ItemId::random();
        sqlx::query(
            "INSERT INTO item (item_id, sale_id, position, sku, title, currency, unit_price, \
             total_units, limit_per_user, pay_within_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(item.as_bytes().as_slice())
        .bind(sale.as_bytes().as_slice())
        .bind(position)
        .bind(&new.sku)
        .bind(&new.title)
        .bind(&new.currency)
        .bind(new.unit_price)
        .bind(new.total_units)
        .bind(new.limit_per_user)
        .bind(new.pay_within_s)
        .execute(&mut *tx)
        .await?;
        // One shard per item for now; the partition follows from the number that it gets. The
        // store counts on by itself, unless this catalog forgot numbers that others have seen.
        let highest: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(shard_no), 0) FROM shard")
            .fetch_one(&mut *tx)
            .await?;
        let number = columns::number_above(seen, highest)?;
        let shard = sqlx::query(
            "INSERT INTO shard (shard_no, item_id, position, partition_id, total_units, lease_ms, \
             phase) VALUES (?, ?, 0, 0, ?, ?, 'NEW')",
        )
        .bind(number)
        .bind(item.as_bytes().as_slice())
        .bind(new.total_units)
        .bind(columns::millis(new.lease))
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE shard SET partition_id = shard_no % ? WHERE shard_no = ?")
            .bind(self.partitions)
            .bind(number.map_or(shard.last_insert_rowid(), i64::from))
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    /// The end of something that lasts for `length` from now on.
    fn end_of(&self, length: Duration) -> i64 {
        columns::to_db(self.clock.wall_ms()).saturating_add(columns::millis(length))
    }

    /// (`then`, `to`), if it is (LOADING, `to`).
    async fn end_loading(&self, shard: ShardNo, to: Epoch, then: Phase) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE shard SET phase = ?, loader_until_ms = 0 \
             WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        )
        .bind(columns::phase_text(then))
        .bind(shard.get())
        .bind(to.get())
        .execute(&self.db.writer)
        .await?;
        Ok(changed(&done))
    }

    async fn numbers(
        &self,
        query: sqlx::query::QueryScalar<'_, sqlx::Sqlite, u32, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<ShardNo>, Error> {
        let numbers = query.fetch_all(&self.own).await?;
        numbers.into_iter().map(columns::shard_no).collect()
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn create_sale(
        &self,
        new: &NewSale,
        by: &str,
        now_ms: u64,
        seen: u32,
    ) -> Result<Sale, Error> {
        let mut tx = self.db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let known: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sale_id FROM sale WHERE created_by = ? AND request_id = ?")
                .bind(by)
                .bind(new.request_id())
                .fetch_optional(&mut *tx)
                .await?;
        let id = match known {
            Some(bytes) => columns::sale_id(&bytes)?,
            None => {
                let id = SaleId::random();
                sqlx::query(
                    "INSERT INTO sale (sale_id, created_by, request_id, title, created_at_ms) \
                     VALUES (?, ?, ?, ?, ?)",
                )
                .bind(id.as_bytes().as_slice())
                .bind(by)
                .bind(new.request_id())
                .bind(new.title())
                .bind(columns::to_db(now_ms))
                .execute(&mut *tx)
                .await?;
                for (position, item) in (0..).zip(new.items()) {
                    self.insert_item(&mut tx, id, position, item, seen).await?;
                }
                id
            }
        };
        let sale = rows::read_sale(&mut tx, id).await?.ok_or(Error::lost_row())?;
        tx.commit().await?;
        Ok(sale)
    }

    async fn schedule(&self, id: SaleId, schedule: Schedule) -> Result<Scheduled, Error> {
        let mut tx = self.db.writer.begin_with("BEGIN IMMEDIATE").await?;
        let Some(mut sale) = rows::read_sale(&mut tx, id).await? else {
            return Ok(Scheduled::NotFound);
        };
        match sale.state.schedule(&schedule) {
            Scheduling::Already => return Ok(Scheduled::Done(sale)),
            Scheduling::OtherWindow => return Ok(Scheduled::OtherWindow(sale)),
            Scheduling::Fresh => {}
        }
        let Schedule { opens_ms, closes_ms, warm_up_s } = schedule;
        sqlx::query("UPDATE sale SET opens_ms = ?, closes_ms = ?, warm_up_s = ? WHERE sale_id = ?")
            .bind(columns::to_db(opens_ms))
            .bind(columns::to_db(closes_ms))
            .bind(warm_up_s)
            .bind(id.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        sale.state = State::Scheduled(schedule);
        Ok(Scheduled::Done(sale))
    }

    async fn sale(&self, id: SaleId) -> Result<Option<Sale>, Error> {
        let mut tx = self.db.reader.begin().await?;
        rows::read_sale(&mut tx, id).await
    }

    async fn sales(&self, before: Option<Page>, count: u32) -> Result<Vec<(Page, Sale)>, Error> {
        let found = sqlx::query("SELECT * FROM sale WHERE seq < ? ORDER BY seq DESC LIMIT ?")
            .bind(before.map_or(i64::MAX, |page| page.0))
            .bind(count)
            .fetch_all(&self.db.reader)
            .await?;
        found.iter().map(rows::sale_head).collect()
    }

    async fn item(&self, by: ItemKey) -> Result<Option<(Item, State)>, Error> {
        let mut tx = self.db.reader.begin().await?;
        rows::read_item(&mut tx, by).await
    }

    async fn set_paused(&self, item: ItemId, paused: bool) -> Result<Option<Item>, Error> {
        let mut tx = self.db.writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE shard SET paused = ? WHERE item_id = ?")
            .bind(paused)
            .bind(item.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        let found = rows::read_item(&mut tx, ItemKey::Id(item)).await?;
        tx.commit().await?;
        Ok(found.map(|(item, _)| item))
    }

    async fn lease_rows(&self) -> Result<LeaseRows, Error> {
        let rows = sqlx::query(
            "SELECT highest, shard_no, epoch, phase, paused, lease_ms, item_id, partition_id, \
             (SELECT unit_price FROM item WHERE item.item_id = shard.item_id) AS unit_price \
             FROM (SELECT coalesce(max(shard_no), 0) AS highest FROM shard) \
             LEFT JOIN shard ON phase IN ('NEW', 'LOADING', 'OPEN')",
        )
        .fetch_all(&self.own)
        .await?;
        rows::lease_rows(&rows)
    }

    async fn shard(&self, shard: ShardNo) -> Result<Option<Shard>, Error> {
        let row = sqlx::query("SELECT * FROM shard WHERE shard_no = ?")
            .bind(shard.get())
            .fetch_optional(&self.own)
            .await?;
        row.as_ref().map(rows::shard).transpose()
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        Ok(self.clock.wall_ms())
    }

    async fn due_to_open(&self, count: u32) -> Result<Vec<ShardNo>, Error> {
        // A sale that was over before it was ever loaded has nothing to load.
        let query = sqlx::query_scalar(
            "SELECT shard_no FROM shard JOIN item USING (item_id) JOIN sale USING (sale_id) \
             WHERE phase = 'NEW' AND opens_ms - warm_up_s * 1000 <= ?1 AND ?1 < closes_ms \
             ORDER BY opens_ms, shard_no LIMIT ?2",
        );
        self.numbers(query.bind(columns::to_db(self.clock.wall_ms())).bind(count)).await
    }

    async fn over(&self, count: u32) -> Result<Vec<ShardNo>, Error> {
        let query = sqlx::query_scalar(
            "SELECT shard_no FROM shard JOIN item USING (item_id) JOIN sale USING (sale_id) \
             WHERE phase IN ('LOADING', 'OPEN') AND closes_ms <= ? \
             ORDER BY closes_ms, shard_no LIMIT ?",
        );
        self.numbers(query.bind(columns::to_db(self.clock.wall_ms())).bind(count)).await
    }

    async fn abandoned(&self, lease_most: Duration, count: u32) -> Result<Vec<ShardNo>, Error> {
        let query = sqlx::query_scalar(
            "SELECT shard_no FROM shard WHERE phase = 'LOADING' \
             AND (loader_until_ms <= ?1 OR loader_until_ms > ?1 + ?2) \
             ORDER BY loader_until_ms LIMIT ?3",
        );
        let now = columns::to_db(self.clock.wall_ms());
        self.numbers(query.bind(now).bind(columns::millis(lease_most)).bind(count)).await
    }

    async fn begin_loading(&self, seen: Seen, claim: Claim<'_>) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE shard SET phase = 'LOADING', epoch = ?, loader_until_ms = ?, \
             ledger_address = ? WHERE shard_no = ? AND item_id = ? AND phase = ? AND epoch = ?",
        )
        .bind(claim.to.get())
        .bind(self.end_of(claim.lasts))
        .bind(claim.ledger_address)
        .bind(seen.shard.get())
        .bind(seen.item.as_bytes().as_slice())
        .bind(columns::phase_text(seen.phase))
        .bind(Epoch::to_wire(seen.epoch))
        .execute(&self.db.writer)
        .await?;
        Ok(changed(&done))
    }

    async fn renew(&self, shard: ShardNo, to: Epoch, lasts: Duration) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE shard SET loader_until_ms = ? \
             WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        )
        .bind(self.end_of(lasts))
        .bind(shard.get())
        .bind(to.get())
        .execute(&self.db.writer)
        .await?;
        Ok(changed(&done))
    }

    async fn still_loading(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error> {
        let row: Option<u32> = sqlx::query_scalar(
            "SELECT shard_no FROM shard WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        )
        .bind(shard.get())
        .bind(to.get())
        .fetch_optional(&self.own)
        .await?;
        Ok(row.is_some())
    }

    async fn open(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error> {
        self.end_loading(shard, to, Phase::Open).await
    }

    async fn retire(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error> {
        self.end_loading(shard, to, Phase::Retired).await
    }

    fn connected(&self) -> store::Connected {
        self.db.connected()
    }

    async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.db.reader).await?;
        Ok(self.db.look().await?)
    }
}

fn changed(done: &SqliteQueryResult) -> bool {
    done.rows_affected() == 1
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests;
