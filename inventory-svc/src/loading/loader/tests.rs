//! Which shards are loaded, by what the catalog's primary shows of them, and what becomes of a
//! request whose load came to nothing.

use chassis::{ClockShift, PausePoints, Stopper, TaskOwner, channel::connect_lazy};
use journal::embedded::Broker;
use store::PoolSettings;
use tempfile::TempDir;

use super::*;
use crate::{
    Config,
    catalog::{
        Claim, Seen,
        sqlite::{MIGRATIONS, SqliteCatalog},
    },
    domain::sale::{ItemDraft, SaleDraft},
    ledger::MemoryLedger,
    upstream::books::Books,
};

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
    check(Phase::Open, 5, Cause::Over, &[], true);
    check(Phase::Loading, 6, Cause::Over, &[6], true);
    check(Phase::Loading, 8, Cause::Over, &[6], false);
    for phase in [Phase::New, Phase::Retired] {
        check(phase, 0, Cause::Over, &[], false);
    }
}

/// A loader over a catalog in `dir` and a ledger with a clock of its own.
struct Stage {
    loader: Loader,
    catalog: Arc<SqliteCatalog>,
    requests: LoadRequests,
    clock: ClockShift,
    ledger_clock: ClockShift,
    _owner: TaskOwner,
}

impl Stage {
    async fn new(dir: &TempDir) -> Self {
        let url = format!("sqlite:{}", dir.path().join("inventory.db").display());
        let ((now, clock), (ledger_now, ledger_clock)) = (Clock::adjustable(), Clock::adjustable());
        let settings = PoolSettings::default();
        let catalog = SqliteCatalog::open(&url, &settings, 1, now.clone()).await.unwrap();
        let catalog = Arc::new(catalog);
        let broker = Broker::start(1).unwrap();
        let background = Handle::current();
        let Config { upstream, mut loading, .. } = Config::load(None).unwrap();
        (loading.again_ms, loading.again_ms_max) = (1, 1);
        loading.loads_max = 1;
        let channel = connect_lazy(&background, &upstream.order_svc, &upstream.channel).unwrap();
        let rooms = Rooms {
            catalog: Arc::clone(&catalog) as _,
            ledger: Arc::new(MemoryLedger::new(ledger_now)),
            journal: broker.journal(&journal::Settings::default()).unwrap(),
            books: Books::new(channel, upstream.deadline()),
            clock: now,
            pause: PausePoints::default(),
        };
        let owner = TaskOwner::new("test", Stopper::new());
        let (requests, tasks) = (LoadRequests::default(), owner.tasks());
        let instruments = crate::metrics::Instruments::new(&chassis::Metrics::new());
        let seen = (instruments.loads, Foreign::new(instruments.foreign_shards));
        let (address, asked) = ("memory".to_owned(), requests.clone());
        let loader = Loader::new(rooms, loading, address, tasks, background, asked, seen);
        Self { loader, catalog, requests, clock, ledger_clock, _owner: owner }
    }

    /// A shard that is OPEN, of a sale that lasts for an hour from now on.
    async fn open_shard(&self) -> ShardNo {
        let catalog = &self.catalog;
        store::migrate(&catalog.db().writer, &MIGRATIONS).await.unwrap();
        let item = ItemDraft {
            sku: "mug".to_owned(),
            title: "A mug".to_owned(),
            price: Some(("EUR".to_owned(), 1)),
            total_units: 1,
            limit_per_user: 1,
            ..ItemDraft::default()
        };
        let (request_id, title) = ("one".to_owned(), "Spring".to_owned());
        let draft = SaleDraft { request_id, title, items: vec![item] };
        let sale = catalog.create_sale(&draft.check().unwrap(), "ann", 1, 0).await.unwrap();
        let opens_ms = Clock::system().wall_ms();
        let schedule = Schedule { opens_ms, closes_ms: opens_ms + 3_600_000, warm_up_s: 0 };
        catalog.schedule(sale.id, schedule).await.unwrap();
        let shard = sale.items[0].shards[0].no;
        let seen = Seen { shard, item: sale.items[0].id, phase: Phase::New, epoch: None };
        let claim = Claim { to: epoch(5), lasts: Duration::ZERO, ledger_address: "memory" };
        assert!(catalog.begin_loading(seen, claim).await.unwrap());
        assert!(catalog.open(shard, epoch(5)).await.unwrap());
        shard
    }

    /// What the job does at each beat.
    async fn watch(&self) {
        let over = self.catalog.over(10).await.unwrap();
        self.loader.saw_over(&over);
    }

    /// None: nothing is to be done. Else whether the shard retires.
    async fn retires(&self, shard: ShardNo, cause: Cause) -> Option<bool> {
        let planned = self.loader.0.plan(shard, cause, &[]).await.unwrap();
        planned.map(|planned| planned.is_over)
    }
}

#[tokio::test]
async fn a_sale_is_over_when_each_clock_says_so_and_it_was_seen_for_long() {
    let dir = TempDir::new().unwrap();
    let stage = Stage::new(&dir).await;
    let shard = stage.open_shard().await;
    let fenced = Cause::Requested(Why::Fenced(epoch(5)));
    assert_eq!(stage.retires(shard, Cause::Over).await, None);
    assert_eq!(stage.retires(shard, fenced).await, Some(false));
    let long = Duration::from_secs(300);
    let over = Duration::from_secs(3_600) + long;
    // One clock has jumped, for however long; the catalog's is this process's here.
    for clock in [&stage.clock, &stage.ledger_clock] {
        for _ in 0..2 {
            clock.jump(over);
            stage.watch().await;
            assert_eq!(stage.retires(shard, Cause::Over).await, None);
            assert_eq!(stage.retires(shard, fenced).await, Some(false));
        }
        clock.jump_wall_back(2 * over);
        stage.watch().await;
    }
    // Both have, as they do on one host; then they are put right.
    let both = [&stage.clock, &stage.ledger_clock];
    let almost = long - Duration::from_secs(60);
    for by in [over, almost] {
        both.iter().for_each(|clock| clock.jump(by));
        stage.watch().await;
        assert_eq!(stage.retires(shard, Cause::Over).await, None, "it wasn't seen for long");
        assert_eq!(stage.retires(shard, fenced).await, Some(false));
    }
    both.iter().for_each(|clock| clock.jump_wall_back(over + almost));
    stage.watch().await;
    // Time has passed.
    for by in [over, almost] {
        both.iter().for_each(|clock| clock.jump(by));
        stage.watch().await;
        assert_eq!(stage.retires(shard, Cause::Over).await, None);
    }
    both.iter().for_each(|clock| clock.jump(long - almost));
    stage.watch().await;
    assert_eq!(stage.retires(shard, Cause::Over).await, Some(true));
    // What is over isn't brought back, whatever has happened to it.
    assert_eq!(stage.retires(shard, fenced).await, Some(true));
}

#[tokio::test]
async fn a_request_whose_load_came_to_nothing_waits_again() {
    let dir = TempDir::new().unwrap();
    // Its catalog has no schema, so it answers nothing.
    let Stage { loader, requests, _owner, .. } = Stage::new(&dir).await;

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
