//! ghz, which learns by reflection what it sends a few hundred times.

use super::{Newcomer, Tool};

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_small_load_is_answered() {
    let Some(tool) = Tool::find("ghz") else { return };
    let shop = Newcomer::open().await;
    let method = "seckill.gateway.v1.GatewayService/ListSales";
    let load = ["--insecure", "--call", method, "-d", "{}", "-n", "40", "-c", "4"];
    let at = shop.public();
    let arguments = load.iter().chain(&["--format", "json", &at]).copied().collect::<Vec<_>>();
    let told = tool.run(&arguments).await.message();
    assert_eq!(told["count"], 40);
    assert_eq!(told["statusCodeDistribution"]["OK"], 40, "{}", told["errorDistribution"]);
}
