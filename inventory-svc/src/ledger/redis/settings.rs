//! The knobs of the ledger on Redis. Their defaults, with the reason for each, stand in
//! `config.default.toml`, table `[ledger]`.

use std::{path::PathBuf, time::Duration};

use chassis::{config::ConfigError, job::Backoff};
use serde::Deserialize;

/// How Redis is reached and called. Not used by the ledger in memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// The user of Redis' access list; empty for its default user.
    pub username: String,
    /// A file with the user's password; empty for none.
    pub password_file: PathBuf,
    /// The user at the sentinels; empty for their default user.
    pub sentinel_username: String,
    /// A file with that user's password; empty for none.
    pub sentinel_password_file: PathBuf,
    /// A PEM file with the certificates that TLS trusts; empty for those of the system.
    pub ca_file: PathBuf,
    /// Connections that admit; one more watches, and another does everything else.
    pub admission_connections: usize,
    /// Calls that a connection has under way at most; others wait for a place.
    pub calls_in_flight_max: usize,
    /// From the first packet until a connection can be used, in milliseconds.
    pub connect_ms_max: u64,
    /// For one call, the wait for its place included, in milliseconds.
    pub call_ms_max: u64,
    /// For a count of a shard, in milliseconds.
    pub count_ms_max: u64,
    /// The first wait before a lost connection is made again, in milliseconds.
    pub reconnect_ms: u64,
    /// The longest one.
    pub reconnect_ms_max: u64,
}

impl RedisSettings {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (knob, value) in [
            ("ledger.admission_connections", self.admission_connections as u64),
            ("ledger.calls_in_flight_max", self.calls_in_flight_max as u64),
            ("ledger.connect_ms_max", self.connect_ms_max),
            ("ledger.call_ms_max", self.call_ms_max),
            ("ledger.count_ms_max", self.count_ms_max),
            ("ledger.reconnect_ms", self.reconnect_ms),
        ] {
            if value == 0 {
                return Err(ConfigError::new(format!("{knob} must be above 0")));
            }
        }
        Ok(())
    }

    pub(super) fn connect_max(&self) -> Duration {
        Duration::from_millis(self.connect_ms_max)
    }

    pub(super) fn call_max(&self) -> Duration {
        Duration::from_millis(self.call_ms_max)
    }

    pub(super) fn count_max(&self) -> Duration {
        Duration::from_millis(self.count_ms_max)
    }

    pub(super) fn backoff(&self) -> Backoff {
        let (first, most) = (self.reconnect_ms, self.reconnect_ms_max);
        Backoff::new(Duration::from_millis(first), Duration::from_millis(most))
    }
}
