//! The catalog on MySQL or MariaDB. Every read is of the primary, which is asked on the very
//! connection whether it still is one (`store`): an epoch lease must not rest on what a former
//! primary shows. Compare-and-set is the WHERE of one UPDATE, which counts the rows that it finds.

mod rows;

use std::time::Duration;

use async_trait::async_trait;
use ids::{Epoch, ItemId, SaleId, ShardNo};
use sqlx::{MySql as Server, MySqlConnection, mysql::MySqlArguments, query::Query};
use store::{
    OpenError, PoolSettings, Trouble,
    mysql::{Connections, MySql},
};
use tokio::runtime::Handle;

use super::{Catalog, Claim, Error, ItemKey, LeaseRows, Page, Scheduled, Seen, columns};
use crate::domain::sale::{
    Item, NewItem, NewSale, Phase, Sale, Schedule, Scheduling, Shard, State,
};

/// This catalog's schema.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/mysql");

/// The server's clock in milliseconds. Of the statement's begin: all of it goes by one time.
macro_rules! now_ms {
    () => {
        "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
    };
}

/// Connections of our own reads: the epoch lease's, and one for loads and jobs beside it.
const OWN_READERS: u32 = 2;

/// A catalog on a server.
pub struct MySqlCatalog {
    db: MySql,
    /// For what leases, loads and jobs read. Anybody may ask for sales and items, so those who do
    /// queue elsewhere: a crowd of them must not let the leases lapse.
    own: Connections,
    partitions: u32,
}

impl MySqlCatalog {
    /// In the database at `url`, whether or not it has the schema yet. New shards are spread over
    /// `partitions` of the journal. Connections live on `runtime`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        url: &str,
        settings: &PoolSettings,
        partitions: u32,
        runtime: &Handle,
    ) -> Result<Self, OpenError> {
        let db = store::mysql::open(url, settings, runtime).await?;
        let own = PoolSettings { readers_max: OWN_READERS, ..settings.clone() };
        let own = store::mysql::open(url, &own, runtime).await?.reader;
        Ok(Self { db, own, partitions })
    }

    /// Where the schema is kept up to date and checked.
    pub fn db(&self) -> &MySql {
        &self.db
    }

    /// The sale that a request made, or makes now.
    async fn make(
        &self,
        tx: &mut MySqlConnection,
        new: &NewSale,
        by: &str,
        now_ms: u64,
        seen: u32,
    ) -> Result<Sale, Failed> {
        let known: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sale_id FROM sale WHERE created_by = ? AND request_id = ?")
                .bind(by.as_bytes())
                .bind(new.request_id().as_bytes())
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
                .bind(by.as_bytes())
                .bind(new.request_id().as_bytes())
                .bind(new.title())
                .bind(columns::to_db(now_ms))
                .execute(&mut *tx)
                .await?;
                for (position, item) in (0..).zip(new.items()) {
                    self.insert_item(tx, id, position, item, seen).await?;
                }
                id
            }
        };
        Ok(rows::read_sale(tx, id).await?.ok_or(Error::lost_row())?)
    }

    async fn insert_item(
        &self,
        tx: &mut MySqlConnection,
        sale: SaleId,
        position: i64,
        new: &NewItem,
        seen: u32,
    ) -> Result<(), Failed> {
        let item = ItemId::random();
        sqlx::query(
            "INSERT INTO item (item_id, sale_id, position, sku, title, currency, unit_price, \
             total_units, limit_per_user, pay_within_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(item.as_bytes().as_slice())
        .bind(sale.as_bytes().as_slice())
        .bind(position)
        .bind(new.sku.as_bytes())
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
            .bind(number.map_or(shard.last_insert_id(), u64::from))
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    /// Whether a compare-and-set of one row found it as it should be.
    async fn set(&self, query: Query<'_, Server, MySqlArguments>) -> Result<bool, Error> {
        let set = async |it: &mut MySqlConnection| query.execute(it).await;
        let done = self.db.writer.ask(set).await?;
        Ok(done.rows_affected() == 1)
    }

    /// (`then`, `to`), if it is (LOADING, `to`).
    async fn end_loading(&self, shard: ShardNo, to: Epoch, then: Phase) -> Result<bool, Error> {
        let query = sqlx::query(
            "UPDATE shard SET phase = ?, loader_until_ms = 0 \
             WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        );
        let query = query.bind(columns::phase_text(then)).bind(shard.get()).bind(to.get());
        self.set(query).await
    }

    async fn numbers(
        &self,
        query: sqlx::query::QueryScalar<'_, Server, i64, MySqlArguments>,
    ) -> Result<Vec<ShardNo>, Error> {
        let look = async |it: &mut MySqlConnection| query.fetch_all(it).await;
        let numbers = self.own.ask(look).await?;
        numbers.into_iter().map(rows::shard_no).collect()
    }
}

#[async_trait]
impl Catalog for MySqlCatalog {
    async fn create_sale(
        &self,
        new: &NewSale,
        by: &str,
        now_ms: u64,
        seen: u32,
    ) -> Result<Sale, Error> {
        let make = async |it: &mut MySqlConnection| self.make(it, new, by, now_ms, seen).await;
        match self.db.writer.transact(make).await {
            // The same request got there first, and is found now; or another one took the number
            // that both would have begun above `seen` with, and the store counts on from there.
            Err(Failed::Sql(error)) if store::trouble(&error) == Trouble::Duplicate => {
                Ok(self.db.writer.transact(make).await?)
            }
            made => Ok(made?),
        }
    }

    async fn schedule(&self, id: SaleId, schedule: Schedule) -> Result<Scheduled, Error> {
        let set = async |it: &mut MySqlConnection| {
            // Nobody gives it another window between the look and the write.
            let lock = sqlx::query("SELECT seq FROM sale WHERE sale_id = ? FOR UPDATE");
            lock.bind(id.as_bytes().as_slice()).fetch_optional(&mut *it).await?;
            let Some(mut sale) = rows::read_sale(it, id).await? else {
                return Ok(Scheduled::NotFound);
            };
            match sale.state.schedule(&schedule) {
                Scheduling::Already => return Ok(Scheduled::Done(sale)),
                Scheduling::OtherWindow => return Ok(Scheduled::OtherWindow(sale)),
                Scheduling::Fresh => {}
            }
            let Schedule { opens_ms, closes_ms, warm_up_s } = schedule;
            let update = "UPDATE sale SET opens_ms = ?, closes_ms = ?, warm_up_s = ? \
                 WHERE sale_id = ?";
            sqlx::query(update)
                .bind(columns::to_db(opens_ms))
                .bind(columns::to_db(closes_ms))
                .bind(warm_up_s)
                .bind(id.as_bytes().as_slice())
                .execute(&mut *it)
                .await?;
            sale.state = State::Scheduled(schedule);
            Ok::<_, Error>(Scheduled::Done(sale))
        };
        self.db.writer.transact(set).await
    }

    async fn sale(&self, id: SaleId) -> Result<Option<Sale>, Error> {
        let look = async |it: &mut MySqlConnection| rows::read_sale(it, id).await;
        self.db.reader.ask(look).await
    }

    async fn sales(&self, before: Option<Page>, count: u32) -> Result<Vec<(Page, Sale)>, Error> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query("SELECT * FROM sale WHERE seq < ? ORDER BY seq DESC LIMIT ?")
                .bind(before.map_or(i64::MAX, |page| page.0))
                .bind(count)
                .fetch_all(it)
                .await
        };
        let found = self.db.reader.ask(look).await?;
        found.iter().map(rows::sale_head).collect()
    }

    async fn item(&self, by: ItemKey) -> Result<Option<(Item, State)>, Error> {
        let look = async |it: &mut MySqlConnection| rows::read_item(it, by).await;
        self.db.reader.ask(look).await
    }

    async fn set_paused(&self, item: ItemId, paused: bool) -> Result<Option<Item>, Error> {
        let set = async |it: &mut MySqlConnection| {
            sqlx::query("UPDATE shard SET paused = ? WHERE item_id = ?")
                .bind(paused)
                .bind(item.as_bytes().as_slice())
                .execute(&mut *it)
                .await?;
            rows::read_item(it, ItemKey::Id(item)).await
        };
        let found: Option<(Item, State)> = self.db.writer.transact(set).await?;
        Ok(found.map(|(item, _)| item))
    }

    async fn lease_rows(&self) -> Result<LeaseRows, Error> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query(
                "SELECT highest, shard_no, epoch, phase, paused, lease_ms, item_id, partition_id, \
                 (SELECT unit_price FROM item WHERE item.item_id = shard.item_id) AS unit_price \
                 FROM (SELECT COALESCE(MAX(shard_no), 0) AS highest FROM shard) AS numbers \
                 LEFT JOIN shard ON phase IN ('NEW', 'LOADING', 'OPEN')",
            )
            .fetch_all(it)
            .await
        };
        rows::lease_rows(&self.own.ask(look).await?)
    }

    async fn shard(&self, shard: ShardNo) -> Result<Option<Shard>, Error> {
        let look = async |it: &mut MySqlConnection| {
            let query = sqlx::query("SELECT * FROM shard WHERE shard_no = ?");
            query.bind(shard.get()).fetch_optional(it).await
        };
        self.own.ask(look).await?.as_ref().map(rows::shard).transpose()
    }

    async fn now_ms(&self) -> Result<u64, Error> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query_scalar::<_, i64>(concat!("SELECT ", now_ms!())).fetch_one(it).await
        };
        let now_ms = self.own.ask(look).await?;
        u64::try_from(now_ms).map_err(|_| Error::damaged("a time"))
    }

    async fn due_to_open(&self, count: u32) -> Result<Vec<ShardNo>, Error> {
        // A sale that was over before it was ever loaded has nothing to load.
        let query = sqlx::query_scalar(concat!(
            "SELECT shard_no FROM shard JOIN item USING (item_id) JOIN sale USING (sale_id) \
             WHERE phase = 'NEW' AND opens_ms - warm_up_s * 1000 <= ",
            now_ms!(),
            " AND ",
            now_ms!(),
            " < closes_ms ORDER BY opens_ms, shard_no LIMIT ?",
        ));
        self.numbers(query.bind(count)).await
    }

    async fn over(&self, count: u32) -> Result<Vec<ShardNo>, Error> {
        let query = sqlx::query_scalar(concat!(
            "SELECT shard_no FROM shard JOIN item USING (item_id) JOIN sale USING (sale_id) \
             WHERE phase IN ('LOADING', 'OPEN') AND closes_ms <= ",
            now_ms!(),
            " ORDER BY closes_ms, shard_no LIMIT ?",
        ));
        self.numbers(query.bind(count)).await
    }

    async fn abandoned(&self, lease_most: Duration, count: u32) -> Result<Vec<ShardNo>, Error> {
        let query = sqlx::query_scalar(concat!(
            "SELECT shard_no FROM shard WHERE phase = 'LOADING' AND (loader_until_ms <= ",
            now_ms!(),
            " OR loader_until_ms > ",
            now_ms!(),
            " + ?) ORDER BY loader_until_ms LIMIT ?",
        ));
        self.numbers(query.bind(columns::millis(lease_most)).bind(count)).await
    }

    async fn begin_loading(&self, seen: Seen, claim: Claim<'_>) -> Result<bool, Error> {
        let query = sqlx::query(concat!(
            "UPDATE shard SET phase = 'LOADING', epoch = ?, loader_until_ms = ",
            now_ms!(),
            " + ?, ledger_address = ? ",
            "WHERE shard_no = ? AND item_id = ? AND phase = ? AND epoch = ?",
        ))
        .bind(claim.to.get())
        .bind(columns::millis(claim.lasts))
        .bind(claim.ledger_address)
        .bind(seen.shard.get())
        .bind(seen.item.as_bytes().as_slice())
        .bind(columns::phase_text(seen.phase))
        .bind(Epoch::to_wire(seen.epoch));
        self.set(query).await
    }

    async fn renew(&self, shard: ShardNo, to: Epoch, lasts: Duration) -> Result<bool, Error> {
        let query = sqlx::query(concat!(
            "UPDATE shard SET loader_until_ms = ",
            now_ms!(),
            " + ? WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        ));
        self.set(query.bind(columns::millis(lasts)).bind(shard.get()).bind(to.get())).await
    }

    async fn still_loading(&self, shard: ShardNo, to: Epoch) -> Result<bool, Error> {
        let query = sqlx::query_scalar(
            "SELECT shard_no FROM shard WHERE shard_no = ? AND phase = 'LOADING' AND epoch = ?",
        );
        let found = self.numbers(query.bind(shard.get()).bind(to.get())).await?;
        Ok(!found.is_empty())
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
        let look = async |it: &mut MySqlConnection| sqlx::query("SELECT 1").execute(it).await;
        self.db.reader.ask(look).await?;
        // At a random place in two of three indexes.
        let insert = async |it: &mut MySqlConnection| {
            let id = SaleId::random();
            sqlx::query(
                "INSERT INTO sale (sale_id, created_by, request_id, title, created_at_ms) \
                 VALUES (?, ?, '', '', 0)",
            )
            .bind(id.as_bytes().as_slice())
            .bind(id.as_bytes().as_slice())
            .execute(it)
            .await
            .map(drop)
        };
        Ok(self.db.look(insert).await?)
    }
}

/// Why a sale was not made: the driver's error is kept, since a duplicate has an answer.
enum Failed {
    Sql(sqlx::Error),
    Catalog(Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Catalog(error)
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Sql(error) => error.into(),
            Failed::Catalog(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;
