//! What can be set from outside. The defaults and the reason of each stand in
//! `config.default.toml`, which is part of the binary.

use std::{net::SocketAddr, path::Path};

use chassis::{
    ServerSettings, TelemetrySettings,
    channel::{self, ChannelSettings},
    config::ConfigError,
};
use serde::Deserialize;
use store::Kind;

use crate::{
    consumer::ConsumerSettings, grpc::SnapshotSettings, upstream::inventory::SettleSettings,
};

const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of one order-svc.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where calls are taken, for whoever binds the listeners.
    pub listen: SocketAddr,
    /// `http://HOST:PORT` of each instance of inventory-svc, with commas between.
    pub inventory_url: String,
    /// How long it goes on after a stop was asked for, for whoever asks.
    pub grace_ms: u64,
    /// How long a stop may take.
    pub drain_ms_max: u64,
    /// How often readiness is looked at.
    pub health_every_ms: u64,
    /// Where the books are.
    pub books: BooksSettings,
    /// How partitions are read.
    pub consumer: ConsumerSettings,
    /// How the ledger is told.
    pub settle: SettleSettings,
    /// What bounds snapshots.
    pub snapshot: SnapshotSettings,
    /// How connections are treated.
    pub server: ServerSettings,
    /// What the process is seen by, for whoever makes the telemetry of the seams.
    pub telemetry: TelemetrySettings,
    /// How inventory-svc is reached.
    pub channel: ChannelSettings,
    /// For whoever connects the journal that is handed in with the seams.
    pub journal: journal::Settings,
}

/// Where the books are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BooksSettings {
    /// `sqlite:PATH` or `mysql://USER@HOST:PORT/DATABASE`.
    pub url: String,
    /// A MySQL replica of it for GetOrder and ListOrders; empty: none.
    pub replica_url: String,
    /// Whether the start makes or updates the schema.
    pub migrate_on_start: bool,
    /// Connections; the defaults and their reasons are the store's.
    #[serde(default)]
    pub pool: store::PoolSettings,
}

impl Config {
    /// The defaults, then `file`, then variables that begin with `SECKILL_ORDER`.
    ///
    /// # Errors
    /// One sentence that says what is wrong, and where.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        chassis::config::load(DEFAULTS, file, "SECKILL_ORDER")
    }

    /// Reads every file that the start would read, passwords and keys, and asks nobody.
    ///
    /// # Errors
    /// As the start would say, in one sentence.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        store::check_secrets(&self.books.url, &self.books.pool)
            .map_err(|error| ConfigError::new(error.to_string()))?;
        self.journal.check_secrets()
    }

    /// What types can't say.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { consumer, settle, snapshot, .. } = self;
        let at_least_one = [
            ("drain_ms_max", self.drain_ms_max),
            ("health_every_ms", self.health_every_ms),
            ("consumer.assignment_wait_ms", consumer.assignment_wait_ms),
            ("consumer.batch_records_max", consumer.batch_records_max as u64),
            ("consumer.batch_holds_max", consumer.batch_holds_max as u64),
            ("consumer.read_wait_ms", consumer.read_wait_ms),
            ("consumer.look_again_ms", consumer.look_again_ms),
            ("consumer.retry_first_ms", consumer.retry_first_ms),
            ("settle.queue_len_max", settle.queue_len_max as u64),
            ("settle.deadline_ms", settle.deadline_ms),
            ("settle.tries_max", settle.tries_max.into()),
            ("settle.retry_first_ms", settle.retry_first_ms),
            ("snapshot.deadline_ms", snapshot.deadline_ms),
            ("snapshot.concurrent_max", snapshot.concurrent_max as u64),
        ];
        if let Some((knob, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::new(format!("{knob} is 0: it must be 1 or more")));
        }
        if consumer.group.is_empty() {
            return Err(ConfigError::new("consumer.group must not be empty"));
        }
        if consumer.retry_max_ms < consumer.retry_first_ms {
            return Err(ConfigError::new("consumer.retry_max_ms is below consumer.retry_first_ms"));
        }
        channel::check(&self.inventory_url)
            .map_err(|error| ConfigError::new(format!("inventory_url: {error}")))?;
        self.books.check()?;
        self.journal.check()?;
        self.telemetry.check()?;
        self.server.check()
    }
}

impl BooksSettings {
    fn check(&self) -> Result<(), ConfigError> {
        let kind = |knob: &str, url: &str| {
            Kind::of(url).map_err(|wrong| ConfigError::new(format!("{knob}: {wrong}")))
        };
        let of_books = kind("books.url", &self.url)?;
        if self.replica_url.is_empty() {
            return Ok(());
        }
        match (of_books, kind("books.replica_url", &self.replica_url)?) {
            (Kind::MySql, Kind::MySql) => Ok(()),
            _ => Err(ConfigError::new("books.replica_url: only books on MySQL have a replica")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = Config::load(None).unwrap();
        assert!(!config.books.migrate_on_start);
        config.check().unwrap();
    }

    #[test]
    fn a_knob_that_makes_no_sense_is_named() {
        type Spoil = fn(&mut Config);
        let spoiled: [(&str, Spoil); 9] = [
            ("health_every_ms", |config| config.health_every_ms = 0),
            ("settle.tries_max", |config| config.settle.tries_max = 0),
            ("consumer.retry_max_ms", |config| config.consumer.retry_max_ms = 1),
            ("inventory_url", |config| config.inventory_url = "x".into()),
            ("books.url", |config| config.books.url = "postgres://me@db/orders".into()),
            ("books.url", |config| config.books.url = "mysql://me@db".into()),
            ("books.replica_url", |config| config.books.replica_url = "mysql://me@db/o".into()),
            ("books.replica_url", |config| {
                config.books.url = "mysql://me@db/orders".into();
                config.books.replica_url = "sqlite:orders.db".into();
            }),
            ("server.default_deadline_ms", |config| config.server.default_deadline_ms = 0),
        ];
        for (knob, spoil) in spoiled {
            let mut config = Config::load(None).unwrap();
            spoil(&mut config);
            let says = config.check().unwrap_err().to_string();
            assert!(says.contains(knob), "{says}");
        }
    }
}
