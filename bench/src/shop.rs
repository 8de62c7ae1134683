//! The shop that is measured: the real program in processes of its own, as a user would start it.
//! Either all of it in one process on the embedded stores, or a process for each role on real ones.
//! What is sold is set up through the public calls, and counted through those of the audit.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use proto::{
    inventory::v1::{
        catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::order_service_client::OrderServiceClient,
    user::v1::operator_service_client::OperatorServiceClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    failure::{Failure, failed},
    process::Process,
};

mod real;

pub(crate) use real::Stores;

/// For one call that sets something up.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(60);

/// Some seconds are enough for a machine under load.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A running shop. Dropped, it is killed.
pub(crate) struct Shop {
    processes: Vec<Process>,
    pub(crate) gateway: SocketAddr,
    pub(crate) catalog: CatalogServiceClient<Channel>,
    pub(crate) ledger: InventoryServiceClient<Channel>,
    pub(crate) books: OrderServiceClient<Channel>,
    pub(crate) operators: OperatorServiceClient<Channel>,
    /// Where metrics of the embedded one are read, without a scheme.
    pub(crate) metrics: String,
    operator: MetadataValue<Ascii>,
    /// Databases that go with it.
    _databases: Vec<testbed::Database>,
}

/// Where its services answer.
#[derive(Debug)]
struct Places {
    gateway: String,
    inventory: String,
    order: String,
    user: String,
}

impl Shop {
    /// `seckill dev` with its data in `dir`, which is made anew. `knobs` are variables of its
    /// environment, where it is to differ from the default.
    pub(crate) async fn embedded(
        seckill: &Path,
        dir: PathBuf,
        knobs: &[(&str, String)],
    ) -> Result<Self, Failure> {
        renew(&dir)?;
        let data = dir.join("data");
        let (free, shown) = ("127.0.0.1:0", data.display().to_string());
        let arguments =
            ["dev", "--listen", free, "--operators", free, "--metrics", free, "--data", &shown];
        let arguments = arguments.map(str::to_owned);
        let log = dir.join("dev.log");
        let (mut process, _) = Process::start(seckill, &arguments, knobs, log).await?;
        let addresses = read(&data.join("addresses.json"))?;
        let addresses: serde_json::Value =
            serde_json::from_str(&addresses).map_err(failed("the addresses of the shop"))?;
        let place = |name: &str| addresses[name].as_str().unwrap_or_default().to_owned();
        let places = Places {
            gateway: place("gateway"),
            inventory: place("inventory"),
            order: place("order"),
            user: place("user"),
        };
        let token = read(&data.join("operator.token"))?;
        let metrics = process.said_after("metrics at http://").await?;
        let metrics = metrics.trim_end_matches("/metrics").to_owned();
        let shop = Self::connect(vec![process], &places, token.trim(), Vec::new()).await?;
        Ok(Self { metrics, ..shop })
    }

    async fn connect(
        processes: Vec<Process>,
        places: &Places,
        operator: &str,
        databases: Vec<testbed::Database>,
    ) -> Result<Self, Failure> {
        let gateway = places.gateway.trim_start_matches("http://");
        let inventory = connect(&places.inventory).await?;
        Ok(Self {
            processes,
            gateway: gateway.parse().map_err(failed("the gateway's address"))?,
            catalog: CatalogServiceClient::new(inventory.clone()),
            ledger: InventoryServiceClient::new(inventory),
            books: OrderServiceClient::new(connect(&places.order).await?),
            operators: OperatorServiceClient::new(connect(&places.user).await?),
            metrics: String::new(),
            operator: bearer(operator)?,
            _databases: databases,
        })
    }

    /// A request of the operator.
    pub(crate) fn operators<T>(&self, message: T) -> Request<T> {
        authorized(message, &self.operator)
    }

    /// CPU time of all its processes.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Ends it in order, the door first.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        for process in self.processes.drain(..) {
            process.stop().await?;
        }
        Ok(())
    }
}

/// A request with a token.
pub(crate) fn authorized<T>(message: T, bearer: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request.set_timeout(CALL_WITHIN);
    request
}

/// A token as it stands in a header.
pub(crate) fn bearer(token: &str) -> Result<MetadataValue<Ascii>, Failure> {
    let value = MetadataValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(failed("a token that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A connection of a full client.
pub(crate) async fn connect(url: &str) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(failed("no URL"))?;
    let endpoint = endpoint.connect_timeout(CONNECT_WITHIN).tcp_nodelay(true);
    endpoint.connect().await.map_err(failed(format!("nobody answers at {url}")))
}

fn renew(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(failed(dir.display()))?;
    }
    fs::create_dir_all(dir).map_err(failed(dir.display()))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(failed(file.display()))
}
