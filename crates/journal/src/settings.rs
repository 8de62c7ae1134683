//! How the journal is reached and what bounds it. Everything that has no knob here is fixed in
//! `client.rs`, because a promise rests on it.

use serde::Deserialize;

/// Settings of a [`crate::Journal`]. The embedded broker brings its own address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Kafka's bootstrap servers, `host:port` with commas between. Unused with the embedded broker.
    pub brokers: String,
    /// How long an append may take before it is [`crate::AppendError::Unknown`]. It has to be below
    /// the lease of the shards (2,000 by default), or a late acknowledgement could never make an
    /// ACCEPTED and the wait for it would be wasted.
    pub message_timeout_ms: u32,
    /// Records of one producer that are sent and not acknowledged; one more is
    /// [`crate::AppendError::Full`]. A record is a whole batch of purchases, so thousands of them
    /// in flight mean a broker that doesn't answer.
    pub queue_records_max: u32,
    /// The same in KiB. Below the half of the embedded broker's 5 MiB that
    /// [`crate::Journal::has_room`] leaves free.
    pub queue_kib_max: u32,
    /// How long a question about the topic (watermarks, one record, the cluster's identity) may
    /// take.
    pub query_timeout_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            message_timeout_ms: 1500,
            queue_records_max: 4096,
            queue_kib_max: 2048,
            query_timeout_ms: 3000,
        }
    }
}
