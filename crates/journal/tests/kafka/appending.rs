//! Appends and readers: what stands in the log is what was acknowledged, in its order.

use futures::future::try_join_all;
use journal::{AppendError, ReadError, decode, record::RECORD_BYTES_MAX};

use super::*;

#[tokio::test]
async fn what_is_appended_is_read_with_the_offset_that_was_answered() {
    let place = Place::new();
    let journal = place.journal();
    let records: Vec<_> = (0..200).map(numbered).collect();
    let appends = records.iter().map(|record| journal.append(1, record));
    let offsets = try_join_all(appends).await.unwrap();
    let raws = read(&mut reader_at(&journal, 1, 0), 200).await;
    assert!(raws.iter().zip(0..).all(|(raw, offset)| raw.offset == offset));
    for (record, offset) in records.iter().zip(offsets) {
        let at = usize::try_from(offset).unwrap();
        assert_eq!(decode(&raws[at].bytes).as_ref(), Ok(record));
    }
    assert_eq!(journal.reader(0).unwrap().watermarks().await, Ok((0, 0)), "the others are empty");
}

#[tokio::test]
async fn the_largest_records_fit_also_in_one_batch() {
    let place = Place::new();
    let journal = place.journal();
    let record = largest();
    let size = journal::encode(&record).len();
    // Together they are more than what the topic takes at once: the client has to cut.
    let count = 3 * RECORD_BYTES_MAX / size / 2;
    try_join_all((0..count).map(|_| journal.append(0, &record))).await.unwrap();
    let raws = read(&mut reader_at(&journal, 0, 0), count).await;
    assert!(raws.iter().all(|raw| decode(&raw.bytes).as_ref() == Ok(&record)));
}

#[tokio::test]
async fn a_reader_begins_wherever_it_is_told_and_looks_at_any_record() {
    let place = Place::new();
    let journal = place.journal();
    append_all(&journal, &(0..50).map(numbered).collect::<Vec<_>>()).await;
    let mut reader = journal.reader(0).unwrap();
    assert_eq!(reader.watermarks().await, Ok((0, 50)));
    let last = reader.record_at(49).await.unwrap().unwrap();
    assert_eq!(reader.record_at(50).await, Ok(None));
    for from in [17, 49, 0] {
        reader.start(from).unwrap();
        let raws = read(&mut reader, 50 - usize::try_from(from).unwrap()).await;
        assert_eq!((raws[0].offset, raws.last()), (from, Some(&last)));
    }
}

#[tokio::test]
async fn a_topic_that_is_made_anew_under_a_journal_is_met_as_another_log() {
    let place = Place::new();
    let journal = place.journal();
    append_all(&journal, &(0..20).map(numbered).collect::<Vec<_>>()).await;
    let mut reader = reader_at(&journal, 0, 0);
    read(&mut reader, 20).await;
    place.delete().await;
    let lost = journal.append(0, &numbered(1)).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    let again = place.journal();
    assert_eq!(again.append(0, &numbered(2)).await, Ok(0));
    // What was connected before finds it too, and whoever had read the other one is told.
    assert_eq!(journal.append(0, &numbered(3)).await, Ok(1));
    let error = first_error(&mut reader).await;
    assert_eq!(error, ReadError::OutOfRange { partition: 0, offset: 20 });
    assert_eq!(reader.watermarks().await, Ok((0, 2)));
}

#[tokio::test]
async fn a_position_outside_of_the_log_is_an_error_and_never_another_position() {
    let place = Place::new();
    let journal = place.journal();
    append_all(&journal, &(0..20).map(numbered).collect::<Vec<_>>()).await;
    place.delete_before(0, 10).await;
    for offset in [0, 9, 21, 1_000] {
        let mut reader = reader_at(&journal, 0, offset);
        assert_eq!(reader.watermarks().await, Ok((10, 20)));
        let error = first_error(&mut reader).await;
        assert_eq!(error, ReadError::OutOfRange { partition: 0, offset });
        let again = reader.next_batch(1, PATIENCE).await;
        assert_eq!(again, Err(ReadError::NotStarted(0)), "it doesn't go on by itself");
    }
    assert_eq!(read(&mut reader_at(&journal, 0, 10), 10).await[0].offset, 10);
    let mut reader = reader_at(&journal, 0, 20);
    assert_eq!(reader.next_batch(1, Duration::from_millis(50)).await, Ok(vec![]), "it waits");
    assert_eq!(reader.record_at(9).await, Ok(None));
}
