//! The schema is what the program expects, or the program doesn't start.
//!
//! Roles only look ([`check`]); changing a schema is a command of its own ([`migrate`]),
//! so that many instances can start at once, and with fewer rights. What differs between the kinds
//! of stores is behind [`Migrations`].

use std::collections::HashMap;

use sqlx::migrate::Migrator;
use sqlx::{MySqlConnection, SqlitePool};

use crate::mysql::Connections;

/// Why a schema isn't what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration failed, or the schema is newer than this program.
    #[error("the schema can't be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Someone else is at it, and for long.
    #[error("the schema is being changed by someone else for more than 60 s")]
    Busy,
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

/// Where migrations were applied.
pub trait Migrations {
    /// Applies those that are missing, one caller at a time.
    fn apply(&self, migrations: &Migrator)
    -> impl Future<Output = Result<(), MigrateError>> + Send;

    /// What was applied. Makes no table to look into.
    fn applied(&self) -> impl Future<Output = Result<Applied, sqlx::Error>> + Send;
}

/// By version: the checksum, and whether it was finished.
type Applied = HashMap<i64, (Vec<u8>, bool)>;

/// Brings the schema up to date. Does nothing the second time.
///
/// # Errors
/// [`MigrateError::Migrate`], [`MigrateError::Busy`], or that the store is lost.
pub async fn migrate(store: &impl Migrations, migrations: &Migrator) -> Result<(), MigrateError> {
    store.apply(migrations).await
}

/// Checks that the schema has all `migrations`, unchanged, and no others. Changes nothing.
///
/// # Errors
/// All of [`MigrateError`] but `Migrate` and `Busy`; the lowest version that is wrong is the one
/// named.
pub async fn check(store: &impl Migrations, migrations: &Migrator) -> Result<(), MigrateError> {
    let mut applied = store.applied().await?;
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

/// What a start does about the schema: [`migrate`] if it may change it, else [`check`].
///
/// # Errors
/// Those of either.
pub async fn ready(
    store: &impl Migrations,
    migrations: &Migrator,
    may_change: bool,
) -> Result<(), MigrateError> {
    if may_change { migrate(store, migrations).await } else { check(store, migrations).await }
}

const APPLIED: &str = "SELECT version, checksum, success FROM _sqlx_migrations";

impl Migrations for SqlitePool {
    async fn apply(&self, migrations: &Migrator) -> Result<(), MigrateError> {
        Ok(migrations.run(self).await?)
    }

    async fn applied(&self) -> Result<Applied, sqlx::Error> {
        let tables: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
        )
        .fetch_one(self)
        .await?;
        if tables == 0 {
            return Ok(Applied::new());
        }
        Ok(by_version(sqlx::query_as(APPLIED).fetch_all(self).await?))
    }
}

impl Migrations for Connections {
    async fn apply(&self, migrations: &Migrator) -> Result<(), MigrateError> {
        let mut lent = self.lend().await?;
        // sqlx's own lock waits for ever on MySQL, and not at all on MariaDB, which refuses its
        // endless time-out. This one goes with the connection, and its wait of 60 s is more than
        // a new schema takes.
        let is_ours: Option<bool> = sqlx::query_scalar(
            "SELECT GET_LOCK(SHA2(CONCAT('seckill migrate ', DATABASE()), 224), 60)",
        )
        .fetch_one(&mut *lent)
        .await?;
        if is_ours != Some(true) {
            return Err(MigrateError::Busy);
        }
        forget_half_done(&mut lent).await?;
        // What `run` does: that one can't be named in a future that may move between threads.
        Ok(migrations.run_direct(None, &mut *lent, false).await?)
    }

    async fn applied(&self) -> Result<Applied, sqlx::Error> {
        self.ask(async |connection| {
            if !has_migrations(connection).await? {
                return Ok(Applied::new());
            }
            Ok(by_version(sqlx::query_as(APPLIED).fetch_all(connection).await?))
        })
        .await
    }
}

/// These servers commit each change of a table by itself, so a migration that failed in the middle
/// can't be undone. It is done again from its beginning, and has to bear that.
async fn forget_half_done(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    if has_migrations(connection).await? {
        let forget = sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE");
        forget.execute(connection).await?;
    }
    Ok(())
}

async fn has_migrations(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'",
    )
    .fetch_one(connection)
    .await?;
    Ok(tables > 0)
}

fn by_version(rows: Vec<(i64, Vec<u8>, bool)>) -> Applied {
    rows.into_iter().map(|(version, checksum, done)| (version, (checksum, done))).collect()
}

#[cfg(test)]
mod tests;
