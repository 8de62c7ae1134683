//! Sending one record and learning what became of it. Certainly written, certainly not, and unknown
//! are three answers: an error after the record was handed over never says "not written".

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use chassis::Clock;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Message, Timestamp},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use tokio::sync::oneshot;

use crate::{
    Settings,
    client::{self, Access, EndsElsewhere},
    embedded::Unread,
    header,
    polled::Polled,
};

/// Several times what a broker on the loopback takes.
const WARM_UP_WAIT: Duration = Duration::from_millis(250);

/// A producer that fails for good is replaced at most this often.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

/// What a producer answers that has failed for good. The record is certainly not written.
const FAILED: KafkaError = KafkaError::MessageProduction(RDKafkaErrorCode::Fatal);

/// Why an append was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The producer holds as much as it may. The record is certainly not written.
    #[error("the journal's queue is full")]
    Full,
    /// The record can't be written at all, now or later: it breaks a rule, is too large, or has no
    /// such partition. It is certainly not written.
    #[error("the journal can't take the record: {0}")]
    Refused(String),
    /// No acknowledgement in time, or a failure on the way. The record may have been written, or
    /// may still be.
    #[error("the journal did not acknowledge the record: {0}")]
    Unknown(String),
}

/// Where a record stands, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the partition.
    pub offset: u64,
    /// By the broker's clock, in milliseconds since the Unix epoch, if the broker says so.
    pub at_ms: Option<i64>,
}

type Answer = Result<Appended, AppendError>;

/// Travels with a record through librdkafka.
pub(crate) struct InFlight {
    answer: oneshot::Sender<Answer>,
    partition: u32,
    payload_len: usize,
}

/// Takes the acknowledgements, on the thread that brings them.
pub(crate) struct Deliveries {
    /// The embedded broker's count; it is kept here and not by the caller of an append, who may
    /// have gone away.
    unread: Option<Arc<Unread>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, in_flight: Box<InFlight>) {
        let InFlight { answer, partition, payload_len } = *in_flight;
        let outcome = match result {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => Ok(Appended { offset, at_ms: appended_at(message.timestamp()) }),
                Err(_) => Err(AppendError::Unknown("acknowledged without an offset".to_owned())),
            },
            Err((error, _)) => Err(AppendError::Unknown(error.to_string())),
        };
        if let Some(unread) = &self.unread {
            unread.landed(partition, payload_len, outcome.as_ref().ok().map(|at| at.offset));
        }
        // Whoever asked may have gone away.
        drop(answer.send(outcome));
    }
}

/// A time that the sender made says nothing.
fn appended_at(timestamp: Timestamp) -> Option<i64> {
    match timestamp {
        Timestamp::LogAppendTime(at_ms) => Some(at_ms),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
    }
}

type Client = EndsElsewhere<Polled<Deliveries>>;

/// One producer of librdkafka with its thread, and another one in its place when it fails for good.
pub(crate) struct Producer {
    /// Shared with those who send or flush just now: one that was replaced ends with the last.
    current: RwLock<Arc<Client>>,
    config: ClientConfig,
    topic: Arc<str>,
    unread: Option<Arc<Unread>>,
    timeout: Duration,
    clock: Clock,
    replaced_at: Mutex<Option<Duration>>,
}

impl Producer {
    pub(crate) fn new(
        access: &Access,
        settings: &Settings,
        unread: Option<Arc<Unread>>,
    ) -> KafkaResult<Self> {
        let config = access.producer(settings);
        let current = RwLock::new(make(&config, unread.as_ref())?);
        Ok(Self {
            current,
            config,
            topic: Arc::clone(access.topic()),
            unread,
            timeout: Duration::from_millis(settings.message_timeout_ms.into()),
            clock: Clock::system(),
            replaced_at: Mutex::default(),
        })
    }

    /// Asks for the topic until the producer has what its first record needs. librdkafka asks for a
    /// producer id when it hears of the topic over a connection that stands, and otherwise only
    /// every 500 ms: without this the first append took that long. The first answer often comes
    /// before the connection counts, the second never did. A broker that doesn't answer is met
    /// again by the appends.
    pub(crate) fn warm_up(&self) {
        for _ in 0..2 {
            let asked = self.current().client().fetch_metadata(Some(&self.topic), WARM_UP_WAIT);
            if let Err(error) = asked {
                tracing::debug!(%error, "journal producer not warm");
            }
        }
    }

    pub(crate) async fn send(&self, partition: u32, payload: &[u8]) -> Answer {
        let acknowledged = self.hand_over(partition, payload)?;
        // librdkafka keeps the same time-out, but looks at it about once a second only.
        match tokio::time::timeout(self.timeout, acknowledged).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AppendError::Unknown("the producer has ended".to_owned())),
            Err(_) => Err(AppendError::Unknown("no acknowledgement in time".to_owned())),
        }
    }

    fn hand_over(
        &self,
        partition: u32,
        payload: &[u8],
    ) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let (answer, acknowledged) = oneshot::channel();
        let in_flight = Box::new(InFlight { answer, partition, payload_len: payload.len() });
        let partition_id = i32::try_from(partition)
            .map_err(|_| AppendError::Refused(format!("there is no partition {partition}")))?;
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.topic, in_flight)
            .partition(partition_id)
            .payload(payload);
        let record = match header::here() {
            Some(headers) => record.headers(headers),
            None => record,
        };
        // Counted before it is sent: the acknowledgement may come before this thread goes on.
        if let Some(unread) = &self.unread {
            unread.sent(partition, payload.len());
        }
        let producer = self.current();
        let sent = match producer.send(record) {
            Err((FAILED, record)) => match self.replacement(&producer) {
                Some(producer) => producer.send(record),
                None => Err((FAILED, record)),
            },
            sent => sent,
        };
        let Err((error, _record)) = sent else {
            return Ok(acknowledged);
        };
        if let Some(unread) = &self.unread {
            unread.landed(partition, payload.len(), None);
        }
        Err(match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => AppendError::Full,
            // It will be taken when there is a producer again.
            FAILED => AppendError::Unknown("the producer has failed".to_owned()),
            // Not taken into the queue, so never sent.
            error => AppendError::Refused(error.to_string()),
        })
    }

    /// How many records are still unacknowledged after `within`.
    pub(crate) async fn flush(&self, within: Duration) -> usize {
        let producer = self.current();
        let in_flight = Arc::clone(&producer);
        let flushed = tokio::task::spawn_blocking(move || {
            if let Err(error) = producer.flush(within) {
                tracing::debug!(%error, "journal not flushed in time");
            }
            producer.in_flight_count()
        });
        let left = flushed.await.unwrap_or_else(|_| in_flight.in_flight_count());
        usize::try_from(left).unwrap_or(0)
    }

    fn current(&self) -> Arc<Client> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The producer in the place of `failed`, which takes nothing any more: it and the broker don't
    /// agree any longer on what was written, as after a broker has lost the end of its log. What
    /// `failed` has in flight becomes Unknown when it ends. `None` if the last one has only just
    /// been replaced, since whatever spoils them at once would have us make threads without end.
    fn replacement(&self, failed: &Arc<Client>) -> Option<Arc<Client>> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, failed) {
            return Some(Arc::clone(&current));
        }
        let mut replaced_at = self.replaced_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if replaced_at.is_some_and(|at| now.saturating_sub(at) < REPLACE_EVERY) {
            return None;
        }
        *replaced_at = Some(now);
        let reason = failed.client().fatal_error().map(|(_, reason)| reason).unwrap_or_default();
        match make(&self.config, self.unread.as_ref()) {
            Ok(producer) => {
                tracing::warn!(reason, "a journal producer has failed for good and is replaced");
                current.clone_from(&producer);
                Some(producer)
            }
            Err(error) => {
                tracing::error!(reason, %error, "a failed journal producer can't be replaced");
                None
            }
        }
    }
}

fn make(config: &ClientConfig, unread: Option<&Arc<Unread>>) -> KafkaResult<Arc<Client>> {
    let deliveries = Deliveries { unread: unread.cloned() };
    let producer = Polled::start(config, deliveries)?;
    Ok(Arc::new(EndsElsewhere::new(producer)))
}
