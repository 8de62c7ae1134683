//! Server-sent events: the state now, each change, an end; a stream that can't begin is a refusal.

use proto::{inventory::v1::FoundState, order::v1::OrderState};
use serde_json::{Value, json};

use super::{
    buying::wish,
    client::{Ask, Events},
};
use crate::{
    stage::{Plan, Stage},
    stubs::lock,
};

/// The next event has this name, number and data.
async fn told(events: &mut Events, stage: &Stage, name: &str, id: u32, data: &Value) {
    let event = events.next(stage).await.expect("an event");
    assert_eq!((event.name.as_str(), event.id), (name, id.to_string()));
    assert_eq!(&event.data, data);
}

#[tokio::test]
async fn an_order_is_told_step_by_step() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = wish(&stage, &buyer).await;
    let order_id = ticket["order_id"].as_str().unwrap();
    let path = format!("/v1/orders/{order_id}/events");
    let text = ticket["ticket"].as_str().unwrap();
    let ask = Ask::get(&path).by(&buyer).header("seckill-ticket", text);
    let mut events = ask.watch(&stage).await;
    let bare = |state: &str| json!({ "order_id": order_id, "state": state });
    told(&mut events, &stage, "order", 1, &bare("NOT_PLACED")).await;
    *lock(&stage.world.found) = Some(FoundState::Open);
    told(&mut events, &stage, "order", 2, &bare("PROCESSING")).await;
    let order = order_id.parse().unwrap();
    stage.write_row(order, buyer.user, OrderState::Placed);
    let placed = events.next(&stage).await.unwrap();
    let path = format!("/v1/orders/{order_id}");
    let shown = Ask::get(&path).by(&buyer).send(&stage).await.json();
    assert_eq!((&placed.data, &shown["state"]), (&shown, &json!("PLACED")), "as the GET shows it");
    stage.write_row(order, buyer.user, OrderState::Expired);
    assert_eq!(events.next(&stage).await.unwrap().data["state"], "EXPIRED");
    assert_eq!(events.next(&stage).await, None, "nothing can follow");
}

#[tokio::test]
async fn what_is_left_is_told_to_everybody() {
    let stage = Stage::open().await;
    let mut events = Ask::get(format!("/v1/items/{}/events", stage.item)).watch(&stage).await;
    let item_id = stage.item.to_string();
    let unknown = json!({ "item_id": item_id, "availability": "UNKNOWN" });
    told(&mut events, &stage, "stock", 1, &unknown).await;
    for (id, units, availability) in [(2, 7, "AVAILABLE"), (3, 0, "SOLD_OUT")] {
        stage.tell_stock(units);
        let left = json!({ "item_id": item_id, "availability": availability, "units_left": units });
        told(&mut events, &stage, "stock", id, &left).await;
    }
    stage.stopper.stop();
    let end = events.next(&stage).await.expect("it says why");
    assert_eq!((end.name.as_str(), &end.data["code"]), ("refusal", &json!(14)));
    assert_eq!(events.next(&stage).await, None);
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_an_ordinary_refusal() {
    let narrow = |config: &mut gateway::Config| config.watch.item_watchers_max = 1;
    let stage = Stage::with(Plan { config: Box::new(narrow), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let order = ids::OrderId::mint(ids::ShardNo::new(3).unwrap(), [7; 12]);
    let path = format!("/v1/orders/{order}/events");
    let unknown = Ask::get(&path).send(&stage).await;
    assert_eq!(unknown.refused(), (401, "UNAUTHENTICATED".into(), false));
    let not_found = Ask::get(&path).by(&buyer).send(&stage).await;
    assert_eq!(not_found.refused(), (404, "NOT_FOUND".into(), false));
    let bad = Ask::get("/v1/items/nonsense/events").send(&stage).await;
    assert_eq!(bad.refused(), (400, "INVALID_INPUT".into(), false));

    let path = format!("/v1/items/{}/events", stage.item);
    let events = Ask::get(&path).watch(&stage).await;
    let full = Ask::get(&path).send(&stage).await;
    assert_eq!(full.refused(), (503, "OVERLOADED".into(), true));
    drop(events);
    let buying = async || {
        let answer = tokio::time::timeout(std::time::Duration::from_millis(100), async {
            Ask::get(&path).send_unchecked(&stage).await
        });
        // A stream that begins has no end, so its answer isn't whole in time.
        answer.await.is_err()
    };
    stage.until("who leaves makes room", buying).await;
}

#[tokio::test]
async fn a_network_with_as_many_streams_as_it_may_have_is_told_so() {
    let few = |config: &mut gateway::Config| config.watch.item_watchers_per_network_max = 1;
    let stage = Stage::with(Plan { config: Box::new(few), ..Plan::default() }).await;
    let path = format!("/v1/items/{}/events", stage.item);
    let mut events = Ask::get(&path).watch(&stage).await;
    assert!(events.next(&stage).await.is_some());
    let refused = Ask::get(&path).send(&stage).await;
    assert_eq!(refused.refused(), (429, "RATE_LIMITED".to_owned(), true));
}
