//! SQLite: one file, one writer connection, several readers.
//!
//! A commit is on disk before it is answered (WAL, `synchronous = FULL`), also after a loss of
//! power: the books promise durability. Readers can't write, and see the last commit. A connection
//! whose transaction SQLite ended by itself (on a full disk, say) is closed and never lent again.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, SqlitePool, Transaction};

use crate::{Connected, OpenError, PoolSettings, trial::Trials};

/// Pages of the log that are copied into the file at a time, by the commit that is the next: 64 MiB
/// instead of 4, so that a page which many commits change is copied once. A start after a crash
/// reads that much.
const CHECKPOINT_PAGES: u32 = 16_000;

/// Readers and the one writer. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// For reading; a statement that would write is refused.
    pub reader: SqlitePool,
    /// One connection, so that writers of this process queue here and not at SQLite's lock, where
    /// nobody is served in order.
    pub writer: SqlitePool,
    trials: Trials,
}

impl Sqlite {
    /// Whether the file can be written: every few looks, and at each one after a failure, a page of
    /// it is written that says what it said before. While somebody else writes nothing is done:
    /// they find out by themselves.
    ///
    /// # Errors
    /// The reason why it can't, such as a full disk.
    pub async fn look(&self) -> Result<(), sqlx::Error> {
        let is_in_use = self.writer.size() > 0 && self.writer.num_idle() == 0;
        if !self.trials.is_due() || is_in_use {
            return Ok(());
        }
        self.trials.judge(self.write_a_page().await)
    }

    async fn write_a_page(&self) -> Result<(), sqlx::Error> {
        let mut writer = self.writer.acquire().await?;
        // A number that SQLite keeps for its users, and we have no use for: setting it writes the
        // first page, also to the same value.
        let written = sqlx::query("PRAGMA user_version = 0").execute(&mut *writer).await;
        if written.is_err() {
            // Whatever is wrong with this connection goes with it.
            writer.close_on_drop();
        }
        written.map(drop)
    }

    /// Begins a transaction that has the write lock from its start: it can't find out later that
    /// what it read has changed. Dropped without a commit, it is rolled back.
    ///
    /// # Errors
    /// [`crate::Trouble::Busy`] if another process writes for longer than `busy_ms_max`, or this
    /// one for longer than `acquire_ms_max`.
    pub async fn begin_write(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// How many connections there are.
    pub fn connected(&self) -> Connected {
        let pools = [&self.reader, &self.writer];
        let idle: usize = pools.iter().map(|pool| pool.num_idle()).sum();
        Connected {
            open: pools.iter().map(|pool| pool.size()).sum(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
        }
    }

    /// Waits for all connections to be given back, and closes them.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Opens the store at `url`, which is `sqlite:PATH`. A file that isn't there is made; its directory
/// isn't.
///
/// # Errors
/// [`OpenError`].
pub async fn open(url: &str, settings: &PoolSettings) -> Result<Sqlite, OpenError> {
    let path = path_of(url)?;
    let refused = |source| OpenError::Open { place: url.to_owned(), source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(settings.busy_ms_max))
        .statement_cache_capacity(settings.statements_max);
    let pool = |connections_max: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_millis(settings.acquire_ms_max))
            // A file doesn't hang up: connections are neither too old nor tested before use.
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .after_release(|connection, _| is_out_of_transaction(connection))
    };
    // The writer first: it makes the file, and turns WAL on.
    let writing = options
        .clone()
        .pragma("cache_size", format!("-{}", settings.writer_cache_kib))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        // A statement of many rows keeps what it may have to take back. In a file that is a third
        // of its cost, and no more durable: it ends with the statement.
        .pragma("temp_store", "MEMORY");
    let writer = pool(1).connect_with(writing).await.map_err(refused)?;
    let reading = options
        .pragma("cache_size", format!("-{}", settings.reader_cache_kib))
        .pragma("query_only", "ON");
    let reader = pool(settings.readers_max.max(1)).connect_with(reading).await.map_err(refused)?;
    Ok(Sqlite { reader, writer, trials: Trials::default() })
}

/// Whether a connection that was given back is as it was lent. SQLite rolls back by itself on a
/// full disk, an I/O error or too little memory; sqlx then can't roll back, believes in a
/// transaction that isn't there, and would begin none on this connection any more.
fn is_out_of_transaction(
    connection: &mut SqliteConnection,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move {
        if connection.is_in_transaction() {
            // Behind the roll back of a transaction that was dropped, which may be on its way.
            connection.ping().await?;
        }
        Ok(!connection.is_in_transaction())
    })
}

/// The file that a `sqlite:` URL names.
pub(crate) fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let rest = url.strip_prefix("sqlite:").ok_or(OpenError::Url)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.contains(":memory:") || path.contains("mode=memory") {
        return Err(OpenError::Memory);
    }
    // Parameters could undo what is set above.
    if path.is_empty() || path.contains('?') {
        return Err(OpenError::Url);
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests;
