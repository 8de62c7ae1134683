//! Who keeps the catalog: the scheme of its URL says it.

use std::sync::Arc;

use chassis::Clock;
use store::Kind;
use tokio::runtime::Handle;

use super::{
    Catalog,
    mysql::{self, MySqlCatalog},
    sqlite::{self, SqliteCatalog},
};
use crate::{BuildError, Config};

/// Makes or updates the schema.
///
/// # Errors
/// If the catalog can't be opened or changed.
pub(crate) async fn migrate(config: &Config) -> Result<(), BuildError> {
    let (url, pool) = (&config.catalog_url, &config.pool);
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

/// Opens the catalog, which has this version's schema, and spreads new shards over `partitions` of
/// the journal. Connections to a server live on `runtime`, and a server has a clock of its own; a
/// file goes by `clock`.
///
/// # Errors
/// If it can't be opened, or the schema is another one and may not be changed.
pub(crate) async fn open(
    config: &Config,
    partitions: u32,
    clock: &Clock,
    runtime: &Handle,
) -> Result<Arc<dyn Catalog>, BuildError> {
    let Config { catalog_url: url, pool, migrate_on_start: may_change, .. } = config;
    match Kind::of(url)? {
        Kind::Sqlite => {
            let catalog = SqliteCatalog::open(url, pool, partitions, clock.clone()).await?;
            store::ready(&catalog.db().writer, &sqlite::MIGRATIONS, *may_change).await?;
            Ok(Arc::new(catalog))
        }
        Kind::MySql => {
            let catalog = MySqlCatalog::open(url, pool, partitions, runtime).await?;
            store::ready(&catalog.db().writer, &mysql::MIGRATIONS, *may_change).await?;
            Ok(Arc::new(catalog))
        }
    }
}
