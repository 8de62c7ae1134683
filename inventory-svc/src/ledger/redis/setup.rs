//! What is done to a Redis once, before roles use it: the library is loaded by `seckill migrate`,
//! and looked at by a check. Both are safe beside running roles, and a second time.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::time::timeout;

use super::{
    RedisLedger, RedisSettings,
    address::{Address, BadAddress, shown},
    lane::Info,
    library::{LIBRARY, Library},
};

/// Why a Redis isn't ready for the ledger. No text holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL, or a file of the settings.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// It can't be asked, or refuses.
    #[error("the ledger's redis can't be used: {0}")]
    Refused(#[from] RedisError),
    /// It doesn't answer.
    #[error("the ledger's redis at {0} doesn't answer")]
    Silent(String),
    /// It is a replica.
    #[error("the ledger's redis at {0} is a replica, and no master")]
    Replica(String),
    /// It drops keys when its memory is full.
    #[error("the ledger's redis has maxmemory-policy {0}; it must have noeviction")]
    Evicts(String),
    /// The library isn't there.
    #[error("the ledger's redis has no library {}; `seckill migrate` loads it", LIBRARY.name)]
    NoLibrary,
    /// A library of that version is there, and it is not ours.
    #[error("the ledger's redis has a library {} with another text", LIBRARY.name)]
    OtherLibrary,
}

impl RedisLedger {
    /// Loads the function library into the Redis at `url`, unless it is there.
    ///
    /// # Errors
    /// [`SetupError`]; nothing has changed then.
    pub async fn load_library(url: &str, settings: &RedisSettings) -> Result<(), SetupError> {
        let mut visit = Visit::new(url, settings).await?;
        let loaded = visit.ask(&LIBRARY.load()).await?;
        if !Library::is_there(&loaded) {
            loaded.extract_error()?;
        }
        visit.check_library().await
    }

    /// Whether the Redis at `url` is a master that keeps what it is told, and has the library.
    ///
    /// # Errors
    /// [`SetupError`], which says what to do.
    pub async fn check(url: &str, settings: &RedisSettings) -> Result<(), SetupError> {
        Visit::new(url, settings).await?.check_library().await
    }
}

/// One connection for a few questions.
struct Visit {
    connection: MultiplexedConnection,
    within: Duration,
    shown: String,
}

impl Visit {
    async fn new(url: &str, settings: &RedisSettings) -> Result<Self, SetupError> {
        let (within, shown) = (settings.connect_max(), shown(url));
        let address = Address::new(url, settings)?;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(within));
        let connection = timeout(within, address.connect(&config)).await;
        let connection = connection.map_err(|_| SetupError::Silent(shown.clone()))??;
        let mut visit = Self { connection, within, shown };
        let answer = visit.ask(&Info::about(&["server", "replication", "memory"])).await?;
        let info = Info::read(answer)?;
        if info.identity().is_none() {
            return Err(SetupError::Replica(visit.shown));
        }
        match info.field("maxmemory_policy") {
            Some("noeviction") => Ok(visit),
            policy => Err(SetupError::Evicts(policy.unwrap_or_default().to_owned())),
        }
    }

    async fn ask(&mut self, question: &Cmd) -> Result<Value, SetupError> {
        let answer = timeout(self.within, self.connection.send_packed_command(question)).await;
        Ok(answer.map_err(|_| SetupError::Silent(self.shown.clone()))??)
    }

    async fn check_library(&mut self) -> Result<(), SetupError> {
        let answer = self.ask(&LIBRARY.list()).await?.extract_error()?;
        match Library::text_in(answer) {
            Some(text) if text == LIBRARY.text => Ok(()),
            Some(_) => Err(SetupError::OtherLibrary),
            None => Err(SetupError::NoLibrary),
        }
    }
}
