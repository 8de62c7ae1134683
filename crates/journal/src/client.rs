//! What every client of librdkafka in this crate is set to, and why, and what it may log. The
//! values here are promises or were measured; the rest is in [`crate::Settings`].

use std::ops::Deref;

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{Settings, record::RECORD_BYTES_MAX};

/// A protocol frame has some bytes around the record.
const FRAME_BYTES: usize = 64 * 1024;

/// What one reader holds of what it has fetched ahead, in KiB.
const READ_AHEAD_KIB: u32 = 4 * 1024;

/// How long a broker may hold back the answer to a fetch that finds nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FetchWait {
    /// The mock broker always holds it for the whole time, even when a record arrives meanwhile, so
    /// this is the latency of a record on an idle partition; less costs requests when idle.
    Embedded,
    /// A real broker answers as soon as there is something.
    Kafka,
}

impl FetchWait {
    const fn as_ms(self) -> &'static str {
        match self {
            Self::Embedded => "10",
            Self::Kafka => "250",
        }
    }
}

pub(crate) fn producer(brokers: &str, settings: &Settings) -> ClientConfig {
    let mut config = shared_by_all(brokers);
    config
        // An acknowledged record has reached every replica in sync, and a retry inside the client
        // can't write it twice or out of order.
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // A record is a batch already, and its sender waits for the answer: lingering only costs
        // (47.5k/s at 0 against 28k/s at 5 ms in the prototype).
        .set("linger.ms", "0")
        .set("message.timeout.ms", settings.message_timeout_ms.to_string())
        .set("message.max.bytes", (RECORD_BYTES_MAX + FRAME_BYTES).to_string())
        .set("queue.buffering.max.messages", settings.queue_records_max.to_string())
        .set("queue.buffering.max.kbytes", settings.queue_kib_max.to_string());
    config
}

pub(crate) fn consumer(brokers: &str, fetch_wait: FetchWait) -> ClientConfig {
    let mut config = shared_by_all(brokers);
    config
        // Asked for by the client; the group is never joined and nothing is committed to it.
        .set("group.id", "seckill-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // The books hold the position. If the log doesn't have it, nobody may pick another.
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", fetch_wait.as_ms())
        .set("fetch.min.bytes", "1")
        .set("fetch.message.max.bytes", RECORD_BYTES_MAX.to_string())
        .set("fetch.max.bytes", (4 * RECORD_BYTES_MAX).to_string())
        .set("receive.message.max.bytes", (8 * RECORD_BYTES_MAX).to_string())
        .set("queued.max.messages.kbytes", READ_AHEAD_KIB.to_string())
        // The defaults wait for 1 s when the read-ahead is full and 500 ms after an error.
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "50");
    config
}

fn shared_by_all(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "seckill")
        .set("socket.nagle.disable", "true")
        // A broker that comes back is found within the message time-out.
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "250")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Passes what librdkafka says on to the log. The calls that it is about report their own failures,
/// so this is detail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(?level, facility, message, "librdkafka");
}

pub(crate) fn report(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Fatal) => tracing::error!(reason, "journal client failed for good"),
        _ => tracing::debug!(%error, reason, "journal client reports an error"),
    }
}

/// A client of librdkafka that ends on a thread of its own: its end waits for its threads, and it
/// may come where nothing may block.
pub(crate) struct EndsElsewhere<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> EndsElsewhere<T> {
    pub(crate) const fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for EndsElsewhere<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken on drop only")
    }
}

impl<T: Send + 'static> Drop for EndsElsewhere<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // It ends by itself within a second and holds nothing that anybody waits for. Without a
        // thread the client ends here.
        drop(std::thread::Builder::new().name("journal-end".to_owned()).spawn(|| drop(client)));
    }
}
