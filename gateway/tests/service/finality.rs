//! What sounds final is final: NOT_PLACED is said only when nothing comes any more of an attempt
//! that hangs in another gateway, and no gateway closes a sale by its own clock.

use std::{sync::atomic::Ordering, time::Duration};

use chassis::Clock;
use proto::{
    gateway::v1::{OrderState, PurchaseState::Accepted},
    inventory::v1::{EntryRefusal, PlacedAt, ReserveEntry, ReserveRequest, entry_answer::Answer},
};
use tonic::Code;

use crate::{
    stage::{Buyer, Plan, SHARD, Stage, Ticket, reason, said},
    stubs::{World, lock},
};

const LIFETIME_S: i64 = 1800;
const AHEAD: Duration = Duration::from_secs(55 * 60);

/// A sale whose ledger has a clock of its own, which is right.
async fn with_a_clock_of_its_own() -> Stage {
    let stage = Stage::with(Plan { closes_in_s: LIFETIME_S, ..Plan::default() }).await;
    *lock(&stage.world.clock) = Some(Clock::system());
    stage
}

#[tokio::test]
async fn a_gateway_whose_clock_is_wrong_sells_all_the_same() {
    for is_ahead in [true, false] {
        let stage = with_a_clock_of_its_own().await;
        match is_ahead {
            true => stage.shift.jump_wall_ahead(AHEAD),
            false => stage.shift.jump_wall_back(AHEAD),
        }
        // Who signed in where the time is as wrong.
        let buyer = stage.buyer().await;
        let ticket = buyer.ticket(1, "mine").await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted, "ahead: {is_ahead}");
        assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted, "ahead: {is_ahead}");
        let message = proto::gateway::v1::WatchItemRequest { item_id: stage.item.to_string() };
        assert!(buyer.client.clone().watch_item(message).await.is_ok(), "ahead: {is_ahead}");
    }
}

#[tokio::test]
async fn a_ticket_ends_by_the_ledgers_clock() {
    let stage = with_a_clock_of_its_own().await;
    let buyer = stage.buyer().await;
    let tickets = [buyer.ticket(1, "a").await, buyer.ticket(1, "b").await];
    stage.shift.jump_wall_ahead(AHEAD);
    for (ticket, attempt) in tickets.iter().zip([1, 2]) {
        assert_eq!(buyer.buy(ticket, attempt).await.unwrap(), Accepted, "attempt {attempt}");
    }
}

#[tokio::test]
async fn who_does_not_know_the_ledgers_time_does_not_close_a_sale() {
    let stage = with_a_clock_of_its_own().await;
    let buyer = stage.buyer().await;
    buyer.ticket(1, "so that the item is known").await;
    // The clocks jump, so what was heard of the ledger's is old.
    stage.shift.jump(AHEAD);
    stage.world.is_inventory_down.store(true, Ordering::SeqCst);
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(buyer.wish(1, "mine").await), unavailable);
    stage.world.is_inventory_down.store(false, Ordering::SeqCst);
    let opens = async || buyer.wish(1, "mine").await.is_ok();
    stage.until("the ledger says that it is open", opens).await;
}

/// What another gateway sends for a ticket that was shown to it at that time of the ledger's.
fn elsewhere(buyer: &Buyer, ticket: &Ticket, placed_us: u64) -> ReserveRequest {
    let entry = ReserveEntry {
        order_id: bytes::Bytes::copy_from_slice(ticket.order.as_bytes()),
        user_id: bytes::Bytes::copy_from_slice(buyer.user.as_bytes()),
        quantity: 1,
        unit_price: 1999,
        ticket_expires_ms: u64::MAX / 1_000_000,
        traceparent: String::new(),
        placed_at: Some(PlacedAt { epoch: 7, us: placed_us }),
    };
    // The stub sells one item.
    ReserveRequest { shard_no: SHARD, entries: vec![entry], item_id: bytes::Bytes::new() }
}

fn arrives(world: &World, request: &ReserveRequest) -> Answer {
    let answer = lock(&world.ledger).reserve(request, world.now_us(), u64::MAX).answer;
    let Some(proto::inventory::v1::reserve_response::Answer::Batch(mut batch)) = answer else {
        panic!("{answer:?}")
    };
    batch.answers.pop().unwrap().answer.unwrap()
}

#[tokio::test]
async fn nothing_comes_of_another_gateways_attempt_once_not_placed_was_said() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    // It hangs there: in a batch, on the way, or in a process that is frozen.
    let hanging = elsewhere(&buyer, &ticket, stage.world.now_us());
    let told = buyer.order("", &ticket.text).await.unwrap().state();
    assert_eq!(told, OrderState::NotPlaced);
    let too_late = Answer::Refusal(EntryRefusal::TooLate.into());
    assert_eq!(arrives(&stage.world, &hanging), too_late);
    // The same ticket may be tried again, through any gateway.
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    assert!(matches!(arrives(&stage.world, &hanging), Answer::Open(_)), "it is the same order");
}

#[tokio::test]
async fn an_attempt_that_another_gateway_has_barred_is_to_be_tried_again() {
    let narrow = |config: &mut gateway::Config| config.purchase.batches_in_flight_max = 1;
    let plan = Plan { config: Box::new(narrow), lease_ms: 60_000, ..Plan::default() };
    let stage = Stage::with(plan).await;
    let buyer = stage.buyer().await;
    let tickets = [buyer.ticket(1, "first").await, buyer.ticket(1, "gathers").await];
    let held = stage.pause.arm("gateway.after_reserve");
    let rest = async {
        held.hit(1).await;
        let second = buyer.buy(&tickets[1], 1);
        let bar = async {
            let told = async || buyer.order("", &tickets[1].text).await.unwrap().state();
            let gathers = async || told().await == OrderState::Processing;
            stage.until("the second gathers", gathers).await;
            let order = bytes::Bytes::copy_from_slice(tickets[1].order.as_bytes());
            let now_us = stage.world.now_us();
            lock(&stage.world.ledger).barred.insert(order, now_us);
            held.release();
        };
        futures::join!(second, bar).0
    };
    let (first, second) = futures::join!(buyer.buy(&tickets[0], 1), rest);
    assert_eq!(first.unwrap(), Accepted);
    assert_eq!(reason(second), "LOADING");
    assert_eq!(buyer.buy(&tickets[1], 2).await.unwrap(), Accepted);
}
