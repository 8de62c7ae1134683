//! Where the services behind the door are, and how long they may take.

use std::time::Duration;

use chassis::channel::ChannelSettings;
use serde::Deserialize;

/// Where the other services are, and how long they may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// The URL of each instance, such as `http://127.0.0.1:50052`, with commas between.
    pub inventory: String,
    /// The same.
    pub order: String,
    /// The same.
    pub user: String,
    /// How long a read may take, in milliseconds.
    pub read_ms_max: u64,
    /// How long registering and signing in may take, in milliseconds.
    pub sign_in_ms_max: u64,
    /// How long what an operator asks for may take, in milliseconds.
    pub operator_ms_max: u64,
    /// Connections.
    pub channel: ChannelSettings,
}

impl UpstreamSettings {
    pub(crate) fn read_limit(&self) -> Duration {
        Duration::from_millis(self.read_ms_max)
    }

    pub(crate) fn operator_limit(&self) -> Duration {
        Duration::from_millis(self.operator_ms_max)
    }

    pub(crate) fn sign_in_limit(&self) -> Duration {
        Duration::from_millis(self.sign_in_ms_max)
    }
}
