//! Which consumers run, as the group's word changes. What a consumer does is `consumer/tests.rs`.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use chassis::TaskOwner;
use journal::embedded::Broker;

use super::*;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Partitions that are read just now, as each consumer says itself.
type Read = Arc<Mutex<Vec<u32>>>;

struct Stage {
    told: watch::Sender<Assignment>,
    read: Read,
    changed: Arc<Notify>,
    /// All that were ever read.
    begun: Arc<Mutex<BTreeSet<u32>>>,
    /// The next consumer of this partition panics.
    cursed: Arc<Mutex<Option<u32>>>,
    owner: TaskOwner,
}

/// What a consumer of a test leaves behind, however it ends.
struct Mark(u32, Read, Arc<Notify>);

impl Drop for Mark {
    fn drop(&mut self) {
        let mut read = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let at = read.iter().position(|partition| *partition == self.0);
        read.remove(at.expect("it was marked when it began"));
        self.2.notify_one();
    }
}

impl Stage {
    fn begin(assignment: Assignment, wait: Duration) -> Self {
        let journal = Broker::start(4).unwrap().journal(&journal::Settings::default()).unwrap();
        let (told, assignment) = watch::channel(assignment);
        let owner = TaskOwner::new("consumers", Stopper::new());
        let (read, changed) = (Read::default(), Arc::default());
        let (begun, cursed) = (Arc::default(), Arc::default());
        let stage = Self { told, read, changed, begun, cursed, owner };
        let (read, changed) = (Arc::clone(&stage.read), Arc::clone(&stage.changed));
        let (begun, cursed) = (Arc::clone(&stage.begun), Arc::clone(&stage.cursed));
        let consume = move |reader: PartitionReader, stopper: Stopper| {
            let partition = reader.partition();
            read.lock().unwrap().push(partition);
            begun.lock().unwrap().insert(partition);
            changed.notify_one();
            let mark = Mark(partition, Arc::clone(&read), Arc::clone(&changed));
            let is_cursed = cursed.lock().unwrap().take_if(|one| *one == partition).is_some();
            async move {
                let _mark = mark;
                assert!(!is_cursed, "a consumer of a test fails");
                stopper.stopped().await;
            }
        };
        let (tasks, background) = (stage.owner.tasks(), Handle::current());
        let consumers = Consumers { journal, assignment, wait, consume, tasks, background };
        stage.owner.tasks().spawn(Kind::Essential, "consumers", consumers.run());
        stage
    }

    fn give(&self, partitions: &[u32]) {
        self.told.send_replace(Some(BTreeSet::from_iter(partitions.iter().copied())));
    }

    /// Waits until exactly these are read, each by one.
    async fn until_read(&self, wanted: &[u32]) {
        let reading = async {
            loop {
                let mut now = self.read.lock().unwrap().clone();
                now.sort_unstable();
                if now == wanted {
                    return;
                }
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        waited.unwrap_or_else(|_| panic!("{:?} and not {wanted:?}", self.read.lock().unwrap()));
    }
}

#[tokio::test]
async fn what_is_given_is_read_and_what_is_taken_is_not() {
    let stage = Stage::begin(Some(BTreeSet::from([0, 1])), PATIENCE);
    stage.until_read(&[0, 1]).await;
    for given in [&[1, 2][..], &[3], &[], &[0, 1, 2, 3], &[0]] {
        stage.give(given);
        stage.until_read(given).await;
    }
}

#[tokio::test]
async fn nothing_is_read_before_the_group_has_spoken() {
    let stage = Stage::begin(None, PATIENCE);
    // On this one thread, that is the turn of whoever would read.
    tokio::task::yield_now().await;
    stage.give(&[2]);
    stage.until_read(&[2]).await;
    assert_eq!(*stage.begun.lock().unwrap(), BTreeSet::from([2]));
}

#[tokio::test]
async fn without_a_group_all_is_read_until_it_speaks() {
    let stage = Stage::begin(None, Duration::from_millis(20));
    stage.until_read(&[0, 1, 2, 3]).await;
    stage.give(&[1, 3]);
    stage.until_read(&[1, 3]).await;
}

#[tokio::test]
async fn a_partition_that_can_not_be_read_is_in_no_others_way() {
    // There are four.
    let stage = Stage::begin(Some(BTreeSet::from([0, 4, 1, 9])), PATIENCE);
    stage.until_read(&[0, 1]).await;
    stage.give(&[4, 2]);
    stage.until_read(&[2]).await;
}

#[tokio::test]
async fn a_stop_ends_all_of_them() {
    let stage = Stage::begin(Some(BTreeSet::from([0, 1])), PATIENCE);
    stage.until_read(&[0, 1]).await;
    let read = Arc::clone(&stage.read);
    assert_eq!(stage.owner.drain(PATIENCE).await.left, 0);
    assert_eq!(*read.lock().unwrap(), [0; 0]);
}

#[tokio::test]
async fn a_consumer_that_fails_is_the_end_of_the_service() {
    let stage = Stage::begin(Some(BTreeSet::from([0])), PATIENCE);
    stage.until_read(&[0]).await;
    *stage.cursed.lock().unwrap() = Some(1);
    stage.give(&[0, 1]);
    let ended = tokio::time::timeout(PATIENCE, stage.owner.essential_ended()).await;
    assert_eq!(ended, Ok("consumers"), "a partition would stay unread");
}
