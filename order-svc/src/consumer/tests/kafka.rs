//! The consumer against a real Kafka that loses what the books have read, or what they have not.

use testbed::Kafka;
use tokio::sync::Mutex;

use super::*;

/// Each test here has a broker of its own, of 400 MB: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

fn settings(kafka: &Kafka) -> journal::Settings {
    journal::Settings {
        brokers: kafka.brokers(),
        partitions: 1,
        replication_factor: 1,
        min_insync_replicas: 1,
        ..journal::Settings::default()
    }
}

async fn begin(kafka: &Kafka) -> Story {
    let settings = settings(kafka);
    journal::migrate(&settings).unwrap();
    Story::on(Journal::connect(&settings).unwrap()).await
}

impl Story {
    /// Appends one hold of a unit for each of `ids`, a record each. After a restart of the broker
    /// the first may have to be sent again.
    async fn append_holds(&self, ids: std::ops::Range<u32>) {
        for id in ids {
            let (shard, command) = holds(shard(1), 7, [(id, id, 1)]).unwrap();
            let record = Record { command_id: ids::CommandId::random(), shard, command };
            let appended =
                || async { self.journal.append(contract::PARTITION, &record).await.ok() };
            eventually("it is appended", || Box::pin(appended())).await;
        }
    }

    /// Where the log ends. A broker that has just started may not name the partition yet.
    async fn high(&self) -> u64 {
        let look = self.journal.reader(contract::PARTITION).unwrap();
        let asked = || async { look.watermarks().await.ok() };
        eventually("the log's end is told", || Box::pin(asked())).await.1
    }
}

#[tokio::test]
async fn a_tail_that_is_lost_under_a_running_consumer_costs_no_order() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let mut story = begin(&kafka).await;
    story.append_opening(200).await;
    story.append_holds(0..30).await;
    story.consume();
    let before = story.until_read_to(32).await;
    kafka.stop().await;
    kafka.cut_tail(journal::TOPIC, 0, 400);
    kafka.start_again().await;
    // Other records in the place of those that are lost, and beyond.
    story.append_holds(100..120).await;
    let high = story.high().await;
    assert!(high < 32 + 20, "nothing was lost: the log ends at {high}");
    let after = story.until_read_to(high).await;
    assert!(after.generation > before.generation);
    assert_eq!(story.sold().await, 30 + 20, "the books keep what the log has lost");
    assert!(!story.halted.any());
}

#[tokio::test]
async fn a_log_that_was_made_anew_while_nobody_read_is_read_from_its_start() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let mut story = begin(&kafka).await;
    story.append_opening(200).await;
    story.append_holds(0..10).await;
    story.consume();
    story.until_read_to(12).await;
    drop(story.owner.take());
    kafka.stop().await;
    let all = kafka.cut_tail(journal::TOPIC, 0, 0);
    kafka.cut_tail(journal::TOPIC, 0, all);
    kafka.start_again().await;
    // As long as it was: only the content tells.
    story.append_holds(100..112).await;
    story.consume();
    assert_eq!(story.high().await, 12);
    let sold = || async { (story.sold().await == 10 + 12).then_some(()) };
    eventually("all of it is read", || Box::pin(sold())).await;
}

#[tokio::test]
async fn unread_records_that_are_gone_halt_the_partition() {
    let _turn = TURN.lock().await;
    let kafka = Kafka::start().await;
    let mut story = begin(&kafka).await;
    story.append_opening(200).await;
    story.append_holds(0..8).await;
    kafka.delete_before(journal::TOPIC, 0, 5).await;
    story.consume();
    story.until_halted(true).await;
    assert_eq!(story.position().await.next_offset, 0, "nothing is skipped");
    let position = story.position().await;
    let others = &story.fixture.others;
    others.rewind(contract::PARTITION, &position, 5).await.unwrap().unwrap();
    story.until_halted(false).await;
    story.until_read_to(10).await;
}
