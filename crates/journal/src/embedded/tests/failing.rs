//! A broker that fails, is late, is silent or loses what it acknowledged.

use super::*;

/// Well above the message time-out of 1.5 s, and well below what a stuck client would take.
const SOON: Duration = Duration::from_secs(3);

async fn append_within(
    journal: &Journal,
    record: &Record,
    within: Duration,
) -> Result<u64, AppendError> {
    tokio::time::timeout(within, journal.append(0, record)).await.expect("an answer in time")
}

/// Appends until the broker takes a record again.
async fn append_again(journal: &Journal, record: &Record) -> u64 {
    let trying = async {
        loop {
            if let Ok(offset) = journal.append(0, record).await {
                return offset;
            }
            // A refusal doesn't wait for anything, and the time-out is to be seen all the same.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("the journal recovers")
}

#[tokio::test]
async fn a_write_that_fails_for_a_moment_is_only_late() {
    let (broker, journal) = start();
    broker.faults().fail_writes(2);
    assert_eq!(append_within(&journal, &numbered(1), SOON).await, Ok(0));
    broker.faults().disconnect_writes(2);
    assert_eq!(append_within(&journal, &numbered(2), SOON).await, Ok(1));
}

#[tokio::test]
async fn a_write_that_keeps_failing_is_unknown_within_the_time_out() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().fail_writes(10_000);
    assert_unknown(append_within(&journal, &numbered(1), SOON).await);
    // Until the client has given up as well; healed before, it could still write the record.
    assert_eq!(journal.flush(PATIENCE).await.left, 0);
    broker.faults().heal();
    append_again(&journal, &numbered(2)).await;
    let raws = read(&mut reader_at(&journal, 0, 0), 2).await;
    assert_eq!(decoded(&raws)[1].command, numbered(2).command, "the failed one isn't there");
}

#[tokio::test]
async fn a_producer_that_fails_for_good_is_replaced() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().forget_producers(1);
    assert_unknown(append_within(&journal, &numbered(1), SOON).await);
    // The one that failed takes nothing more, in any partition.
    assert_eq!(append_within(&journal, &numbered(2), SOON).await, Ok(1));
    assert_eq!(journal.append(1, &numbered(3)).await, Ok(0));
    assert_eq!(journal.flush(PATIENCE).await.left, 0);
    assert_eq!(broker.unread(0).records, 2, "what failed isn't counted as in flight");
}

#[tokio::test]
async fn what_is_in_flight_when_a_producer_fails_is_unknown_and_not_lost_sight_of() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().answer_late(Duration::from_millis(200));
    broker.faults().forget_producers(1);
    let records: Vec<_> = (1..=20).map(numbered).collect();
    let appends = records.iter().map(|record| append_within(&journal, record, SOON));
    let answers = futures::future::join_all(appends).await;
    assert!(answers.iter().any(Result::is_err), "the producer has failed: {answers:?}");
    broker.faults().heal();
    append_again(&journal, &numbered(21)).await;
    // Each was written at most once, and each that was acknowledged exactly there.
    let reader = journal.reader(0).unwrap();
    let count = usize::try_from(reader.watermarks().await.unwrap().1).unwrap();
    let written = decoded(&read(&mut reader_at(&journal, 0, 0), count).await);
    for (record, answer) in records.iter().zip(answers) {
        let places: Vec<_> = (0..count).filter(|at| written[*at] == *record).collect();
        match answer {
            Ok(offset) => assert_eq!(places, [usize::try_from(offset).unwrap()]),
            Err(AppendError::Unknown(_)) => assert!(places.len() <= 1, "{places:?}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn producers_that_fail_one_after_the_other_do_not_pile_up() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().forget_producers(10_000);
    let failing = async {
        for number in 0..200 {
            assert_unknown(journal.append(0, &numbered(number)).await);
        }
    };
    tokio::time::timeout(PATIENCE, failing).await.expect("most are told at once");
    broker.faults().heal();
    append_again(&journal, &numbered(1)).await;
}

#[tokio::test]
async fn a_write_whose_answer_is_late_is_unknown_and_was_written() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().go_silent();
    let record = numbered(1);
    assert_unknown(append_within(&journal, &record, SOON).await);
    broker.faults().heal();
    let raws = read(&mut reader_at(&journal, 0, 0), 2).await;
    assert_eq!(decoded(&raws)[1], record);
    append_again(&journal, &numbered(2)).await;
}

#[tokio::test]
async fn the_time_out_is_kept_to_the_millisecond_and_not_to_the_second() {
    let broker = Broker::start(1).unwrap();
    let settings = Settings { message_timeout_ms: 200, ..Settings::default() };
    let journal = broker.journal(&settings).unwrap();
    broker.faults().go_silent();
    // librdkafka alone looks once a second, and would take five.
    let appending = async {
        for number in 0..5 {
            assert_unknown(journal.append(0, &numbered(number)).await);
        }
    };
    tokio::time::timeout(SOON, appending).await.expect("five answers in little more than 1 s");
}

#[tokio::test]
async fn a_write_whose_answer_is_a_little_late_is_acknowledged() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    broker.faults().answer_late(Duration::from_millis(300));
    assert_eq!(append_within(&journal, &numbered(1), SOON).await, Ok(1));
}

#[tokio::test]
async fn a_broker_that_is_down_keeps_what_it_had() {
    let (broker, journal) = start();
    append_all(&journal, 0, &[numbered(0)]).await;
    let mut reader = reader_at(&journal, 0, 0);
    read(&mut reader, 1).await;
    broker.faults().go_down();
    assert_unknown(append_within(&journal, &numbered(1), SOON).await);
    broker.faults().heal();
    let offset = append_again(&journal, &numbered(2)).await;
    // The reader goes on by itself; on the way it may say that the broker was gone.
    let reading = async {
        loop {
            match reader.next_batch(10, PATIENCE).await {
                Ok(batch) if batch.iter().any(|raw| raw.offset == offset) => return,
                Ok(_) | Err(ReadError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the reader recovers");
}

#[tokio::test]
async fn questions_to_a_silent_broker_end_in_time() {
    let broker = Broker::start(1).unwrap();
    let settings = Settings { query_timeout_ms: 300, ..Settings::default() };
    let journal = broker.journal(&settings).unwrap();
    append_all(&journal, 0, &[numbered(0)]).await;
    let mut reader = journal.reader(0).unwrap();
    broker.faults().go_silent();
    let asking = async {
        let watermarks = reader.watermarks().await;
        assert!(matches!(watermarks, Err(ReadError::Unavailable(_))), "{watermarks:?}");
        let record = reader.record_at(0).await;
        assert!(matches!(record, Err(ReadError::Unavailable(_))), "{record:?}");
    };
    tokio::time::timeout(SOON, asking).await.expect("answers in time");
}
