//! Who keeps the books: the scheme of their URL says it.

use std::sync::Arc;

use chassis::{Clock, PausePoints};
use store::Kind;
use tokio::runtime::Handle;

use super::{
    Books,
    mysql::{self, MySqlBooks, Replica},
    sqlite::{self, SqliteBooks},
};
use crate::{BooksSettings, BuildError};

/// Makes or updates the schema.
///
/// # Errors
/// If the books can't be opened or changed.
pub(crate) async fn migrate(settings: &BooksSettings) -> Result<(), BuildError> {
    match Kind::of(&settings.url)? {
        Kind::Sqlite => {
            let store = store::sqlite::open(&settings.url, &settings.pool).await?;
            store::migrate(&store.writer, &sqlite::MIGRATIONS).await?;
        }
        Kind::MySql => {
            let here = Handle::current();
            let store = store::mysql::open(&settings.url, &settings.pool, &here).await?;
            store::migrate(&store.writer, &mysql::MIGRATIONS).await?;
        }
    }
    Ok(())
}

/// Opens the books of the journal named `journal_identity`. Their schema is this version's.
/// Connections to a server live on `runtime`.
///
/// # Errors
/// If they can't be opened, or the schema is another one and may not be changed.
pub(crate) async fn open(
    settings: &BooksSettings,
    journal_identity: &str,
    pause: PausePoints,
    clock: Clock,
    runtime: &Handle,
) -> Result<Arc<dyn Books>, BuildError> {
    let may_change = settings.migrate_on_start;
    match Kind::of(&settings.url)? {
        Kind::Sqlite => {
            let store = store::sqlite::open(&settings.url, &settings.pool).await?;
            store::ready(&store.writer, &sqlite::MIGRATIONS, may_change).await?;
            Ok(Arc::new(SqliteBooks::new(store, journal_identity, pause)))
        }
        Kind::MySql => {
            let store = store::mysql::open(&settings.url, &settings.pool, runtime).await?;
            store::ready(&store.writer, &mysql::MIGRATIONS, may_change).await?;
            let replica = match settings.replica_url.as_str() {
                "" => None,
                url => Some(store::mysql::replica(url, &settings.pool, runtime)?),
            };
            let replica = replica.map(|connections| Replica::new(connections, clock));
            Ok(Arc::new(MySqlBooks::new(store, replica, journal_identity, pause)))
        }
    }
}
