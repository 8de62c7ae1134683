//! IssueTicket: one wish is one order id, and tickets are for what is on sale.

use std::time::Duration;

use ids::{ItemId, ShardNo};
use proto::inventory::v1::SaleState;

use crate::{
    stage::{Plan, SHARD, Stage, bad_field, reason, said},
    stubs::lock,
};

#[tokio::test]
async fn asking_twice_gives_the_same_order() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let first = buyer.wish(1, "mine").await.unwrap();
    stage.shift.jump(Duration::from_secs(1));
    let again = buyer.wish(1, "mine").await.unwrap();
    assert_eq!(first.order_id, again.order_id);
    assert!(first.ticket.len() <= 256);
    assert_eq!(first.unit_price.as_ref().map(|price| price.minor_units), Some(1999));
    let order: ids::OrderId = first.order_id.parse().unwrap();
    assert_eq!(order.shard(), ShardNo::new(SHARD).unwrap());
    for wish in
        [buyer.wish(2, "mine").await, buyer.wish(1, "yours").await, other.wish(1, "mine").await]
    {
        assert_ne!(wish.unwrap().order_id, first.order_id);
    }
}

#[tokio::test]
async fn tickets_are_issued_from_warm_up_to_the_close() {
    let stage = Stage::with(Plan { opens_in_s: 90, closes_in_s: 300, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let early = buyer.wish(1, "mine").await.unwrap_err();
    assert!(chassis::status::meta_of(&early, "opens_at").is_some());
    assert_eq!(reason::<()>(Err(early)), "NOT_OPEN");
    stage.shift.jump(Duration::from_secs(31));
    let issued = buyer.wish(1, "mine").await.unwrap();
    let sale = lock(&stage.world.sales)[0].clone();
    assert_eq!(issued.not_before, sale.opens_at);
    assert_eq!(issued.expires_at, sale.closes_at, "never beyond the sale");
    stage.shift.jump(Duration::from_secs(300));
    assert_eq!(reason(buyer.wish(1, "mine").await), "CLOSED");
}

#[tokio::test]
async fn bad_wishes_are_named() {
    let stage = Stage::open().await;
    let mut buyer = stage.buyer().await;
    assert_eq!(bad_field(buyer.wish(0, "mine").await), "quantity");
    assert_eq!(bad_field(buyer.wish(6, "mine").await), "quantity");
    assert_eq!(bad_field(buyer.wish(1, "").await), "request_id");
    assert_eq!(bad_field(buyer.wish(1, &"x".repeat(65)).await), "request_id");
    buyer.item = ItemId::random();
    let not_found = (tonic::Code::NotFound, "NOT_FOUND".to_owned(), false);
    assert_eq!(said(buyer.wish(1, "mine").await), not_found);
    let mut client = buyer.client.clone();
    let message = proto::gateway::v1::IssueTicketRequest {
        item_id: "nonsense".into(),
        quantity: 1,
        request_id: "mine".into(),
    };
    assert_eq!(bad_field(client.issue_ticket(buyer.request(message)).await), "item_id");
}

#[tokio::test]
async fn nothing_is_sold_of_a_draft() {
    let stage = Stage::open().await;
    lock(&stage.world.sales)[0].state = SaleState::Draft.into();
    let buyer = stage.buyer().await;
    assert_eq!(reason(buyer.wish(1, "mine").await), "NOT_FOUND");
    // That is remembered for a moment only.
    lock(&stage.world.sales)[0].state = SaleState::Scheduled.into();
    stage.until("it is sold", async || buyer.wish(1, "mine").await.is_ok()).await;
}

#[tokio::test]
async fn what_is_known_of_an_item_outlives_the_catalog() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    stage.world.is_inventory_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let unavailable = (tonic::Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(buyer.wish(1, "mine").await), unavailable);
    stage.world.is_inventory_down.store(false, std::sync::atomic::Ordering::SeqCst);
    buyer.wish(1, "mine").await.unwrap();
    stage.world.is_inventory_down.store(true, std::sync::atomic::Ordering::SeqCst);
    buyer.wish(1, "mine").await.unwrap();
}
