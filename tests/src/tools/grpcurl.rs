//! grpcurl, as the README has it: by reflection alone, on both ports.

use serde_json::{Value, json};

use super::{Newcomer, Tool};
use crate::house::{PATIENCE, eventually};

const GATEWAY: &str = "seckill.gateway.v1.GatewayService";
const USER: &str = "seckill.user.v1.UserService";
const CATALOG: &str = "seckill.inventory.v1.CatalogService";
const HEALTH: &str = "grpc.health.v1.Health";

/// Somebody at a terminal.
struct Person {
    tool: Tool,
    at: String,
    authorization: Option<String>,
}

impl Person {
    /// In front of the public port, or the operators'. `None` where there is no grpcurl.
    async fn at(port: fn(&Newcomer) -> String) -> Option<(Newcomer, Self)> {
        let tool = Tool::find("grpcurl")?;
        let shop = Newcomer::open().await;
        let at = port(&shop);
        Some((shop, Self { tool, at, authorization: None }))
    }

    async fn run(&self, further: &[&str]) -> super::Said {
        let mut arguments = vec!["-plaintext"];
        if let Some(authorization) = &self.authorization {
            arguments.extend(["-H", authorization]);
        }
        arguments.extend(further);
        self.tool.run(&arguments).await
    }

    async fn call(&self, method: &str, message: &Value) -> super::Said {
        self.run(&["-d", &message.to_string(), &self.at, method]).await
    }

    fn shows(&mut self, token: &str) {
        self.authorization = Some(format!("authorization: Bearer {token}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_describes_and_buys() {
    let Some((_shop, mut me)) = Person::at(Newcomer::public).await else { return };
    let listed = me.run(&[&me.at, "list"]).await.well();
    for service in [GATEWAY, USER, HEALTH, "grpc.reflection.v1.ServerReflection"] {
        assert!(listed.lines().any(|line| line == service), "{listed}");
    }
    assert!(!listed.contains("Operator"), "{listed}");
    let described = me.run(&[&me.at, "describe", GATEWAY]).await.well();
    assert!(described.contains("rpc Purchase"), "{described}");

    let account = json!({ "email": "me@example.org", "password": "correct horse" });
    me.call(&format!("{USER}/Register"), &account).await.well();
    let session = me.call(&format!("{USER}/SignIn"), &account).await.message();
    me.shows(session["accessToken"].as_str().expect("a token"));
    let sales = me.call(&format!("{GATEWAY}/ListSales"), &json!({})).await.message();
    let sale = json!({ "saleId": sales["sales"][0]["saleId"] });
    let sale = me.call(&format!("{GATEWAY}/GetSale"), &sale).await.message();
    let item = &sale["sale"]["items"][0]["itemId"];
    let wish = json!({ "itemId": item, "quantity": 1, "requestId": "first" });
    let ticket = eventually("the shard is loaded", PATIENCE, async || {
        let ticket = me.call(&format!("{GATEWAY}/IssueTicket"), &wish).await;
        ticket.ended_well.then(|| ticket.message())
    })
    .await;
    let mut attempt = 0;
    eventually("the purchase is accepted", PATIENCE, async || {
        attempt += 1;
        let send = json!({ "ticket": ticket["ticket"], "attempt": attempt });
        let told = me.call(&format!("{GATEWAY}/Purchase"), &send).await;
        (told.ended_well && told.message()["state"] == "PURCHASE_STATE_ACCEPTED").then_some(())
    })
    .await;
    let mine = json!({ "orderId": ticket["orderId"], "ticket": ticket["ticket"] }).to_string();
    // Past the time for which the stream of reflection beside it may be idle.
    let watch = format!("{GATEWAY}/WatchOrder");
    let watched = me.run(&["-max-time", "7", "-d", &mine, &me.at, &watch]).await;
    assert!(watched.answer.contains("ORDER_STATE_PLACED"), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_read_with_its_details() {
    let Some((_shop, me)) = Person::at(Newcomer::public).await else { return };
    let forged = json!({ "ticket": "forged", "attempt": 1 });
    let told = me.call(&format!("{GATEWAY}/Purchase"), &forged).await.refusal();
    assert!(told.contains("google.rpc.ErrorInfo") && told.contains("TICKET_INVALID"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_by_the_name_of_a_service() {
    let Some((shop, mut me)) = Person::at(Newcomer::public).await else { return };
    let of = |service: &str| json!({ "service": service });
    for service in ["", "liveness", GATEWAY, USER] {
        let told = me.call(&format!("{HEALTH}/Check"), &of(service)).await.message();
        assert_eq!(told["status"], "SERVING", "{service}");
    }
    let told = me.call(&format!("{HEALTH}/Check"), &of(CATALOG)).await.refusal();
    assert!(told.contains("NotFound") && told.contains("NOT_FOUND"), "{told}");
    let watch = format!("{HEALTH}/Watch");
    let unknown = of(CATALOG).to_string();
    let told = me.run(&["-max-time", "1", "-d", &unknown, &me.at, &watch]).await;
    assert!(told.answer.contains("SERVICE_UNKNOWN"), "{told:?}");

    me.at = shop.operators();
    let told = me.call(&format!("{HEALTH}/Check"), &of(CATALOG)).await.message();
    assert_eq!(told["status"], "SERVING");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_and_pauses() {
    let Some((shop, mut me)) = Person::at(Newcomer::operators).await else { return };
    let listed = me.run(&[&me.at, "list"]).await.well();
    assert!(listed.lines().any(|line| line == CATALOG), "{listed}");
    me.shows(&shop.dev.operator());
    let sales = me.call(&format!("{CATALOG}/ListSales"), &json!({})).await.message();
    let sale = json!({ "saleId": sales["sales"][0]["saleId"] });
    let sale = me.call(&format!("{CATALOG}/GetSale"), &sale).await.message();
    let item = &sale["sale"]["items"][0]["itemId"];
    me.call(&format!("{CATALOG}/PauseItem"), &json!({ "itemId": item })).await.well();
}
