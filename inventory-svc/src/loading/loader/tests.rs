//! Which shards are loaded, by what the catalog's primary shows of them, and what becomes of a
//! request whose load came to nothing.

use chassis::{PausePoints, Stopper, TaskOwner, channel::connect_lazy};
use journal::embedded::Broker;
use store::PoolSettings;
use tempfile::TempDir;

use super::*;
use crate::{Config, catalog::sqlite::SqliteCatalog, ledger::MemoryLedger, upstream::books::Books};

fn epoch(number: i64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn row(phase: Phase, number: i64) -> Shard {
    Shard {
        no: ShardNo::new(1).unwrap(),
        partition: 1,
        total_units: 10,
        lease: Duration::from_secs(2),
        phase,
        epoch: Epoch::from_wire(number).unwrap(),
        paused: false,
    }
}

#[test]
fn a_load_needs_what_the_primary_shows() {
    let fenced = |number| Cause::Requested(Why::Fenced(epoch(number)));
    let check = |phase, number, cause, mine: &[i64], wanted| {
        let mine: Vec<_> = mine.iter().map(|number| epoch(*number)).collect();
        let row = row(phase, number);
        assert_eq!(
            is_wanted(row.phase, row.epoch, cause, &mine),
            wanted,
            "{phase:?} {number} {cause:?} {mine:?}"
        );
    };
    check(Phase::New, 0, Cause::Opening, &[], true);
    check(Phase::New, 0, Cause::Opening, &[5], true);
    check(Phase::New, 0, fenced(5), &[], false);
    check(Phase::Open, 5, fenced(5), &[], true);
    // A claim whose answer was lost and that was never made.
    check(Phase::Open, 5, fenced(5), &[6], true);
    // It was loaded again since.
    check(Phase::Open, 6, fenced(5), &[], false);
    check(Phase::Open, 5, Cause::Opening, &[], false);
    check(Phase::Loading, 6, fenced(5), &[], false);
    check(Phase::Loading, 6, fenced(5), &[6], true);
    check(Phase::Loading, 6, fenced(5), &[6, 7], true);
    check(Phase::Loading, 8, fenced(5), &[6, 7], false);
    check(Phase::Loading, 8, Cause::Abandoned, &[], true);
    check(Phase::Loading, 8, Cause::Abandoned, &[6], false);
    check(Phase::Retired, 5, fenced(5), &[], false);
    check(Phase::Retired, 5, Cause::Opening, &[], false);
}

#[tokio::test]
async fn a_request_whose_load_came_to_nothing_waits_again() {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("inventory.db").display());
    // Without its schema it answers nothing.
    let catalog = SqliteCatalog::open(&url, &PoolSettings::default(), 1).await.unwrap();
    let broker = Broker::start(1).unwrap();
    let background = Handle::current();
    let Config { upstream, mut loading, .. } = Config::load(None).unwrap();
    (loading.again_ms, loading.again_ms_max) = (1, 1);
    loading.loads_max = 1;
    let channel = connect_lazy(&background, &upstream.order_svc, &upstream.channel).unwrap();
    let clock = Clock::system();
    let rooms = Rooms {
        catalog: Arc::new(catalog),
        ledger: Arc::new(MemoryLedger::new(clock.clone())),
        journal: broker.journal(&journal::Settings::default()).unwrap(),
        books: Books::new(channel, upstream.deadline()),
        clock,
        pause: PausePoints::default(),
    };
    let owner = TaskOwner::new("test", Stopper::new());
    let requests = LoadRequests::default();
    let tasks = owner.tasks();
    let address = "memory".to_owned();
    let loads = crate::metrics::Instruments::new(&chassis::Metrics::new()).loads;
    let requested = requests.clone();
    let loader = Loader::new(rooms, loading, address, tasks, background, requested, loads);

    let (shard, why) = (row(Phase::Open, 5).no, Why::Rejected(epoch(5)));
    assert_eq!(loader.start(shard, Cause::Requested(why)), Start::Started);
    assert_eq!(loader.start(shard, Cause::Requested(why)), Start::AlreadyLoading);
    let other = ShardNo::new(2).unwrap();
    assert_eq!(loader.start(other, Cause::Opening), Start::NoSeat);
    let ended = async {
        while loader.start(shard, Cause::Opening) == Start::AlreadyLoading {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it gives up");
    assert_eq!(requests.take(), [(shard, why)]);
}
