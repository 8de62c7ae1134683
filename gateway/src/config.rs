//! The knobs of the gateway. Their defaults, with the reason for each, stand in
//! `config.default.toml`; no knob has a second default in code.

mod clients;
mod limits;
mod people;
mod purchase;
mod reads;
mod upstream;

use std::{net::SocketAddr, path::Path, time::Duration};

use chassis::{ServerSettings, TelemetrySettings, channel, config::ConfigError};
use serde::Deserialize;

pub use clients::ClientSettings;
pub use limits::{Allowance, BreakerSettings, ConcurrencySettings, RateSettings};
pub use people::{IdentitySettings, TicketSettings};
pub use purchase::{PurchaseSettings, StockSettings};
pub use reads::{CatalogSettings, WatchSettings};
pub use upstream::UpstreamSettings;

const DEFAULTS: &str = include_str!("../config.default.toml");
const ENV_PREFIX: &str = "SECKILL_GATEWAY";

/// All knobs; see `config.default.toml` for their reasons.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where calls are taken, for whoever binds the listeners.
    pub listen: SocketAddr,
    /// Where operators' calls are taken. None (`""`): nowhere.
    #[serde(deserialize_with = "chassis::config::address_or_empty")]
    pub operator_listen: Option<SocketAddr>,
    /// How long it goes on after a stop was asked for, for whoever asks.
    pub grace_ms: u64,
    /// How long a stop waits for calls and batches, in milliseconds.
    pub drain_ms_max: u64,
    /// Calls that one serving core works on at once.
    pub calls_per_core_max: usize,
    /// The same for operators' calls.
    pub operator_calls_max: usize,
    /// Where calls come from.
    pub clients: ClientSettings,
    /// The services behind the door.
    pub upstream: UpstreamSettings,
    /// Tickets and their keys.
    pub tickets: TicketSettings,
    /// Access tokens.
    pub identity: IdentitySettings,
    /// Admission and batches.
    pub purchase: PurchaseSettings,
    /// How many calls at once.
    pub concurrency: ConcurrencySettings,
    /// How often somebody may call.
    pub rates: RateSettings,
    /// When a store isn't asked any more.
    pub breakers: BreakerSettings,
    /// The view of what is left.
    pub stock: StockSettings,
    /// What is remembered of the catalog.
    pub catalog: CatalogSettings,
    /// Streams of order states and of what is left.
    pub watch: WatchSettings,
    /// Pages of other origins.
    pub cors: CorsSettings,
    /// Listeners and connections.
    pub server: ServerSettings,
    /// What the process is seen by, for whoever makes the telemetry of the seams.
    pub telemetry: TelemetrySettings,
    /// For whoever connects the journal that is handed in with the seams.
    pub journal: journal::Settings,
}

/// Pages of other origins, in browsers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    /// Whose pages may call, such as `https://shop.example`.
    pub allowed_origins: Vec<String>,
    /// How long a browser may remember that, in seconds.
    pub max_age_s: u32,
}

impl Config {
    /// The defaults, then the file, then the environment (`SECKILL_GATEWAY__…`).
    ///
    /// # Errors
    /// What can't be read or understood, in one sentence.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        chassis::config::load(DEFAULTS, file, ENV_PREFIX)
    }

    /// Reads every file that the start would read, keys and passwords, and asks nobody.
    ///
    /// # Errors
    /// As the start would say, in one sentence.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        self.tickets.read_keys()?;
        self.journal.check_secrets()
    }

    /// Checks what types can't say.
    ///
    /// # Errors
    /// The first knob that makes no sense, in one sentence.
    pub fn check(&self) -> Result<(), ConfigError> {
        let keys = [
            ("tickets.key_file", &self.tickets.key_file),
            ("tickets.order_id_key_file", &self.tickets.order_id_key_file),
        ];
        for (name, file) in keys {
            if file.as_os_str().is_empty() {
                return wrong(format!(
                    "{name} is not set: it must name a file of at least 32 bytes"
                ));
            }
        }
        if self.identity.issuer.is_empty() {
            return wrong("identity.issuer must not be empty");
        }
        let batch_len_max = self.purchase.batch_len_max;
        if !(1..=journal::record::HOLDS_MAX).contains(&batch_len_max) {
            return wrong(format!(
                "purchase.batch_len_max is {batch_len_max}: it must be 1 to 1024"
            ));
        }
        let above_zero = [
            ("calls_per_core_max", self.calls_per_core_max),
            ("operator_calls_max", self.operator_calls_max),
            ("purchase.gathering_len_max", self.purchase.gathering_len_max),
            ("purchase.batches_in_flight_max", self.purchase.batches_in_flight_max),
            ("purchase.lanes_max", self.purchase.lanes_max),
            ("purchase.sent_orders_max", self.purchase.sent_orders_max),
        ];
        let above_zero_ms = [
            ("tickets.lifetime_s", u64::from(self.tickets.lifetime_s)),
            ("upstream.read_ms_max", self.upstream.read_ms_max),
            ("upstream.sign_in_ms_max", self.upstream.sign_in_ms_max),
            ("upstream.operator_ms_max", self.upstream.operator_ms_max),
            ("identity.keys_interval_ms", self.identity.keys_interval_ms),
            ("identity.revocations_interval_ms", self.identity.revocations_interval_ms),
            ("identity.keys_ms_max", self.identity.keys_ms_max),
            ("watch.poll_ms", self.watch.poll_ms),
            ("rates.forget_ms", self.rates.forget_ms),
            ("watch.item_ms", self.watch.item_ms),
            ("watch.stream_ms_max", self.watch.stream_ms_max),
        ];
        let zero = above_zero.iter().find(|(_, value)| *value == 0).map(|(name, _)| name);
        let zero =
            zero.or(above_zero_ms.iter().find(|(_, value)| *value == 0).map(|(name, _)| name));
        if let Some(name) = zero {
            return wrong(format!("{name} must be above 0"));
        }
        let UpstreamSettings { inventory, order, user, .. } = &self.upstream;
        for (knob, addresses) in [("inventory", inventory), ("order", order), ("user", user)] {
            channel::check(addresses)
                .map_err(|error| ConfigError::new(format!("upstream.{knob}: {error}")))?;
        }
        crate::edge::cors::check(&self.cors)?;
        let limits = [
            self.concurrency.complaint(),
            self.rates.complaint(),
            self.breakers.complaint(self.journal.message_timeout_ms),
        ];
        if let Some(sentence) = limits.into_iter().flatten().next() {
            return wrong(sentence);
        }
        self.journal.check()?;
        self.telemetry.check()?;
        self.server.check()
    }

    /// How connections are treated. Everybody comes from the few addresses of our proxies, so the
    /// bound by address isn't theirs.
    pub(crate) fn server(&self) -> ServerSettings {
        let mut server = self.server.clone();
        server.connections_uncapped_from.extend(&self.clients.trusted_proxies);
        server
    }

    pub(crate) fn drain_max(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}

fn wrong(sentence: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::new(sentence))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn good() -> Config {
        let mut config = Config::load(None).unwrap();
        config.tickets.key_file = PathBuf::from("ticket.key");
        config.tickets.order_id_key_file = PathBuf::from("order.key");
        config
    }

    #[test]
    fn the_defaults_are_understood_and_lack_only_the_keys() {
        let config = Config::load(None).unwrap();
        assert!(!config.identity.rehearsal_allowed);
        assert!(config.check().unwrap_err().to_string().starts_with("tickets.key_file"));
        good().check().unwrap();
    }

    #[test]
    fn proxies_that_are_trusted_may_have_any_number_of_connections() {
        let mut config = good();
        let ours = "10.0.0.0/8".parse().unwrap();
        config.clients.trusted_proxies = vec![ours];
        let uncapped = config.server().connections_uncapped_from;
        assert!(uncapped.contains(&ours) && uncapped.len() == 3, "{uncapped:?}");
    }

    #[test]
    fn knobs_without_sense_are_named() {
        type Spoil = fn(&mut Config);
        let table: [(Spoil, &str); 11] = [
            (
                |config| config.tickets.order_id_key_file = PathBuf::new(),
                "tickets.order_id_key_file",
            ),
            (|config| config.identity.issuer.clear(), "identity.issuer"),
            (|config| config.purchase.batch_len_max = 1025, "purchase.batch_len_max"),
            (|config| config.purchase.batch_len_max = 0, "purchase.batch_len_max"),
            (|config| config.purchase.lanes_max = 0, "purchase.lanes_max"),
            (|config| config.watch.poll_ms = 0, "watch.poll_ms"),
            (|config| config.watch.item_ms = 0, "watch.item_ms"),
            (|config| config.breakers.silent_calls_min = 0, "breakers.silent_calls_min"),
            (|config| config.breakers.slow_ms = 1500, "breakers.slow_ms"),
            (|config| config.cors.allowed_origins = vec!["*".into()], "cors.allowed_origins"),
            (|config| config.server.default_deadline_ms = 0, "server.default_deadline_ms"),
        ];
        for (spoil, name) in table {
            let mut bad = good();
            spoil(&mut bad);
            let sentence = bad.check().unwrap_err().to_string();
            assert!(sentence.starts_with(name), "{sentence}");
        }
    }
}
