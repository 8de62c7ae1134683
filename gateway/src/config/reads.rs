//! What is read again and again: the catalog, and orders that are watched.

use std::time::Duration;

use serde::Deserialize;

use crate::watch::Room;

/// What is remembered of the catalog.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogSettings {
    /// Items.
    pub known_items_max: u64,
    /// How long an item is remembered that nobody asks for, in milliseconds.
    pub known_items_idle_ms: u64,
    /// Sales, and pages of them, and ids that are none.
    pub known_sales_max: u64,
    /// For how long, in milliseconds.
    pub known_sales_ms: u64,
}

impl CatalogSettings {
    pub(crate) fn items_idle(&self) -> Duration {
        Duration::from_millis(self.known_items_idle_ms)
    }

    pub(crate) fn sales_known_for(&self) -> Duration {
        Duration::from_millis(self.known_sales_ms)
    }
}

/// Streams of order states and of what is left.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Streams of orders at once.
    pub watchers_max: usize,
    /// Of these, of one account.
    pub watchers_per_user_max: usize,
    /// Streams of items at once.
    pub item_watchers_max: usize,
    /// Of these, from one /24 or /64.
    pub item_watchers_per_network_max: usize,
    /// How often all watched orders are looked up, in milliseconds.
    pub poll_ms: u64,
    /// How often what is left of watched items is told on, in milliseconds.
    pub item_ms: u64,
    /// The longest life of a stream, in milliseconds.
    pub stream_ms_max: u64,
}

impl WatchSettings {
    pub(crate) fn order_room(&self) -> Room {
        Room { all: self.watchers_max, of_one: self.watchers_per_user_max }
    }

    pub(crate) fn item_room(&self) -> Room {
        Room { all: self.item_watchers_max, of_one: self.item_watchers_per_network_max }
    }

    pub(crate) fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(crate) fn item_interval(&self) -> Duration {
        Duration::from_millis(self.item_ms)
    }

    pub(crate) fn stream_limit(&self) -> Duration {
        Duration::from_millis(self.stream_ms_max)
    }
}
