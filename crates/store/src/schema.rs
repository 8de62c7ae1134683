//! The schema is what the program expects, or the program doesn't start.
//!
//! Roles only look ([`check`]); changing a schema is a command of its own ([`migrate`]),
//! so that many instances can start at once, and with fewer rights.

use std::collections::HashMap;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;

/// Why a schema isn't what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration failed, or the schema is newer than this program.
    #[error("the schema can't be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema could not be read.
    #[error("the schema can't be read: {0}")]
    Read(#[from] sqlx::Error),
    /// A migration is missing, or was left half done.
    #[error("the schema lacks migration {0}: run `seckill migrate` first")]
    Behind(i64),
    /// A migration of a later program is there.
    #[error("the schema has migration {0}, which this program does not know: run a newer one")]
    Ahead(i64),
    /// A migration was edited after it had been applied.
    #[error("migration {0} of the schema is not the one that this program has")]
    Differs(i64),
}

/// Brings the schema up to date. Does nothing the second time.
///
/// # Errors
/// [`MigrateError::Migrate`].
pub async fn migrate(pool: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    Ok(migrations.run(pool).await?)
}

/// Checks that the schema has all `migrations`, unchanged, and no others. Changes nothing.
///
/// # Errors
/// All of [`MigrateError`] but `Migrate`; the lowest version that is wrong is the one named.
pub async fn check(pool: &SqlitePool, migrations: &Migrator) -> Result<(), MigrateError> {
    let mut applied = applied(pool).await?;
    for migration in migrations.iter().filter(|one| !one.migration_type.is_down_migration()) {
        match applied.remove(&migration.version) {
            Some((checksum, true)) if checksum == *migration.checksum => {}
            Some((_, true)) => return Err(MigrateError::Differs(migration.version)),
            Some((_, false)) | None => return Err(MigrateError::Behind(migration.version)),
        }
    }
    match applied.into_keys().min() {
        Some(version) => Err(MigrateError::Ahead(version)),
        None => Ok(()),
    }
}

/// By version: the checksum, and whether it was finished.
type Applied = HashMap<i64, (Vec<u8>, bool)>;

/// sqlx's own look makes its table if there is none; this one only looks.
async fn applied(pool: &SqlitePool) -> Result<Applied, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_one(pool)
    .await?;
    if tables == 0 {
        return Ok(Applied::new());
    }
    let rows: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations")
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(version, checksum, done)| (version, (checksum, done))).collect())
}

#[cfg(test)]
mod tests;
