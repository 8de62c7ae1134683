//! What every client of librdkafka in this crate is set to, and why, and what it may log. The
//! values here are promises or were measured; the rest is in [`crate::Settings`].

use std::{
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{Secret, secret_file};
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
    util::AsyncRuntime,
};

use crate::{
    Error, Settings,
    journal::setup,
    record::RECORD_BYTES_MAX,
    settings::{Sasl, SaslMechanism, TOPIC, Tls},
};

/// The largest batch on its way to a broker: a record, and a protocol frame around it.
pub(crate) const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + 64 * 1024;

/// What one reader holds of what it has fetched ahead, in KiB.
const READ_AHEAD_KIB: u32 = 4 * 1024;

/// How long a broker may hold back the answer to a fetch that finds nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FetchWait {
    /// The mock broker always holds it for the whole time, even when a record arrives meanwhile, so
    /// this is the latency of a record on an idle partition; less costs requests when idle, forty a
    /// second of each partition at this.
    Embedded,
    /// A real broker answers as soon as there is something. But it answers in order: whoever begins
    /// elsewhere in the log waits for the fetch that is under way, so this is what it costs to look
    /// at a position and take a partition over (110 ms at 100, 260 ms at 250), against ten requests
    /// a second of an idle partition.
    Kafka,
}

impl FetchWait {
    const fn as_ms(self) -> &'static str {
        match self {
            Self::Embedded => "25",
            Self::Kafka => "100",
        }
    }
}

/// Where the topic is and how its brokers are spoken to: what all clients of a journal are made
/// from. It has no `Debug`, since it holds the password.
#[derive(Clone)]
pub(crate) struct Access {
    config: ClientConfig,
    topic: Arc<str>,
}

impl Access {
    /// To Kafka, with the password read from its file.
    ///
    /// # Errors
    /// [`Error::Setup`] for settings that can't be.
    pub(crate) fn kafka(settings: &Settings) -> Result<Self, Error> {
        settings.check().map_err(setup)?;
        if settings.brokers.is_empty() {
            return Err(setup("no brokers are set"));
        }
        let mut config = for_all(&settings.brokers);
        let protocol = match (&settings.sasl, &settings.tls) {
            (None, None) => "plaintext",
            (None, Some(_)) => "ssl",
            (Some(_), None) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(Tls { ca_file, cert_file, key_file }) = &settings.tls {
            set_file(&mut config, "ssl.ca.location", ca_file)?;
            set_file(&mut config, "ssl.certificate.location", cert_file)?;
            if !key_file.as_os_str().is_empty() {
                secret_file::check(key_file).map_err(setup)?;
            }
            set_file(&mut config, "ssl.key.location", key_file)?;
        }
        if let Some(Sasl { mechanism, username, password_file }) = &settings.sasl {
            let mechanism = match mechanism {
                SaslMechanism::Plain => "PLAIN",
                SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            let password = Secret::read(password_file).map_err(setup)?;
            config
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", username)
                .set("sasl.password", password.expose());
        }
        Ok(Self { config, topic: settings.topic.as_str().into() })
    }

    /// To the broker in this process.
    pub(crate) fn embedded(brokers: &str) -> Self {
        Self { config: for_all(brokers), topic: TOPIC.into() }
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// A client that only asks.
    pub(crate) fn asking(&self) -> ClientConfig {
        self.config.clone()
    }

    pub(crate) fn producer(&self, settings: &Settings) -> ClientConfig {
        let mut config = self.config.clone();
        config
            // An acknowledged record has reached every replica in sync, and a retry inside the
            // client doesn't write it twice, but in one case: when another record times out, the
            // client takes a new producer id, and sends under that again what a leader that died
            // had already passed on. Of 90,000 records that were acknowledged while three brokers
            // were killed in turn, 2 stood there twice. The books decide each command once.
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // A record is a batch already, and its sender waits for the answer: lingering only
            // costs (47.5k/s at 0 against 28k/s at 5 ms in the prototype).
            .set("linger.ms", "0")
            .set("message.timeout.ms", settings.message_timeout_ms.to_string())
            .set("message.max.bytes", BATCH_BYTES_MAX.to_string())
            .set("queue.buffering.max.messages", settings.queue_records_max.to_string())
            .set("queue.buffering.max.kbytes", settings.queue_kib_max.to_string());
        config
    }

    pub(crate) fn consumer(&self, fetch_wait: FetchWait) -> ClientConfig {
        let mut config = self.config.clone();
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

    /// A member of `group` that fetches and commits nothing.
    pub(crate) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.config.clone();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            // A process that is gone is noticed after this long, and its partitions stand still
            // meanwhile: the shortest time that brokers grant by default.
            .set("session.timeout.ms", "6000")
            // The others hear of a change with their next heartbeat.
            .set("heartbeat.interval.ms", "500")
            // One that is there and doesn't move, after this long. Members work on nothing here,
            // so a healthy one is never that late.
            .set("max.poll.interval.ms", "10000")
            // With one topic: neighbours, in equal shares.
            .set("partition.assignment.strategy", "range");
        config
    }
}

fn for_all(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "seckill")
        // A topic that a broker makes by itself has its default of partitions, often one: no
        // question may have it made.
        .set("allow.auto.create.topics", "false")
        .set("socket.nagle.disable", "true")
        // A broker that comes back is found within the message time-out.
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "250")
        // A broker that has just started may answer with a part of what there is, and the client
        // believes it until it asks again: after five minutes by default.
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

fn set_file(config: &mut ClientConfig, key: &str, file: &Path) -> Result<(), Error> {
    if !file.as_os_str().is_empty() {
        let path = file.to_str().ok_or_else(|| setup(format!("{} is no text", file.display())))?;
        config.set(key, path);
    }
    Ok(())
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

/// As [`Quiet`], and keeps the last thing that a client says of its connections: why nobody
/// answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listening(Arc<Mutex<Option<String>>>);

impl Listening {
    pub(crate) fn last_heard(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
        // That all of them are down says less than what was said of one.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Listening {}

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
        // It ends by itself within some two seconds and holds nothing that anybody waits for.
        // Without a thread the client ends here.
        drop(std::thread::Builder::new().name("journal-end".to_owned()).spawn(|| drop(client)));
    }
}

/// A consumer of this crate is polled by whoever waits for it: there is no task that somebody would
/// have to own.
pub(crate) struct NoTasks;

impl AsyncRuntime for NoTasks {
    type Delay = std::future::Pending<()>;

    fn spawn<T>(_task: T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        // What the client would spawn keeps a member of a group from being thrown out although
        // nobody polls it. Readers are in no group; a member's owner polls it.
    }

    fn delay_for(_duration: Duration) -> Self::Delay {
        std::future::pending()
    }
}
