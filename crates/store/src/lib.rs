//! The ground under every SQL store: pools, migrations, and what an error means.
//!
//! It promises that what was committed is on disk, that there is one writer at a time, and that a
//! schema which isn't the one expected is refused. It knows no table of any service. SQLite is the
//! only kind so far; a URL's scheme chooses, so that another kind has its door.

pub mod sqlite;

mod schema;
mod trouble;

pub use schema::{MigrateError, check, migrate};
pub use trouble::{Trouble, trouble};

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
    /// Prepared statements that a connection keeps. 100: more than any service of ours has.
    pub statements_max: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { readers_max: 4, acquire_ms_max: 2_000, busy_ms_max: 5_000, statements_max: 100 }
    }
}

/// Why a store can't be opened. The text never holds a URL that may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A kind of store that has its place, and isn't there yet.
    #[error("stores of the kind {0}: are not available yet, use sqlite:PATH")]
    NotYet(String),
    /// No kind of store that we know.
    #[error("the URL of a store must be sqlite:PATH, such as sqlite:data/orders.db")]
    Url,
    /// SQLite in memory: each connection would have a store of its own.
    #[error("a store in memory loses what was promised, use sqlite:PATH")]
    Memory,
    /// The system or the database refuses.
    #[error("can't open {url}: {source}")]
    Open {
        /// As configured.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
}
