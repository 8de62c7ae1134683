//! The way of a purchase: admission, batches, the view of what is left.

use std::time::Duration;

use serde::Deserialize;

use crate::coalesce::Bounds;

/// Admission and batches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseSettings {
    /// Entries of one batch.
    pub batch_len_max: usize,
    /// Buyers that may gather for a shard, per core.
    pub gathering_len_max: usize,
    /// Batches of a shard in flight, per core.
    pub batches_in_flight_max: usize,
    /// Shards with something to do, per core.
    pub lanes_max: usize,
    /// How far clocks of machines may be apart, in milliseconds.
    pub clock_slack_ms: u64,
    /// Orders that are remembered as sent on.
    pub sent_orders_max: usize,
    /// How long before its deadline a call is answered, in milliseconds.
    pub answer_margin_ms: u64,
}

impl PurchaseSettings {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            batch_len_max: self.batch_len_max,
            gathering_len_max: self.gathering_len_max,
            batches_in_flight_max: self.batches_in_flight_max,
        }
    }

    pub(crate) fn answer_margin(&self) -> Duration {
        Duration::from_millis(self.answer_margin_ms)
    }
}

/// The view of what is left.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockSettings {
    /// How long news of a shard count, in milliseconds.
    pub fresh_ms: u64,
}

impl StockSettings {
    pub(crate) fn fresh(&self) -> Duration {
        Duration::from_millis(self.fresh_ms)
    }
}
