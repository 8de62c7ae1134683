//! Appending to the embedded broker: order, size, many writers at once.

use super::*;

#[tokio::test]
async fn what_is_appended_is_read_with_the_offset_that_was_answered() {
    let (_broker, journal) = start();
    let records = [numbered(1), with_holds(1024), numbered(3)];
    for (offset, record) in records.iter().enumerate() {
        assert_eq!(journal.append(2, record).await, Ok(offset as u64));
    }
    let raws = read(&mut reader_at(&journal, 2, 0), 3).await;
    assert_eq!(offsets(&raws), [0, 1, 2]);
    assert_eq!(decoded(&raws), records);
}

#[tokio::test]
async fn concurrent_appends_land_where_they_were_told() {
    let (_broker, journal) = start();
    let records: Vec<_> = (0..200).map(numbered).collect();
    let appends = records.iter().map(|record| journal.append(1, record));
    let answers = futures::future::try_join_all(appends).await.unwrap();
    let raws = read(&mut reader_at(&journal, 1, 0), 200).await;
    assert_eq!(offsets(&raws), (0..200).collect::<Vec<_>>());
    for (record, offset) in records.iter().zip(answers) {
        let at = usize::try_from(offset).unwrap();
        assert_eq!(decode(&raws[at].bytes).as_ref(), Ok(record));
    }
}

#[tokio::test]
async fn partitions_have_nothing_to_do_with_each_other() {
    let (_broker, journal) = start();
    let (here, there) = (numbered(1), numbered(2));
    assert_eq!(journal.append(0, &here).await, Ok(0));
    assert_eq!(journal.append(3, &there).await, Ok(0));
    assert_eq!(decoded(&read(&mut reader_at(&journal, 0, 0), 1).await), [here]);
    assert_eq!(decoded(&read(&mut reader_at(&journal, 3, 0), 1).await), [there]);
}

#[tokio::test]
async fn several_journals_write_to_one_broker_and_outlive_each_other() {
    let (broker, first) = start();
    let second = broker.journal(&Settings::default()).unwrap();
    assert_eq!(first.identity(), second.identity());
    assert_eq!((first.partitions(), second.partitions()), (4, 4));
    let mut reader = reader_at(&first, 0, 0);
    let records = [numbered(1), numbered(2), numbered(3)];
    assert_eq!(first.append(0, &records[0]).await, Ok(0));
    assert_eq!(second.append(0, &records[1]).await, Ok(1));
    drop(first);
    assert_eq!(second.append(0, &records[2]).await, Ok(2));
    assert_eq!(decoded(&read(&mut reader, 3).await), records, "readers outlive journals as well");
    drop(broker);
    assert_eq!(second.append(0, &numbered(4)).await, Ok(3), "the cluster lives with its journals");
}

#[tokio::test]
async fn an_append_whose_caller_leaves_is_written_and_counted_all_the_same() {
    let (broker, journal) = start();
    let record = numbered(1);
    // Polled once and dropped. A thread that had to wait for its core may find the answer there.
    let polled = futures::FutureExt::now_or_never(journal.append(0, &record));
    assert!(matches!(polled, None | Some(Ok(0))), "{polled:?}");
    assert_eq!(decoded(&read(&mut reader_at(&journal, 0, 0), 1).await), [record]);
    // It may be read a moment before it is acknowledged, and counts twice until then.
    assert_eq!(journal.flush(PATIENCE).await.left, 0);
    assert_eq!(broker.unread(0).records, 1);
}

#[tokio::test]
async fn every_broker_is_a_journal_of_its_own() {
    let (first, second) = (Broker::start(1).unwrap(), Broker::start(16).unwrap());
    assert_ne!(first.identity(), second.identity());
    assert_eq!(second.journal(&Settings::default()).unwrap().partitions(), 16);
    assert!(Broker::start(0).is_err());
}

#[tokio::test]
async fn a_record_that_no_reader_would_take_is_refused() {
    let (broker, journal) = start();
    let mut other_shard = with_holds(2);
    other_shard.shard = ShardNo::new(8).unwrap();
    for record in [with_holds(0), with_holds(1025), other_shard] {
        let appended = journal.append(0, &record).await;
        assert!(matches!(appended, Err(AppendError::Refused(_))), "{appended:?}");
    }
    let no_partition = journal.append(4, &numbered(1)).await;
    assert_eq!(no_partition, Err(AppendError::Refused("there is no partition 4".to_owned())));
    assert!(journal.reader(4).is_err());
    assert_eq!(broker.unread(0), Default::default());
}

#[tokio::test]
async fn a_flush_waits_for_what_is_under_way() {
    let (_broker, journal) = start();
    let record = numbered(1);
    // Polled once and dropped. A thread that had to wait for its core may find the answer there.
    let polled = futures::FutureExt::now_or_never(journal.append(0, &record));
    assert!(matches!(polled, None | Some(Ok(0))), "{polled:?}");
    assert_eq!(journal.flush(PATIENCE).await.left, 0);
    assert_eq!(journal.reader(0).unwrap().watermarks().await, Ok((0, 1)));
}

#[tokio::test]
async fn the_first_append_does_not_wait_for_a_producer_id() {
    // librdkafka looks for one every 500 ms.
    let settings = Settings { message_timeout_ms: 450, ..Settings::default() };
    for _ in 0..5 {
        let broker = Broker::start(1).unwrap();
        let journal = broker.journal(&settings).unwrap();
        assert_eq!(journal.append(0, &numbered(1)).await, Ok(0));
    }
}

#[test]
fn a_broker_that_does_not_say_how_its_topic_is_set_is_refused() {
    let broker = Broker::start(4).unwrap();
    let brokers = broker.host.brokers().to_owned();
    let settings = Settings { brokers, partitions: 4, ..Settings::default() };
    let refused = Journal::connect(&settings).unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let settings = Settings { partitions: 5, ..settings };
    let topic = settings.topic.clone();
    let refused = Journal::connect(&settings).map(drop);
    assert_eq!(refused, Err(Error::Partitions { topic, has: 4, wants: 5 }));
}

#[test]
fn brokers_that_are_not_there_are_an_error_in_time() {
    let settings = Settings { query_timeout_ms: 200, ..Settings::default() };
    assert!(matches!(Journal::connect(&settings), Err(Error::Setup(_))), "no address");
    let settings = Settings { brokers: "127.0.0.1:1".to_owned(), ..settings };
    let unreachable = Journal::connect(&settings).unwrap_err().to_string();
    assert!(unreachable.contains("127.0.0.1:1:"), "{unreachable}");
    assert!(unreachable.contains("Connection refused"), "{unreachable}");
}

#[tokio::test]
async fn a_lost_record_is_acknowledged_once_and_never_written() {
    let (broker, journal) = start();
    let is_second = |record: &Record| record.command == numbered(2).command;
    broker.lose_next(is_second);
    let [first, second, third] = [numbered(1), numbered(2), numbered(3)];
    assert_eq!(journal.append(0, &first).await, Ok(0));
    assert_eq!((broker.losses().armed(), broker.losses().happened()), (1, 0));
    assert_eq!(journal.append(0, &second).await, Ok(1), "a plausible offset");
    assert_eq!((broker.losses().armed(), broker.losses().happened()), (0, 1));
    assert_eq!(journal.append(0, &third).await, Ok(1));
    assert_eq!(journal.append(0, &second).await, Ok(2), "sent again, and written");
    let raws = read(&mut reader_at(&journal, 0, 0), 3).await;
    assert_eq!(decoded(&raws), [first, third, second]);
}
