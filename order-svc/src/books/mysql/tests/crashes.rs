//! A server that is killed in the middle of batches, again and again.

use std::time::Duration;

use testbed::MariaDb;
use tokio::sync::watch;

use super::*;

const KILLS: u32 = 3;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_had_confirmed_is_there_and_nothing_by_halves() {
    let mut server = MariaDb::start().await;
    let place = Place::on(&server.url()).await;
    place.open_shard(1_000_000, 1).await;
    let (stop, is_stopped) = watch::channel(false);
    let settings = PoolSettings { acquire_ms_max: 500, ..patient() };
    let books = Place::books_at(&place.url, &settings, PausePoints::default()).await;
    let felt = watch::Sender::new(0);
    let mut failures = felt.subscribe();
    let writing = tokio::task::JoinSet::from_iter([write_on(books, felt, is_stopped)]);
    sell_more(&place).await;
    for _ in 0..KILLS {
        failures.mark_unchanged();
        server.kill();
        // A server that is back too soon would only have been slow.
        let is_felt = tokio::time::timeout(PATIENCE, failures.changed()).await;
        is_felt.expect("the kill is felt").expect("the writer is there");
        server.start_again().await;
        sell_more(&place).await;
    }
    stop.send_replace(true);
    let confirmed = writing.join_all().await.pop().unwrap();

    let count = place.books.count(shard(1)).await.unwrap().unwrap();
    let position = place.books.position(PARTITION).await.unwrap();
    assert_eq!(count.live_orders, (position.next_offset - 2) * BATCH_LEN);
    assert_eq!((count.live_units, count.rejected_orders), (count.guard.sold, 0));
    assert!(position.next_offset >= confirmed, "what was confirmed is there");
}

/// Returns when the writer has come well forward.
async fn sell_more(place: &Place) {
    let before = place.sold().await;
    let selling = async { while place.sold().await < before + 2_000 {} };
    tokio::time::timeout(PATIENCE, selling).await.expect("it goes on after each kill");
}

/// Orders in a batch, which is one record.
const BATCH_LEN: u64 = 100;

/// Applies batch after batch until it is stopped, as a consumer does, and counts in `felt` what
/// failed. Answers how far the books have confirmed.
async fn write_on(
    books: MySqlBooks,
    felt: watch::Sender<u32>,
    is_stopped: watch::Receiver<bool>,
) -> u64 {
    let mut confirmed = 0;
    let mut position = None;
    while !*is_stopped.borrow() {
        let at = match position.take() {
            Some(position) => Ok(position),
            None => books.position(PARTITION).await,
        };
        let Ok(at) = at else {
            felt.send_modify(|failures| *failures += 1);
            continue;
        };
        assert!(at.next_offset >= confirmed, "a confirmed batch is gone");
        let first = u32::try_from(at.next_offset * BATCH_LEN).unwrap();
        let all = (0..u32::try_from(BATCH_LEN).unwrap()).map(|n| (first + n, first + n, 1));
        let batch = entries(at.next_offset, vec![holds(shard(1), 7, all)]);
        match books.apply(PARTITION, &at, &batch, 1).await {
            Ok(Applied::Committed { position: next, .. }) => {
                confirmed = next.next_offset;
                position = Some(next);
            }
            Ok(Applied::PositionMoved) => panic!("nobody else writes"),
            Err(Error::Busy(_) | Error::Lost(_)) => felt.send_modify(|failures| *failures += 1),
            Err(error @ (Error::Damaged(_) | Error::Failed(_))) => panic!("{error}"),
        }
    }
    confirmed
}
