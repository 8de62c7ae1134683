//! The door: identity, tickets, admission, coalescing, the public API.
//!
//! The gateway promises that ACCEPTED is told only for what the journal has acknowledged inside the
//! lease (I-2), that nothing is admitted without a ticket of this shop for that buyer (I-5), and
//! that one wish is one order however often it is sent (I-4). It keeps nothing that a restart would
//! lose, and doesn't know what is left: only the ledger does.
//!
//! [`build`] is the wiring, read top to bottom.

mod batches;
mod breaker;
mod breakers;
mod bulkhead;
mod call;
mod coalesce;
mod concurrency;
mod config;
mod crowd;
mod domain;
mod edge;
mod expiry;
mod identity;
mod items;
mod layers;
mod ledger_time;
mod metrics;
mod orders;
mod pace;
mod rates;
mod sales;
mod sent;
mod stack;
mod stock;
mod tickets;
mod till;
mod under_way;
mod upstream;
mod watch;

pub use config::{
    Allowance, BreakerSettings, CatalogSettings, ClientSettings, ConcurrencySettings, Config,
    CorsSettings, IdentitySettings, PurchaseSettings, RateSettings, StockSettings, TicketSettings,
    UpstreamSettings, WatchSettings,
};

/// The door's decisions about what a buyer is told, pure: what is a promise, and what became of an
/// order. For whoever searches them or judges by them.
pub mod answers {
    pub use crate::domain::{
        item::Money,
        order::{Became, InLedger, Next, Row, after_ledger},
        purchase::{Answer, EntryAnswer, EntryRefusal, Hold, Recorded, Settled, answers},
    };
}

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chassis::{
    Clock, Cores, Health, Kind, Listeners, PausePoints, ServerSettings, Stopper, TaskOwner, Tasks,
    Telemetry,
    channel::{BadAddress, connect_lazy},
    config::ConfigError,
    job::every,
    reflection::{BadDescriptors, Offered, reflection},
};
use journal::Journal;
use tonic::service::Routes;

use crate::{
    batches::{Batches, Road},
    edge::{Edge, Reception, Shop, operators::OperatorDesk},
    identity::{Identity, keep_keys, keep_revocations},
    items::Items,
    metrics::Instruments,
    orders::Inquiry,
    rates::Rates,
    sales::Sales,
    sent::Sent,
    stack::{Senses, Stack},
    stock::{ClockWatch, StockView},
    upstream::{Inventory, Office, Orders, Users},
};

/// A clock that is set wrong stays so for longer than this.
const COMPARE_CLOCKS: Duration = Duration::from_secs(1);

/// What a caller may put in the place of the real thing.
#[derive(Debug, Clone)]
pub struct Seams {
    /// Tells the time: of tokens and tickets, and of the lease on saying ACCEPTED.
    pub clock: Clock,
    /// Places to stop at in tests: `gateway.after_reserve`, `gateway.after_produce`.
    pub pause: PausePoints,
    /// The runtimes that serve and work.
    pub cores: Arc<Cores>,
    /// Where holds are recorded.
    pub journal: Journal,
    /// What it is seen by.
    pub telemetry: Telemetry,
}

/// Where calls are taken.
#[derive(Debug)]
pub struct Doors {
    /// Buyers'.
    pub public: Listeners,
    /// Operators'; none: nowhere.
    pub operators: Option<Listeners>,
}

impl From<Listeners> for Doors {
    /// The public's alone.
    fn from(public: Listeners) -> Self {
        Self { public, operators: None }
    }
}

/// Why the gateway can't be started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A knob makes no sense, or a key can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another service can't be where it is said to be.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// A defect of the build.
    #[error(transparent)]
    Descriptors(#[from] BadDescriptors),
}

/// Why the gateway ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{0}` of the gateway ended, and it can't go on without it")]
pub struct RunError(&'static str);

/// The gateway, built and not yet running.
pub struct App {
    seams: Seams,
    doors: Doors,
    shop: Arc<Shop>,
    users: Users,
    /// One for each serving core: a connection of its own, on its own runtime.
    inventories: Vec<Inventory>,
    /// The same: what its layers count and learn.
    senses: Vec<Senses>,
    stock: Arc<StockView>,
    health: Health,
    routes: Routes,
    operator_routes: Routes,
}

/// Reads the keys and puts the parts together. No other service needs to be up. Nothing is served
/// before [`App::run`].
///
/// # Errors
/// Whatever keeps it from serving, in one sentence.
pub async fn build(
    config: Config,
    doors: impl Into<Doors>,
    seams: Seams,
) -> Result<App, BuildError> {
    config.check()?;
    let tickets = config.tickets.read_keys()?;
    let clock = seams.clock.clone();

    // Reads go over channels of the background runtime, the hot path over one for each core.
    let urls = &config.upstream;
    let background = seams.cores.background();
    let connect = |runtime, url: &str| connect_lazy(runtime, url, &urls.channel);
    let users = Users::new(connect(background, &urls.user)?);
    let books = Orders::new(connect(background, &urls.order)?, clock.clone());
    let inventory = Inventory::new(connect(background, &urls.inventory)?, clock.clone());
    let office =
        Office::new(connect(background, &urls.inventory)?, connect(background, &urls.user)?);
    let on_core = |core| Ok(Inventory::new(connect(core, &urls.inventory)?, clock.clone()));
    let inventories = seams.cores.serving().iter().map(on_core);
    let inventories = inventories.collect::<Result<Vec<_>, BadAddress>>()?;

    let (known, read_limit) = (&config.catalog, urls.read_limit());
    let stock = Arc::new(StockView::default());
    let items = Arc::new(Items::new(
        inventory.clone(),
        Arc::clone(&stock),
        known.known_items_max,
        known.items_idle(),
        known.sales_known_for(),
        read_limit,
    ));
    let sales = Sales::new(
        inventory.clone(),
        Arc::clone(&items),
        known.known_sales_max,
        known.sales_known_for(),
        read_limit,
    );

    let health = Health::new();
    seams.telemetry.show(&health);
    let told = |offered: Offered<'static>| {
        reflection(offered).map(|routes| routes.add_service(health.service(offered.services)))
    };
    let (routes, operator_routes) = (told(edge::OFFERED)?, told(edge::operators::OFFERED)?);
    let shop = Shop {
        instruments: Instruments::new(seams.telemetry.metrics()),
        clock: clock.clone(),
        identity: Identity::new(config.identity.clone(), users.clone(), clock),
        tickets,
        items,
        sales,
        inquiry: Inquiry::new(books, inventory, Arc::clone(&stock), seams.clock.clone()),
        order_watchers: watch::orders::Watchers::new(config.watch.order_room()),
        item_watchers: watch::items::Watchers::new(config.watch.item_room()),
        sent: Sent::new(config.purchase.sent_orders_max, config.tickets.lifetime()),
        rates: Arc::new(Rates::new(&config.rates, seams.clock.clone())),
        config,
    };
    let shop = Arc::new(shop);
    let senses: Vec<_> = seams.cores.serving().iter().map(|_core| Senses::new(&shop)).collect();
    metrics::show_limits(seams.telemetry.metrics(), senses.clone(), Arc::clone(&shop));
    let desk = OperatorDesk::new(Arc::clone(&shop), office);
    let operator_routes = stack::operator_routes(operator_routes, desk, &shop.config);
    Ok(App {
        seams,
        doors: doors.into(),
        shop,
        users,
        inventories,
        senses,
        stock,
        health,
        routes,
        operator_routes,
    })
}

impl App {
    /// Where it is reached.
    pub fn addr(&self) -> SocketAddr {
        self.doors.public.addr()
    }

    /// Where operators reach it.
    pub fn operator_addr(&self) -> Option<SocketAddr> {
        self.doors.operators.as_ref().map(Listeners::addr)
    }

    /// Serves until the stopper stops, lets calls and batches end, and returns. Dropping the future
    /// instead is a crash: all that was going on ends at its next await.
    ///
    /// # Errors
    /// If a part that it can't do without has ended by itself.
    pub async fn run(self, stopper: Stopper) -> Result<(), RunError> {
        let owner = TaskOwner::new("gateway", stopper);
        let tasks = owner.tasks();
        self.spawn_jobs(&tasks);
        let (health, journal) = (self.health.clone(), self.seams.journal.clone());
        let drain_max = self.shop.config.drain_max();
        let settings = self.shop.config.server();
        let pages = edge::cors::layer(&self.shop.config.cors).map(Arc::new);
        let public = ServerSettings { pages, ..settings.clone() };
        let routes = self.core_routes(&tasks);
        let (cores, words) = (&self.seams.cores, edge::status::words());
        let telemetry = self.seams.telemetry.at_the_edge();
        chassis::serve(&tasks, cores, self.doors.public, &public, words, &telemetry, routes);
        if let Some(listeners) = self.doors.operators {
            tracing::info!(addr = %listeners.addr(), "operators are served");
            let routes = |_| self.operator_routes.clone();
            let operators = edge::operators::server(settings);
            chassis::serve(&tasks, cores, listeners, &operators, words, &telemetry, routes);
        }
        health.set_ready(true).await;
        let ended = tokio::select! {
            biased;
            () = tasks.stopper().stopped() => Ok(()),
            name = owner.essential_ended() => Err(RunError(name)),
        };
        health.set_ready(false).await;
        owner.drain(drain_max).await;
        journal.flush(drain_max).await;
        ended
    }

    /// The routes of a core.
    fn core_routes(&self, tasks: &Tasks) -> impl Fn(usize) -> Routes + use<> {
        let (shop, users, routes) =
            (Arc::clone(&self.shop), self.users.clone(), self.routes.clone());
        let (inventories, seams, tasks) =
            (self.inventories.clone(), self.seams.clone(), tasks.clone());
        let senses = self.senses.clone();
        move |core| {
            let config = &shop.config;
            let senses = senses[core].clone();
            let road = Road {
                inventory: inventories[core].clone(),
                stock: Arc::clone(&shop.inquiry.stock),
                journal: seams.journal.clone(),
                lags: Mutex::default(),
                clock: seams.clock.clone(),
                pause: seams.pause.clone(),
                breakers: Arc::clone(&senses.breakers),
                limiter: Arc::clone(&senses.limiter),
                tracer: seams.telemetry.tracer().clone(),
                instruments: shop.instruments.clone(),
            };
            let purchase = &config.purchase;
            let under_way = Arc::clone(&shop.inquiry.under_way);
            let (bounds, lanes_max) = (purchase.bounds(), purchase.lanes_max);
            let batches = Batches::new(bounds, lanes_max, under_way, road, tasks.clone());
            let stack = Stack::new(Arc::clone(&shop), senses, batches);
            let reception = Reception::new(Arc::clone(&shop), stack.clone(), users.clone());
            let edge = Edge::new(Arc::clone(&shop), stack, tasks.stopper().clone());
            stack::routes(routes.clone(), edge, reception, config)
        }
    }

    fn spawn_jobs(&self, tasks: &Tasks) {
        let background = self.seams.cores.background();
        let stopper = tasks.stopper().clone();
        let keys = keep_keys(Arc::clone(&self.shop.identity), stopper.clone());
        tasks.spawn_on(background, Kind::Disposable, "keep keys", keys);
        let revoked = keep_revocations(Arc::clone(&self.shop.identity), stopper.clone());
        tasks.spawn_on(background, Kind::Disposable, "keep revocations", revoked);

        let stock = stock::listen(
            Arc::clone(&self.stock),
            self.shop.inquiry.inventory.clone(),
            self.shop.clock.clone(),
            stopper.clone(),
            self.shop.config.upstream.read_limit(),
        );
        tasks.spawn_on(background, Kind::Disposable, "listen to stock", stock);

        let (shop, until) = (Arc::clone(&self.shop), stopper.clone());
        let forget = async move {
            let interval = shop.config.rates.forget_interval();
            every(interval, &until, async || shop.rates.forget()).await;
        };
        tasks.spawn_on(background, Kind::Disposable, "forget allowances", forget);

        let (shop, until) = (Arc::clone(&self.shop), stopper.clone());
        let compare = async move {
            let (watch, slack_ms) = (ClockWatch::new(), shop.config.purchase.clock_slack_ms);
            every(COMPARE_CLOCKS, &until, async || {
                watch.look(&shop.inquiry.stock, &shop.clock, slack_ms);
            })
            .await;
        };
        tasks.spawn_on(background, Kind::Disposable, "compare clocks", compare);

        let (shop, until) = (Arc::clone(&self.shop), stopper.clone());
        let poll = async move {
            let limit = shop.config.upstream.read_limit();
            every(shop.config.watch.poll_interval(), &until, async || {
                watch::orders::poll(&shop.order_watchers, &shop.inquiry, &shop.clock, limit).await;
            })
            .await;
        };
        tasks.spawn_on(background, Kind::Disposable, "poll watched orders", poll);

        let shop = Arc::clone(&self.shop);
        let tell = async move {
            let fresh = shop.config.stock.fresh();
            every(shop.config.watch.item_interval(), &stopper, async || {
                watch::items::tell(&shop.item_watchers, shop.clock.now(), fresh);
            })
            .await;
        };
        tasks.spawn_on(background, Kind::Disposable, "tell what is left", tell);
    }
}
