//! Where catalog and books are kept, and the catalog put back to a copy from before its first sale.

use sqlx::{Connection as _, MySqlConnection, SqliteConnection};
use testbed::{Database, running};

use super::House;

/// Which store keeps catalog and books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    MariaDb,
    MySql,
}

/// What a restore from a dump of the empty catalog does to its tables, counters included.
const ON_SQLITE: &str = "DELETE FROM shard; DELETE FROM item; DELETE FROM sale; \
     DELETE FROM sqlite_sequence;";
const ON_A_SERVER: &str = "DELETE FROM shard; DELETE FROM item; DELETE FROM sale; \
     ALTER TABLE shard AUTO_INCREMENT = 1; ALTER TABLE sale AUTO_INCREMENT = 1;";

impl House {
    /// Everything, with catalog and books in databases of that kind; none where it is missing,
    /// which only MySQL may be.
    pub(crate) async fn open_on(kind: Kind) -> Option<Self> {
        let server = match kind {
            Kind::Sqlite => None,
            Kind::MariaDb => Some(running::mariadb()),
            Kind::MySql => Some(running::mysql()?),
        };
        let mut house = Self::empty();
        if let Some(server) = server {
            house.catalog = Some(Database::create(&server).await);
            house.books = Some(Database::create(&server).await);
        }
        house.start_all().await;
        Some(house)
    }

    pub(super) fn catalog_url(&self) -> String {
        match &self.catalog {
            Some(catalog) => catalog.url().to_owned(),
            None => self.sqlite("inventory.db"),
        }
    }

    /// While inventory-svc is down, its catalog becomes what it was before the first sale.
    pub(crate) async fn put_back_catalog(&mut self) {
        self.crash_inventory().await;
        let url = self.catalog_url();
        by_hand(&url, if self.catalog.is_some() { ON_A_SERVER } else { ON_SQLITE }).await;
        self.start_inventory().await;
    }
}

/// What somebody does to a database past every service: any number of statements.
pub(crate) async fn by_hand(url: &str, sql: &'static str) {
    let done = if url.starts_with("sqlite:") {
        let mut hand = SqliteConnection::connect(url).await.expect("it is a file");
        sqlx::raw_sql(sql).execute(&mut hand).await.map(drop)
    } else {
        let mut hand = MySqlConnection::connect(url).await.expect("the server answers");
        sqlx::raw_sql(sql).execute(&mut hand).await.map(drop)
    };
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
