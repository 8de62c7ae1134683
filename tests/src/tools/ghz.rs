//! ghz, which learns by reflection what it sends a few hundred times.

use serde_json::json;

use super::{Newcomer, Tool};

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_small_load_is_answered() {
    let Some(tool) = Tool::find("ghz") else { return };
    let shop = Newcomer::open().await;
    let token = json!({ "authorization": format!("Bearer {}", shop.dev.operator()) }).to_string();
    for (at, method, metadata) in [
        (shop.public(), "seckill.gateway.v1.GatewayService/ListSales", "{}"),
        (shop.operators(), "seckill.inventory.v1.CatalogService/ListSales", &token),
    ] {
        let what = ["--insecure", "--call", method, "-m", metadata, "-d", "{}"];
        let how = ["-n", "40", "-c", "4", "--format", "json", &at];
        let told = tool.run(&[what, how].concat()).await.message();
        assert_eq!(told["count"], 40);
        assert_eq!(told["statusCodeDistribution"]["OK"], 40, "{}", told["errorDistribution"]);
    }
}
