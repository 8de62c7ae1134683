//! A server of MySQL 8 or 9, or of MariaDB.
//!
//! It promises that every session is the same whatever the server's defaults are (`session`),
//! that no call waits for ever, and that the connections of [`open`] show what the primary has
//! committed: a server that may only be read, since another one is the primary now, is neither read
//! nor written. It knows no table.

mod lent;
mod session;

pub use lent::{Connections, Lent, Transaction};

use std::time::Duration;

use chassis::secret_file;
use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;
use sqlx::MySqlConnection;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::{Connected, OpenError, PoolSettings, Tls, trial::Trials};
use lent::Duty;

/// How long a replica is waited for, in milliseconds: the primary answers whatever it doesn't.
const REPLICA_ACQUIRE_MS_MAX: u64 = 100;
const REPLICA_CALL_MS_MAX: u64 = 500;

/// Readers and writers of one primary. Clones share the connections.
#[derive(Debug, Clone)]
pub struct MySql {
    /// For reading. Apart from the writers, so that a crowd of readers lets them pass.
    pub reader: Connections,
    /// For transactions.
    pub writer: Connections,
    trials: Trials,
}

impl MySql {
    /// Whether a row can be written: every few looks, and at each one after a failure, `insert` is
    /// done and taken back. On a full disk it fails as soon as rows like it have no room; what
    /// fails with the commit alone, it doesn't show.
    ///
    /// # Errors
    /// The reason why it can't, such as a full disk or no answer within `call_ms_max`.
    pub async fn look(
        &self,
        insert: impl AsyncFnOnce(&mut MySqlConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        if !self.trials.is_due() {
            return Ok(());
        }
        let tried = async {
            let mut transaction = self.writer.begin().await?;
            match self.writer.in_time(insert(&mut transaction)).await {
                Ok(()) => transaction.roll_back().await,
                Err(error) => {
                    transaction.abandon().await;
                    Err(error)
                }
            }
        };
        self.trials.judge(tried.await)
    }

    /// How many connections there are.
    pub fn connected(&self) -> Connected {
        let pools = [&self.reader, &self.writer];
        let idle: usize = pools.iter().map(|pool| pool.idle()).sum();
        Connected {
            open: pools.iter().map(|pool| pool.size()).sum(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
        }
    }

    /// Waits for all connections to be given back, and closes them.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Opens the store at `url`, which is `mysql://USER@HOST:PORT/DATABASE` (or `mariadb:`, which is
/// the same). The database must be there. Connections live on `runtime`, whoever uses them.
///
/// # Errors
/// [`OpenError`], within `acquire_ms_max`.
pub async fn open(
    url: &str,
    settings: &PoolSettings,
    runtime: &Handle,
) -> Result<MySql, OpenError> {
    let options = options(url, settings)?;
    let refused = |source| OpenError::Open { place: place(&options), source };
    // Once without the pool, which would retry, and at last say that it has timed out.
    let limit = Duration::from_millis(settings.acquire_ms_max);
    let first = lent::on(runtime, timeout(limit, first_look(&options, settings))).await;
    first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(refused)?;
    Ok(MySql {
        reader: Connections::new(&options, Duty::Reader, settings, runtime),
        writer: Connections::new(&options, Duty::Writer, settings, runtime),
        trials: Trials::default(),
    })
}

/// Connections to a replica, for reads that may be a little old. They are opened when they are
/// needed: a replica in trouble keeps nobody from starting.
///
/// # Errors
/// If the URL or the password file is none.
pub fn replica(
    url: &str,
    settings: &PoolSettings,
    runtime: &Handle,
) -> Result<Connections, OpenError> {
    let options = options(url, settings)?;
    let impatient = PoolSettings {
        acquire_ms_max: settings.acquire_ms_max.min(REPLICA_ACQUIRE_MS_MAX),
        call_ms_max: settings.call_ms_max.min(REPLICA_CALL_MS_MAX),
        ..settings.clone()
    };
    Ok(Connections::new(&options, Duty::Replica, &impatient, runtime))
}

/// What a URL says. Parameters are refused: they could undo what [`options`] and [`session`] set.
pub(crate) fn options_of(url: &str) -> Result<MySqlConnectOptions, OpenError> {
    let rest = url.strip_prefix("mysql:").or_else(|| url.strip_prefix("mariadb:"));
    let rest = rest.ok_or(OpenError::Url)?;
    if rest.contains(['?', '#']) {
        return Err(OpenError::ServerUrl);
    }
    let options: MySqlConnectOptions =
        format!("mysql:{rest}").parse().map_err(|_| OpenError::ServerUrl)?;
    let is_whole = rest.starts_with("//")
        && rest.contains('@')
        && !options.get_host().is_empty()
        && options.get_database().is_some_and(|database| !database.contains('/'));
    if is_whole { Ok(options) } else { Err(OpenError::ServerUrl) }
}

pub(crate) fn options(
    url: &str,
    settings: &PoolSettings,
) -> Result<MySqlConnectOptions, OpenError> {
    let mut options = options_of(url)?
        .statement_cache_capacity(settings.statements_max)
        .ssl_mode(match settings.tls {
            Tls::Off => MySqlSslMode::Disabled,
            Tls::Preferred => MySqlSslMode::Preferred,
            Tls::Required => MySqlSslMode::Required,
            Tls::Verify => MySqlSslMode::VerifyIdentity,
        })
        // The session sets a mode as a whole, instead of adding to the server's.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone("+00:00".to_owned())
        .charset("utf8mb4")
        .collation("utf8mb4_bin");
    if let Some(file) = &settings.tls_ca_file {
        options = options.ssl_ca(file);
    }
    if let Some(file) = &settings.password_file {
        options = options.password(secret_file::read(file)?.expose_secret());
    }
    Ok(options)
}

async fn first_look(
    options: &MySqlConnectOptions,
    settings: &PoolSettings,
) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    session::prepare(&mut connection, &session::statements(Duty::Writer, settings)).await?;
    session::must_be_primary(&mut connection).await?;
    sqlx::Connection::close(connection).await
}

/// The URL for messages.
fn place(options: &MySqlConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    format!("mysql://{}:{}/{database}", options.get_host(), options.get_port())
}

#[cfg(test)]
mod tests;
