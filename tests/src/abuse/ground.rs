//! A shop in a process of its own, with a sale open and shoppers hired, and what it says of itself.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ids::ShardNo;
use proto::order::v1::{
    CountShardRequest as CountRowsRequest, CountShardResponse as Rows,
    order_service_client::OrderServiceClient,
};
use tempfile::TempDir;
use testbed::Proxy;
use tokio::sync::{Mutex, MutexGuard};
use tonic::transport::Channel;

use super::{
    buyers::{Buyers, Trade},
    figures::Figures,
};
use crate::{
    house::{Offer, OpenSale, Shopper, eventually},
    shop::{Dev, PATIENCE},
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
    // Before the directory, which its process uses.
    dev: Dev,
    dir: TempDir,
    _way: Proxy,
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

impl Ground {
    /// Starts the shop and makes a sale.
    pub(super) async fn open() -> Self {
        Self::open_with(BTreeMap::new()).await
    }

    /// The same, with these knobs.
    pub(super) async fn open_with(knobs: BTreeMap<&str, &str>) -> Self {
        let turn = TURN.lock().await;
        let dir = tempfile::tempdir().expect("the temporary directory can be written");
        let proxies = format!("{PROXY}/32");
        let further = ["--trusted-proxies", &proxies];
        let mut dev = Dev::new(&dir.path().join("data"), dir.path().join("log"), &further);
        for (name, value) in knobs {
            dev.process.set_env(name, value);
        }
        dev.start().await;
        let sale = dev.sell(OFFER).await;
        let shoppers = dev.hire(SHOPPERS).await;
        let way = Proxy::to(&dev.public().to_string()).await;
        way.slow(WAY);
        let far = Channel::from_shared(format!("http://{}", way.addr())).expect("a good URL");
        let far = far.connect_lazy();
        let far = shoppers.iter().map(|near| Shopper { channel: far.clone(), ..near.clone() });
        let buyers = Buyers::new(far.collect(), sale.item_id.clone());
        let places = Places { public: dev.public(), metrics: dev.metrics(), proxy: PROXY };
        Self { sale, shoppers, buyers, places, dev, dir, _way: way, _turn: turn }
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
        self.dev.channel("gateway")
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
        self.dev.hire(count).await
    }

    /// A connection of its own to the public port, from that address.
    pub(super) fn channel_from(&self, address: Ipv4Addr) -> Channel {
        let to = Channel::from_shared(format!("http://{}", self.places.public));
        let to = to.expect("a good URL");
        to.local_address(Some(address.into())).connect_lazy()
    }

    /// What it says of itself.
    pub(super) async fn figures(&self) -> Figures {
        Figures::read(self.places.metrics).await
    }

    /// The most bytes of the process that are resident at a time while `doing` goes on.
    pub(super) async fn memory_max<T>(&self, doing: impl Future<Output = T>) -> (T, f64) {
        self.dev.process.forget_resident_bytes_max();
        let done = doing.await;
        #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
        let max = self.dev.process.resident_bytes_max() as f64;
        (done, max)
    }

    /// What the books have of the sale, counted row by row.
    pub(super) async fn rows(&self, shard: ShardNo) -> Rows {
        let mut books = OrderServiceClient::new(self.dev.channel("order"));
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

impl Drop for Ground {
    #[expect(clippy::print_stderr, reason = "whoever reads of the failure looks for the log next")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("the log is in {}", self.dir.path().display());
        }
    }
}
