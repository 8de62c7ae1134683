//! `seckill dev` as a process: the shop that a newcomer starts, on embedded stores.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use proto::{
    inventory::v1::{
        CountShardRequest, catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    user::v1::operator_service_client::OperatorServiceClient,
};
use testbed::{Port, Process};
use tonic::transport::Channel;

use super::{PATIENCE, binary, look};
use crate::house::{Offer, OpenSale, Shopper, eventually, hire, make_sale};

/// See the module.
pub(crate) struct Dev {
    pub(crate) process: Process,
    data: PathBuf,
    log: PathBuf,
    public: Port,
    operators: Port,
    metrics: Port,
}

impl Dev {
    /// With its data there and its log beside it, and `further` arguments. It doesn't run yet.
    pub(crate) fn new(data: &Path, log: PathBuf, further: &[&str]) -> Self {
        let [public, operators, metrics] = [Port::claim(), Port::claim(), Port::claim()];
        let at = |port: &Port| addr(port).to_string();
        let (listen, desk, seen) = (at(&public), at(&operators), at(&metrics));
        let kept = data.to_str().expect("temporary directories have plain names");
        let mut arguments = vec!["dev", "--listen", &listen, "--operators", &desk];
        arguments.extend(["--metrics", &seen, "--data", kept]);
        let process = Process::new(binary(), arguments.iter().chain(further), log.clone());
        Self { process, data: data.to_owned(), log, public, operators, metrics }
    }

    /// Starts it, the first time or again; returns when it serves.
    pub(crate) async fn start(&mut self) {
        let written = self.data.join("addresses.json");
        self.process.start(PATIENCE, async || written.exists()).await;
    }

    /// What it has said since its first start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where buyers call it.
    pub(crate) fn public(&self) -> SocketAddr {
        addr(&self.public)
    }

    /// Where operators call it.
    pub(crate) fn operators(&self) -> SocketAddr {
        addr(&self.operators)
    }

    /// Where its metrics and its readiness are.
    pub(crate) fn metrics(&self) -> SocketAddr {
        addr(&self.metrics)
    }

    /// A connection of its own to one of the services.
    pub(crate) fn channel(&self, service: &str) -> Channel {
        let text = fs::read_to_string(self.data.join("addresses.json"));
        let text = text.expect("it has written where it is");
        let addresses: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let url = addresses[service].as_str().expect("each service is named").to_owned();
        Channel::from_shared(url).expect("a good URL").connect_lazy()
    }

    /// The token that it has made for its operator.
    pub(crate) fn operator(&self) -> String {
        let token = fs::read_to_string(self.data.join("operator.token"));
        token.expect("it has written it").trim().to_owned()
    }

    /// Makes a sale of one item and waits until its shard admits.
    pub(crate) async fn sell(&self, offer: Offer) -> OpenSale {
        let catalog = CatalogServiceClient::new(self.channel("inventory"));
        let sale = make_sale(catalog, &self.operator(), offer).await;
        let ledger = InventoryServiceClient::new(self.channel("inventory"));
        eventually("the shard opens", PATIENCE, async || {
            let count = CountShardRequest { shard_no: sale.shard.get() };
            ledger.clone().count_shard(count).await.ok()
        })
        .await;
        sale
    }

    /// Buyers that share one connection.
    pub(crate) async fn hire(&self, count: u32) -> Vec<Shopper> {
        let operators = OperatorServiceClient::new(self.channel("user"));
        hire(operators, &self.operator(), count, &self.channel("gateway")).await
    }

    /// Whether it says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let answer = look(self.metrics(), "/readyz").await;
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

fn addr(port: &Port) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port.number()))
}
