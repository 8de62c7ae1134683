//! Reading one partition from a position that the caller keeps. A reader gives each record once, in
//! order and without a gap, or an error that says why it can't; it never chooses a position itself,
//! joins no group and commits nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chassis::TraceContext;
use futures::FutureExt;
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer, StreamConsumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::Message,
};
use sha2::{Digest, Sha256};

use crate::{
    client::{Access, EndsElsewhere, FetchWait, NoTasks, Quiet},
    embedded::Host,
    header,
};

/// A batch stops growing at this many bytes, whatever its number of records.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log has no such position: it was evicted or has expired (below the low watermark), or
    /// the log has lost its tail (above the high one). Nothing more comes until
    /// [`PartitionReader::start`].
    #[error("partition {partition} of the journal has no offset {offset}")]
    OutOfRange {
        /// Where it was looked for.
        partition: u32,
        /// The position.
        offset: u64,
    },
    /// The broker gave a later record than the next one. Nothing more comes until
    /// [`PartitionReader::start`].
    #[error("partition {partition} of the journal went on at {found} instead of {expected}")]
    Gap {
        /// Where it was found.
        partition: u32,
        /// The next offset.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// [`PartitionReader::start`] has not been called, or reading has ended with an error since.
    #[error("the reader of partition {0} has no position")]
    NotStarted(u32),
    /// The broker can't be asked just now. The position stands; ask again after a pause.
    #[error("the journal can't be read just now: {0}")]
    Unavailable(String),
}

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Its place in the partition.
    pub offset: u64,
    /// What [`crate::decode`] reads.
    pub bytes: Bytes,
    /// Where in a trace it was appended, if its header says so. Nothing is decided by it.
    pub appended_at: Option<TraceContext>,
}

impl Raw {
    /// SHA-256 of the bytes; the books keep that of the last record which they have committed.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

type Stream = StreamConsumer<Quiet, NoTasks>;

/// Reads one partition. Made by [`crate::Journal::reader`].
pub struct PartitionReader {
    /// Shared only with questions that are under way on a blocking thread.
    consumer: EndsElsewhere<Arc<Stream>>,
    topic: Arc<str>,
    partition: u32,
    partition_id: i32,
    query_timeout: Duration,
    /// The offset of the record that comes next.
    next: Option<u64>,
    /// Met behind records that had to be given first.
    failed: Option<ReadError>,
    embedded: Option<Arc<Host>>,
}

pub(crate) fn open(
    access: &Access,
    fetch_wait: FetchWait,
    partition: u32,
    query_timeout: Duration,
    embedded: Option<Arc<Host>>,
) -> KafkaResult<PartitionReader> {
    let consumer = StreamConsumer::from_config_and_context(&access.consumer(fetch_wait), Quiet)?;
    Ok(PartitionReader {
        consumer: EndsElsewhere::new(Arc::new(consumer)),
        topic: Arc::clone(access.topic()),
        partition,
        partition_id: i32::try_from(partition).unwrap_or(i32::MAX),
        query_timeout,
        next: None,
        failed: None,
        embedded,
    })
}

/// The offset that the next record of each partition will get.
pub(crate) async fn ends(
    access: &Access,
    partitions: u32,
    within: Duration,
) -> Result<Vec<u64>, ReadError> {
    let (config, topic) = (access.asking(), Arc::clone(access.topic()));
    let ask = move || {
        let client = BaseConsumer::from_config_and_context(&config, Quiet).map_err(unavailable)?;
        let end = |partition: u32| {
            let partition_id = i32::try_from(partition).unwrap_or(i32::MAX);
            let asked = client.fetch_watermarks(&topic, partition_id, within);
            u64::try_from(asked.map_err(unavailable)?.1).map_err(unavailable)
        };
        (0..partitions).map(end).collect()
    };
    tokio::task::spawn_blocking(ask).await.map_err(unavailable)?
}

impl PartitionReader {
    /// Which partition it reads.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The offset of the oldest record that is still there, and the one that the next record to be
    /// written will get.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] without an answer in time.
    pub async fn watermarks(&self) -> Result<(u64, u64), ReadError> {
        let (consumer, topic) = (Arc::clone(&self.consumer), Arc::clone(&self.topic));
        let (partition_id, within) = (self.partition_id, self.query_timeout);
        let asked = tokio::task::spawn_blocking(move || {
            consumer.fetch_watermarks(&topic, partition_id, within)
        });
        let (low, high) = asked.await.map_err(unavailable)?.map_err(unavailable)?;
        let low = u64::try_from(low).map_err(unavailable)?;
        let high = u64::try_from(high).map_err(unavailable)?;
        if let Some(host) = &self.embedded {
            host.unread().starts_at(self.partition, low);
        }
        Ok((low, high))
    }

    /// The record at `offset`, or none if the log has none there. Reading goes on afterwards where
    /// it was; if this future is dropped, [`PartitionReader::start`] is needed again.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] without an answer in time.
    pub async fn record_at(&mut self, offset: u64) -> Result<Option<Raw>, ReadError> {
        let (low, high) = self.watermarks().await?;
        if offset < low || offset >= high {
            return Ok(None);
        }
        let resume = self.next;
        self.start(offset)?;
        let found = tokio::time::timeout(self.query_timeout, self.receive()).await;
        self.stop()?;
        if let Some(next) = resume {
            self.start(next)?;
        }
        match found {
            Ok(Ok(raw)) => Ok(Some(raw)),
            Ok(Err(ReadError::OutOfRange { .. } | ReadError::Gap { .. })) => Ok(None),
            Ok(Err(error @ (ReadError::NotStarted(_) | ReadError::Unavailable(_)))) => Err(error),
            Err(_) => Err(unavailable("no answer in time")),
        }
    }

    /// The next record shall be the one at `offset`, whatever was read before.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] if the client refuses. An offset that isn't there is found when
    /// reading.
    pub fn start(&mut self, offset: u64) -> Result<(), ReadError> {
        let position = i64::try_from(offset).map_err(unavailable)?;
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&self.topic, self.partition_id, Offset::Offset(position))
            .map_err(unavailable)?;
        self.stop()?;
        self.consumer.assign(&assignment).map_err(unavailable)?;
        self.next = Some(offset);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), ReadError> {
        self.next = None;
        self.failed = None;
        self.consumer.unassign().map_err(unavailable)
    }

    /// Waits up to `max_wait` for the next record, then gives it and what else is there already, up
    /// to `max` records. Empty if none came. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn next_batch(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Raw>, ReadError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let first = match tokio::time::timeout(max_wait, self.receive()).await {
            Ok(received) => received?,
            Err(_) => return Ok(Vec::new()),
        };
        // From here on nothing waits, so the records that were taken out can't be lost.
        let (batch, failed) = gather(first, max, || self.receive().now_or_never());
        self.failed = failed;
        Ok(batch)
    }

    /// The books have committed everything before `next_offset`. Makes room in the embedded broker;
    /// nothing with Kafka.
    pub fn committed(&self, next_offset: u64) {
        if let Some(host) = &self.embedded {
            host.unread().committed(self.partition, next_offset);
        }
    }

    /// The next record. Takes a record out and returns it in the same poll.
    async fn receive(&mut self) -> Result<Raw, ReadError> {
        loop {
            let next = self.next.ok_or(ReadError::NotStarted(self.partition))?;
            let message = match self.consumer.recv().await {
                Ok(message) => message,
                Err(error) if is_passing(&error) => {
                    tracing::debug!(partition = self.partition, %error, "reading goes on");
                    continue;
                }
                Err(error) => return Err(self.failure(next, &error)),
            };
            let offset = u64::try_from(message.offset()).map_err(unavailable)?;
            if offset < next {
                continue;
            }
            if offset > next {
                self.next = None;
                let partition = self.partition;
                return Err(ReadError::Gap { partition, expected: next, found: offset });
            }
            let bytes = Bytes::copy_from_slice(message.payload().unwrap_or_default());
            self.next = Some(next + 1);
            if let Some(host) = &self.embedded {
                host.unread().seen(self.partition, offset, bytes.len());
            }
            let appended_at = header::read(&message);
            return Ok(Raw { offset, bytes, appended_at });
        }
    }

    fn failure(&mut self, next: u64, error: &KafkaError) -> ReadError {
        match error.rdkafka_error_code() {
            // Also if the client learns from the leader's epochs that what it has read last was
            // lost, and something else stands there by now.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.next = None;
                ReadError::OutOfRange { partition: self.partition, offset: next }
            }
            _ => unavailable(error),
        }
    }
}

impl std::fmt::Debug for PartitionReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionReader")
            .field("partition", &self.partition)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// `first` and what else is there at once, within the bounds. An error that is met behind records
/// is kept for the next call, or a reader that has stopped would look like one with nothing to
/// read.
fn gather(
    first: Raw,
    max: usize,
    mut more: impl FnMut() -> Option<Result<Raw, ReadError>>,
) -> (Vec<Raw>, Option<ReadError>) {
    let mut bytes = first.bytes.len();
    let mut batch = vec![first];
    while batch.len() < max && bytes < BATCH_BYTES_MAX {
        match more() {
            None => break,
            Some(Ok(raw)) => {
                bytes += raw.bytes.len();
                batch.push(raw);
            }
            Some(Err(error)) => return (batch, Some(error)),
        }
    }
    (batch, None)
}

/// News of a connection that was lost, which the client makes again by itself: the position holds,
/// and what comes next is the next record. In an outage the client queues one such piece of news
/// for each try; to begin anew for each of them would outlast the outage by minutes. That the group
/// may not be used is no news either: nobody joins it, the client only looks for its coordinator.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::GroupAuthorizationFailed
        )
    )
}

fn unavailable(reason: impl std::fmt::Display) -> ReadError {
    ReadError::Unavailable(reason.to_string())
}

#[cfg(test)]
mod tests;
