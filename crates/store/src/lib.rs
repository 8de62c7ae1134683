//! The ground under every SQL store: pools, migrations, and what an error means. It promises that
//! what was committed is on disk, that there is one writer at a time, and that an unknown schema is
//! refused. It knows no table.

use sqlx::{SqlitePool, migrate::Migrator};

pub mod sqlite;

/// How connections are kept.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Connections that read. 4: reads are short, and SQLite's readers don't disturb its writer.
    pub readers_max: u32,
    /// How long a caller waits for a connection. 2 s: whoever waits longer has given up.
    pub acquire_ms_max: u64,
    /// How long a statement waits for a lock of another process. 5 s: longer than any transaction.
    pub busy_ms_max: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { readers_max: 4, acquire_ms_max: 2_000, busy_ms_max: 5_000 }
    }
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not `sqlite:PATH`.
    #[error("{0:?} is not the URL of a store such as sqlite:data/orders.db")]
    Url(String),
    /// The system or the database refuses.
    #[error("can't open {url}: {source}")]
    Open {
        /// As configured.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
}

/// Why a schema isn't what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration failed, or the schema is newer than this program.
    #[error("the schema can't be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema could not be read.
    #[error("the schema can't be read: {0}")]
    Read(#[from] sqlx::Error),
    /// A migration is missing.
    #[error("the schema lacks migration {0}: run `seckill migrate` first")]
    Behind(i64),
}

/// What an error means to who has to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A unique key has the value already.
    Duplicate,
    /// Another writer or no free connection: try again.
    Busy,
    /// The connection or the disk is gone.
    Lost,
    /// A defect.
    Other,
}

/// Sorts an error.
pub fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Trouble::Duplicate,
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("5" | "6" | "261" | "517" | "262") => Trouble::Busy,
            _ => Trouble::Other,
        },
        sqlx::Error::PoolTimedOut => Trouble::Busy,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Trouble::Lost,
        _ => Trouble::Other,
    }
}

/// Brings the schema up to date.
///
/// # Errors
/// [`MigrateError`].
pub async fn migrate(pool: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    Ok(migrations.run(pool).await?)
}

/// Checks that the schema is up to date.
///
/// # Errors
/// [`MigrateError`].
pub async fn check(pool: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    let done: Vec<(i64,)> =
        sqlx::query_as("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?;
    for migration in migrations.iter() {
        if !done.iter().any(|(version,)| *version == migration.version) {
            return Err(MigrateError::Behind(migration.version));
        }
    }
    Ok(())
}
