//! The shop as its operators run it: two gateways, two inventory-svc, two order-svc and one
//! user-svc, each a process of the real binary, on a real Redis, Kafka and MariaDB. For stories in
//! which processes and stores die; what can be told in one process is told in `house`.
//!
//! One shop at a time: the stories measure seconds, and the machine may have two cores.

use std::time::Duration;

use chassis::Clock;
use ids::ShardNo;
use proto::{
    inventory::v1::{
        CountShardRequest, CountShardResponse, GetSaleRequest, ListSalesRequest,
        catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::{
        CountShardRequest as CountRowsRequest, CountShardResponse as CountRowsResponse,
        order_service_client::OrderServiceClient,
    },
    user::v1::operator_service_client::OperatorServiceClient,
};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::house::{Offer, OpenSale, Shopper, as_operator, draft_of, eventually, hire, make_sale};

mod dev;
mod role;
mod rush;
mod settings;
mod stores;

pub(crate) use dev::Dev;
pub(crate) use role::{Role, binary, look, outcome};
pub(crate) use rush::Rush;
pub(crate) use stores::{Apart, Layout, OnSmallDisk, Stores};

/// Long enough for a loaded machine to do anything that it will ever do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the rehearsal calls its sale.
const RUSHED: &str = "Rehearsal";

static TURN: Mutex<()> = Mutex::const_new(());

/// See the module.
pub(crate) struct Shop {
    pub(crate) gateways: Vec<Role>,
    pub(crate) inventories: Vec<Role>,
    pub(crate) orders: Vec<Role>,
    pub(crate) user: Role,
    pub(crate) stores: Stores,
    pub(crate) clock: Clock,
    dir: TempDir,
    _places: settings::Places,
    _turn: MutexGuard<'static, ()>,
}

impl Shop {
    /// Starts everything, and returns when every role listens.
    pub(crate) async fn open(layout: Layout) -> Self {
        let turn = TURN.lock().await;
        let dir = tempfile::tempdir().expect("the temporary directory can be written");
        let stores = Stores::start(layout).await;
        role::run(&["keys", "--dir", settings::path(&dir.path().join("keys"))]).await;
        let places = settings::Places::claim();
        let configs = settings::write(dir.path(), &stores, &places);
        role::run(&["migrate", "--config-dir", settings::path(dir.path())]).await;
        let mut roles: Vec<_> = configs.into_iter().map(Role::new).collect();
        for role in &mut roles {
            role.start().await;
        }
        let mut of = |name| roles.extract_if(.., |role| role.name() == name).collect::<Vec<_>>();
        let (gateways, inventories) = (of("gateway"), of("inventory"));
        let (orders, user) = (of("order"), of("user").remove(0));
        let clock = Clock::system();
        Self {
            gateways,
            inventories,
            orders,
            user,
            stores,
            clock,
            dir,
            _places: places,
            _turn: turn,
        }
    }

    /// Lets shoppers in, as a process of its own that judges what it is told.
    pub(crate) async fn rush(&self, rush: Rush) -> rush::Rushing {
        let token_file = self.dir.path().join("operator.token");
        let token = self.operator().await;
        settings::write_secret(&token_file, &token);
        rush::Rushing::start(self, rush, token_file)
    }

    /// Makes a sale of one item that is open from now on, and waits until its shard admits,
    /// whichever inventory-svc is asked: each hears of it with its next read of the leases.
    pub(crate) async fn sell(&self, offer: Offer) -> OpenSale {
        let catalog = CatalogServiceClient::new(self.inventories[0].channel());
        let sale = make_sale(catalog, &self.operator().await, offer).await;
        for role in &self.inventories {
            eventually("the shard opens", PATIENCE, async || counted(role, sale.shard).await).await;
        }
        sale
    }

    /// Asks for a sale that nobody opens; whether it was made is another matter.
    pub(crate) async fn draft(&self) {
        let mut catalog = CatalogServiceClient::new(self.inventories[0].channel());
        let draft = draft_of(Offer::default());
        let _made = catalog.create_sale(as_operator(&self.operator().await, draft)).await;
    }

    /// A buyer with a connection to one of the gateways.
    pub(crate) async fn shopper(&self, gateway: usize) -> Shopper {
        self.shoppers(1, gateway).await.remove(0)
    }

    /// Buyers that share a connection to one of the gateways.
    pub(crate) async fn shoppers(&self, count: u32, gateway: usize) -> Vec<Shopper> {
        let operators = OperatorServiceClient::new(self.user.channel());
        hire(operators, &self.operator().await, count, &self.gateways[gateway].channel()).await
    }

    async fn operator(&self) -> String {
        let key = self.dir.path().join("keys/signing.pem");
        let key = settings::path(&key);
        let token = role::run(&["operator-token", "--key", key, "--name", "tests"]).await;
        token.trim().to_owned()
    }

    /// What the rush is after, once there is such a sale.
    pub(crate) async fn sale(&self) -> OpenSale {
        eventually("the sale is made", PATIENCE, async || {
            let mut catalog = CatalogServiceClient::new(self.inventories[0].channel());
            let page = ListSalesRequest { page_size: 10, page_token: String::new() };
            let sales = catalog.list_sales(page).await.ok()?.into_inner().sales;
            let sale = sales.into_iter().find(|sale| sale.title == RUSHED)?;
            let sale = catalog.get_sale(GetSaleRequest { sale_id: sale.sale_id }).await.ok()?;
            let sale = sale.into_inner().sale?;
            let item = sale.items.first()?;
            let shard = item.shards.first()?;
            Some(OpenSale {
                sale_id: sale.sale_id.clone(),
                item_id: item.item_id.clone(),
                shard: ShardNo::new(shard.shard_no).ok()?,
                lease: Duration::from_millis(shard.lease_ms.into()),
            })
        })
        .await
    }

    /// What the ledger has, asked through an inventory-svc that answers; none while it doesn't
    /// admit.
    pub(crate) async fn ledger(&self, shard: ShardNo) -> Option<CountShardResponse> {
        for role in &self.inventories {
            if let Some(count) = counted(role, shard).await {
                return Some(count);
            }
        }
        None
    }

    /// Waits until so many orders were taken, open or placed, and says how the ledger was then.
    pub(crate) async fn taken(&self, shard: ShardNo, orders: u64) -> CountShardResponse {
        eventually(&format!("{orders} orders are taken"), PATIENCE, async || {
            let count = self.ledger(shard).await?;
            (count.open_holds + count.placed_orders >= orders).then_some(count)
        })
        .await
    }

    /// Waits until the ledger admits in another epoch than `before`, and says which.
    pub(crate) async fn loaded_anew(&self, shard: ShardNo, before: i64) -> CountShardResponse {
        eventually("the shard is loaded anew", PATIENCE, async || {
            self.ledger(shard).await.filter(|count| count.epoch != before)
        })
        .await
    }

    /// Waits until no hold is open.
    pub(crate) async fn at_rest(&self, shard: ShardNo, within: Duration) -> CountShardResponse {
        eventually("every hold is settled", within, async || {
            self.ledger(shard).await.filter(|count| count.open_holds == 0)
        })
        .await
    }

    /// What the books have of a shard, counted row by row.
    pub(crate) async fn rows(&self, shard: ShardNo) -> CountRowsResponse {
        let mut books = OrderServiceClient::new(self.orders[0].channel());
        let rows = books.count_shard(CountRowsRequest { shard_no: shard.get() }).await;
        rows.expect("the books answer").into_inner()
    }

    /// What an audit of everything says, and its exit code.
    pub(crate) async fn audit(&self) -> (Option<i32>, String) {
        let (inventory, order) = (self.inventories[0].url(), self.orders[0].url());
        outcome(&["audit", "--inventory", &inventory, "--order", &order]).await
    }

    /// Lets a fault last. The only wait in these stories that is for time itself.
    pub(crate) async fn lasts(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// What a story that failed leaves behind: the logs and settings of all roles.
impl Drop for Shop {
    #[expect(clippy::print_stderr, reason = "whoever reads of the failure looks for the logs next")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("the logs of all roles are in {}", self.dir.path().display());
        }
    }
}

/// What the ledger has, asked through this inventory-svc.
async fn counted(inventory: &Role, shard: ShardNo) -> Option<CountShardResponse> {
    let mut ledger = InventoryServiceClient::new(inventory.channel());
    let mut request = tonic::Request::new(CountShardRequest { shard_no: shard.get() });
    request.set_timeout(Duration::from_secs(2));
    ledger.count_shard(request).await.ok().map(tonic::Response::into_inner)
}
