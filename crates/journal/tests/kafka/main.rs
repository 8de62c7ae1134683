//! The journal on a real Kafka, the one that `make stores` started: the topic, appends and readers,
//! the group. Each test has a topic of its own, which goes with it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::time::Duration;

use futures::executor::block_on;
use ids::{CommandId, Epoch, OrderId, ShardNo, UserId};
use journal::{
    Command, Journal, PartitionReader, PlacedHold, Raw, ReadError, Record, Settings,
    record::{HOLDS_MAX, TRACEPARENT_LEN_MAX},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

mod elsewhere;

mod appending;
mod membership;
mod outages;
mod topic;

/// Nothing here takes that long; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a journal of a test's own is set. Dropped, its topic goes.
struct Place {
    settings: Settings,
    is_ours: bool,
}

fn settings() -> Settings {
    Settings {
        partitions: 4,
        // There is one broker.
        replication_factor: 1,
        min_insync_replicas: 1,
        ..Settings::default()
    }
}

impl Place {
    fn new() -> Self {
        Self::on(testbed::running::kafka())
    }

    fn on(brokers: String) -> Self {
        let topic = format!("test.{}", uuid::Uuid::new_v4().simple());
        Self { settings: Settings { brokers, topic, ..settings() }, is_ours: true }
    }

    /// With the topic made.
    fn journal(&self) -> Journal {
        journal::migrate(&self.settings).unwrap();
        Journal::connect(&self.settings).unwrap()
    }

    /// Has the brokers forget what stands before `offset`, as they do with what has expired.
    async fn delete_before(&self, partition: i32, offset: i64) {
        let mut before = TopicPartitionList::new();
        let topic = &self.settings.topic;
        before.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = self.admin().delete_records(&before, &options).await.unwrap();
        deleted.elements()[0].error().unwrap();
    }

    async fn delete(&self) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let topic = self.settings.topic.as_str();
        self.admin().delete_topics(&[topic], &options).await.unwrap()[0].as_ref().unwrap();
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.settings.brokers).create().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_ours {
            return;
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let _ = block_on(self.admin().delete_topics(&[&self.settings.topic], &options));
    }
}

/// A small record that can be told from others by its number.
fn numbered(number: i64) -> Record {
    let command = Command::EpochChanged { from: None, to: Epoch::new(number + 1).unwrap() };
    Record { command_id: CommandId::random(), shard: ShardNo::new(7).unwrap(), command }
}

/// The largest record that passes the codec: as many holds as it takes, each with a long trace.
fn largest() -> Record {
    let shard = ShardNo::new(7).unwrap();
    let hold = PlacedHold {
        order: OrderId::mint(shard, [3; 12]),
        user: UserId::random(),
        quantity: 1,
        unit_price: 100,
        taken_at_ms: 1,
        traceparent: "t".repeat(TRACEPARENT_LEN_MAX),
    };
    let holds = vec![hold; HOLDS_MAX];
    let command = Command::HoldsPlaced { epoch: Epoch::new(1).unwrap(), item: None, holds };
    Record { command_id: CommandId::random(), shard, command }
}

/// Appends `records` to partition 0, one after the other.
async fn append_all(journal: &Journal, records: &[Record]) {
    for record in records {
        journal.append(0, record).await.unwrap();
    }
}

fn reader_at(journal: &Journal, partition: u32, offset: u64) -> PartitionReader {
    let mut reader = journal.reader(partition).unwrap();
    reader.start(offset).unwrap();
    reader
}

/// Exactly `count` records, however they are batched.
async fn read(reader: &mut PartitionReader, count: usize) -> Vec<Raw> {
    let reading = async {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(reader.next_batch(count - all.len(), PATIENCE).await.unwrap());
        }
        all
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the records that were appended")
}

/// The first error that the reader gives, however long it takes.
async fn first_error(reader: &mut PartitionReader) -> ReadError {
    let reading = async {
        loop {
            if let Err(error) = reader.next_batch(10, Duration::from_millis(100)).await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an error")
}
