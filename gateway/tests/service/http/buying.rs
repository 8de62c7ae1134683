//! The way of a buyer by JSON: look, get a ticket, buy, look up.

use ids::{ItemId, OrderId, SaleId};
use proto::{inventory::v1::FoundState, order::v1::OrderState};
use serde_json::{Value, json};
use tonic::Status;

use super::client::{Answer, Ask};
use crate::{
    stage::{Buyer, Plan, Stage},
    stubs::lock,
};

pub(super) async fn wish(stage: &Stage, buyer: &Buyer) -> Value {
    let wish = json!({ "item_id": stage.item.to_string(), "quantity": 1, "request_id": "mine" });
    let issued = Ask::post("/v1/tickets", &wish).by(buyer).send(stage).await;
    assert_eq!(issued.status, 200);
    issued.json()
}

pub(super) async fn buy(stage: &Stage, buyer: &Buyer, ticket: &Value, attempt: u32) -> Answer {
    let body = json!({ "ticket": ticket["ticket"], "attempt": attempt });
    Ask::post("/v1/purchases", &body).by(buyer).send(stage).await
}

#[tokio::test]
async fn sales_are_shown_to_everybody_and_may_be_kept_for_a_second() {
    let stage = Stage::open().await;
    let list = Ask::get("/v1/sales?page_size=10").send(&stage).await;
    assert_eq!((list.status, list.header("cache-control")), (200, Some("public, max-age=1")));
    let list = list.json();
    assert_eq!(list["next_page_token"], "7");
    assert_eq!(list["sales"][0]["sale_id"], stage.sale.to_string());
    assert!(list["sales"][0].get("items").is_none(), "a list has no items");

    let path = format!("/v1/sales/{}", stage.sale);
    let shown = Ask::get(&path).send(&stage).await;
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("public, max-age=1")));
    let item = &shown.json()["items"][0];
    assert_eq!(item["item_id"], stage.item.to_string());
    assert_eq!(item["price"], json!({ "currency": "EUR", "minor_units": 1999 }));
    assert_eq!((&item["availability"], item.get("units_left")), (&json!("UNKNOWN"), None));
    for (units, expected) in [(3, "AVAILABLE"), (0, "SOLD_OUT")] {
        stage.tell_stock(units);
        let told = async || {
            let item = Ask::get(&path).send(&stage).await.json()["items"][0].clone();
            (&item["availability"], &item["units_left"]) == (&json!(expected), &json!(units))
        };
        stage.until("what is left is shown", told).await;
    }
}

#[tokio::test]
async fn a_ticket_buys_one_order_however_often_it_is_sent() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = wish(&stage, &buyer).await;
    assert_eq!(wish(&stage, &buyer).await["order_id"], ticket["order_id"]);
    assert_eq!(ticket["unit_price"], json!({ "currency": "EUR", "minor_units": 1999 }));

    let location = format!("/v1/orders/{}", ticket["order_id"].as_str().unwrap());
    for attempt in [1, 2] {
        let bought = buy(&stage, &buyer, &ticket, attempt).await;
        assert_eq!((bought.status, bought.header("location")), (201, Some(&*location)));
        assert_eq!(bought.header("cache-control"), Some("no-store"));
        assert_eq!(bought.header("content-type"), Some("application/json"));
        let expected = json!({ "state": "ACCEPTED", "order_id": ticket["order_id"] });
        assert_eq!(bought.json(), expected);
    }
    let holds: std::collections::HashSet<_> =
        stage.recorded(2).await.into_iter().map(|hold| hold.order).collect();
    assert_eq!(holds.len(), 1);

    // A retry that doesn't count its attempts is one, too.
    let uncounted = json!({ "ticket": ticket["ticket"] });
    let again = Ask::post("/v1/purchases", &uncounted).by(&buyer).send(&stage).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn what_is_unknown_is_accepted_for_later_and_says_where_to_ask() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = wish(&stage, &buyer).await;
    stage.world.reserve_with(|_| Err(Status::unavailable("gone")));
    let bought = buy(&stage, &buyer, &ticket, 1).await;
    assert_eq!((bought.status, &bought.json()["state"]), (202, &json!("PROCESSING")));

    let location = bought.header("location").unwrap().to_owned();
    *lock(&stage.world.found) = Some(FoundState::Open);
    let without = Ask::get(&location).by(&buyer).send(&stage).await;
    assert_eq!(without.refused(), (404, "NOT_FOUND".into(), false), "the ticket wasn't shown");
    let text = ticket["ticket"].as_str().unwrap();
    let shown = Ask::get(&location).by(&buyer).header("seckill-ticket", text).send(&stage).await;
    assert_eq!(shown.json(), json!({ "state": "PROCESSING", "order_id": ticket["order_id"] }));
}

#[tokio::test]
async fn orders_are_shown_to_their_buyer_alone() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = wish(&stage, &buyer).await;
    let order: OrderId = ticket["order_id"].as_str().unwrap().parse().unwrap();
    stage.write_row(order, buyer.user, OrderState::Placed);
    let expected = json!({
        "order_id": order.to_string(), "state": "PLACED", "sale_id": stage.sale.to_string(),
        "item_id": stage.item.to_string(), "quantity": 1,
        "unit_price": { "currency": "EUR", "minor_units": 1999 },
        "placed_at": "2026-01-01T12:00:00Z", "pay_by": "2026-01-01T12:15:00Z",
    });
    let path = format!("/v1/orders/{order}");
    assert_eq!(Ask::get(&path).by(&buyer).send(&stage).await.json(), expected);
    let list = Ask::get("/v1/orders").by(&buyer).send(&stage).await;
    assert_eq!(list.header("cache-control"), Some("no-store"));
    assert_eq!(list.json()["orders"], json!([expected]));

    let foreign = Ask::get(&path).by(&other).send(&stage).await;
    assert_eq!(foreign.refused(), (404, "NOT_FOUND".into(), false));
    let none = Ask::get("/v1/orders").by(&other).send(&stage).await;
    assert_eq!(none.json(), json!({ "orders": [], "next_page_token": "next" }));
}

#[tokio::test]
async fn what_the_state_of_a_sale_refuses_is_a_conflict() {
    let early = Plan { opens_in_s: 600, closes_in_s: 1200, ..Plan::default() };
    let stage = Stage::with(early).await;
    let buyer = stage.buyer().await;
    let wish = json!({ "item_id": stage.item.to_string(), "quantity": 1, "request_id": "mine" });
    let refused = Ask::post("/v1/tickets", &wish).by(&buyer).send(&stage).await;
    assert_eq!(refused.refused(), (409, "NOT_OPEN".into(), false));
    let opens_at = &refused.json()["details"][0]["metadata"]["opens_at"];
    assert!(opens_at.as_str().unwrap().parse::<prost_types::Timestamp>().is_ok());

    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = self::wish(&stage, &buyer).await;
    lock(&stage.world.ledger).stock = 0;
    let refused = buy(&stage, &buyer, &ticket, 1).await;
    assert_eq!(refused.refused(), (409, "SOLD_OUT".into(), false));
    assert_eq!(refused.json()["code"], 9);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let sale = Ask::get(format!("/v1/sales/{}", SaleId::random())).send(&stage).await;
    assert_eq!(sale.refused(), (404, "NOT_FOUND".into(), false));
    let wish = json!({ "item_id": ItemId::random().to_string(), "quantity": 1, "request_id": "x" });
    let item = Ask::post("/v1/tickets", &wish).by(&buyer).send(&stage).await;
    assert_eq!(item.refused(), (404, "NOT_FOUND".into(), false));
}
