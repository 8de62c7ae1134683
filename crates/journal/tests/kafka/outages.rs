//! A broker that is killed, frozen, cut off or loses the end of its log: what was acknowledged is
//! there exactly once (with one broker; see `client.rs` for several), nobody hangs, and it goes on
//! by itself.

use std::{collections::HashMap, sync::Arc};

use chassis::{Clock, Kind, Stopper, TaskOwner};
use futures::future::join_all;
use journal::{AppendError, decode};
use testbed::{Kafka, Proxy};
use tokio::sync::{Mutex, mpsc, watch};

use super::{elsewhere::Elsewhere, *};

/// Each test here has a broker of its own, of 400 MB: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Above [`Settings::message_timeout_ms`], for a busy machine; far below what a stuck client takes.
const SOON: Duration = Duration::from_millis(2_500);

/// The clients look for a lost broker every 500 ms, and then have to ask it for a producer id.
const BACK_WITHIN: Duration = Duration::from_secs(3);

type Appended = Result<u64, AppendError>;

async fn append_soon(journal: &Journal, partition: u32, record: &Record) -> Appended {
    let appending = tokio::time::timeout(SOON, journal.append(partition, record));
    appending.await.expect("an answer within the time-out, whatever happens")
}

/// Appends until one is acknowledged, and returns how long that took.
async fn until_it_is_back(journal: &Journal) -> Duration {
    let (clock, record) = (Clock::system(), numbered(0));
    let begun_at = clock.now();
    let trying = async {
        while append_soon(journal, 0, &record).await.is_err() {
            // A refusal doesn't wait for anything, and the time-out is to be seen all the same.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("the journal recovers");
    clock.now() - begun_at
}

/// What was told of one append.
struct Told {
    partition: u32,
    record: Record,
    appended: Appended,
}

/// How many appends were acknowledged, and how many not.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    acknowledged: usize,
    unknown: usize,
}

/// Writers that append one record after the other, each to its partition, until they are stopped.
struct Writers {
    owner: TaskOwner,
    told: mpsc::UnboundedReceiver<Told>,
    counted: watch::Receiver<Counted>,
}

impl Writers {
    fn start(journal: &Journal) -> Self {
        let owner = TaskOwner::new("writers", Stopper::new());
        let (tell, told) = mpsc::unbounded_channel();
        let (count, counted) = watch::channel(Counted::default());
        let count = Arc::new(count);
        for writer in 0..8 {
            let (journal, tell, count) = (journal.clone(), tell.clone(), Arc::clone(&count));
            let (stopper, partition) = (owner.tasks().stopper().clone(), writer % 4);
            owner.tasks().spawn(Kind::Drained, "writer", async move {
                let mut number = 0;
                while !stopper.is_stopped() {
                    let record = numbered(number);
                    let appended = append_soon(&journal, partition, &record).await;
                    count.send_modify(|count| match &appended {
                        Ok(_) => count.acknowledged += 1,
                        Err(_) => count.unknown += 1,
                    });
                    tell.send(Told { partition, record, appended }).unwrap();
                    number += 1;
                }
            });
        }
        Self { owner, told, counted }
    }

    /// Until a hundred more are acknowledged, which takes a broker that works.
    async fn until_it_works(&mut self) {
        let before = self.counted.borrow().acknowledged;
        self.until(|counted| counted.acknowledged >= before + 100).await;
    }

    /// Until each has been told twice that it isn't known.
    async fn until_nothing_is_known(&mut self) {
        let before = self.counted.borrow().unknown;
        self.until(|counted| counted.unknown >= before + 16).await;
    }

    async fn until(&mut self, is_so: impl Fn(&Counted) -> bool) {
        let waiting = tokio::time::timeout(PATIENCE, self.counted.wait_for(|now| is_so(now)));
        waiting.await.expect("they go on").unwrap();
    }

    async fn stop(mut self) -> Vec<Told> {
        assert_eq!(self.owner.drain(PATIENCE).await.left, 0, "no append hangs");
        let mut all = Vec::new();
        while let Ok(told) = self.told.try_recv() {
            all.push(told);
        }
        all
    }
}

/// Where a partition begins and ends. A client may not have heard yet of what is back.
async fn watermarks(reader: &PartitionReader) -> (u64, u64) {
    let asking = async {
        loop {
            match reader.watermarks().await {
                Ok(answer) => return answer,
                // It has asked, and waited for what it was told.
                Err(ReadError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the client hears of it")
}

/// Everything that stands in a partition.
async fn log_of(journal: &Journal, partition: u32) -> Vec<Record> {
    let reader = journal.reader(partition).unwrap();
    let (low, high) = watermarks(&reader).await;
    assert_eq!(low, 0);
    let raws = read(&mut reader_at(journal, partition, 0), usize::try_from(high).unwrap()).await;
    raws.iter().map(|raw| decode(&raw.bytes).unwrap()).collect()
}

/// What was acknowledged stands where it was told and nowhere else; of what is unknown there is at
/// most one; and nothing else is there. Returns how many were acknowledged, and how many not.
async fn assert_kept(journal: &Journal, told: &[Told]) -> (usize, usize) {
    let (mut acknowledged, mut unknown) = (0, 0);
    for partition in 0..journal.partitions() {
        let log = log_of(journal, partition).await;
        let mut left = log.len();
        let mut all_places = HashMap::<_, Vec<u64>>::new();
        for (place, record) in (0..).zip(log) {
            all_places.entry(record).or_default().push(place);
        }
        for Told { record, appended, .. } in told.iter().filter(|told| told.partition == partition)
        {
            let places = all_places.remove(record).unwrap_or_default();
            left -= places.len();
            match appended {
                Ok(offset) => {
                    assert_eq!(places, [*offset], "acknowledged, and there once");
                    acknowledged += 1;
                }
                Err(AppendError::Unknown(_)) => {
                    assert!(places.len() <= 1, "unknown, and there {places:?}");
                    unknown += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(left, 0, "records that nobody appended");
    }
    (acknowledged, unknown)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_once_through_kills_stops_and_freezes() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let place = Place::on(kafka.brokers());
    let journal = place.journal();
    let mut writers = Writers::start(&journal);
    writers.until_it_works().await;
    for _ in 0..2 {
        kafka.kill();
        kafka.start_again().await;
        writers.until_it_works().await;
    }
    kafka.stop().await;
    kafka.start_again().await;
    writers.until_it_works().await;
    kafka.pause();
    writers.until_nothing_is_known().await;
    kafka.resume();
    writers.until_it_works().await;
    let told = writers.stop().await;
    journal.flush(PATIENCE).await;
    let (acknowledged, unknown) = assert_kept(&journal, &told).await;
    assert!(acknowledged > 500 && unknown > 0, "{acknowledged} acknowledged, {unknown} unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hangs_while_a_broker_is_gone_and_it_goes_on_when_it_is_back() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let mut place = Place::on(kafka.brokers());
    place.settings.queue_records_max = 16;
    let journal = place.journal();
    journal.append(0, &numbered(1)).await.unwrap();
    for is_killed in [true, false] {
        if is_killed {
            kafka.kill()
        } else {
            kafka.pause()
        }
        let records: Vec<_> = (0..40).map(numbered).collect();
        let appends = records.iter().map(|record| append_soon(&journal, 0, record));
        let answers = join_all(appends).await;
        let full = answers.iter().filter(|answer| **answer == Err(AppendError::Full)).count();
        assert!(full >= 24, "those that don't fit are told at once: {answers:?}");
        let clock = Clock::system();
        let flushed_at = clock.now();
        journal.flush(Duration::from_millis(500)).await;
        let took = clock.now() - flushed_at;
        assert!(took < Duration::from_secs(1), "a flush ends in its time: {took:?}");
        if is_killed {
            kafka.start_again().await
        } else {
            kafka.resume()
        }
        let took = until_it_is_back(&journal).await;
        assert!(took < BACK_WITHIN, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_stands_there_once() {
    let _turn = TURN.lock().await;
    let proxy = Proxy::to("127.0.0.1:1").await;
    let _kafka = Kafka::start_behind(&proxy).await;
    let place = Place::on(proxy.addr());
    let journal = place.journal();
    journal.append(0, &numbered(1)).await.unwrap();

    // Lost for a moment: the client sends it again, and the broker knows it.
    proxy.drop_replies();
    let late = numbered(2);
    let appending = append_soon(&journal, 0, &late);
    tokio::pin!(appending);
    let waiting = tokio::time::timeout(Duration::from_millis(300), &mut appending).await;
    assert!(waiting.is_err(), "no answer gets through: {waiting:?}");
    proxy.heal();
    let appended = appending.await;
    assert_eq!(appended, Ok(1));

    // Lost for longer than an append waits: unknown, and it was written all along.
    proxy.drop_replies();
    let lost = numbered(3);
    let appended = append_soon(&journal, 0, &lost).await;
    assert!(matches!(appended, Err(AppendError::Unknown(_))), "{appended:?}");
    proxy.heal();
    until_it_is_back(&journal).await;

    let log = log_of(&journal, 0).await;
    for record in [&late, &lost] {
        assert_eq!(log.iter().filter(|there| *there == record).count(), 1, "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_tail_the_same_journal_goes_on() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let place = Place::on(kafka.brokers());
    let journal = place.journal();
    append_all(&journal, &(0..20).map(numbered).collect::<Vec<_>>()).await;
    let mut reader = reader_at(&journal, 0, 0);
    read(&mut reader, 20).await;
    kafka.stop().await;
    kafka.cut_tail(&place.settings.topic, 0, 200);
    kafka.start_again().await;
    // The broker expects an earlier record next than the producer has to send: it is replaced.
    until_it_is_back(&journal).await;
    let (_, high) = watermarks(&journal.reader(0).unwrap()).await;
    assert!(high < 20, "records are lost, and others stand in their place: {high}");
    // Whoever reads it meets errors that pass, and then one that doesn't, though by now there may
    // be records behind its position again.
    append_all(&journal, &(0..20).map(numbered).collect::<Vec<_>>()).await;
    let reading = async {
        loop {
            match reader.next_batch(1, Duration::from_millis(100)).await {
                Ok(none) if none.is_empty() => {}
                Err(ReadError::Unavailable(_)) => {}
                other => return other,
            }
        }
    };
    match tokio::time::timeout(PATIENCE / 2, reading).await {
        Ok(end) => assert_eq!(end, Err(ReadError::OutOfRange { partition: 0, offset: 20 })),
        // The client waits for good now and then (librdkafka#4492). Who reads sees that something
        // else is there than nothing, and begins anew (order-svc, `consumer/standstill.rs`).
        Err(_) => {
            let (_, high) = watermarks(&reader).await;
            assert_ne!(high, 20, "the reader stands where the log ends");
        }
    }
}

/// Played by another process: reads to the end of the log, and says what it meets.
#[tokio::test]
async fn a_reader_elsewhere() {
    let Some(place) = elsewhere::place() else { return };
    let journal = Journal::connect(&place.settings).unwrap();
    let mut reader = reader_at(&journal, 0, 0);
    let reading = async {
        loop {
            match reader.next_batch(1, Duration::from_millis(100)).await {
                Ok(batch) => {
                    batch.iter().for_each(|raw| elsewhere::say(&format!("has read {}", raw.offset)))
                }
                Err(ReadError::Unavailable(_)) => {}
                Err(error) => return elsewhere::say(&format!("ends with {error}")),
            }
        }
    };
    let _ = tokio::time::timeout(4 * PATIENCE, reading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_slept_while_what_it_had_read_was_lost_does_not_read_on() {
    let _turn = TURN.lock().await;
    let mut kafka = Kafka::start().await;
    let place = Place::on(kafka.brokers());
    let journal = place.journal();
    let records: Vec<_> = (0..20).map(numbered).collect();
    append_all(&journal, &records).await;
    let reader = Elsewhere::start("outages::a_reader_elsewhere", &place, "has read 19").await;
    reader.pause();
    kafka.stop().await;
    kafka.cut_tail(&place.settings.topic, 0, 200);
    kafka.start_again().await;
    until_it_is_back(&journal).await;
    // The log grows past the reader's position before it wakes.
    append_all(&journal, &records).await;
    reader.resume();
    let ended = async {
        while !reader.said().contains("ends with") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it notices");
    assert!(!reader.said().contains("has read 20"), "{}", reader.said());
}
