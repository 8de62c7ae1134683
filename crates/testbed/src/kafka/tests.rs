//! Each damage does what it says, as a client of librdkafka sees it.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::*;

const TOPIC: &str = "t";

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("message.timeout.ms", "20000");
    config
}

async fn make_topic(brokers: &str) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made[0].as_ref().expect("the topic is new, and made");
}

/// Each in a batch of its own, each acknowledged.
async fn produce(brokers: &str, count: usize) {
    let producer: FutureProducer = client(brokers).set("acks", "all").create().unwrap();
    for number in 0..count {
        let payload = number.to_string();
        let record = FutureRecord::<(), _>::to(TOPIC).partition(0).payload(&payload);
        producer.send(record, PATIENCE).await.expect("it is acknowledged");
    }
}

fn offsets(brokers: &str) -> (i64, i64) {
    let consumer: BaseConsumer = client(brokers).create().unwrap();
    consumer.fetch_watermarks(TOPIC, 0, PATIENCE).unwrap()
}

#[tokio::test]
async fn a_killed_one_comes_back_with_its_records() {
    let mut kafka = Kafka::start().await;
    let brokers = kafka.brokers();
    make_topic(&brokers).await;
    produce(&brokers, 3).await;
    kafka.kill();
    kafka.start_again().await;
    assert_eq!(kafka.brokers(), brokers);
    assert_eq!(offsets(&brokers), (0, 3));
}

#[tokio::test]
async fn a_cut_tail_loses_acknowledged_records_and_the_log_grows_again() {
    let mut kafka = Kafka::start().await;
    let brokers = kafka.brokers();
    make_topic(&brokers).await;
    produce(&brokers, 3).await;
    kafka.kill();
    kafka.cut_tail(TOPIC, 0, 1);
    kafka.start_again().await;
    assert_eq!(offsets(&brokers), (0, 2));

    produce(&brokers, 3).await;
    kafka.stop().await;
    kafka.cut_tail(TOPIC, 0, 1);
    kafka.start_again().await;
    assert_eq!(offsets(&brokers), (0, 4));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_nothing_else() {
    let kafka = Kafka::start().await;
    let brokers = kafka.brokers();
    make_topic(&brokers).await;
    produce(&brokers, 3).await;
    kafka.delete_before(TOPIC, 0, 2).await;
    assert_eq!(offsets(&brokers), (2, 3));
}

#[tokio::test]
async fn a_frozen_one_acknowledges_later() {
    let kafka = Kafka::start().await;
    let brokers = kafka.brokers();
    make_topic(&brokers).await;
    kafka.pause();
    let producing = produce(&brokers, 1);
    tokio::pin!(producing);
    assert!(timeout(Duration::from_millis(500), &mut producing).await.is_err());
    kafka.resume();
    timeout(PATIENCE, producing).await.expect("it is acknowledged");
}

#[tokio::test]
async fn all_clients_of_one_behind_a_proxy_come_through_it() {
    let proxy = Proxy::to("127.0.0.1:1").await;
    let kafka = Kafka::start_behind(&proxy).await;
    make_topic(&kafka.brokers()).await;
    proxy.black_hole();
    // It begins with the broker's own address, and is sent to the proxy from there.
    let brokers = kafka.brokers();
    let producing = produce(&brokers, 1);
    tokio::pin!(producing);
    assert!(timeout(Duration::from_millis(500), &mut producing).await.is_err());
    proxy.heal();
    timeout(PATIENCE, producing).await.expect("it is acknowledged");
}
