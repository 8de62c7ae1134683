//! GetOrder and ListOrders: the books, then the ledger; more for who shows the ticket, and
//! NOT_FOUND for everybody else.

use std::sync::atomic::Ordering;

use ids::OrderId;
use proto::{
    gateway::v1::{ListOrdersRequest, OrderState},
    inventory::v1::FoundState,
    order::v1::OrderState as InBooks,
};
use tonic::Code;

use crate::{
    stage::{Stage, bad_field, reason, said},
    stubs::{LAST_EPOCH, lock},
};

#[tokio::test]
async fn who_shows_the_ticket_is_told_what_is_known() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let told = async || buyer.order("", &ticket.text).await.unwrap().state();
    assert_eq!(told().await, OrderState::NotPlaced);
    for (found, expected) in [
        (FoundState::Open, OrderState::Processing),
        (FoundState::Unknown, OrderState::Processing),
        // The row must come, but isn't there yet.
        (FoundState::Settled, OrderState::Processing),
        (FoundState::Nothing, OrderState::NotPlaced),
    ] {
        *lock(&stage.world.found) = Some(found);
        assert_eq!(told().await, expected, "{found:?}");
    }
    stage.world.is_inventory_down.store(true, Ordering::SeqCst);
    assert_eq!(told().await, OrderState::Processing, "the ledger can't be asked");
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    assert_eq!(told().await, OrderState::Placed, "the books suffice");
    stage.world.is_inventory_down.store(false, Ordering::SeqCst);
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    assert_eq!(told().await, OrderState::Processing, "NOT_PLACED only after a read of the books");
}

#[tokio::test]
async fn of_a_retired_shard_only_books_that_know_so_say_not_placed() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    *lock(&stage.world.found) = Some(FoundState::Retired);
    let told = async || buyer.order("", &ticket.text).await.unwrap().state();
    // An older copy may lack the row.
    for open in [0, LAST_EPOCH - 1] {
        stage.world.open_epoch.store(open, Ordering::SeqCst);
        assert_eq!(told().await, OrderState::Processing, "{open} is open");
    }
    stage.world.open_epoch.store(LAST_EPOCH, Ordering::SeqCst);
    assert_eq!(told().await, OrderState::NotPlaced);
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    assert_eq!(told().await, OrderState::Placed);
}

#[tokio::test]
async fn without_the_ticket_only_a_row_is_told_of() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await;
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned(), false);
    *lock(&stage.world.found) = Some(FoundState::Open);
    assert_eq!(said(buyer.order(ticket.order, "").await), not_found);
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    assert_eq!(said(other.order(ticket.order, "").await), not_found, "someone else's");
    let order = buyer.order(ticket.order, "").await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!(order.sale_id, stage.sale.to_string());
    assert_eq!(order.item_id, stage.item.to_string());
    assert_eq!(order.unit_price.map(|price| price.minor_units), Some(1999));
    assert!(order.placed_at.is_some() && order.pay_by.is_some());
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(buyer.order(ticket.order, "").await), unavailable);
}

#[tokio::test]
async fn bad_questions_are_named() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let (mine, yours) = (buyer.ticket(1, "a").await, buyer.ticket(1, "b").await);
    assert_eq!(bad_field(buyer.order("", "").await), "order_id");
    assert_eq!(bad_field(buyer.order("nonsense", "").await), "order_id");
    assert_eq!(bad_field(buyer.order(ids::SaleId::random(), "").await), "order_id");
    assert_eq!(bad_field(buyer.order(yours.order, &mine.text).await), "order_id");
    assert_eq!(reason(buyer.order("", "nonsense").await), "TICKET_INVALID");
    assert_eq!(reason(other.order("", &mine.text).await), "TICKET_INVALID");
    let both = buyer.order(mine.order, &mine.text).await.unwrap();
    assert_eq!(both.order_id, mine.order.to_string());
}

#[tokio::test]
async fn buyers_list_their_own_orders() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await;
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    stage.write_row(other.ticket(1, "mine").await.order, other.user, InBooks::Placed);
    let ask = async |page_size, page_token: &str| {
        let message = ListOrdersRequest { page_size, page_token: page_token.into() };
        let answer = buyer.client.clone().list_orders(buyer.request(message)).await;
        answer.map(tonic::Response::into_inner)
    };
    let page = ask(0, "").await.unwrap();
    let orders: Vec<OrderId> =
        page.orders.iter().map(|order| order.order_id.parse().unwrap()).collect();
    assert_eq!(orders, [ticket.order]);
    assert_eq!(page.next_page_token, "next");
    assert_eq!(bad_field(ask(201, "").await), "page_size");
    assert_eq!(bad_field(ask(1, &"x".repeat(257)).await), "page_token");
    assert_eq!(bad_field(ask(1, "foreign").await), "page_token");
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(ask(0, "").await), unavailable);
}
