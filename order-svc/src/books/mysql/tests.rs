//! What only this keeper has: its constraints, other transactions in its way, connections that are
//! cut, servers that are killed, and a replica.

use std::sync::Arc;

use chassis::PausePoints;
use law::OrderState;
use sqlx::{AssertSqlSafe, Connection as _};
use store::PoolSettings;
use testbed::Database;
use tokio::runtime::Handle;

use super::*;
use crate::books::contract::{
    Fixture, PARTITION, committed, entries, epoch, holds, opened, order, shard, user,
};

mod crashes;
mod faults;
mod replicas;
mod tables;

const IDENTITY: &str = "a-journal";

/// Generous, as the machine may be busy.
fn patient() -> PoolSettings {
    PoolSettings { acquire_ms_max: 30_000, call_ms_max: 30_000, ..PoolSettings::default() }
}

async fn open(url: &str, settings: &PoolSettings) -> MySql {
    store::mysql::open(url, settings, &Handle::current()).await.unwrap()
}

pub(in crate::books) async fn fixture(server: &str, identity: &str) -> Fixture {
    let database = Database::create(server).await;
    // One reader, so that it executes its statements more than once: servers prepare them first.
    let settings = PoolSettings { readers_max: 1, ..patient() };
    let (store, others) =
        (open(database.url(), &settings).await, open(database.url(), &settings).await);
    store::migrate(&store.writer, &MIGRATIONS).await.unwrap();
    let pause = PausePoints::armed();
    Fixture {
        books: Arc::new(MySqlBooks::new(store, None, identity, pause.clone())),
        others: Arc::new(MySqlBooks::new(others, None, identity, PausePoints::default())),
        pause,
        url: database.url().to_owned(),
        _store: Box::new(database),
    }
}

/// What somebody does past the books, in several statements.
pub(in crate::books) async fn by_hand(url: &str, sql: &'static str) {
    let mut hand = MySqlConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut hand).await.unwrap();
}

/// Books of a test's own, and a way around them.
struct Place {
    books: MySqlBooks,
    pause: PausePoints,
    url: String,
    _database: Database,
}

impl Place {
    /// Empty books on each shared server.
    async fn each() -> Vec<Self> {
        let mut places = Vec::new();
        for server in std::iter::once(testbed::running::mariadb()).chain(testbed::running::mysql())
        {
            places.push(Self::on(&server).await);
        }
        places
    }

    async fn on(server: &str) -> Self {
        let database = Database::create(server).await;
        let url = database.url().to_owned();
        let pause = PausePoints::armed();
        let books = Self::books_at(&url, &patient(), pause.clone()).await;
        store::migrate(&books.store.writer, &MIGRATIONS).await.unwrap();
        Self { books, pause, url, _database: database }
    }

    async fn books_at(url: &str, settings: &PoolSettings, pause: PausePoints) -> MySqlBooks {
        MySqlBooks::new(open(url, settings).await, None, IDENTITY, pause)
    }

    /// Opens shard 1 with its first epoch, 7.
    async fn open_shard(&self, total: u32, limit: u32) {
        let change = journal::Command::EpochChanged { from: None, to: epoch(7) };
        let log =
            entries(0, vec![Some((shard(1), opened(total, limit))), Some((shard(1), change))]);
        self.apply(&log).await;
    }

    /// Applies a batch at the end.
    async fn apply(&self, batch: &[Entry]) -> Outcome {
        let position = self.books.position(PARTITION).await.unwrap();
        committed(self.books.apply(PARTITION, &position, batch, 1).await.unwrap()).1
    }

    /// What somebody does by hand.
    async fn by_hand(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        let done = self
            .books
            .store
            .writer
            .ask(async |it: &mut MySqlConnection| sqlx::raw_sql(sql).execute(it).await);
        done.await.map(|done| done.rows_affected())
    }

    async fn sold(&self) -> u64 {
        self.books.guard(shard(1)).await.unwrap().unwrap().guard.sold
    }
}
