//! All four services in this process on the embedded default, wired like `seckill dev`, with what a
//! test needs besides: each service can crash and start again, time can jump for one of them, and
//! the ledger and the journal live on.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chassis::{Clock, ClockShift, Cores, PausePoints};
use ids::ShardNo;
use inventory_svc::ledger::MemoryLedger;
use journal::embedded::Broker;
use proto::{
    inventory::v1::{
        CountShardRequest, CountShardResponse, CreateSaleRequest, Money, NewItem,
        ScheduleSaleRequest, catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::order_service_client::OrderServiceClient,
    user::v1::{GrantRehearsalRequest, operator_service_client::OperatorServiceClient},
};
use tempfile::TempDir;
use tonic::{Request, Status, transport::Channel};

mod patience;
mod roles;
mod shopper;
mod verdict;

pub(crate) use patience::eventually;
use roles::{Places, Role};
pub(crate) use shopper::{Shopper, Ticket};

/// Long enough for a loaded machine to finish anything that it will ever finish.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Randomness of the stories; a failure can be seen again.
pub(crate) const SEED: u64 = 20_260_401;

/// What is sold, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) units: u32,
    pub(crate) limit_per_user: u32,
    pub(crate) lease: Duration,
}

impl Default for Offer {
    fn default() -> Self {
        Self { units: 10, limit_per_user: 1, lease: Duration::from_secs(2) }
    }
}

/// A sale of one item, open and loaded.
#[derive(Debug, Clone)]
pub(crate) struct OpenSale {
    pub(crate) sale_id: String,
    pub(crate) item_id: String,
    pub(crate) shard: ShardNo,
    pub(crate) lease: Duration,
}

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
    pub(crate) orders_pause: PausePoints,
    gateway_clock: (Clock, ClockShift),
    inventory_clock: (Clock, ClockShift),
    cores: Arc<Cores>,
    places: Places,
    operator: String,
    user: Option<Role>,
    inventory: Option<Role>,
    orders: Option<Role>,
    gateway: Option<Role>,
    data: TempDir,
}

impl House {
    /// Starts everything.
    pub(crate) async fn open() -> Self {
        let cores = Arc::new(Cores::start(2).expect("threads can be had"));
        let data = tempfile::tempdir().expect("a temporary directory");
        let places = Places::find(cores.serving().len());
        let keys = roles::make_keys(data.path());
        let operator =
            user_svc::operator::issue(&keys, "seckill", "tests", Duration::from_secs(3600))
                .expect("the key was just made");
        let mut house = Self {
            broker: Broker::start(roles::PARTITIONS).expect("the embedded broker starts"),
            ledger: Arc::new(MemoryLedger::new(Clock::system())),
            gateway_pause: PausePoints::armed(),
            inventory_pause: PausePoints::armed(),
            orders_pause: PausePoints::armed(),
            gateway_clock: Clock::adjustable(),
            inventory_clock: Clock::adjustable(),
            cores,
            places,
            operator: operator.expose().to_owned(),
            user: None,
            inventory: None,
            orders: None,
            gateway: None,
            data,
        };
        house.start_user().await;
        house.start_inventory().await;
        house.start_orders().await;
        house.start_gateway().await;
        house
    }

    /// Stops everything in order, and insists that it ends.
    pub(crate) async fn close(mut self) {
        for role in [&mut self.gateway, &mut self.orders, &mut self.inventory, &mut self.user] {
            if let Some(role) = role.take() {
                role.stop(PATIENCE).await;
            }
        }
    }

    /// The gateway dies: nothing is drained, flushed or tidied up.
    pub(crate) async fn crash_gateway(&mut self) {
        self.gateway.take().expect("it runs").crash().await;
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

    /// With the operator's token in its head.
    pub(crate) fn as_operator<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.operator).parse().expect("tokens are ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    }

    /// Makes a sale of one item that is open from now on, and waits until its shard admits.
    pub(crate) async fn sell(&self, offer: Offer) -> OpenSale {
        let price = Money { currency: "EUR".to_owned(), minor_units: 4_900 };
        let item = NewItem {
            sku: "LAMP".to_owned(),
            title: "A lamp".to_owned(),
            price: Some(price),
            total_units: offer.units,
            limit_per_user: offer.limit_per_user,
            pay_within_seconds: 0,
            lease_ms: u32::try_from(offer.lease.as_millis()).expect("a lease is short"),
        };
        let created = CreateSaleRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            title: "A sale".to_owned(),
            items: vec![item],
        };
        let mut catalog = self.catalog();
        let created = catalog.create_sale(self.as_operator(created)).await.expect("it is good");
        let sale_id = created.into_inner().sale.expect("an answer has a sale").sale_id;
        let now_ms = Clock::system().wall_ms();
        let scheduled = ScheduleSaleRequest {
            sale_id: sale_id.clone(),
            opens_at: Some(timestamp(now_ms)),
            closes_at: Some(timestamp(now_ms + 3_600_000)),
            warm_up_seconds: 0,
        };
        let scheduled =
            catalog.schedule_sale(self.as_operator(scheduled)).await.expect("it is good");
        let item = scheduled.into_inner().sale.expect("an answer has a sale").items.remove(0);
        let shard = ShardNo::new(item.shards[0].shard_no).expect("the catalog numbers from 1");
        let sale = OpenSale { sale_id, item_id: item.item_id, shard, lease: offer.lease };
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
        let mut operators = OperatorServiceClient::new(channel(self.places.user));
        let grant = GrantRehearsalRequest { shoppers: count, lifetime_seconds: 600 };
        let grant = operators.grant_rehearsal(self.as_operator(grant)).await.expect("allowed");
        let (mut stream, channel) = (grant.into_inner(), self.channel());
        let mut shoppers = Vec::new();
        while let Some(part) = stream.message().await.expect("the grant doesn't break") {
            shoppers.extend(
                part.shoppers.into_iter().map(|shopper| Shopper {
                    token: shopper.access_token,
                    channel: channel.clone(),
                }),
            );
        }
        assert_eq!(shoppers.len(), count as usize);
        shoppers
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

pub(crate) fn timestamp(ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).expect("before the end of time"),
        nanos: i32::try_from(ms % 1_000).expect("below a second") * 1_000_000,
    }
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

fn channel(addr: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(url(addr)).expect("a good URL");
    endpoint.connect_timeout(PATIENCE).tcp_nodelay(true).connect_lazy()
}
