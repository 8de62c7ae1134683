//! Kafka inside the process: librdkafka's mock cluster, spoken to over the same client code. It
//! keeps everything in memory, at most 5 MiB or 100,000 records a partition, and evicts what is
//! oldest without a word; so it counts what the books have not committed, stops admission at the
//! half ([`crate::Journal::has_room`]) and shouts if something unread goes. It knows nothing of the
//! records but their size, except for the losses that a test asks for.

mod faults;
mod losses;
mod unread;

use std::sync::Arc;

use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    mocking::MockCluster,
    producer::{DefaultProducerContext, Producer as _},
};

pub use faults::Faults;
pub use losses::Losses;
pub(crate) use unread::Unread;
pub use unread::UnreadCount;

use crate::{
    Error, Journal, Record, Settings, TOPIC,
    client::{BATCH_BYTES_MAX, EndsElsewhere},
    journal::setup,
    polled::Polled,
};

/// The embedded broker. It lives until the last of its clones, journals and readers is gone; every
/// start makes an empty one with a new identity.
#[derive(Clone)]
pub struct Broker {
    host: Arc<Host>,
}

/// What journals and readers hold, so that the cluster outlives them.
pub(crate) struct Host {
    /// A client that is set to bring its own mock cluster. Asking it for the cluster is safe from
    /// any thread; its poll thread empties its queues.
    client: EndsElsewhere<Polled<DefaultProducerContext>>,
    brokers: String,
    identity: String,
    partitions: u32,
    unread: Arc<Unread>,
    losses: Losses,
}

impl Broker {
    /// An empty broker with `partitions` partitions, listening on the loopback.
    ///
    /// # Errors
    /// [`Error::Setup`] for 0 partitions, or if sockets or threads can't be had.
    pub fn start(partitions: u32) -> Result<Self, Error> {
        if partitions == 0 {
            return Err(setup("there must be a partition"));
        }
        let partition_count = i32::try_from(partitions).map_err(setup)?;
        let mut config = ClientConfig::new();
        // Nobody asks this client for anything but its cluster, so it has nothing to say; but for a
        // test, which has it write what no journal would.
        config
            .set("test.mock.num.brokers", "1")
            .set("message.max.bytes", (2 * BATCH_BYTES_MAX).to_string())
            .set_log_level(RDKafkaLogLevel::Critical);
        let client = Polled::start(&config, DefaultProducerContext).map_err(setup)?;
        let brokers = {
            let cluster = client.client().mock_cluster().ok_or_else(|| setup("no mock cluster"))?;
            cluster.create_topic(TOPIC, partition_count, 1).map_err(setup)?;
            cluster.bootstrap_servers()
        };
        let host = Host {
            client: EndsElsewhere::new(client),
            brokers,
            identity: uuid::Uuid::new_v4().to_string(),
            partitions,
            unread: Arc::new(Unread::new(partitions)),
            losses: Losses::default(),
        };
        Ok(Self { host: Arc::new(host) })
    }

    /// A journal on this broker, with a producer of its own. [`Settings::brokers`] is not used.
    /// Blocks for some 15 ms while the producer gets ready, for half a second if faults keep the
    /// broker from answering.
    ///
    /// # Errors
    /// [`Error::Setup`] for settings that can't be.
    pub fn journal(&self, settings: &Settings) -> Result<Journal, Error> {
        Journal::on_embedded(&self.host, settings)
    }

    /// The random name of this broker's journal.
    pub fn identity(&self) -> &str {
        &self.host.identity
    }

    /// What the books have not committed of a partition, as far as acknowledgements and readers
    /// have told; none for a partition that isn't there.
    pub fn unread(&self, partition: u32) -> UnreadCount {
        self.host.unread.count(partition)
    }

    /// Makes the broker fail; for tests.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(&self.host)
    }

    /// The next record of any journal of this broker that `matches` is acknowledged and never
    /// written, as if Kafka had lost its tail. One record a call; for tests.
    pub fn lose_next(&self, matches: impl Fn(&Record) -> bool + Send + Sync + 'static) {
        self.host.losses.arm(Box::new(matches));
    }

    /// The losses that were asked for, and how many have happened.
    pub fn losses(&self) -> &Losses {
        &self.host.losses
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("identity", &self.host.identity)
            .field("partitions", &self.host.partitions)
            .finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(crate) fn unread(&self) -> &Arc<Unread> {
        &self.unread
    }

    pub(crate) fn losses(&self) -> &Losses {
        &self.losses
    }

    fn cluster(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.client.client().mock_cluster().expect("the client was set to bring one")
    }
}

#[cfg(test)]
mod tests;
