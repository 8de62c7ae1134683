//! The journal as the services hold it: one producer behind cheap clones, and readers on request.
//! Whether the broker is Kafka or the embedded one shows only here.

use std::{sync::Arc, time::Duration};

use crate::{
    AppendError, Appended, Membership, PartitionReader, ReadError, Record, Settings,
    client::{Access, FetchWait},
    codec, embedded,
    producer::Producer,
    reader,
    record::RECORD_BYTES_MAX,
    topic::Asked,
};

/// Why there is no journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting that can't be, or a client or broker that could not be made.
    #[error("the journal can't be set up: {0}")]
    Setup(String),
    /// The brokers didn't say who they are.
    #[error("no answer from the journal's brokers at {brokers}: {last_heard}")]
    Unreachable {
        /// Their addresses.
        brokers: String,
        /// What was last heard of a connection to them.
        last_heard: String,
    },
    /// The brokers answer, and won't.
    #[error("the journal's brokers refuse {what}: {reason}")]
    Refused {
        /// What they were asked to do.
        what: String,
        /// What they say.
        reason: String,
    },
    /// The topic isn't there. It has to be made with the partitions that shards are spread over.
    #[error("the journal's topic {topic} is missing at {brokers}: run `seckill migrate` once")]
    NoTopic {
        /// Its name.
        topic: String,
        /// Where it is missing.
        brokers: String,
    },
    /// The topic has another number of partitions. It can't be changed under shards, since each
    /// keeps its partition.
    #[error("the journal's topic {topic} has {has} partitions, but the configuration says {wants}")]
    Partitions {
        /// Its name.
        topic: String,
        /// The topic's.
        has: u32,
        /// The configuration's.
        wants: u32,
    },
    /// The topic is set in a way that would break a promise. Its owner has to change it.
    #[error("the journal's topic {topic} can't keep the journal's promises: {flaws}")]
    Unfit {
        /// Its name.
        topic: String,
        /// Every setting that is wrong, with what it must be.
        flaws: String,
    },
    /// The topic has fewer partitions.
    #[error("the journal has {partitions} partitions, and none is number {partition}")]
    NoPartition {
        /// The one that was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
}

impl Error {
    /// Whether it may be otherwise in a moment, as brokers may start later than we do.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// What a [`Journal::flush`] left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Records that are still not acknowledged; their fate is unknown.
    pub left: usize,
}

/// The journal. Clones share one producer; it ends with the last of them, and takes what it has not
/// sent with it, as a crash would.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    producer: Producer,
    access: Access,
    identity: String,
    partitions: u32,
    query_timeout: Duration,
    embedded: Option<Arc<embedded::Host>>,
}

impl Journal {
    /// The journal in Kafka. Asks the brokers who they are and how the topic is set, and blocks
    /// meanwhile, for up to three times [`Settings::query_timeout_ms`] and half a second: call it
    /// at start.
    ///
    /// # Errors
    /// [`Error::Setup`] for settings that can't be; [`Error::Unreachable`], [`Error::Refused`] and
    /// [`Error::NoTopic`] as the brokers answer; [`Error::Partitions`] and [`Error::Unfit`] if the
    /// topic isn't what the settings say.
    pub fn connect(settings: &Settings) -> Result<Self, Error> {
        let access = Access::kafka(settings)?;
        let asked = Asked::of(&access, settings)?;
        asked.check(settings)?;
        let (identity, partitions) = (asked.identity().to_owned(), settings.partitions);
        Self::over(access, settings, identity, partitions, None)
    }

    pub(crate) fn on_embedded(
        host: &Arc<embedded::Host>,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let access = Access::embedded(host.brokers());
        let identity = host.identity().to_owned();
        Self::over(access, settings, identity, host.partitions(), Some(Arc::clone(host)))
    }

    fn over(
        access: Access,
        settings: &Settings,
        identity: String,
        partitions: u32,
        embedded: Option<Arc<embedded::Host>>,
    ) -> Result<Self, Error> {
        let unread = embedded.as_ref().map(|host| Arc::clone(host.unread()));
        let producer = Producer::new(&access, settings, unread).map_err(setup)?;
        producer.warm_up();
        let query_timeout = Duration::from_millis(settings.query_timeout_ms.into());
        let inner = Inner { producer, access, identity, partitions, query_timeout, embedded };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Which journal this is: Kafka's cluster id, or the embedded broker's random one. Positions
    /// are kept per identity.
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// How many partitions it has; they are numbered from 0.
    pub fn partitions(&self) -> u32 {
        self.inner.partitions
    }

    /// Whether more may be admitted for this partition. The embedded broker drops what is oldest
    /// when it is full, so this is false from the half of its space on, counted in what the books
    /// have not committed. Always true with Kafka, whose disks are watched by others.
    pub fn has_room(&self, partition: u32) -> bool {
        self.inner.embedded.as_ref().is_none_or(|host| host.unread().has_room(partition))
    }

    /// Writes one record at the end of a partition and answers with its offset once every replica
    /// in sync has it, within [`Settings::message_timeout_ms`].
    ///
    /// Dropping the future doesn't take the record back: it may be written all the same.
    ///
    /// # Errors
    /// See [`AppendError`]; only [`AppendError::Unknown`] leaves open whether it was written.
    pub async fn append(&self, partition: u32, record: &Record) -> Result<u64, AppendError> {
        self.append_timed(partition, record).await.map(|appended| appended.offset)
    }

    /// As [`Journal::append`], and says when it was written, by the broker's clock.
    ///
    /// # Errors
    /// As there.
    pub async fn append_timed(
        &self,
        partition: u32,
        record: &Record,
    ) -> Result<Appended, AppendError> {
        if partition >= self.inner.partitions {
            return Err(AppendError::Refused(format!("there is no partition {partition}")));
        }
        record.check().map_err(|flaw| AppendError::Refused(flaw.to_string()))?;
        if let Some(host) = &self.inner.embedded
            && host.losses().take(record)
        {
            return Ok(Appended { offset: host.unread().end(partition), at_ms: None });
        }
        let bytes = codec::encode(record);
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(AppendError::Refused(format!("it has {} bytes", bytes.len())));
        }
        self.inner.producer.send(partition, &bytes).await
    }

    /// Waits until everything that was handed over is acknowledged or has failed.
    pub async fn flush(&self, within: Duration) -> Flushed {
        Flushed { left: self.inner.producer.flush(within).await }
    }

    /// A reader of one partition, with no position yet. Each has a connection of its own; any
    /// number of them may read the same partition.
    ///
    /// # Errors
    /// [`Error::NoPartition`], or [`Error::Setup`] if the client can't be made.
    pub fn reader(&self, partition: u32) -> Result<PartitionReader, Error> {
        let Inner { access, partitions, query_timeout, embedded, .. } = &*self.inner;
        if partition >= *partitions {
            return Err(Error::NoPartition { partition, partitions: *partitions });
        }
        let fetch_wait = embedded.as_ref().map_or(FetchWait::Kafka, |_| FetchWait::Embedded);
        let embedded = embedded.clone();
        reader::open(access, fetch_wait, partition, *query_timeout, embedded).map_err(setup)
    }

    /// Where each partition ends: the offset that its next record will get. Whatever was
    /// acknowledged before this is called stands below. Over a connection of its own.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] without an answer in time.
    pub async fn ends(&self) -> Result<Vec<u64>, ReadError> {
        let Inner { access, partitions, query_timeout, .. } = &*self.inner;
        reader::ends(access, *partitions, *query_timeout).await
    }

    /// A member of `group`, among whose members the partitions are spread. With the embedded broker
    /// it has all of them at once, since there is no other process.
    ///
    /// # Errors
    /// [`Error::Setup`] if the client can't be made. A group that can't be reached is none: the
    /// member goes on trying.
    pub fn membership(&self, group: &str) -> Result<Membership, Error> {
        match &self.inner.embedded {
            Some(_) => Ok(Membership::alone(self.inner.partitions)),
            None => Membership::join(&self.inner.access, group).map_err(setup),
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("identity", &self.inner.identity)
            .field("partitions", &self.inner.partitions)
            .finish_non_exhaustive()
    }
}

pub(crate) fn setup(error: impl std::fmt::Display) -> Error {
    Error::Setup(error.to_string())
}
