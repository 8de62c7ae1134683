//! What is left: sales, items, the ledger of stock and holds, loading a shard.
//!
//! inventory-svc promises that units are taken by nothing but an admitted hold (law A), that a
//! shard is used only in the epoch that the log elected and inside its lease (law B, I-2), and that
//! an open hold is rolled forward until the books settle it (law C, I-3). It doesn't know what an
//! order becomes; the books do.
//!
//! [`build`] is the wiring, read top to bottom.

mod config;
pub mod domain;

mod grpc;
mod jobs;

pub mod metrics;

pub mod commands;
pub mod lease;
pub mod loading;
pub mod roll_forward;

pub mod catalog;
pub mod ledger;
pub mod upstream;

use std::{net::SocketAddr, sync::Arc};

use chassis::{
    Clock, Cores, Health, Listeners, PausePoints, ServerSettings, Stopper, TaskOwner, Telemetry,
    channel::{BadAddress, connect_lazy},
    config::ConfigError,
    reflection::{BadDescriptors, reflection},
};
use journal::Journal;
use tonic::service::Routes;

pub use config::{Config, Lease, Loading, RollForward, Upstream};

use crate::{
    commands::{Inventory, watch::StockWatch},
    jobs::Jobs,
    lease::LeaseView,
    ledger::Ledger,
    loading::{Foreign, LoadRequests, Loader, Rooms},
    metrics::Instruments,
    upstream::{books::Books, operators::Operators},
};

/// What a caller may put in the place of the real thing, and what it has to bring.
#[derive(Clone)]
pub struct Seams {
    /// Leases and times are measured by it.
    pub clock: Clock,
    /// Places to stop at in tests: `inventory.before_ledger`, `inventory.after_ledger`.
    pub pause: PausePoints,
    /// The runtimes that serve and work.
    pub cores: Arc<Cores>,
    /// Who keeps the ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The log.
    pub journal: Journal,
    /// What it is seen by.
    pub telemetry: Telemetry,
}

/// Why the service can't be started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A knob makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address of another service is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The catalog can't be opened.
    #[error("catalog: {0}")]
    Open(#[from] store::OpenError),
    /// The schema can't be brought up to date, or isn't.
    #[error("catalog: {0}")]
    Migrate(#[from] store::MigrateError),
    /// A defect of the build.
    #[error(transparent)]
    Descriptors(#[from] BadDescriptors),
}

/// Why the service ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{0}` of inventory-svc ended, and it can't go on without it")]
pub struct RunError(&'static str);

/// The service, built and not yet running.
pub struct App {
    config: Config,
    listeners: Listeners,
    cores: Arc<Cores>,
    rooms: Rooms,
    inventory: Inventory,
    stock: StockWatch,
    operators: Arc<Operators>,
    foreign: Foreign,
    health: Health,
    routes: Routes,
    telemetry: Telemetry,
}

/// Brings the schema of the catalog up to date. Safe beside running roles, and a second time.
///
/// # Errors
/// If the store can't be opened, or a migration fails (it then changed nothing).
pub async fn migrate(config: &Config) -> Result<(), BuildError> {
    catalog::migrate(config).await
}

/// Opens the catalog, checks its schema, and puts the parts together. Nothing is served
/// and no other service is asked before [`App::run`].
///
/// # Errors
/// Whatever keeps it from serving, in one sentence.
pub async fn build(config: Config, listeners: Listeners, seams: Seams) -> Result<App, BuildError> {
    config.check()?;
    let Seams { clock, pause, cores, ledger, journal, telemetry } = seams;
    let catalog = catalog::open(&config, journal.partitions(), &clock, cores.background()).await?;

    let Upstream { order_svc, user_svc, channel, .. } = &config.upstream;
    let deadline = config.upstream.deadline();
    let books = Books::new(connect_lazy(cores.background(), order_svc, channel)?, deadline);
    let user_svc = connect_lazy(cores.background(), user_svc, channel)?;
    let operators = Operators::new(user_svc, deadline, &config.issuer, clock.clone());
    let operators = Arc::new(operators);

    let inventory = Inventory {
        ledger: Arc::clone(&ledger),
        leases: LeaseView::new(clock.clone()),
        loads: LoadRequests::default(),
        pause: pause.clone(),
        tracer: telemetry.tracer().clone(),
        instruments: Instruments::new(telemetry.metrics()),
    };
    let health = Health::new();
    telemetry.show(&health);
    let foreign = Foreign::new(inventory.instruments.foreign_shards.clone());
    let catalog_service = grpc::catalog::service(grpc::catalog::Handlers {
        catalog: Arc::clone(&catalog),
        books: books.clone(),
        operators: Arc::clone(&operators),
        leases: inventory.leases.clone(),
        foreign: foreign.clone(),
        clock: clock.clone(),
    });
    let routes = reflection(grpc::OFFERED)?
        .add_service(health.service(grpc::OFFERED.services))
        .add_service(catalog_service);

    Ok(App {
        config,
        listeners,
        cores,
        rooms: Rooms { catalog, ledger, journal, books, clock, pause },
        stock: StockWatch::new(inventory.clone()),
        inventory,
        operators,
        foreign,
        health,
        routes,
        telemetry,
    })
}

impl App {
    /// Where it is reached.
    pub fn addr(&self) -> SocketAddr {
        self.listeners.addr()
    }

    /// Serves until the stopper stops, lets calls end, and returns. Dropping the future instead is
    /// a crash: all that was going on ends at its next await.
    ///
    /// # Errors
    /// If a part that it can't do without has ended by itself.
    pub async fn run(self, stopper: Stopper) -> Result<(), RunError> {
        let Self { config, listeners, cores, rooms, inventory, stock, operators, .. } = self;
        let Self { foreign, health, routes, telemetry, .. } = self;
        let drain_max = config.drain_max();
        let owner = TaskOwner::new("inventory-svc", stopper);
        let tasks = owner.tasks();

        let (catalog, books) = (Arc::clone(&rooms.catalog), rooms.books.clone());
        let (watched, stopping) = (stock.clone(), tasks.stopper().clone());
        let (inquiry, ready) = (inventory.clone(), health.clone());
        let service = grpc::inventory::service(inquiry, catalog, books, watched, ready, stopping);
        let routes = routes.add_service(service);
        let server: ServerSettings = config.server.clone();
        let loader = Loader::new(
            rooms.clone(),
            config.loading,
            // It goes into the catalog, where no password belongs.
            ledger::redis::shown(&config.ledger_url),
            tasks.clone(),
            cores.background().clone(),
            inventory.loads.clone(),
            (inventory.instruments.loads.clone(), foreign.clone()),
        );
        let jobs = Jobs { config, rooms, inventory, stock, operators, health, loader, foreign };
        // The lease is there before the first call: buyers needn't be told to come back.
        jobs.read_lease().await;
        jobs.spawn(&tasks, cores.background());
        let words = grpc::status::words();
        chassis::serve(&tasks, &cores, listeners, &server, words, &telemetry, |_| routes.clone());

        let ended = tokio::select! {
            biased;
            () = tasks.stopper().stopped() => Ok(()),
            name = owner.essential_ended() => Err(RunError(name)),
        };
        owner.drain(drain_max).await;
        ended
    }
}
