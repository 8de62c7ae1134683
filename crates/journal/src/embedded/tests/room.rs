//! Nothing is evicted unread: the room ends first, and comes back with the reader.

use super::*;

/// Large records, so that few of them fill the broker.
fn large() -> Record {
    with_holds(1024)
}

/// More large records than the 5 MiB of a partition take.
const MORE_THAN_FITS: u64 = 200;

async fn fill(journal: &Journal) -> u64 {
    let record = large();
    for next in 0..MORE_THAN_FITS {
        if !journal.has_room(0) {
            return next;
        }
        assert_eq!(journal.append(0, &record).await, Ok(next));
    }
    panic!("there is still room after {MORE_THAN_FITS} large records");
}

#[tokio::test]
async fn room_ends_before_anything_is_evicted_and_comes_back_with_the_commits() {
    let (broker, journal) = start();
    let written = fill(&journal).await;
    assert!(journal.has_room(1), "only this partition is full");
    let other = broker.journal(&Settings::default()).unwrap();
    assert!(!other.has_room(0), "all journals of a broker see it");

    let mut reader = reader_at(&journal, 0, 0);
    assert_eq!(reader.watermarks().await, Ok((0, written)), "nothing was evicted");
    read(&mut reader, usize::try_from(written).unwrap()).await;
    assert!(!journal.has_room(0), "reading alone makes no room");
    reader.committed(written / 2);
    assert!(journal.has_room(0));
    reader.committed(written);
    assert_eq!(broker.unread(0), Default::default());
}

#[tokio::test]
async fn a_partition_runs_for_ever_while_the_books_keep_up() {
    let (broker, journal) = start();
    let mut reader = reader_at(&journal, 0, 0);
    let record = large();
    // Three times what the broker can hold.
    for next in 0..200 {
        assert!(journal.has_room(0));
        assert_eq!(journal.append(0, &record).await, Ok(next));
        assert_eq!(offsets(&read(&mut reader, 1).await), [next]);
        reader.committed(next + 1);
    }
    let (low, high) = reader.watermarks().await.unwrap();
    assert!(low > 0 && high == 200, "what the books have was evicted: {low}..{high}");
    assert_eq!(broker.unread(0).evicted, 0);
}

#[tokio::test]
async fn what_was_evicted_unread_is_counted_and_reading_it_is_out_of_range() {
    let (broker, journal) = start();
    // Against the advice of `has_room`.
    let records = vec![large(); usize::try_from(MORE_THAN_FITS).unwrap()];
    append_all(&journal, 0, &records).await;
    let mut reader = journal.reader(0).unwrap();
    let (low, high) = reader.watermarks().await.unwrap();
    assert!(low > 0 && high == MORE_THAN_FITS, "{low}..{high}");
    assert!(broker.unread(0).evicted >= low, "all that is gone was counted");

    reader.start(0).unwrap();
    let error = first_error(&mut reader).await;
    assert_eq!(error, ReadError::OutOfRange { partition: 0, offset: 0 });
    reader.start(low).unwrap();
    assert_eq!(offsets(&read(&mut reader, 1).await), [low]);
}

#[tokio::test]
async fn a_reader_that_was_overtaken_gives_what_it_had_fetched_and_then_says_so() {
    let (_broker, journal) = start();
    let mut reader = reader_at(&journal, 0, 0);
    // Three times what the partition and the read-ahead hold together.
    for _ in 0..3 {
        append_all(&journal, 0, &vec![large(); usize::try_from(MORE_THAN_FITS).unwrap()]).await;
    }
    let mut next = 0;
    let reading = async {
        loop {
            match reader.next_batch(usize::MAX, PATIENCE).await {
                Ok(batch) => {
                    for raw in batch {
                        assert_eq!(raw.offset, next);
                        next += 1;
                    }
                }
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(PATIENCE, reading).await.expect("an error");
    assert_eq!(error, ReadError::OutOfRange { partition: 0, offset: next });
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_and_writes_nothing() {
    let broker = Broker::start(1).unwrap();
    let settings = Settings { queue_records_max: 4, ..Settings::default() };
    let journal = broker.journal(&settings).unwrap();
    broker.faults().go_silent();
    let records: Vec<_> = (1..=8).map(numbered).collect();
    let appends = records.iter().map(|record| journal.append(0, record));
    let answers = futures::future::join_all(appends).await;
    let full = answers.iter().filter(|answer| **answer == Err(AppendError::Full)).count();
    assert_eq!(full, 4, "{answers:?}");
    assert!(answers[..4].iter().all(|answer| matches!(answer, Err(AppendError::Unknown(_)))));
}
