//! All four services in this process on the embedded default, wired like `seckill dev`, with what a
//! test needs besides: each service can crash and start again, time can jump for one of them, and
//! the ledger and the journal live on.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chassis::{Clock, ClockShift, Cores, PausePoints, TelemetryOwner, TelemetrySettings};
use inventory_svc::ledger::{Ledger, MemoryLedger};
use journal::embedded::Broker;
use proto::{
    inventory::v1::{
        CountShardRequest, CountShardResponse, catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::order_service_client::OrderServiceClient,
    user::v1::operator_service_client::OperatorServiceClient,
};
use tempfile::TempDir;
use testbed::Database;
use tonic::{Status, transport::Channel};

mod collector;
mod databases;
mod patience;
mod roles;
mod selling;
mod shopper;
mod verdict;

pub(crate) use collector::{Collector, Recorded, log};
pub(crate) use databases::{Kind, by_hand};
pub(crate) use patience::{eventually, when_there_is_room};
use roles::{Places, Role};
pub(crate) use selling::{Offer, OpenSale, as_operator, draft_of, hire, make_sale};
pub(crate) use shopper::{Shopper, Ticket};

/// Long enough for a loaded machine to finish anything that it will ever finish.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Randomness of the stories; a failure can be seen again.
pub(crate) const SEED: u64 = 20_260_401;

/// Which service a story freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frozen {
    Gateway,
    Inventory,
}

/// See the module.
pub(crate) struct House {
    pub(crate) broker: Broker,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) gateway_pause: PausePoints,
    pub(crate) inventory_pause: PausePoints,
    /// Of a second inventory-svc, see [`House::open_with_two_loaders`].
    pub(crate) neighbour_pause: PausePoints,
    pub(crate) orders_pause: PausePoints,
    gateway_clock: (Clock, ClockShift),
    inventory_clock: (Clock, ClockShift),
    cores: Arc<Cores>,
    /// What all services are seen by.
    pub(crate) telemetry: TelemetryOwner,
    places: Places,
    operator: String,
    /// What every inventory-svc is given as its ledger.
    keeper: Arc<dyn Ledger>,
    loader_lease: Option<Duration>,
    /// Where the catalog is, if not in a file of the house.
    catalog: Option<Database>,
    /// Where the books are, if not in a file of the house.
    books: Option<Database>,
    tune: fn(&mut gateway::Config),
    user: Option<Role>,
    inventory: Option<Role>,
    neighbour: Option<Role>,
    orders: Option<Role>,
    gateway: Option<Role>,
    data: TempDir,
}

impl House {
    /// Starts everything.
    pub(crate) async fn open() -> Self {
        let mut house = Self::empty();
        house.start_all().await;
        house
    }

    async fn start_all(&mut self) {
        self.start_user().await;
        self.start_inventory().await;
        self.start_orders().await;
        self.start_gateway().await;
    }

    /// The same with a ledger of the caller's, and two inventory-svc, one of which may overtake the
    /// other's load after `loader_lease`. Calls go to both.
    pub(crate) async fn open_with_two_loaders(
        keeper: Arc<dyn Ledger>,
        loader_lease: Duration,
    ) -> Self {
        let mut house = Self { keeper, loader_lease: Some(loader_lease), ..Self::empty() };
        house.start_user().await;
        house.start_inventory().await;
        house.start_neighbour().await;
        house.start_orders().await;
        house.start_gateway().await;
        house
    }

    /// The same, with every call recorded and sent to a collector.
    pub(crate) async fn open_seen_by(collector: &Collector) -> Self {
        let seen = TelemetrySettings {
            otlp_endpoint: collector.url(),
            sample_ratio: 1.0,
            ..TelemetrySettings::default()
        };
        let mut house = Self::empty_seen(&seen);
        house.start_all().await;
        house
    }

    /// The same with a ledger of the caller's, and the gateway's configuration as `tune` leaves it.
    pub(crate) async fn open_with(keeper: Arc<dyn Ledger>, tune: fn(&mut gateway::Config)) -> Self {
        let mut house = Self { keeper, tune, ..Self::empty() };
        house.start_all().await;
        house
    }

    fn empty() -> Self {
        Self::empty_seen(&TelemetrySettings::default())
    }

    fn empty_seen(seen: &TelemetrySettings) -> Self {
        let cores = Arc::new(Cores::start(2).expect("threads can be had"));
        let telemetry = TelemetryOwner::start(seen, &cores, "0").expect("it listens nowhere");
        let data = tempfile::tempdir().expect("a temporary directory");
        let places = Places::find(cores.serving().len());
        let keys = roles::make_keys(data.path());
        let operator = roles::operator_token(&keys, "tests", &user_svc::Rights::all());
        let ledger = Arc::new(MemoryLedger::new(Clock::system()));
        Self {
            broker: Broker::start(roles::PARTITIONS).expect("the embedded broker starts"),
            keeper: Arc::clone(&ledger) as _,
            ledger,
            loader_lease: None,
            catalog: None,
            books: None,
            tune: |_| {},
            gateway_pause: PausePoints::armed(),
            inventory_pause: PausePoints::armed(),
            neighbour_pause: PausePoints::armed(),
            orders_pause: PausePoints::armed(),
            gateway_clock: Clock::adjustable(),
            inventory_clock: Clock::adjustable(),
            cores,
            telemetry,
            places,
            operator,
            user: None,
            inventory: None,
            neighbour: None,
            orders: None,
            gateway: None,
            data,
        }
    }

    /// Stops everything in order, and insists that it ends.
    pub(crate) async fn close(mut self) {
        let Self { gateway, orders, inventory, neighbour, user, .. } = &mut self;
        for role in [gateway, orders, inventory, neighbour, user] {
            if let Some(role) = role.take() {
                role.stop(PATIENCE).await;
            }
        }
    }

    /// The same, and the last spans are sent.
    pub(crate) async fn close_seen(self) {
        let Self { gateway, orders, inventory, user, telemetry, .. } = self;
        for role in [gateway, orders, inventory, user] {
            role.expect("it runs").stop(PATIENCE).await;
        }
        telemetry.drain(PATIENCE).await;
    }

    /// The gateway dies: nothing is drained, flushed or tidied up.
    pub(crate) async fn crash_gateway(&mut self) {
        self.gateway.take().expect("it runs").crash().await;
    }

    /// The first inventory-svc dies.
    pub(crate) async fn crash_inventory(&mut self) {
        self.inventory.take().expect("it runs").crash().await;
    }

    /// order-svc dies.
    pub(crate) async fn crash_orders(&mut self) {
        self.orders.take().expect("it runs").crash().await;
    }

    /// Which pause points a service has.
    pub(crate) fn pause_of(&self, who: Frozen) -> &PausePoints {
        match who {
            Frozen::Gateway => &self.gateway_pause,
            Frozen::Inventory => &self.inventory_pause,
        }
    }

    /// The clock of one service alone.
    pub(crate) fn clock_of(&self, who: Frozen) -> &ClockShift {
        match who {
            Frozen::Gateway => &self.gateway_clock.1,
            Frozen::Inventory => &self.inventory_clock.1,
        }
    }

    /// The operator's token.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    /// The text of one of the keys.
    pub(crate) fn key(&self, name: &str) -> String {
        let key = std::fs::read_to_string(self.data.path().join(name));
        key.expect("it was made with the house").trim().to_owned()
    }

    /// Where clients connect to.
    pub(crate) fn gateway_url(&self) -> String {
        url(self.places.gateway)
    }

    /// Where the audit finds the ledger.
    pub(crate) fn inventory_url(&self) -> String {
        url(self.places.inventory)
    }

    /// Where the audit finds the books.
    pub(crate) fn orders_url(&self) -> String {
        url(self.places.orders)
    }

    /// A connection of its own to the gateway, made when it is first used.
    pub(crate) fn channel(&self) -> Channel {
        channel(self.places.gateway)
    }

    pub(crate) fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(channel(self.places.inventory))
    }

    pub(crate) fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(channel(self.places.inventory))
    }

    pub(crate) fn orders(&self) -> OrderServiceClient<Channel> {
        OrderServiceClient::new(channel(self.places.orders))
    }

    /// What operators ask of user-svc.
    pub(crate) fn operators(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(channel(self.places.user))
    }

    /// With the operator's token in its head.
    pub(crate) fn as_operator<T>(&self, message: T) -> tonic::Request<T> {
        selling::as_operator(&self.operator, message)
    }

    /// Makes a sale of one item that is open from now on, and waits until its shard admits.
    pub(crate) async fn sell(&self, offer: Offer) -> OpenSale {
        let sale = selling::make_sale(self.catalog(), &self.operator, offer).await;
        eventually("the shard opens", PATIENCE, async || {
            let stock = self.counts(&sale).await.ok()?.ledger.stock;
            (stock == u64::from(offer.units)).then_some(())
        })
        .await;
        sale
    }

    /// One buyer, with a connection of their own.
    pub(crate) async fn shopper(&self) -> Shopper {
        self.shoppers(1).await.remove(0)
    }

    /// Buyers that share one connection.
    pub(crate) async fn shoppers(&self, count: u32) -> Vec<Shopper> {
        selling::hire(self.operators(), &self.operator, count, &self.channel()).await
    }

    /// What the ledger alone has, asked past its service: also while order-svc is down.
    pub(crate) async fn ledger_count(&self, sale: &OpenSale) -> CountShardResponse {
        let shard_no = sale.shard.get();
        let answer = self.inventory().count_shard(CountShardRequest { shard_no }).await;
        answer.expect("the shard is loaded").into_inner()
    }

    /// How many orders the ledger has taken in this epoch, open and placed: one look at one store,
    /// since two looks at two would count a hold twice that is settled in between.
    pub(crate) async fn held(&self, sale: &OpenSale) -> u64 {
        let count = self.ledger_count(sale).await;
        count.open_holds + count.placed_orders
    }
}

/// The reason that a refusal gives to machines.
pub(crate) fn reason(status: &Status) -> String {
    chassis::status::reason_of(status).unwrap_or_else(|| panic!("no reason in {status:?}"))
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

fn channel(addr: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(url(addr)).expect("a good URL");
    endpoint.connect_timeout(PATIENCE).tcp_nodelay(true).connect_lazy()
}
