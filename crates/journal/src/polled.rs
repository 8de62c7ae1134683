//! A producer of librdkafka with a thread that brings its acknowledgements. rdkafka's own has one
//! that looks up every 100 ms whether it shall end, and spends the last millisecond before each
//! look in a loop, since librdkafka counts in whole ones: a hundredth of a core for each producer,
//! whether there is work or not. This one looks less often.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext,
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, NoCustomPartitioner, ProducerContext},
};

/// How often it looks whether it shall end. What is acknowledged is brought at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// See the module. Dropped, it waits for its thread, half a second at most, and then lets go of
/// what wasn't acknowledged.
pub(crate) struct Polled<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    has_ended: Arc<AtomicBool>,
    /// Until the end.
    thread: Option<thread::JoinHandle<()>>,
}

impl<C: ProducerContext + 'static> Polled<C> {
    pub(crate) fn start(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let has_ended = Arc::new(AtomicBool::new(false));
        let (polled, told) = (Arc::clone(&producer), Arc::clone(&has_ended));
        let poll = move || {
            while !told.load(Ordering::Acquire) {
                polled.poll(LOOK_EVERY);
            }
        };
        let thread = thread::Builder::new().name("journal-acks".to_owned()).spawn(poll);
        let thread = thread.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(Self { producer, has_ended, thread: Some(thread) })
    }
}

impl<C: ProducerContext + 'static> Deref for Polled<C> {
    type Target = BaseProducer<C, NoCustomPartitioner>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl<C: ProducerContext + 'static> Drop for Polled<C> {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // If it has panicked, nothing is brought any more, as after an end.
            drop(thread.join());
        }
    }
}
