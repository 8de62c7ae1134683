//! What we do unasked. A step is idempotent, takes no input, bounds its own time and logs its own
//! failures; the loop around it is the chassis's. The service can't go on without any of them.

mod compare_books;
mod load_requested;
mod open_due;
mod refresh_lease;
mod retire_over;
mod roll_forward;
mod take_over_dead;
mod watch_keeper;
mod watch_stores;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chassis::{Health, Kind, Stopper, Tasks, job::Beat, logs::Lasting};
use tokio::runtime::Handle;

use self::{
    compare_books::CompareBooks, load_requested::LoadRequested, open_due::OpenDue,
    refresh_lease::RefreshLease, retire_over::RetireOver, roll_forward::RollForward,
    take_over_dead::TakeOverDead, watch_keeper::WatchKeeper, watch_stores::WatchStores,
};
use crate::{
    commands::{Inventory, watch::StockWatch},
    config::Config,
    loading::{Foreign, Loader, Rooms},
    upstream::operators::Operators,
};

/// How soon the operators' keys are read again that couldn't be read at all.
const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// What a job does at each beat.
trait Step: Send + Sync + 'static {
    fn step(&self) -> impl Future<Output = ()> + Send;
}

/// All jobs and what they work with.
pub(crate) struct Jobs {
    pub(crate) config: Config,
    pub(crate) rooms: Rooms,
    pub(crate) inventory: Inventory,
    pub(crate) stock: StockWatch,
    pub(crate) operators: Arc<Operators>,
    pub(crate) health: Health,
    pub(crate) loader: Loader,
    pub(crate) foreign: Foreign,
}

impl Jobs {
    /// Reads the epoch lease once.
    pub(crate) async fn read_lease(&self) {
        self.refresh_lease().step().await;
    }

    fn refresh_lease(&self) -> RefreshLease {
        RefreshLease {
            catalog: Arc::clone(&self.rooms.catalog),
            view: self.inventory.leases.clone(),
            interval_max: self.config.lease.refresh_max(),
            trouble: Lasting::default(),
        }
    }

    fn watch_stores(&self) -> WatchStores {
        WatchStores {
            catalog: Arc::clone(&self.rooms.catalog),
            ledger: Arc::clone(&self.rooms.ledger),
            view: self.inventory.leases.clone(),
            health: self.health.clone(),
            connections: self.inventory.instruments.connections.clone(),
        }
    }

    /// Starts them as tasks of `tasks` on `background`.
    pub(crate) fn spawn(self, tasks: &Tasks, background: &Handle) {
        let (refresh_lease, watch_stores) = (self.refresh_lease(), self.watch_stores());
        let Self { config, rooms, inventory, stock, operators, loader, foreign, .. } = self;
        let Rooms { catalog, ledger, journal, books, clock, .. } = rooms;
        let Inventory { leases, loads, instruments, .. } = inventory;
        let (loading, roll_forward) = (config.loading, config.roll_forward);
        let stopper = tasks.stopper();
        let spawn = Spawn { tasks, background };

        spawn.job("refresh_lease", refresh_lease.run(stopper.clone()));
        let requested = LoadRequested {
            requests: loads.clone(),
            loader: loader.clone(),
            again: loading.look(),
        };
        spawn.job("load_requested", requested.run(stopper.clone()));
        let poller = stopper.clone();
        spawn.job("watch_stock", async move { stock.poll(&poller).await });
        spawn.job("watch_stores", watch_stores.run(stopper.clone()));
        spawn.job(
            "read_keys",
            read_keys(Arc::clone(&operators), config.upstream.keys_interval(), stopper.clone()),
        );
        let interval = config.upstream.revocations_interval();
        spawn.job("read_revocations", read_revocations(operators, interval, stopper.clone()));

        let open = OpenDue {
            catalog: Arc::clone(&catalog),
            loader: loader.clone(),
            trouble: Lasting::default(),
            shards_max: u32::try_from(loading.loads_max).unwrap_or(u32::MAX),
        };
        spawn.every("open_due", loading.look(), open);
        let after_s = loading.retire_after_s;
        let retire = RetireOver::new(&catalog, &ledger, &leases, &loader, &clock, after_s);
        spawn.every("retire_over", loading.look(), retire);
        let loader_lease = loading.loader_lease();
        let take_over = TakeOverDead {
            catalog: Arc::clone(&catalog),
            loader,
            trouble: Lasting::default(),
            loader_lease,
        };
        spawn.every("take_over_dead", loading.look(), take_over);
        let keeper = WatchKeeper {
            ledger: Arc::clone(&ledger),
            view: leases.clone(),
            requests: loads.clone(),
            known: Mutex::default(),
        };
        spawn.every("watch_keeper", loading.keeper(), keeper);
        let (kept, asked) = (Arc::clone(&ledger), books.clone());
        let compare = CompareBooks::new(leases, kept, asked, loads.clone(), foreign.clone());
        spawn.every("compare_books", loading.compare(), compare);
        let budget = roll_forward::budget(roll_forward.holds_per_s_max, roll_forward.interval());
        let roll = RollForward {
            catalog,
            ledger,
            books,
            journal,
            requests: loads,
            foreign,
            budget,
            clock,
            instruments,
            seen: Mutex::default(),
            troubles: roll_forward::Troubles::default(),
        };
        spawn.every("roll_forward", roll_forward.interval(), roll);
    }
}

struct Spawn<'a> {
    tasks: &'a Tasks,
    background: &'a Handle,
}

impl Spawn<'_> {
    fn job(&self, name: &'static str, job: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.background, Kind::Essential, name, job);
    }

    fn every(&self, name: &'static str, interval: Duration, job: impl Step) {
        let mut beat = Beat::new(interval, self.tasks.stopper());
        self.job(name, async move {
            while beat.next().await {
                job.step().await;
            }
        });
    }
}

/// Reads the operators' keys, soon again until that has worked once.
async fn read_keys(operators: Arc<Operators>, interval: Duration, stopper: Stopper) {
    let trouble = Lasting::default();
    while !stopper.is_stopped() {
        match operators.read_keys().await {
            Ok(()) => drop(trouble.over()),
            Err(error) => {
                if let Some(unsaid) = trouble.again() {
                    tracing::warn!(
                        %error, unsaid,
                        "operators' keys could not be read: who signs with a new one is refused"
                    );
                }
            }
        }
        let wait = if operators.has_keys() { interval } else { KEYS_AGAIN.min(interval) };
        tokio::select! {
            biased;
            () = stopper.stopped() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Reads what was revoked of operators' tokens.
async fn read_revocations(operators: Arc<Operators>, interval: Duration, stopper: Stopper) {
    let mut beat = Beat::new(interval, &stopper);
    let trouble = Lasting::default();
    while beat.next().await {
        match operators.read_revocations().await {
            Ok(()) => {
                if let Some(after) = trouble.over() {
                    let seconds = after.as_secs();
                    tracing::info!(
                        seconds,
                        "user-svc tells again which operators' tokens are revoked"
                    );
                }
            }
            Err(error) => {
                if let Some(unsaid) = trouble.again() {
                    tracing::warn!(
                        %error, unsaid,
                        "what was revoked of operators' tokens can't be read"
                    );
                }
            }
        }
    }
}
