//! SQLite.

use std::{str::FromStr, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{OpenError, PoolSettings};

/// Readers and the one writer.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// For reading.
    pub reader: SqlitePool,
    /// One connection.
    pub writer: SqlitePool,
}

/// Opens.
///
/// # Errors
/// [`OpenError`].
pub async fn open(url: &str, settings: &PoolSettings) -> Result<Sqlite, OpenError> {
    let fail = |source| OpenError::Open { url: url.to_owned(), source };
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url(url.to_owned()))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(settings.busy_ms_max));
    let pool = |max: u32| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .acquire_timeout(Duration::from_millis(settings.acquire_ms_max))
    };
    let writer = pool(1).connect_with(options.clone()).await.map_err(fail)?;
    let reader = pool(settings.readers_max).connect_with(options).await.map_err(fail)?;
    Ok(Sqlite { reader, writer })
}
