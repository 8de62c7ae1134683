//! Sending one record and learning what became of it. Certainly written, certainly not, and unknown
//! are three answers: an error after the record was handed over never says "not written".

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::Message,
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;

use crate::{
    Settings,
    client::{self, Access, EndsElsewhere},
    embedded::Unread,
};

/// Several times what a broker on the loopback takes.
const WARM_UP_WAIT: Duration = Duration::from_millis(250);

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

type Answer = Result<u64, AppendError>;

/// Travels with a record through librdkafka.
pub(crate) struct InFlight {
    answer: oneshot::Sender<Answer>,
    partition: u32,
    payload_len: usize,
}

/// Takes the acknowledgements, on the thread of librdkafka that brings them.
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
            Ok(message) => u64::try_from(message.offset())
                .map_err(|_| AppendError::Unknown("acknowledged without an offset".to_owned())),
            Err((error, _)) => Err(AppendError::Unknown(error.to_string())),
        };
        if let Some(unread) = &self.unread {
            unread.landed(partition, payload_len, outcome.as_ref().ok().copied());
        }
        // Whoever asked may have gone away.
        drop(answer.send(outcome));
    }
}

/// One producer of librdkafka with its thread.
pub(crate) struct Producer {
    inner: EndsElsewhere<Arc<ThreadedProducer<Deliveries>>>,
    topic: Arc<str>,
    unread: Option<Arc<Unread>>,
    timeout: Duration,
}

impl Producer {
    pub(crate) fn new(
        access: &Access,
        settings: &Settings,
        unread: Option<Arc<Unread>>,
    ) -> KafkaResult<Self> {
        let config = access.producer(settings);
        let deliveries = Deliveries { unread: unread.clone() };
        let inner = ThreadedProducer::from_config_and_context(&config, deliveries)?;
        let timeout = Duration::from_millis(settings.message_timeout_ms.into());
        let topic = Arc::clone(access.topic());
        Ok(Self { inner: EndsElsewhere::new(Arc::new(inner)), topic, unread, timeout })
    }

    /// Asks for the topic until the producer has what its first record needs. librdkafka asks for a
    /// producer id when it hears of the topic over a connection that stands, and otherwise only
    /// every 500 ms: without this the first append took that long. The first answer often comes
    /// before the connection counts, the second never did. A broker that doesn't answer is met
    /// again by the appends.
    pub(crate) fn warm_up(&self) {
        for _ in 0..2 {
            if let Err(error) = self.client().fetch_metadata(Some(&self.topic), WARM_UP_WAIT) {
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
        // Counted before it is sent: the acknowledgement may come before this thread goes on.
        if let Some(unread) = &self.unread {
            unread.sent(partition, payload.len());
        }
        let Err((error, _record)) = self.inner.send(record) else {
            return Ok(acknowledged);
        };
        if let Some(unread) = &self.unread {
            unread.landed(partition, payload.len(), None);
        }
        Err(match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => AppendError::Full,
            // Not taken into the queue, so never sent.
            error => AppendError::Refused(error.to_string()),
        })
    }

    /// How many records are still unacknowledged after `within`.
    pub(crate) async fn flush(&self, within: Duration) -> usize {
        let inner = Arc::clone(&self.inner);
        let flushed = tokio::task::spawn_blocking(move || {
            if let Err(error) = inner.flush(within) {
                tracing::debug!(%error, "journal not flushed in time");
            }
            inner.in_flight_count()
        });
        let left = flushed.await.unwrap_or_else(|_| self.inner.in_flight_count());
        usize::try_from(left).unwrap_or(0)
    }

    pub(crate) fn client(&self) -> &rdkafka::client::Client<Deliveries> {
        self.inner.client()
    }
}
