//! A client that knows nothing but the address finds its way to an order.

use serde_json::json;

use crate::{
    generic_client::GenericClient,
    house::{House, Offer, PATIENCE, eventually},
};

const GATEWAY: &str = "seckill.gateway.v1.GatewayService";
const USER: &str = "seckill.user.v1.UserService";

#[tokio::test]
async fn lists_describes_registers_signs_in_and_buys() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 3, ..Offer::default() }).await;
    let client = GenericClient::connect(&house.gateway_url()).await;

    for service in [GATEWAY, USER, "grpc.health.v1.Health"] {
        assert!(client.services().iter().any(|listed| listed == service), "{service}");
    }
    assert!(!client.services().iter().any(|listed| listed.contains("Operator")));
    for method in ["ListSales", "GetSale", "IssueTicket", "Purchase", "GetOrder", "WatchOrder"] {
        assert!(client.methods(GATEWAY).iter().any(|known| known == method), "{method}");
    }
    assert!(client.knows_message("google.rpc.ErrorInfo"), "tools would print details as base64");

    let credentials = json!({ "email": "buyer@example.org", "password": "correct horse" });
    let account = client.call(USER, "Register", credentials.clone(), None).await.unwrap();
    let session = client.call(USER, "SignIn", credentials, None).await.unwrap();
    assert_eq!(session["userId"], account["userId"]);
    let token = session["accessToken"].as_str().unwrap();

    let sales = client.call(GATEWAY, "ListSales", json!({}), None).await.unwrap();
    let sale_id = sales["sales"][0]["saleId"].clone();
    assert_eq!(sale_id, json!(sale.sale_id));
    let shown = client.call(GATEWAY, "GetSale", json!({ "saleId": sale_id }), None).await.unwrap();
    let item_id = shown["sale"]["items"][0]["itemId"].clone();

    let want = json!({ "itemId": item_id, "quantity": 1, "requestId": "first" });
    let ticket = client.call(GATEWAY, "IssueTicket", want, Some(token)).await.unwrap();
    let send = json!({ "ticket": ticket["ticket"], "attempt": 1 });
    let answer = client.call(GATEWAY, "Purchase", send, Some(token)).await.unwrap();
    assert_eq!(answer["state"], "PURCHASE_STATE_ACCEPTED");

    let mine = json!({ "orderId": ticket["orderId"] });
    eventually("the order is in the books", PATIENCE, async || {
        let order = client.call(GATEWAY, "GetOrder", mine.clone(), Some(token)).await.ok()?;
        (order["order"]["state"] == "ORDER_STATE_PLACED").then_some(())
    })
    .await;
    let orders = client.call(GATEWAY, "ListOrders", json!({}), Some(token)).await.unwrap();
    assert_eq!(orders["orders"][0]["orderId"], ticket["orderId"]);
    house.close().await;
}
