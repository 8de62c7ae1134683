//! Reading from the embedded broker: any place, again, and behind others.

use super::*;

#[tokio::test]
async fn a_reader_made_later_begins_at_any_old_offset() {
    let (_broker, journal) = start();
    let records: Vec<_> = (0..50).map(numbered).collect();
    append_all(&journal, 0, &records).await;
    for from in [0, 17, 49] {
        let raws = read(&mut reader_at(&journal, 0, from as u64), 50 - from).await;
        assert_eq!(decoded(&raws), records[from..]);
    }
}

#[tokio::test]
async fn a_reader_begins_anew_wherever_it_is_told() {
    let (_broker, journal) = start();
    let records: Vec<_> = (0..100).map(numbered).collect();
    append_all(&journal, 0, &records).await;
    let mut reader = journal.reader(0).unwrap();
    // Back and forth, with records of the place before still on their way.
    for (from, count) in [(0, 3), (60, 1), (10, 40), (99, 1), (0, 100), (50, 0), (7, 5), (90, 10)] {
        reader.start(from).unwrap();
        let raws = read(&mut reader, count).await;
        assert_eq!(offsets(&raws), (from..from + count as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_batch_is_bounded_and_comes_without_waiting_for_more() {
    let (_broker, journal) = start();
    let records: Vec<_> = (0..30).map(numbered).collect();
    append_all(&journal, 0, &records).await;
    let mut reader = reader_at(&journal, 0, 0);
    let mut all = Vec::new();
    while all.len() < 30 {
        let batch = reader.next_batch(7, PATIENCE).await.unwrap();
        assert!((1..=7).contains(&batch.len()), "{}", batch.len());
        all.extend(batch);
    }
    assert_eq!(offsets(&all), (0..30).collect::<Vec<_>>());
    assert_eq!(reader.next_batch(7, Duration::from_millis(30)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_batch_that_nobody_waited_for_is_not_lost() {
    let (_broker, journal) = start();
    let mut reader = reader_at(&journal, 0, 0);
    let records: Vec<_> = (0..40).map(numbered).collect();
    let mut all = Vec::new();
    for record in &records {
        journal.append(0, record).await.unwrap();
        // Polled once and dropped, as by a `select!` whose other branch won.
        if let Some(batch) = futures::FutureExt::now_or_never(reader.next_batch(10, PATIENCE)) {
            all.extend(batch.unwrap());
        }
    }
    let left = 40 - all.len();
    all.extend(read(&mut reader, left).await);
    assert_eq!(decoded(&all), records);
}

#[tokio::test]
async fn watermarks_show_both_ends() {
    let (_broker, journal) = start();
    let reader = journal.reader(0).unwrap();
    assert_eq!(reader.watermarks().await, Ok((0, 0)));
    append_all(&journal, 0, &[numbered(1), numbered(2)]).await;
    assert_eq!(reader.watermarks().await, Ok((0, 2)));
}

#[tokio::test]
async fn one_record_can_be_looked_at_with_its_digest() {
    let (_broker, journal) = start();
    append_all(&journal, 0, &[numbered(0), numbered(1), numbered(2)]).await;
    let mut reader = journal.reader(0).unwrap();
    let found = reader.record_at(1).await.unwrap().unwrap();
    let raws = read(&mut reader_at(&journal, 0, 0), 3).await;
    assert_eq!(found, raws[1]);
    assert_eq!(found.digest(), raws[1].digest());
    assert_ne!(found.digest(), raws[0].digest());
    assert_eq!(reader.record_at(3).await, Ok(None), "not written yet");
}

#[tokio::test]
async fn a_look_at_one_record_does_not_move_the_reader() {
    let (_broker, journal) = start();
    let records: Vec<_> = (0..10).map(numbered).collect();
    append_all(&journal, 0, &records).await;
    let mut reader = journal.reader(0).unwrap();
    assert_eq!(reader.next_batch(1, PATIENCE).await, Err(ReadError::NotStarted(0)));
    reader.record_at(8).await.unwrap().unwrap();
    assert_eq!(reader.next_batch(1, PATIENCE).await, Err(ReadError::NotStarted(0)));
    reader.start(2).unwrap();
    assert_eq!(offsets(&read(&mut reader, 3).await), [2, 3, 4]);
    assert_eq!(reader.record_at(0).await.unwrap().unwrap().offset, 0);
    assert_eq!(offsets(&read(&mut reader, 2).await), [5, 6]);
}

#[tokio::test]
async fn an_offset_beyond_the_end_is_out_of_range() {
    let (_broker, journal) = start();
    append_all(&journal, 0, &[numbered(1)]).await;
    let mut reader = reader_at(&journal, 0, 5);
    let error = first_error(&mut reader).await;
    assert_eq!(error, ReadError::OutOfRange { partition: 0, offset: 5 });
    let again = reader.next_batch(1, PATIENCE).await;
    assert_eq!(again, Err(ReadError::NotStarted(0)), "never resumed by itself");
    reader.start(0).unwrap();
    assert_eq!(offsets(&read(&mut reader, 1).await), [0]);
}

#[tokio::test]
async fn the_end_of_the_log_is_a_place_to_wait() {
    let (_broker, journal) = start();
    append_all(&journal, 0, &[numbered(1)]).await;
    let mut reader = reader_at(&journal, 0, 1);
    assert_eq!(reader.next_batch(10, Duration::from_millis(50)).await, Ok(Vec::new()));
    append_all(&journal, 0, &[numbered(2)]).await;
    assert_eq!(offsets(&read(&mut reader, 1).await), [1]);
}
