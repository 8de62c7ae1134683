//! Books that are put back to an older copy while nothing happens in the journal: what they have
//! lost comes again by itself.

use super::*;
use crate::books::contract::{KEEP_A_COPY, PUT_BACK};

async fn check(broker: Broker, journal: Journal, fixture: Fixture) {
    let mut story = Story { embedded: Some(broker), ..Story::with(journal, fixture) };
    story.append_opening(20).await;
    for id in 0..5 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    story.consume();
    story.until_read_to(7).await;
    story.fixture.by_hand(KEEP_A_COPY).await;
    for id in 5..15 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    story.until_read_to(17).await;

    // From here on nobody appends anything.
    story.fixture.by_hand(PUT_BACK).await;
    story.until_read_to(17).await;
    assert_eq!(story.sold().await, 15, "each row is back");
    assert_eq!(story.instruments.put_back.get(), 1, "and that was said once");

    // To a copy from before the partition was ever read.
    let nothing =
        "BEGIN; DELETE FROM orders; DELETE FROM shard; DELETE FROM journal_position; COMMIT;";
    story.fixture.by_hand(nothing).await;
    story.until_read_to(17).await;
    assert_eq!(story.sold().await, 15);
    assert_eq!(story.instruments.put_back.get(), 2);
}

fn journal() -> (Broker, Journal) {
    let broker = Broker::start(1).unwrap();
    let journal = broker.journal(&journal::Settings::default()).unwrap();
    (broker, journal)
}

#[tokio::test]
async fn rows_that_sqlite_lost_come_again_though_nothing_happens() {
    let (broker, journal) = journal();
    let fixture = Fixture::of_journal(journal.identity()).await;
    check(broker, journal, fixture).await;
}

#[tokio::test]
async fn rows_that_mariadb_lost_come_again_though_nothing_happens() {
    let (broker, journal) = journal();
    let fixture = Fixture::of_journal_on_mariadb(journal.identity()).await;
    check(broker, journal, fixture).await;
}

#[tokio::test]
async fn rows_that_mysql_lost_come_again_though_nothing_happens() {
    let (broker, journal) = journal();
    let Some(fixture) = Fixture::of_journal_on_mysql(journal.identity()).await else { return };
    check(broker, journal, fixture).await;
}
