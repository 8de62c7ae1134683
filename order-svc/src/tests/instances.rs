//! Two instances of the service on one Kafka and one MariaDB: they share the work, and one does all
//! of it when the other is gone.

use journal::{Command, Journal, Record};
use testbed::{Database, Kafka};

use super::*;
use crate::books::contract::{epoch, holds, opened, shard};

const PARTITIONS: u32 = 4;

/// A running instance. Dropped, it crashes; its connections end, as those of a killed process do.
struct Instance {
    pause: PausePoints,
    _running: TaskOwner,
}

impl Place {
    async fn start(&self, journal: &journal::Settings) -> Instance {
        let pause = PausePoints::armed();
        let seams = Seams {
            clock: Clock::system(),
            pause: pause.clone(),
            cores: Arc::clone(&self.cores),
            journal: Journal::connect(journal).unwrap(),
            telemetry: chassis::Telemetry::off("order-svc"),
        };
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let app = build(self.config.clone(), listeners, seams).await.unwrap();
        let running = TaskOwner::new("instance", Stopper::new());
        running.tasks().spawn(Kind::Essential, "instance", async {
            let _ = app.run(Stopper::new()).await;
        });
        Instance { pause, _running: running }
    }
}

/// Opens shard 1 to 4, one in each partition.
async fn open_shards(journal: &Journal) {
    for partition in 0..PARTITIONS {
        let change = Command::EpochChanged { from: None, to: epoch(7) };
        for command in [opened(1_000_000, 9), change] {
            append(journal, partition, command).await;
        }
    }
}

/// One order in each partition, which nobody has given before.
async fn order_in_each(journal: &Journal, id: u32) {
    for partition in 0..PARTITIONS {
        let (_, command) = holds(shard(partition + 1), 7, [(id, id, 1)]).unwrap();
        append(journal, partition, command).await;
    }
}

async fn append(journal: &Journal, partition: u32, command: Command) {
    let shard = shard(partition + 1);
    let record = Record { command_id: ids::CommandId::random(), shard, command };
    journal.append(partition, &record).await.unwrap();
}

/// Orders in each partition until this instance has committed some, and returns the next order.
async fn order_until_it_commits(instance: &Instance, journal: &Journal, from: u32) -> u32 {
    let after_commit = instance.pause.arm("order.after_commit");
    let ordering = async {
        for id in from.. {
            order_in_each(journal, id).await;
            if after_commit.count() > 0 {
                return id + 1;
            }
        }
        panic!("so many orders are never made");
    };
    let next = tokio::time::timeout(PATIENCE, ordering).await.expect("it has a share");
    after_commit.release();
    next
}

/// Waits until each shard has sold so many.
async fn until_sold(books: &dyn Books, wanted: u64) {
    let selling = async {
        for partition in 0..PARTITIONS {
            let sold = async || {
                let guard = books.guard(shard(partition + 1)).await.unwrap();
                guard.map_or(0, |guarded| guarded.guard.sold)
            };
            while sold().await != wanted {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, selling).await.expect("every partition is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_share_the_partitions_and_one_takes_over_from_the_other() {
    let (kafka, server) = (Kafka::start().await, testbed::running::mariadb());
    let database = Database::create(&server).await;
    let mut place = Place::new();
    place.config.books.url = database.url().to_owned();
    place.config.books.migrate_on_start = true;
    let settings = journal::Settings {
        brokers: kafka.brokers(),
        partitions: PARTITIONS,
        replication_factor: 1,
        min_insync_replicas: 1,
        ..journal::Settings::default()
    };
    journal::migrate(&settings).unwrap();
    let journal = Journal::connect(&settings).unwrap();
    let (first, second) = (place.start(&settings).await, place.start(&settings).await);
    open_shards(&journal).await;
    // That there are two shows that they share.
    let next = order_until_it_commits(&second, &journal, 0).await;
    let next = order_until_it_commits(&first, &journal, next).await;
    let (clock, background) = (Clock::system(), place.cores.background());
    let books = &place.config.books;
    let books = books::open(books, journal.identity(), PausePoints::default(), clock, background);
    let books = books.await.unwrap();
    until_sold(&*books, next.into()).await;
    drop(first);
    let last = order_until_it_commits(&second, &journal, next).await;
    until_sold(&*books, last.into()).await;
}
