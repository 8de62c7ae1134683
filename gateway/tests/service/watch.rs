//! WatchOrder: the state now, then each change, never backwards, and an end.

use std::sync::atomic::Ordering;

use proto::{
    gateway::v1::{OrderState, WatchOrderRequest, WatchOrderResponse},
    inventory::v1::FoundState,
    order::v1::OrderState as InBooks,
};
use tonic::{Status, Streaming};

use crate::{
    stage::{Buyer, PATIENCE, Plan, Stage, bad_field, reason, said},
    stubs::{LAST_EPOCH, lock},
};

async fn watch(
    buyer: &Buyer,
    order_id: impl ToString,
    ticket: &str,
) -> Result<Streaming<WatchOrderResponse>, Status> {
    let message = WatchOrderRequest { order_id: order_id.to_string(), ticket: ticket.into() };
    let answer = buyer.client.clone().watch_order(buyer.request(message)).await;
    answer.map(tonic::Response::into_inner)
}

/// The next state; `None` at the end.
async fn next(stream: &mut Streaming<WatchOrderResponse>) -> Option<OrderState> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await;
    let message = message.expect("something comes").unwrap();
    message.map(|message| message.order.unwrap().state())
}

#[tokio::test]
async fn each_change_is_told_until_the_last() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let mut stream = watch(&buyer, "", &ticket.text).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderState::NotPlaced));
    *lock(&stage.world.found) = Some(FoundState::Open);
    assert_eq!(next(&mut stream).await, Some(OrderState::Processing));
    // Books that can't be asked are no news.
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    stage.world.is_order_down.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut stream).await, Some(OrderState::Placed));
    // Someone who comes later begins where it stands.
    let mut second = watch(&buyer, ticket.order, "").await.unwrap();
    assert_eq!(next(&mut second).await, Some(OrderState::Placed));
    stage.write_row(ticket.order, buyer.user, InBooks::Expired);
    for stream in [&mut stream, &mut second] {
        assert_eq!(next(stream).await, Some(OrderState::Expired));
        assert_eq!(next(stream).await, None, "nothing can follow");
    }
}

#[tokio::test]
async fn of_a_retired_shard_the_books_tell_when_they_know_so() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    *lock(&stage.world.found) = Some(FoundState::Retired);
    let mut stream = watch(&buyer, "", &ticket.text).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderState::Processing));
    stage.world.open_epoch.store(LAST_EPOCH, Ordering::SeqCst);
    assert_eq!(next(&mut stream).await, Some(OrderState::NotPlaced));
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    assert_eq!(next(&mut stream).await, Some(OrderState::Placed));
}

#[tokio::test]
async fn a_final_state_is_told_and_ends_at_once() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.write_row(ticket.order, buyer.user, InBooks::Rejected);
    let mut stream = watch(&buyer, ticket.order, "").await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderState::Rejected));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn a_stream_ends_after_its_longest_time() {
    let short = |config: &mut gateway::Config| config.watch.stream_ms_max = 50;
    let stage = Stage::with(Plan { config: Box::new(short), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let mut stream = watch(&buyer, "", &ticket.text).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderState::NotPlaced));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn streams_end_on_a_stop_and_do_not_hold_it_up() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let mut stream = watch(&buyer, "", &ticket.text).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderState::NotPlaced));
    stage.stopper.stop();
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it ends");
    let stopping = (tonic::Code::Unavailable, "STOPPING".to_owned(), true);
    assert_eq!(said(end.map(drop)), stopping, "its client comes back to another server");
}

#[tokio::test]
async fn watchers_are_bounded_and_who_leaves_makes_room() {
    let narrow = |config: &mut gateway::Config| config.watch.watchers_max = 1;
    let stage = Stage::with(Plan { config: Box::new(narrow), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let stream = watch(&buyer, "", &ticket.text).await.unwrap();
    let overloaded = (tonic::Code::Unavailable, "OVERLOADED".to_owned(), true);
    assert_eq!(said(watch(&buyer, "", &ticket.text).await.map(drop)), overloaded);
    drop(stream);
    let room = async || watch(&buyer, "", &ticket.text).await.is_ok();
    stage.until("there is room again", room).await;
}

#[tokio::test]
async fn one_account_has_a_few_places_and_no_more() {
    let few = |config: &mut gateway::Config| config.watch.watchers_per_user_max = 2;
    let stage = Stage::with(Plan { config: Box::new(few), ..Plan::default() }).await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await;
    let first = watch(&buyer, "", &ticket.text).await.unwrap();
    let _second = watch(&buyer, "", &ticket.text).await.unwrap();
    let limited = (tonic::Code::ResourceExhausted, "RATE_LIMITED".to_owned(), true);
    // Whichever order it is, and whichever connection it comes by.
    let another = Buyer { channel: other.channel.clone(), client: other.client.clone(), ..buyer };
    let ticket = another.ticket(1, "another").await;
    assert_eq!(said(watch(&another, "", &ticket.text).await.map(drop)), limited);
    let others = other.ticket(1, "theirs").await;
    let _others = watch(&other, "", &others.text).await.expect("others have their own");
    drop(first);
    let room = async || watch(&another, "", &ticket.text).await.is_ok();
    stage.until("there is room again", room).await;
}

#[tokio::test]
async fn bad_questions_are_refused_as_by_get_order() {
    let stage = Stage::open().await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await;
    assert_eq!(bad_field(watch(&buyer, "", "").await.map(drop)), "order_id");
    assert_eq!(bad_field(watch(&buyer, "nonsense", "").await.map(drop)), "order_id");
    assert_eq!(reason(watch(&other, "", &ticket.text).await.map(drop)), "TICKET_INVALID");
    assert_eq!(reason(watch(&buyer, ticket.order, "").await.map(drop)), "NOT_FOUND");
    stage.write_row(ticket.order, buyer.user, InBooks::Placed);
    assert_eq!(reason(watch(&other, ticket.order, "").await.map(drop)), "NOT_FOUND");
}
