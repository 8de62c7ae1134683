//! Who keeps the accounts, their sessions and what became of operators' tokens: the scheme of one
//! URL says it, since all are in one place.

use std::sync::Arc;

use store::Kind;
use tokio::runtime::Handle;

use super::{
    Accounts,
    mysql::{self, MySqlAccounts},
    sqlite::{self, SqliteAccounts},
};
use crate::{
    BuildError, Config,
    registry::{MySqlRegistry, Registry, SqliteRegistry},
    sessions::{MySqlSessions, Sessions, SqliteSessions},
};

/// The rooms of one store.
pub(crate) struct Kept {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) registry: Arc<dyn Registry>,
}

/// Makes or updates the schema.
///
/// # Errors
/// If the accounts can't be opened or changed.
pub(crate) async fn migrate(config: &Config) -> Result<(), BuildError> {
    let (url, pool) = (&config.accounts_url, &config.pool);
    match Kind::of(url)? {
        Kind::Sqlite => {
            let db = store::sqlite::open(url, pool).await?;
            store::migrate(&db.writer, &sqlite::MIGRATIONS).await?;
        }
        Kind::MySql => {
            let db = store::mysql::open(url, pool, &Handle::current()).await?;
            store::migrate(&db.writer, &mysql::MIGRATIONS).await?;
        }
    }
    Ok(())
}

/// Opens the accounts, which have this version's schema. Connections to a server live on `runtime`.
///
/// # Errors
/// If they can't be opened, or the schema is another one and may not be changed.
pub(crate) async fn open(config: &Config, runtime: &Handle) -> Result<Kept, BuildError> {
    let Config { accounts_url: url, pool, migrate_on_start: may_change, .. } = config;
    match Kind::of(url)? {
        Kind::Sqlite => {
            let db = store::sqlite::open(url, pool).await?;
            store::ready(&db.writer, &sqlite::MIGRATIONS, *may_change).await?;
            Ok(Kept {
                accounts: Arc::new(SqliteAccounts::new(db.clone())),
                sessions: Arc::new(SqliteSessions::new(db.clone())),
                registry: Arc::new(SqliteRegistry::new(db)),
            })
        }
        Kind::MySql => {
            let db = store::mysql::open(url, pool, runtime).await?;
            store::ready(&db.writer, &mysql::MIGRATIONS, *may_change).await?;
            Ok(Kept {
                accounts: Arc::new(MySqlAccounts::new(db.clone())),
                sessions: Arc::new(MySqlSessions::new(db.clone())),
                registry: Arc::new(MySqlRegistry::new(db)),
            })
        }
    }
}
