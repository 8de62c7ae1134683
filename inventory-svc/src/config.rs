//! The knobs of inventory-svc. Their defaults, with the reason for each, stand in
//! `config.default.toml`; no knob has a second default in code.

use std::{net::SocketAddr, path::Path, time::Duration};

use chassis::{
    ServerSettings, TelemetrySettings,
    channel::{self, ChannelSettings},
    config::ConfigError,
    job::Backoff,
};
use serde::Deserialize;
use store::PoolSettings;

use crate::{
    ledger::redis::{self, RedisSettings},
    loading::attempt::Pace,
};

const DEFAULTS: &str = include_str!("../config.default.toml");
const ENV_PREFIX: &str = "SECKILL_INVENTORY";

/// All knobs; see `config.default.toml` for their reasons.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where calls are taken, for whoever binds the listeners.
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `mysql://USER@HOST:PORT/DATABASE`.
    pub catalog_url: String,
    /// Whether `build` brings the schema up to date.
    pub migrate_on_start: bool,
    /// `memory`, or the URL of a Redis.
    pub ledger_url: String,
    /// The `iss` of operators' tokens.
    pub issuer: String,
    /// How long it goes on after a stop was asked for, for whoever asks.
    pub grace_ms: u64,
    /// How long a stop waits for calls, in milliseconds.
    pub drain_ms_max: u64,
    /// Other services.
    pub upstream: Upstream,
    /// The epoch lease.
    pub lease: Lease,
    /// Loading a shard.
    pub loading: Loading,
    /// The ledger, if it is on Redis.
    pub ledger: RedisSettings,
    /// Open holds that the books haven't settled.
    pub roll_forward: RollForward,
    /// Listeners and connections.
    pub server: ServerSettings,
    /// What the process is seen by, for whoever makes the telemetry of the seams.
    pub telemetry: TelemetrySettings,
    /// Connections to the catalog.
    pub pool: PoolSettings,
    /// For whoever connects the journal that is handed in with the seams.
    pub journal: journal::Settings,
}

/// Other services and how they are called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The URL of each instance of order-svc, with commas between.
    pub order_svc: String,
    /// The same of user-svc.
    pub user_svc: String,
    /// For one question, and for each part of a snapshot, in milliseconds.
    pub deadline_ms: u64,
    /// How often the operators' keys are read, in milliseconds.
    pub keys_interval_ms: u64,
    /// How often it is read which of their tokens are revoked, in milliseconds.
    pub revocations_interval_ms: u64,
    /// How the channels behave.
    pub channel: ChannelSettings,
}

/// The epoch lease.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The longest time between two reads of all shards, in milliseconds.
    pub refresh_ms_max: u64,
}

/// How shards are loaded. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loading {
    /// Loads at once, most of which wait.
    pub loads_max: usize,
    /// Snapshots that are streamed at once.
    pub snapshots_max: usize,
    /// How often the catalog is asked for shards to load.
    pub look_ms: u64,
    /// A loader that hasn't renewed for so long may be overtaken.
    pub loader_lease_ms: u64,
    /// How long an attempt goes on, besides the wait for leases.
    pub patience_ms: u64,
    /// The first wait between two attempts.
    pub again_ms: u64,
    /// The longest one.
    pub again_ms_max: u64,
    /// The first wait before a question is asked again.
    pub ask_ms: u64,
    /// The longest one.
    pub ask_ms_max: u64,
    /// The first wait before a command is sent again.
    pub send_ms: u64,
    /// The longest one.
    pub send_ms_max: u64,
    /// For one step of an attempt.
    pub step_ms_max: u64,
    /// For one step that goes through all holds or orders of a shard.
    pub long_step_ms_max: u64,
    /// A shard retires when its sale has been over for so long, in seconds.
    pub retire_after_s: u32,
    /// How often the ledger's keeper is asked who it is.
    pub keeper_ms: u64,
    /// How often the epochs of the catalog and of the books are compared.
    pub compare_ms: u64,
}

/// The roll-forward of open holds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollForward {
    /// How often it looks, in milliseconds.
    pub interval_ms: u64,
    /// Published again per second, over all shards.
    pub holds_per_s_max: u32,
}

impl Config {
    /// The defaults, then the file, then the environment (`SECKILL_INVENTORY__…`).
    ///
    /// # Errors
    /// What can't be read or understood, in one sentence.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        chassis::config::load(DEFAULTS, file, ENV_PREFIX)
    }

    /// Reads every file that the start would read, passwords and keys, and asks nobody.
    ///
    /// # Errors
    /// As the start would say, in one sentence.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        store::check_secrets(&self.catalog_url, &self.pool)
            .map_err(|error| ConfigError::new(error.to_string()))?;
        if self.ledger_url != "memory" {
            redis::check_files(&self.ledger_url, &self.ledger)
                .map_err(|error| ConfigError::new(error.to_string()))?;
        }
        self.journal.check_secrets()
    }

    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { lease, loading, roll_forward, upstream, .. } = self;
        if let Err(error) = store::Kind::of(&self.catalog_url) {
            return wrong(format!("catalog_url: {error}"));
        }
        if self.issuer.is_empty() {
            return wrong("issuer must not be empty");
        }
        for (knob, value) in [
            ("upstream.deadline_ms", upstream.deadline_ms),
            ("upstream.keys_interval_ms", upstream.keys_interval_ms),
            ("upstream.revocations_interval_ms", upstream.revocations_interval_ms),
            ("lease.refresh_ms_max", lease.refresh_ms_max),
            ("loading.loads_max", loading.loads_max as u64),
            ("loading.snapshots_max", loading.snapshots_max as u64),
            ("loading.look_ms", loading.look_ms),
            ("loading.patience_ms", loading.patience_ms),
            ("loading.again_ms", loading.again_ms),
            ("loading.ask_ms", loading.ask_ms),
            ("loading.send_ms", loading.send_ms),
            ("loading.step_ms_max", loading.step_ms_max),
            ("loading.long_step_ms_max", loading.long_step_ms_max),
            ("loading.keeper_ms", loading.keeper_ms),
            ("loading.compare_ms", loading.compare_ms),
            ("roll_forward.interval_ms", roll_forward.interval_ms),
            ("roll_forward.holds_per_s_max", roll_forward.holds_per_s_max.into()),
        ] {
            if value == 0 {
                return wrong(format!("{knob} must be above 0"));
            }
        }
        for (knob, addresses) in
            [("order_svc", &upstream.order_svc), ("user_svc", &upstream.user_svc)]
        {
            channel::check(addresses)
                .map_err(|error| ConfigError::new(format!("upstream.{knob}: {error}")))?;
        }
        if loading.loader_lease_ms < 100 {
            return wrong("loading.loader_lease_ms must be at least 100");
        }
        self.journal.check()?;
        self.ledger.check()?;
        if self.ledger_url != "memory" {
            redis::check(&self.ledger_url).map_err(|error| ConfigError::new(error.to_string()))?;
        }
        self.telemetry.check()?;
        self.server.check()
    }

    pub(crate) fn drain_max(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}

impl Upstream {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn keys_interval(&self) -> Duration {
        Duration::from_millis(self.keys_interval_ms)
    }

    pub(crate) fn revocations_interval(&self) -> Duration {
        Duration::from_millis(self.revocations_interval_ms)
    }
}

impl Lease {
    pub(crate) fn refresh_max(&self) -> Duration {
        Duration::from_millis(self.refresh_ms_max)
    }
}

impl Loading {
    pub(crate) fn look(&self) -> Duration {
        Duration::from_millis(self.look_ms)
    }

    pub(crate) fn loader_lease(&self) -> Duration {
        Duration::from_millis(self.loader_lease_ms)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        let (first, most) = (self.again_ms, self.again_ms_max);
        Backoff::new(Duration::from_millis(first), Duration::from_millis(most))
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace {
            ask_first: Duration::from_millis(self.ask_ms),
            ask_most: Duration::from_millis(self.ask_ms_max),
            send_first: Duration::from_millis(self.send_ms),
            send_most: Duration::from_millis(self.send_ms_max),
        }
    }

    pub(crate) fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms_max)
    }

    pub(crate) fn long_step(&self) -> Duration {
        Duration::from_millis(self.long_step_ms_max)
    }

    pub(crate) fn retire_after(&self) -> Duration {
        Duration::from_secs(self.retire_after_s.into())
    }

    pub(crate) fn keeper(&self) -> Duration {
        Duration::from_millis(self.keeper_ms)
    }

    pub(crate) fn compare(&self) -> Duration {
        Duration::from_millis(self.compare_ms)
    }
}

impl RollForward {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }
}

fn wrong(sentence: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::new(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_understood_and_make_sense() {
        Config::load(None).unwrap().check().unwrap();
    }

    #[test]
    fn knobs_without_sense_are_named() {
        type Spoil = fn(&mut Config);
        let table: [(Spoil, &str); 11] = [
            (|config| config.ledger_url = "redis:localhost".to_owned(), "ledger_url"),
            (|config| config.ledger.call_ms_max = 0, "ledger.call_ms_max"),
            (|config| config.catalog_url = "postgres://me@db/shop".to_owned(), "catalog_url"),
            (|config| config.catalog_url = "mysql://me@db".to_owned(), "catalog_url"),
            (|config| config.issuer.clear(), "issuer"),
            (|config| config.journal.partitions = 0, "journal.partitions"),
            (|config| config.loading.loads_max = 0, "loading.loads_max"),
            (|config| config.loading.snapshots_max = 0, "loading.snapshots_max"),
            (|config| config.loading.loader_lease_ms = 99, "loading.loader_lease_ms"),
            (|config| config.roll_forward.interval_ms = 0, "roll_forward.interval_ms"),
            (|config| config.server.default_deadline_ms = 0, "server.default_deadline_ms"),
        ];
        for (spoil, name) in table {
            let mut bad = Config::load(None).unwrap();
            spoil(&mut bad);
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.starts_with(name), "{sentence}");
        }
    }

    #[test]
    fn unknown_knobs_are_refused_by_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("inventory.toml");
        std::fs::write(&file, "[loading]\nlods_max = 1\n").unwrap();
        let refused = Config::load(Some(&file)).unwrap_err().to_string();
        assert!(refused.contains("lods_max"), "{refused}");
    }
}
