//! The ground under every SQL store: connections, migrations, and what an error means.
//!
//! It promises that what was committed is on disk, that a connection is lent again only if its last
//! work came to its end, and that a schema which isn't the one expected is refused. It knows no
//! table of any service. The scheme of a URL chooses the kind of store.

pub mod mysql;
pub mod sqlite;

mod schema;
mod settings;
mod trial;
mod trouble;

pub use schema::{MigrateError, Migrations, check, migrate, ready};
pub use settings::{PoolSettings, Tls};
pub use trouble::{Trouble, trouble};

use chassis::secret_file::Unusable;
use tokio::runtime::Handle;

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One file: [`sqlite`].
    Sqlite,
    /// A server of MySQL or MariaDB: [`mysql`].
    MySql,
}

impl Kind {
    /// The kind of the store at `url`. Only the URL is looked at.
    ///
    /// # Errors
    /// If no store can be at such a URL, in one sentence that doesn't repeat it.
    pub fn of(url: &str) -> Result<Self, OpenError> {
        let (scheme, _) = url.split_once(':').ok_or(OpenError::Url)?;
        match scheme {
            "sqlite" => sqlite::path_of(url).map(|_| Self::Sqlite),
            "mysql" | "mariadb" => mysql::options_of(url).map(|_| Self::MySql),
            _ => Err(OpenError::Url),
        }
    }
}

/// Whether the password of the store at `url` can be had, as far as that can be seen without the
/// store.
///
/// # Errors
/// As opening it would say, in one sentence.
pub fn check_secrets(url: &str, settings: &PoolSettings) -> Result<(), OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => Ok(()),
        Kind::MySql => mysql::options(url, settings).map(drop),
    }
}

/// Opens the store at `url` and closes it again, for whoever waits until it is there.
///
/// # Errors
/// As `open` of its kind.
pub async fn reach(url: &str, settings: &PoolSettings, runtime: &Handle) -> Result<(), OpenError> {
    match Kind::of(url)? {
        Kind::Sqlite => sqlite::open(url, settings).await?.close().await,
        Kind::MySql => mysql::open(url, settings, runtime).await?.close().await,
    }
    Ok(())
}

/// A store's connections at one moment, readers and writers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connected {
    /// Those that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
}

/// Why a store can't be opened. The text never holds a URL that may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No kind of store that we know.
    #[error(
        "the URL of a store must be sqlite:PATH, such as sqlite:data/orders.db, \
         or mysql://USER@HOST:PORT/DATABASE"
    )]
    Url,
    /// A URL of MySQL or MariaDB that lacks something or says too much.
    #[error("a mysql: or mariadb: URL must be mysql://USER@HOST:PORT/DATABASE, and nothing behind")]
    ServerUrl,
    /// SQLite in memory: each connection would have a store of its own.
    #[error("a store in memory loses what was promised, use sqlite:PATH")]
    Memory,
    /// The password can't be had.
    #[error(transparent)]
    Password(#[from] Unusable),
    /// The system or the database refuses.
    #[error("can't open {place}: {source}")]
    Open {
        /// The URL, without user and password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
}

impl OpenError {
    /// Whether it may be otherwise in a moment: the server isn't up yet or is being replaced, the
    /// disk is full. What is wrong with a URL, a name, a password or a certificate isn't, and
    /// neither is a directory that isn't there.
    pub fn is_passing(&self) -> bool {
        let Self::Open { source, .. } = self else { return false };
        let is_named_wrongly = matches!(source, sqlx::Error::Tls(_)) || trouble::is_no_file(source);
        !is_named_wrongly && matches!(trouble(source), Trouble::Busy | Trouble::Lost)
    }
}
