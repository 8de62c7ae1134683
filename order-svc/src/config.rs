//! What can be set from outside. The defaults and the reason of each stand in
//! `config.default.toml`, which is part of the binary.

use std::path::Path;

use chassis::{ServerSettings, channel::ChannelSettings, config::ConfigError};
use serde::Deserialize;

use crate::{
    consumer::ConsumerSettings, grpc::SnapshotSettings, upstream::inventory::SettleSettings,
};

const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of one order-svc.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `http://HOST:PORT` of inventory-svc.
    pub inventory_url: String,
    /// How long a stop may take.
    pub drain_ms: u64,
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
    /// How inventory-svc is reached.
    pub channel: ChannelSettings,
}

/// Where the books are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BooksSettings {
    /// `sqlite:PATH`.
    pub url: String,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = Config::load(None).unwrap();
        assert!(!config.books.migrate_on_start);
        assert!(config.settle.tries_max >= 1);
    }
}
