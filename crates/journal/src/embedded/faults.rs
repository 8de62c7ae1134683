//! Ways to make the embedded broker fail, for tests. Each is a fault of the broker or the network
//! that the real client code meets; none reaches into the producer.

use std::time::Duration;

use rdkafka::{
    producer::{BaseRecord, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::Host;
use crate::TOPIC;

/// All brokers of the cluster, in librdkafka's words.
const ALL: i32 = -1;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The faults of one broker. They hold for all its journals and readers until [`Faults::heal`].
#[derive(Clone, Copy)]
pub struct Faults<'a> {
    host: &'a Host,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(host: &'a Host) -> Self {
        Self { host }
    }

    /// The next `times` requests to write are answered with an error that may pass, and nothing of
    /// them is written. The client tries again until the message time-out: with few `times` an
    /// append is only late, with many it is Unknown although nothing was written.
    ///
    /// A client tries up to 50 times a second. It gives up to a second later than the append's
    /// caller was told Unknown, and a heal in between lets the record through; a test that wants
    /// "never written" awaits [`crate::Journal::flush`] first.
    pub fn fail_writes(&self, times: usize) {
        self.push(times, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    }

    /// The next `times` requests to write find their connection closed without an answer, and
    /// nothing of them is written. The client connects and tries again until the message time-out.
    pub fn disconnect_writes(&self, times: usize) {
        self.push(times, RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT);
    }

    /// The next `times` requests to write are answered as by a broker that has lost the end of its
    /// log: what comes isn't what it expects next, and nothing of it is written. The client can't
    /// know any more what was, and fails for good.
    pub fn forget_producers(&self, times: usize) {
        self.push(times, RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    }

    /// The next `times` requests for records are answered with an error that may pass, while all
    /// other questions are answered: a reader hears nothing, and nothing of why. A client asks some
    /// twenty times a second.
    pub fn fail_reads(&self, times: usize) {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        self.host.cluster().request_errors(RDKafkaApiKey::Fetch, &vec![error; times]);
    }

    /// Every answer leaves the broker this much later, while what it answers happened at once. An
    /// append that takes longer than its time-out is Unknown although it **was** written, perhaps
    /// more than once. Reading waits as well.
    pub fn answer_late(&self, by: Duration) {
        let set = self.host.cluster().broker_round_trip_time(ALL, by);
        set.expect("the cluster has a broker");
    }

    /// The broker goes on taking requests and doing what they say, and answers none.
    pub fn go_silent(&self) {
        self.answer_late(FOR_EVER);
    }

    /// Writes bytes into a partition that no journal would, as a stranger could who may write to
    /// the topic, or a newer version of ours. Returns when they stand there.
    ///
    /// # Panics
    /// If the broker doesn't take them.
    pub fn scribble(&self, partition: u32, bytes: &[u8]) {
        let partition_id = i32::try_from(partition).expect("there are few partitions");
        let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition_id).payload(bytes);
        let client = &self.host.client;
        client.send(record).map_err(|(error, _)| error).expect("the client's queue is empty");
        client.flush(Duration::from_secs(10)).expect("the broker takes anything");
    }

    /// All connections end and new ones are refused. What was written stays.
    pub fn go_down(&self) {
        self.host.cluster().broker_down(ALL).expect("the cluster has a broker");
    }

    /// Ends all faults. Answers that were held back leave at once, if their connection still is.
    pub fn heal(&self) {
        let cluster = self.host.cluster();
        cluster.clear_request_errors(RDKafkaApiKey::Produce);
        cluster.clear_request_errors(RDKafkaApiKey::Fetch);
        cluster.broker_round_trip_time(ALL, Duration::ZERO).expect("the cluster has a broker");
        cluster.broker_up(ALL).expect("the cluster has a broker");
    }

    fn push(&self, times: usize, error: RDKafkaRespErr) {
        self.host.cluster().request_errors(RDKafkaApiKey::Produce, &vec![error; times]);
    }
}

impl std::fmt::Debug for Faults<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}
