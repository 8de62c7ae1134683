//! The whole crate against the embedded broker: what an append promises, what a reader gives, and
//! what both say when the broker fails.

use std::time::Duration;

use ids::{CommandId, Epoch, OrderId, ShardNo, UserId};

use super::Broker;
use crate::{
    AppendError, Command, Error, Journal, PartitionReader, PlacedHold, Raw, ReadError, Record,
    Settings, decode,
};

mod appending;
mod failing;
mod reading;
mod room;

/// Nothing here takes that long; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> (Broker, Journal) {
    let broker = Broker::start(4).unwrap();
    let journal = broker.journal(&Settings::default()).unwrap();
    (broker, journal)
}

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn shard() -> ShardNo {
    ShardNo::new(7).unwrap()
}

/// A small record that can be told from others by its number.
fn numbered(number: i64) -> Record {
    let command = Command::EpochChanged { from: None, to: epoch(number + 1) };
    Record { command_id: CommandId::random(), shard: shard(), command }
}

fn with_holds(count: usize) -> Record {
    let hold = PlacedHold {
        order: OrderId::mint(shard(), [3; 12]),
        user: UserId::random(),
        quantity: 1,
        unit_price: 100,
        taken_at_ms: 1,
        traceparent: String::new(),
    };
    let command = Command::HoldsPlaced { epoch: epoch(1), item: None, holds: vec![hold; count] };
    Record { command_id: CommandId::random(), shard: shard(), command }
}

fn reader_at(journal: &Journal, partition: u32, offset: u64) -> PartitionReader {
    let mut reader = journal.reader(partition).unwrap();
    reader.start(offset).unwrap();
    reader
}

/// Appends `records` to one partition, one after the other.
async fn append_all(journal: &Journal, partition: u32, records: &[Record]) {
    for record in records {
        journal.append(partition, record).await.unwrap();
    }
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

fn offsets(raws: &[Raw]) -> Vec<u64> {
    raws.iter().map(|raw| raw.offset).collect()
}

fn decoded(raws: &[Raw]) -> Vec<Record> {
    raws.iter().map(|raw| decode(&raw.bytes).unwrap()).collect()
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

fn assert_unknown(appended: Result<u64, AppendError>) {
    assert!(matches!(appended, Err(AppendError::Unknown(_))), "{appended:?}");
}
