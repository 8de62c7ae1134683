//! The disk is full, and then it isn't: what was accepted is kept, the role says meanwhile that it
//! isn't ready, and goes on by itself.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use proto::{
    gateway::v1::{OrderState, PurchaseState},
    inventory::v1::{
        CountShardRequest, catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    user::v1::operator_service_client::OperatorServiceClient,
};
use testbed::{Port, Process, SmallDisk};
use tonic::transport::Channel;

use crate::{
    house::{Offer, OpenSale, Shopper, Ticket, eventually, hire, make_sale},
    shop::{PATIENCE, binary, look, outcome},
};

mod servers;

/// Room for the databases of an empty shop, and for the logs of some hundred orders.
const DISK_KIB: u32 = 12 * 1024;
/// So soon all is well again once there is room.
const GOES_ON_WITHIN: Duration = Duration::from_secs(10);
/// More than a page of the books.
const ORDERS: u32 = 20;

/// `seckill dev` with its data on a small disk.
struct Dev {
    process: Process,
    disk: SmallDisk,
    /// For its log.
    beside: tempfile::TempDir,
    metrics: Port,
}

impl Dev {
    fn new() -> Self {
        let (disk, metrics) = (SmallDisk::of_kib(DISK_KIB), Port::claim());
        let beside = tempfile::tempdir().expect("the temporary directory can be written");
        let anywhere = "127.0.0.1:0";
        let seen_at = format!("127.0.0.1:{}", metrics.number());
        let data = disk.path().display().to_string();
        let arguments = ["dev", "--listen", anywhere, "--operators", anywhere, "--metrics"];
        let arguments = arguments.into_iter().chain([seen_at.as_str(), "--data", &data]);
        let mut process = Process::new(binary(), arguments, beside.path().join("dev.log"));
        // Who watches what becomes of an order asks far more often than a buyer would.
        for knob in ["PER_S", "BURST"] {
            process.set_env(&format!("SECKILL_GATEWAY__RATES__USER__{knob}"), "1000");
        }
        Self { process, disk, beside, metrics }
    }

    async fn start(&mut self) {
        let addresses = self.disk.path().join("addresses.json");
        self.process.start(PATIENCE, async || addresses.exists()).await;
        self.until_ready(true, PATIENCE).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.beside.path().join("dev.log")).unwrap_or_default()
    }

    /// A connection to one of its services.
    fn channel(&self, service: &str) -> Channel {
        let text = fs::read_to_string(self.disk.path().join("addresses.json"));
        let text = text.expect("it has written where it is");
        let addresses: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let url = addresses[service].as_str().expect("each service is named").to_owned();
        Channel::from_shared(url).expect("a good URL").connect_lazy()
    }

    fn operator(&self) -> String {
        let token = fs::read_to_string(self.disk.path().join("operator.token"));
        token.expect("it has written it").trim().to_owned()
    }

    async fn sell(&self) -> OpenSale {
        let catalog = CatalogServiceClient::new(self.channel("inventory"));
        let offer = Offer { units: 1_000, limit_per_user: 1_000, ..Offer::default() };
        let sale = make_sale(catalog, &self.operator(), offer).await;
        eventually("the shard opens", PATIENCE, async || {
            let mut ledger = InventoryServiceClient::new(self.channel("inventory"));
            let count = CountShardRequest { shard_no: sale.shard.get() };
            ledger.count_shard(count).await.ok()
        })
        .await;
        sale
    }

    async fn shopper(&self) -> Shopper {
        let operators = OperatorServiceClient::new(self.channel("user"));
        hire(operators, &self.operator(), 1, &self.channel("gateway")).await.remove(0)
    }

    async fn until_ready(&self, is_ready: bool, within: Duration) {
        eventually(&format!("it is ready: {is_ready}"), within, async || {
            let at = SocketAddr::from(([127, 0, 0, 1], self.metrics.number()));
            let answer = look(at, "/readyz").await.ok()?;
            (answer.starts_with("HTTP/1.1 200") == is_ready).then_some(())
        })
        .await;
    }
}

/// Buys one unit after the other; the tickets of those that were accepted.
async fn buy(shopper: &Shopper, sale: &OpenSale, wish: &str) -> Vec<Ticket> {
    let mut accepted = Vec::new();
    for number in 0..ORDERS {
        let ticket = shopper.ticket(&sale.item_id, 1, &format!("{wish} {number}")).await;
        let ticket = ticket.expect("the sale is open");
        if let Ok(PurchaseState::Accepted) = shopper.purchase(&ticket, 1).await {
            accepted.push(ticket);
        }
    }
    accepted
}

/// Waits until each of them is an order in the books.
async fn are_rows(shopper: &Shopper, tickets: &[Ticket], within: Duration) {
    for ticket in tickets {
        eventually("what was accepted is in the books", within, async || {
            let state = shopper.order(ticket).await.ok()?;
            (state == OrderState::Placed).then_some(())
        })
        .await;
    }
}

async fn audit(data: &Path) {
    let data = data.to_str().expect("temporary directories have plain names");
    let (code, said) = outcome(&["audit", "--settle-within-s", "10", "--data", data]).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_shop_outlives_a_full_disk() {
    let mut dev = Dev::new();
    dev.start().await;
    let (sale, shopper) = (dev.sell().await, dev.shopper().await);
    let before = buy(&shopper, &sale, "before").await;
    assert_eq!(before.len(), usize::try_from(ORDERS).expect("a few"));
    are_rows(&shopper, &before, PATIENCE).await;

    dev.disk.fill();
    let meanwhile = buy(&shopper, &sale, "meanwhile").await;
    assert!(!meanwhile.is_empty(), "the journal has room");
    dev.until_ready(false, GOES_ON_WITHIN).await;
    let state = shopper.order(&meanwhile[0]).await.expect("who asks is answered");
    assert_eq!(state, OrderState::Processing, "{}", dev.log());

    dev.disk.free();
    are_rows(&shopper, &meanwhile, GOES_ON_WITHIN).await;
    dev.until_ready(true, GOES_ON_WITHIN).await;
    let after = buy(&shopper, &sale, "after").await;
    are_rows(&shopper, &after, PATIENCE).await;
    audit(dev.disk.path()).await;

    // The catalog and the accounts as well: an idle shop notices, and goes on.
    dev.disk.fill();
    dev.until_ready(false, PATIENCE).await;
    dev.disk.free();
    dev.until_ready(true, GOES_ON_WITHIN).await;
    dev.sell().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_shop_that_is_stopped_waits_for_room() {
    let mut dev = Dev::new();
    dev.start().await;
    let (sale, shopper) = (dev.sell().await, dev.shopper().await);
    dev.disk.fill();
    let accepted = buy(&shopper, &sale, "meanwhile").await;
    assert!(!accepted.is_empty(), "the journal has room");
    let log = dev.beside.path().join("dev.log");
    let Dev { process, disk, .. } = &mut dev;
    let room = async {
        eventually("it says what would be lost", PATIENCE, async || {
            let log = fs::read_to_string(&log).ok()?;
            log.contains("can't be written into the books").then_some(())
        })
        .await;
        disk.free();
    };
    tokio::join!(process.stop(PATIENCE), room);
    assert!(!dev.log().contains("are lost to the books"), "{}", dev.log());

    // Another process: what there is comes from the file.
    dev.start().await;
    let shopper = Shopper { channel: dev.channel("gateway"), ..shopper };
    are_rows(&shopper, &accepted, PATIENCE).await;
}
