//! `buf curl`, by gRPC and by gRPC-web.

use super::{Newcomer, Tool};

const GATEWAY: &str = "seckill.gateway.v1.GatewayService";
const CATALOG: &str = "seckill.inventory.v1.CatalogService";

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_calls_by_grpc_and_by_grpc_web() {
    let Some(tool) = Tool::find("buf") else { return };
    let shop = Newcomer::open().await;
    let [base, desk] = [shop.public(), shop.operators()].map(|at| format!("http://{at}"));
    let method = format!("{base}/{GATEWAY}/ListSales");
    for protocol in ["grpc", "grpcweb"] {
        let how = ["curl", "--http2-prior-knowledge", "--protocol", protocol];
        let run = async |further: &[&str]| {
            tool.run(&how.iter().chain(further).copied().collect::<Vec<_>>()).await
        };
        let listed = run(&["--list-services", &base]).await.well();
        assert!(listed.lines().any(|line| line == GATEWAY), "{protocol}: {listed}");
        let sales = run(&["-d", "{}", &method]).await.message();
        assert!(sales["sales"][0]["saleId"].is_string(), "{protocol}: {sales}");
        let listed = run(&["--list-services", &desk]).await.well();
        assert!(listed.lines().any(|line| line == CATALOG), "{protocol}: {listed}");
    }
}
