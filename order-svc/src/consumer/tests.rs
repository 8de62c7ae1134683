//! The consumer against the embedded journal and books in a file: what is read, what is read again,
//! and when it halts. What only a real Kafka can lose is in `kafka.rs`.

use chassis::{Kind, TaskOwner};
use futures::future::BoxFuture;
use journal::{Journal, Record, embedded::Broker};
use tokio::sync::mpsc;

use super::*;
use crate::{
    books::contract::{self, Fixture, epoch, holds, opened, order, shard},
    settle::LeftOver,
};

mod kafka;
mod put_back;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

struct Story {
    fixture: Fixture,
    /// None if the journal is on a Kafka.
    embedded: Option<Broker>,
    journal: Journal,
    halted: Halted,
    unwritten: Halted,
    /// The stage's tasks; dropping it is a crash.
    owner: Option<TaskOwner>,
    settled: Option<mpsc::Receiver<Settle>>,
    gather_ms: u64,
    look_again_ms: u64,
    instruments: crate::metrics::Instruments,
}

impl Story {
    async fn begin() -> Self {
        let broker = Broker::start(1).unwrap();
        let journal = broker.journal(&journal::Settings::default()).unwrap();
        Self { embedded: Some(broker), ..Self::on(journal).await }
    }

    async fn on(journal: Journal) -> Self {
        let fixture = Fixture::of_journal(journal.identity()).await;
        Self::with(journal, fixture)
    }

    fn with(journal: Journal, fixture: Fixture) -> Self {
        let halted = Halted::default();
        let (owner, settled) = (None, None);
        let instruments = crate::metrics::Instruments::new(&chassis::Metrics::new());
        let (embedded, gather_ms, look_again_ms) = (None, 0, 20);
        let unwritten = Halted::default();
        Self {
            fixture,
            embedded,
            journal,
            halted,
            unwritten,
            owner,
            settled,
            gather_ms,
            look_again_ms,
            instruments,
        }
    }

    fn broker(&self) -> &Broker {
        self.embedded.as_ref().expect("this story is told on the embedded broker")
    }

    /// Starts a consumer; one that runs already crashes.
    fn consume(&mut self) {
        let clock = Clock::system();
        let left_over =
            LeftOver::new(clock.clone(), PATIENCE, chassis::metrics::Counter::default());
        let (settles, settled) = Settles::new(1024, left_over);
        let owner = TaskOwner::new("consumer", Stopper::new());
        let stopper = owner.tasks().stopper().clone();
        let (looked, looks) = tokio::sync::watch::channel(Arc::default());
        let (asked, every) = (&self.fixture.others, Duration::from_millis(self.look_again_ms));
        let looking = look_again(Arc::clone(asked), clock.clone(), every, looked, stopper.clone());
        owner.tasks().spawn(Kind::Essential, "look_again", looking);
        let consumer = Consumer {
            books: Arc::clone(&self.fixture.books),
            reader: self.journal.reader(contract::PARTITION).unwrap(),
            settles,
            halted: self.halted.clone(),
            looks,
            left: None,
            unwritten: self.unwritten.clone(),
            clock,
            pause: self.fixture.pause.clone(),
            sight: Sight {
                tracer: chassis::telemetry::Tracer::default(),
                instruments: self.instruments.clone(),
            },
            settings: ConsumerSettings {
                group: String::new(),
                assignment_wait_ms: 1,
                batch_records_max: 7,
                batch_holds_max: 10,
                gather_ms: self.gather_ms,
                read_wait_ms: 50,
                look_again_ms: self.look_again_ms,
                retry_first_ms: 5,
                retry_max_ms: 50,
            },
        };
        owner.tasks().spawn(Kind::Essential, "consumer", consumer.run(stopper));
        (self.owner, self.settled) = (Some(owner), Some(settled));
    }

    async fn append(&self, content: Option<(ids::ShardNo, Command)>) -> u64 {
        let (shard, command) = content.expect("what the codec would refuse can't be appended");
        let record = Record { command_id: ids::CommandId::random(), shard, command };
        self.journal.append(contract::PARTITION, &record).await.unwrap()
    }

    /// Appends the opening of shard 1 with its first epoch, 7.
    async fn append_opening(&self, total: u32) {
        self.append(Some((shard(1), opened(total, 9)))).await;
        let change = Command::EpochChanged { from: None, to: epoch(7) };
        self.append(Some((shard(1), change))).await;
    }

    async fn position(&self) -> Position {
        self.fixture.others.position(contract::PARTITION).await.unwrap()
    }

    async fn until_read_to(&self, offset: u64) -> Position {
        let is_there = || async {
            let position = self.position().await;
            (position.next_offset == offset).then_some(position)
        };
        if let Some(position) = in_time(|| Box::pin(is_there())).await {
            return position;
        }
        // Whoever reads of the failure asks next where it stands, and what it says of that.
        let (position, halted) = (self.position().await, self.halted.any());
        let standstills = self.instruments.standstills.get();
        panic!(
            "never: the books reach {offset}: {position:?}; halted: {halted}, \
             began anew: {standstills}"
        )
    }

    async fn until_halted(&self, is_halted: bool) {
        let halted = &self.halted;
        let what = format!("the partition is halted: {is_halted}");
        let is_so = || async { (halted.any() == is_halted).then_some(()) };
        eventually(&what, || Box::pin(is_so())).await;
    }

    async fn sold(&self) -> u64 {
        self.fixture.others.guard(shard(1)).await.unwrap().map_or(0, |g| g.guard.sold)
    }
}

async fn eventually<'a, T>(what: &str, check: impl Fn() -> BoxFuture<'a, Option<T>>) -> T {
    in_time(check).await.unwrap_or_else(|| panic!("never: {what}"))
}

async fn in_time<'a, T>(check: impl Fn() -> BoxFuture<'a, Option<T>>) -> Option<T> {
    let waiting = async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.ok()
}

#[tokio::test]
async fn what_is_journaled_is_decided_and_settled() {
    let mut story = Story::begin().await;
    story.append_opening(20).await;
    story.consume();
    for id in 0..25 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    let position = story.until_read_to(27).await;
    assert_eq!(story.sold().await, 20);
    let mut settled = Vec::new();
    let mut entries = story.settled.take().unwrap();
    while settled.len() < 25 {
        let settle = tokio::time::timeout(PATIENCE, entries.recv()).await.unwrap().unwrap();
        assert_eq!((settle.shard, settle.epoch), (shard(1), epoch(7)));
        assert!(settle.generation <= position.generation);
        settled.extend(settle.decisions);
    }
    let live = settled.iter().filter(|decision| decision.state.is_live()).count();
    assert_eq!((live, settled.len()), (20, 25));
    assert_eq!(story.broker().unread(contract::PARTITION).bytes, 0);
}

#[tokio::test]
async fn a_busy_partition_gathers_records_for_its_next_transaction() {
    let mut story = Story::begin().await;
    story.gather_ms = 1_000;
    story.append_opening(20).await;
    let clock = Clock::system();
    let began = clock.now();
    story.consume();
    story.until_read_to(2).await;
    for id in 0..5 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    let last = story.until_read_to(7).await;
    assert!(clock.now() - began >= Duration::from_secs(1), "nothing was gathered");
    // The opening's, and one for all of them; one more each where a second is short.
    assert!(last.generation <= 4, "{last:?}");
}

#[tokio::test]
async fn poison_becomes_a_dead_letter_and_blocks_nobody() {
    let mut story = Story::begin().await;
    story.append_opening(20).await;
    story.append(holds(shard(1), 7, [(1, 1, 1)])).await;
    let mut poison = holds(shard(1), 7, [(2, 2, 1)]);
    if let Some((_, Command::HoldsPlaced { holds, .. })) = &mut poison {
        holds[0].taken_at_ms = u64::MAX;
    }
    story.append(poison).await;
    story.append(holds(shard(1), 7, [(3, 3, 1)])).await;
    story.consume();
    story.until_read_to(5).await;
    let count = story.fixture.others.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.dead_letters), (2, 1));
}

#[tokio::test]
async fn bytes_that_nobody_understands_are_dead_letters_and_all_else_counts() {
    let mut story = Story::begin().await;
    story.append_opening(200).await;
    story.consume();
    let future = |id| {
        let (shard, command) = holds(shard(1), 7, [(id, id, 1)]).unwrap();
        let record = Record { command_id: ids::CommandId::random(), shard, command };
        let mut bytes = journal::encode(&record).to_vec();
        // The schema is the first field: its tag, and 1.
        assert_eq!(bytes[..2], [8, 1]);
        bytes[1] = 2;
        bytes
    };
    let too_large = vec![0; journal::record::RECORD_BYTES_MAX + 1];
    let strangers = [b"\xff\xff not a record".to_vec(), vec![], future(500), too_large];
    for (id, bytes) in (0..).step_by(25).zip(&strangers) {
        story.broker().faults().scribble(contract::PARTITION, bytes);
        for id in id..id + 25 {
            story.append(holds(shard(1), 7, [(id, id, 1)])).await;
        }
    }
    story.until_read_to(2 + 4 + 100).await;
    let count = story.fixture.others.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.dead_letters), (100, 4));
}

#[tokio::test]
async fn bytes_that_are_no_record_are_an_entry_with_the_reason() {
    let read = entry(Raw {
        offset: 3,
        bytes: bytes::Bytes::from_static(b"\xff not a record"),
        appended_at: None,
    });
    assert_eq!(read.offset, 3);
    assert!(read.decoded.is_err_and(|reason| reason.contains("is not an envelope")));
}

#[tokio::test]
async fn a_replay_from_the_beginning_changes_nothing() {
    let mut story = Story::begin().await;
    story.append_opening(9).await;
    for id in 0..12 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    let change = Command::EpochChanged { from: Some(epoch(7)), to: epoch(8) };
    story.append(Some((shard(1), change))).await;
    story.consume();
    let before = story.until_read_to(15).await;
    let count = story.fixture.others.count(shard(1)).await.unwrap();
    // The other writer sends it back; the running consumer finds its position moved.
    let others = &story.fixture.others;
    others.rewind(contract::PARTITION, &before, 0).await.unwrap().unwrap();
    story.append(holds(shard(1), 8, [(1, 1, 1)])).await;
    let after = story.until_read_to(16).await;
    assert!(after.generation > before.generation + 1);
    assert_eq!(
        story.fixture.others.count(shard(1)).await.unwrap().map(|mut count| {
            count.guard.open_epoch = Some(epoch(8));
            count
        }),
        count
    );
}

#[tokio::test]
async fn a_crash_after_the_commit_costs_no_order() {
    let mut story = Story::begin().await;
    story.append_opening(9).await;
    let held = story.fixture.pause.arm("order.after_commit");
    story.consume();
    tokio::time::timeout(PATIENCE, held.hit(1)).await.unwrap();
    story.append(holds(shard(1), 7, [(1, 1, 1)])).await;
    drop(story.owner.take());
    held.release();
    story.consume();
    story.until_read_to(3).await;
    assert_eq!(story.sold().await, 1);
}

#[tokio::test]
async fn a_crash_before_the_commit_costs_no_order() {
    let mut story = Story::begin().await;
    story.append_opening(9).await;
    story.append(holds(shard(1), 7, [(1, 1, 1)])).await;
    let held = story.fixture.pause.arm("order.before_commit");
    story.consume();
    tokio::time::timeout(PATIENCE, held.hit(1)).await.unwrap();
    drop(story.owner.take());
    held.release();
    assert_eq!(story.position().await.next_offset, 0);
    story.consume();
    story.until_read_to(3).await;
    assert_eq!(story.sold().await, 1);
}

/// Books that read `len` records of a log which was another one there.
async fn read_another_log(story: &Story, len: u32) {
    let start = story.position().await;
    let change = Command::EpochChanged { from: None, to: epoch(7) };
    let mut log = vec![Some((shard(1), opened(20, 9))), Some((shard(1), change))];
    log.extend((2..len).map(|id| holds(shard(1), 7, [(id, id, 1)])));
    let log = contract::entries(0, log);
    let applied = story.fixture.others.apply(contract::PARTITION, &start, &log, 1).await.unwrap();
    contract::committed(applied);
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_read_from_its_start() {
    let mut story = Story::begin().await;
    read_another_log(&story, 6).await;
    story.append_opening(20).await;
    story.append(holds(shard(1), 7, [(2, 2, 1)])).await;
    story.consume();
    let position = story.until_read_to(3).await;
    assert!(position.generation >= 3, "read, rewound, read");
    assert_eq!(story.sold().await, 4, "nothing of it counts twice");
}

#[tokio::test]
async fn a_log_that_lost_its_tail_and_grew_again_is_read_from_its_start() {
    let mut story = Story::begin().await;
    read_another_log(&story, 6).await;
    story.append_opening(20).await;
    for id in 2..8 {
        story.append(holds(shard(1), 7, [(id + 10, id, 1)])).await;
    }
    story.consume();
    story.until_read_to(8).await;
    assert_eq!(story.sold().await, 4 + 6, "what stands where others stood is read too");
}

#[tokio::test]
async fn a_log_that_lost_what_was_unread_halts_its_partition() {
    let mut story = Story::begin().await;
    story.append_opening(20).await;
    // The embedded broker evicts from 5 MiB on.
    let batch = holds(shard(1), 6, (0..1_000).map(|id| (id, id, 1)));
    let look = story.journal.reader(contract::PARTITION).unwrap();
    while look.watermarks().await.unwrap().0 == 0 {
        for _ in 0..8 {
            story.append(batch.clone()).await;
        }
    }
    story.consume();
    story.until_halted(true).await;
    assert_eq!(story.position().await.next_offset, 0, "nothing is skipped");
    // An operator who knows that nothing of worth is gone moves the position by hand.
    let position = story.position().await;
    let (low, _) = look.watermarks().await.unwrap();
    story.fixture.others.rewind(contract::PARTITION, &position, low).await.unwrap().unwrap();
    story.until_halted(false).await;
}

#[tokio::test]
async fn a_reader_that_hears_nothing_begins_anew() {
    let mut story = Story::begin().await;
    story.append_opening(5).await;
    story.consume();
    story.until_read_to(2).await;
    // Far more often than is asked in a minute.
    story.broker().faults().fail_reads(10_000);
    story.append(holds(shard(1), 7, [(1, 1, 1)])).await;
    let began_anew = || async { (story.instruments.standstills.get() > 0).then_some(()) };
    eventually("reading begins anew", || Box::pin(began_anew())).await;
    assert_eq!(story.position().await.next_offset, 2, "nothing was made up");
    story.broker().faults().heal();
    story.until_read_to(3).await;
    assert_eq!(story.sold().await, 1);
}

#[tokio::test]
async fn two_consumers_of_one_partition_decide_everything_once() {
    let mut story = Story::begin().await;
    story.append_opening(500).await;
    story.consume();
    let first = story.owner.take();
    story.consume();
    for id in 0..200 {
        story.append(holds(shard(1), 7, [(id, id, 1)])).await;
    }
    story.until_read_to(202).await;
    drop(first);
    let count = story.fixture.others.count(shard(1)).await.unwrap().unwrap();
    assert_eq!((count.live_orders, count.guard.sold), (200, 200));
    assert!(story.fixture.others.order(order(shard(1), 199)).await.unwrap().is_some());
}

#[test]
fn batches_are_bounded_by_holds_and_cut_no_record() {
    let sizes = [3, 3, 5, 25, 0, 9, 2];
    let record = |size: u32| holds(shard(1), 7, (0..size).map(|id| (id, id, 1)));
    let entries = contract::entries(0, sizes.map(record).into());
    let lengths = |max| batches(&entries, max).map(<[Entry]>::len).collect::<Vec<_>>();
    assert_eq!(lengths(10), [2, 1, 1, 2, 1]);
    assert_eq!(lengths(1), [1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(lengths(1_000), [7]);
    assert_eq!(batches(&[], 10).count(), 0);
}
