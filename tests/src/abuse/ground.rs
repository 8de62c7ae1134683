//! A shop in a process of its own, with a sale open and shoppers hired, and what it says of itself.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ids::ShardNo;
use proto::{
    inventory::v1::{
        CountShardRequest, catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::{
        CountShardRequest as CountRowsRequest, CountShardResponse as Rows,
        order_service_client::OrderServiceClient,
    },
    user::v1::operator_service_client::OperatorServiceClient,
};
use serde::Deserialize;
use tempfile::TempDir;
use testbed::{Port, Process, Proxy};
use tokio::sync::{Mutex, MutexGuard};
use tonic::transport::Channel;

use super::{
    buyers::{Buyers, Trade},
    figures::Figures,
};
use crate::{
    house::{Offer, OpenSale, Shopper, eventually, hire, make_sale},
    shop::{PATIENCE, binary},
};

/// One at a time: they measure.
static TURN: Mutex<()> = Mutex::const_new(());

/// More than any story sells.
const OFFER: Offer = Offer {
    units: 1_000_000,
    limit_per_user: 1_000,
    price: 4_900,
    lease: Duration::from_secs(2),
    opens_in: Duration::ZERO,
    closes_in: Duration::from_secs(3_600),
};
const SHOPPERS: u32 = 100;
/// How long an answer is on its way to a buyer: they are somewhere in the same region. Attackers
/// are next door.
const WAY: Duration = Duration::from_millis(20);
/// The one proxy that is trusted. Everybody else comes from where they come from.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 9);

/// See the module.
pub(super) struct Ground {
    pub(super) sale: OpenSale,
    pub(super) shoppers: Vec<Shopper>,
    buyers: Buyers,
    places: Places,
    at: Addresses,
    operator: String,
    // Before the directory, which its process uses.
    process: Process,
    dir: TempDir,
    _way: Proxy,
    _ports: [Port; 2],
    _turn: MutexGuard<'static, ()>,
}

/// Where attackers find it, or come from.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// The public port.
    pub(super) public: SocketAddr,
    /// Operators read what it says of itself here.
    pub(super) metrics: SocketAddr,
    /// Who says whom they speak for, and is believed.
    pub(super) proxy: Ipv4Addr,
}

/// As `seckill dev` writes them.
#[derive(Deserialize)]
struct Addresses {
    gateway: String,
    inventory: String,
    order: String,
    user: String,
}

impl Ground {
    /// Starts the shop and makes a sale.
    pub(super) async fn open() -> Self {
        Self::open_with(BTreeMap::new()).await
    }

    /// The same, with these knobs.
    pub(super) async fn open_with(knobs: BTreeMap<&str, &str>) -> Self {
        let turn = TURN.lock().await;
        let dir = tempfile::tempdir().expect("the temporary directory can be written");
        let ports = [Port::claim(), Port::claim()];
        let [addr, metrics] =
            [&ports[0], &ports[1]].map(|port| SocketAddr::from(([127, 0, 0, 1], port.number())));
        let data = dir.path().join("data");
        let (listen, seen) = (addr.to_string(), metrics.to_string());
        let proxies = format!("{PROXY}/32");
        let mut arguments = vec!["dev", "--listen", &listen, "--operators", "127.0.0.1:0"];
        arguments.extend(["--metrics", &seen, "--trusted-proxies", &proxies, "--data"]);
        arguments.push(data.to_str().expect("temporary directories have plain names"));
        let mut process = Process::new(binary(), arguments, dir.path().join("log"));
        for (name, value) in knobs {
            process.set_env(name, value);
        }
        let written = data.join("addresses.json");
        process.start(PATIENCE, async || fs::exists(&written).unwrap_or(false)).await;

        let at = fs::read_to_string(&written).expect("it was written");
        let at: Addresses = serde_json::from_str(&at).expect("as it is written");
        let operator = fs::read_to_string(data.join("operator.token")).expect("it was written");
        let catalog = CatalogServiceClient::new(channel(&at.inventory));
        let sale = make_sale(catalog, operator.trim(), OFFER).await;
        let ledger = InventoryServiceClient::new(channel(&at.inventory));
        eventually("the shard opens", PATIENCE, async || {
            let shard_no = sale.shard.get();
            ledger.clone().count_shard(CountShardRequest { shard_no }).await.ok()
        })
        .await;
        let operators = OperatorServiceClient::new(channel(&at.user));
        let gateway = channel(&at.gateway);
        let shoppers = hire(operators, operator.trim(), SHOPPERS, &gateway).await;
        let way = Proxy::to(&listen).await;
        way.slow(WAY);
        let far = channel(&format!("http://{}", way.addr()));
        let far = shoppers.iter().map(|near| Shopper { channel: far.clone(), ..near.clone() });
        let buyers = Buyers::new(far.collect(), sale.item_id.clone());
        let operator = operator.trim().to_owned();
        Self {
            operator,
            sale,
            shoppers,
            buyers,
            places: Places { public: addr, metrics, proxy: PROXY },
            at,
            process,
            dir,
            _way: way,
            _ports: ports,
            _turn: turn,
        }
    }

    /// The label by which figures name it.
    pub(super) fn listener(&self) -> String {
        format!("listener=\"{}\"", self.places.public)
    }

    pub(super) fn places(&self) -> Places {
        self.places
    }

    /// The key that signs tokens.
    pub(super) fn signing_key(&self) -> PathBuf {
        self.dir.path().join("data/signing.pem")
    }

    /// A connection of its own to the public port.
    pub(super) fn channel(&self) -> Channel {
        channel(&self.at.gateway)
    }

    /// Purchases a second that are accepted in time while `attack` goes on.
    pub(super) async fn goodput(&self, attack: impl Future<Output = ()> + Send) -> f64 {
        self.buyers.goodput(attack).await
    }

    /// The same, and how long they waited.
    pub(super) async fn trade(&self, attack: impl Future<Output = ()> + Send) -> Trade {
        self.buyers.trade(attack).await
    }

    /// More people with accounts of their own.
    pub(super) async fn hire(&self, count: u32) -> Vec<Shopper> {
        let operators = OperatorServiceClient::new(channel(&self.at.user));
        hire(operators, &self.operator, count, &self.channel()).await
    }

    /// A connection of its own to the public port, from that address.
    pub(super) fn channel_from(&self, address: Ipv4Addr) -> Channel {
        let to = Channel::from_shared(self.at.gateway.clone()).expect("a good URL");
        to.local_address(Some(address.into())).connect_lazy()
    }

    /// What it says of itself.
    pub(super) async fn figures(&self) -> Figures {
        Figures::read(self.places.metrics).await
    }

    /// The most bytes of the process that are resident at a time while `doing` goes on.
    pub(super) async fn memory_max<T>(&self, doing: impl Future<Output = T>) -> (T, f64) {
        self.process.forget_resident_bytes_max();
        let done = doing.await;
        #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
        let max = self.process.resident_bytes_max() as f64;
        (done, max)
    }

    /// What the books have of the sale, counted row by row.
    pub(super) async fn rows(&self, shard: ShardNo) -> Rows {
        let mut books = OrderServiceClient::new(channel(&self.at.order));
        let rows = books.count_shard(CountRowsRequest { shard_no: shard.get() }).await;
        rows.expect("the books answer").into_inner()
    }

    /// Waits until the books have every accepted order once, and no other (I-2, I-4).
    pub(super) async fn books_are_exact(&self) {
        let accepted = self.buyers.accepted();
        eventually("the books have all accepted orders", PATIENCE, async || {
            let rows = self.rows(self.sale.shard).await;
            assert_eq!(rows.duplicate_orders, 0);
            (rows.live_orders >= accepted).then_some(())
        })
        .await;
    }
}

fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).expect("a good URL").connect_lazy()
}

impl Drop for Ground {
    #[expect(clippy::print_stderr, reason = "whoever reads of the failure looks for the log next")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("the log is in {}", self.dir.path().display());
        }
    }
}
