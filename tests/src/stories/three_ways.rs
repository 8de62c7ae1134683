//! A generic gRPC client, a gRPC-web call and plain JSON each buy a unit at the same port; the
//! stream of events tells the order's steps.

use std::collections::BTreeSet;

use proto::gateway::v1::{
    IssueTicketRequest, IssueTicketResponse, PurchaseRequest, PurchaseResponse, PurchaseState,
};
use serde_json::{Value, json};

use crate::{
    generic_client::GenericClient,
    house::{House, Offer, OpenSale, PATIENCE},
    plain_client::PlainClient,
};

const GATEWAY: &str = "seckill.gateway.v1.GatewayService";
const USER: &str = "seckill.user.v1.UserService";

fn credentials(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": "correct horse" })
}

/// By gRPC, knowing nothing but the address. Gives the order's id.
async fn buy_by_grpc(url: &str, sale: &OpenSale) -> String {
    let client = GenericClient::connect(url).await;
    client.call(USER, "Register", credentials("grpc"), None).await.unwrap();
    let session = client.call(USER, "SignIn", credentials("grpc"), None).await.unwrap();
    let token = session["accessToken"].as_str();
    let want = json!({ "itemId": sale.item_id, "quantity": 1, "requestId": "mine" });
    let ticket = client.call(GATEWAY, "IssueTicket", want, token).await.unwrap();
    let send = json!({ "ticket": ticket["ticket"], "attempt": 1 });
    let bought = client.call(GATEWAY, "Purchase", send, token).await.unwrap();
    assert_eq!(bought["state"], "PURCHASE_STATE_ACCEPTED");
    bought["orderId"].as_str().unwrap().to_owned()
}

/// By gRPC-web, with a token that came by JSON.
async fn buy_by_grpc_web(client: &PlainClient, sale: &OpenSale) -> String {
    let token = sign_in(client, "web").await;
    let wish = IssueTicketRequest {
        item_id: sale.item_id.clone(),
        quantity: 1,
        request_id: "mine".to_owned(),
    };
    let path = format!("/{GATEWAY}/IssueTicket");
    let ticket: IssueTicketResponse = client.web(&path, &wish, Some(&token)).await;
    let send = PurchaseRequest { ticket: ticket.ticket, attempt: 1 };
    let path = format!("/{GATEWAY}/Purchase");
    let bought: PurchaseResponse = client.web(&path, &send, Some(&token)).await;
    assert_eq!(bought.state(), PurchaseState::Accepted);
    bought.order_id
}

/// By JSON, watching the order while the books are held up.
async fn buy_by_json(house: &House, client: &PlainClient, sale: &OpenSale) -> String {
    let token = sign_in(client, "json").await;
    let bearer = Some(token.as_str());
    let (_, sales) = client.get("/v1/sales", None).await;
    assert_eq!(sales["sales"][0]["sale_id"], json!(sale.sale_id));
    let (_, shown) = client.get(&format!("/v1/sales/{}", sale.sale_id), None).await;
    let want = json!({
        "item_id": shown["items"][0]["item_id"], "quantity": 1, "request_id": "mine",
    });
    let (status, ticket) = client.post("/v1/tickets", &want, bearer).await;
    assert_eq!(status, 200, "{ticket}");

    let order = format!("/v1/orders/{}", ticket["order_id"].as_str().unwrap());
    let text = ticket["ticket"].as_str().unwrap();
    let mut steps = client.events(&format!("{order}/events"), &token, text).await;
    let mut next = async |expected: &str| {
        let (name, data) = steps.next().await;
        assert_eq!((name.as_str(), &data["state"]), ("order", &json!(expected)));
        data
    };
    next("NOT_PLACED").await;
    let held_up = house.orders_pause.arm("order.before_commit");
    let send = json!({ "ticket": text, "attempt": 1 });
    let (status, bought) = client.post("/v1/purchases", &send, bearer).await;
    assert_eq!((status, &bought["state"]), (201, &json!("ACCEPTED")), "{bought}");
    next("PROCESSING").await;
    held_up.release();
    let placed = next("PLACED").await;
    assert_eq!(client.get(&order, bearer).await, (200, placed), "as the GET shows it");
    bought["order_id"].as_str().unwrap().to_owned()
}

/// Registers, signs in, and gives the token.
async fn sign_in(client: &PlainClient, name: &str) -> String {
    let (status, account) = client.post("/v1/accounts", &credentials(name), None).await;
    assert_eq!(status, 201, "{account}");
    let (status, session) = client.post("/v1/sessions", &credentials(name), None).await;
    assert_eq!((status, &session["user_id"]), (201, &account["user_id"]));
    session["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn grpc_grpc_web_and_json_each_buy_a_unit() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 4, ..Offer::default() }).await;
    let url = house.gateway_url();
    let client = PlainClient::of(&url);

    let bought = BTreeSet::from([
        buy_by_grpc(&url, &sale).await,
        buy_by_grpc_web(&client, &sale).await,
        buy_by_json(&house, &client, &sale).await,
    ]);
    assert_eq!(bought.len(), 3);
    let counts = house.judge(&sale, &bought, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (3, 1));

    let (status, document) = client.get("/openapi.json", None).await;
    assert_eq!((status, &document["info"]["title"]), (200, &json!("seckill")));
    house.close().await;
}
