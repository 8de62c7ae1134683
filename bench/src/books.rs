//! Orders persisted: the books as order-svc writes them, one transaction for a batch of journal
//! records, against one order a transaction on the same database and tables, which also keeps the
//! guard row. Both are counted row by row afterwards; both lose nothing when the server is killed.

use std::time::Duration;

use bytes::Bytes;
use chassis::{Clock, PausePoints};
use futures::future::try_join_all;
use ids::{CommandId, Epoch, ItemId, OrderId, SaleId, ShardNo, UserId};
use journal::{Command, ItemOpened, PlacedHold, Record};
use order_svc::{
    books::{
        Applied, Books, Position,
        mysql::{MIGRATIONS, MySqlBooks},
    },
    fold::Entry,
};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use store::PoolSettings;
use testbed::Database;

use crate::{
    failure::{Failure, failed},
    figures::Figures,
    load::Fleet,
};

/// Of one record: what a gateway sends when it is busy.
const HOLDS: usize = 64;
/// Orders in a transaction. The last is where order-svc stops, and what it takes from a backlog.
const BATCHES: [usize; 3] = [HOLDS, 1_024, 8_192];
/// How many write one order a transaction at a time; the best of these counts.
const CONNECTIONS: [u32; 4] = [1, 4, 16, 64];

const PARTITION: u32 = 0;
const EPOCH: i64 = 7;
const UNITS: u32 = 10_000_000;

/// How much is written in a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) orders: usize,
    pub(crate) each_for: Duration,
}

/// A database with the tables of the books.
pub(crate) struct Ground {
    database: Database,
    books: MySqlBooks,
    shards: u32,
    offset: u64,
}

impl Ground {
    /// On the server at `url`.
    pub(crate) async fn prepare(fleet: &Fleet, url: &str) -> Result<Self, Failure> {
        let database = Database::create(url).await;
        // The largest transaction may take its time on a busy machine.
        let settings = PoolSettings { call_ms_max: 60_000, ..PoolSettings::default() };
        let store = store::mysql::open(database.url(), &settings, fleet.background()).await;
        let store = store.map_err(failed("the books"))?;
        store::migrate(&store.writer, &MIGRATIONS).await.map_err(failed("the books"))?;
        let books = MySqlBooks::new(store, None, "bench", PausePoints::default());
        Ok(Self { database, books, shards: 0, offset: 0 })
    }

    /// One round of each way.
    pub(crate) async fn round(
        &mut self,
        fleet: &Fleet,
        figures: &mut Figures,
        size: Size,
    ) -> Result<(), Failure> {
        for batch in BATCHES {
            let rate = self.batches(fleet, batch, size.orders).await?;
            figures.note(&format!("persisted_by_{batch}_per_s"), rate);
            if batch == BATCHES[BATCHES.len() - 1] {
                figures.note("persisted_per_s", rate);
            }
        }
        let mut best: f64 = 0.0;
        for connections in CONNECTIONS {
            let rate = self.one_by_one(fleet, connections, size.each_for).await?;
            figures.note(&format!("one_order_a_transaction_over_{connections}_per_s"), rate);
            best = best.max(rate);
        }
        figures.note("one_order_a_transaction_per_s", best);
        Ok(())
    }

    /// As order-svc does: its adapter, one writer.
    async fn batches(
        &mut self,
        fleet: &Fleet,
        batch: usize,
        orders: usize,
    ) -> Result<f64, Failure> {
        let shard = self.open_shard().await?;
        let records = orders.div_ceil(HOLDS);
        let entries: Vec<Entry> = (0..records).map(|_| self.entry(shard, holds(shard))).collect();
        let mut position = self.position().await?;
        let books = self.books.clone();
        let work = async move {
            let clock = Clock::system();
            let from = clock.now();
            for batch in entries.chunks(batch / HOLDS) {
                position = apply(&books, &position, batch).await?;
            }
            Ok::<_, Failure>(clock.now().saturating_sub(from))
        };
        let took = fleet.on(fleet.background(), work).await??;
        self.check(shard, (records * HOLDS) as u64).await?;
        Ok((records * HOLDS) as f64 / took.as_secs_f64())
    }

    /// The plain way: guard row, order, commit.
    async fn one_by_one(
        &mut self,
        fleet: &Fleet,
        connections: u32,
        within: Duration,
    ) -> Result<f64, Failure> {
        let shard = self.open_shard().await?;
        let url = self.database.url().to_owned();
        let work = async move {
            let pool = MySqlPoolOptions::new()
                .min_connections(connections)
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(30))
                .test_before_acquire(false)
                .connect(&url)
                .await
                .map_err(failed("connections"))?;
            let clock = Clock::system();
            let from = clock.now();
            let until = from + within;
            let writers = (0..connections).map(|_| write_until(pool.clone(), shard, until));
            let written: u64 = try_join_all(writers).await?.into_iter().sum();
            let took = clock.now().saturating_sub(from);
            pool.close().await;
            Ok::<_, Failure>((written, took))
        };
        let (written, took) = fleet.on(fleet.background(), work).await??;
        self.check(shard, written).await?;
        Ok(written as f64 / took.as_secs_f64())
    }

    /// A guard row of its own, through the books.
    async fn open_shard(&mut self) -> Result<ShardNo, Failure> {
        self.shards += 1;
        let shard = ShardNo::new(self.shards).map_err(failed("a shard's number"))?;
        let item = ItemOpened {
            sale: SaleId::from_bytes([1; 16]),
            item: item_of(shard),
            total: UNITS,
            limit_per_user: 1,
            unit_price: 990,
            currency: "EUR".to_owned(),
            pay_within_s: 900,
        };
        let change = Command::EpochChanged { from: None, to: epoch() };
        let entries = [Command::ItemOpened(item), change].map(|command| self.entry(shard, command));
        let position = self.position().await?;
        apply(&self.books, &position, &entries).await?;
        Ok(shard)
    }

    async fn position(&self) -> Result<Position, Failure> {
        self.books.position(PARTITION).await.map_err(failed("the position"))
    }

    fn entry(&mut self, shard: ShardNo, command: Command) -> Entry {
        let record = Record { command_id: CommandId::random(), shard, command };
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&self.offset.to_be_bytes());
        let entry = Entry { offset: self.offset, digest, bytes: Bytes::new(), decoded: Ok(record) };
        self.offset += 1;
        entry
    }

    async fn check(&self, shard: ShardNo, written: u64) -> Result<(), Failure> {
        let count = self.books.count(shard).await.map_err(failed("the count"))?;
        let found = count.map(|count| (count.live_orders, count.guard.sold));
        if found == Some((written, written)) {
            return Ok(());
        }
        Err(Failure(format!("{written} orders were written, rows and guard say {found:?}")))
    }
}

async fn apply(
    books: &MySqlBooks,
    position: &Position,
    batch: &[Entry],
) -> Result<Position, Failure> {
    let now_ms = Clock::system().wall_ms();
    match books.apply(PARTITION, position, batch, now_ms).await.map_err(failed("the books"))? {
        Applied::Committed { position, .. } => Ok(position),
        Applied::PositionMoved => Err(Failure("somebody else writes the books".into())),
    }
}

async fn write_until(pool: MySqlPool, shard: ShardNo, until: Duration) -> Result<u64, Failure> {
    let clock = Clock::system();
    let mut written = 0;
    let mut connection = pool.acquire().await.map_err(failed("a connection"))?;
    while clock.now() < until {
        write_one(&mut connection, shard, clock.wall_ms()).await.map_err(failed("an order"))?;
        written += 1;
    }
    Ok(written)
}

async fn write_one(
    connection: &mut sqlx::MySqlConnection,
    shard: ShardNo,
    now_ms: u64,
) -> Result<(), sqlx::Error> {
    let mut tx = sqlx::Connection::begin(connection).await?;
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let guard = "UPDATE shard SET sold = sold + 1 WHERE shard_no = ? AND sold + 1 <= total";
    sqlx::query(guard).bind(i64::from(shard.get())).execute(&mut *tx).await?;
    sqlx::query(
        "INSERT INTO orders (order_id, user_id, sale_id, item_id, quantity, unit_price, currency, \
         state, held_at_ms, placed_at_ms, pay_by_ms, shard_no, live_slot) \
         VALUES (?, ?, ?, ?, 1, 990, 'EUR', 1, ?, ?, ?, ?, 1)",
    )
    .bind(order(shard).as_bytes().as_slice())
    .bind(UserId::random().as_bytes().as_slice())
    .bind([1; 16].as_slice())
    .bind(item_of(shard).as_bytes().as_slice())
    .bind(now_ms)
    .bind(now_ms)
    .bind(now_ms + 900_000)
    .bind(i64::from(shard.get()))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

fn holds(shard: ShardNo) -> Command {
    let hold = |_| PlacedHold {
        order: order(shard),
        user: UserId::random(),
        quantity: 1,
        unit_price: 990,
        taken_at_ms: 1_700_000_000_000,
        traceparent: String::new(),
    };
    let holds = (0..HOLDS).map(hold).collect();
    Command::HoldsPlaced { epoch: epoch(), item: Some(item_of(shard)), holds }
}

fn order(shard: ShardNo) -> OrderId {
    OrderId::mint(shard, rand::random())
}

fn epoch() -> Epoch {
    Epoch::new(EPOCH).expect("a positive number")
}

fn item_of(shard: ShardNo) -> ItemId {
    let mut bytes = [2; 16];
    bytes[..4].copy_from_slice(&shard.get().to_be_bytes());
    ItemId::from_bytes(bytes)
}
