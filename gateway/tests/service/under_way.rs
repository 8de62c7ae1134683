//! What this gateway itself is carrying is never told to be nothing, though the ledger has not
//! heard of it yet: neither in flight nor while it gathers, on whichever core one asks.

use std::time::Duration;

use proto::{
    gateway::v1::{OrderState, PurchaseState::Processing, WatchOrderRequest, WatchOrderResponse},
    inventory::v1::{EntryRefusal, FoundState, entry_answer::Answer},
};
use tonic::Streaming;

use crate::{
    stage::{Buyer, PATIENCE, Plan, Stage, Ticket, reason},
    stubs::lock,
};

/// A ledger that takes nothing, and one batch at a time with room for one who waits.
async fn narrow() -> Stage {
    let narrow = |config: &mut gateway::Config| {
        config.purchase.batches_in_flight_max = 1;
        config.purchase.gathering_len_max = 1;
        config.tickets.lifetime_s = 5;
        config.watch.poll_ms = 10;
    };
    let plan = Plan { config: Box::new(narrow), lease_ms: 60_000, ..Plan::default() };
    let stage = Stage::with(plan).await;
    stage.world.answer_all_with(Answer::Refusal(EntryRefusal::SoldOut.into()));
    stage
}

async fn told(buyer: &Buyer, ticket: &Ticket) -> OrderState {
    buyer.order("", &ticket.text).await.unwrap().state()
}

async fn watch(buyer: &Buyer, ticket: &Ticket) -> Streaming<WatchOrderResponse> {
    let message = WatchOrderRequest { order_id: String::new(), ticket: ticket.text.clone() };
    let stream = buyer.client.clone().watch_order(buyer.request(message)).await;
    stream.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchOrderResponse>) -> OrderState {
    stream.message().await.unwrap().unwrap().order.unwrap().state()
}

#[tokio::test]
async fn an_order_in_a_batch_is_processing_until_the_batch_has_ended() {
    let stage = narrow().await;
    let buyer = stage.buyer().await;
    let mut tickets = Vec::new();
    for name in ["in flight", "gathering", "overloaded"] {
        tickets.push(buyer.ticket(1, name).await);
    }
    // Connections are spread over the cores.
    let elsewhere = futures::future::join_all(
        (0..8).map(|_| async { Buyer { client: stage.client().await, ..buyer.clone() } }),
    )
    .await;
    let held = stage.pause.arm("gateway.after_reserve");
    let first = buyer.buy(&tickets[0], 1);
    let rest = async {
        held.hit(1).await;
        let second = buyer.buy(&tickets[1], 1);
        let third = async {
            let gathers = async || told(&buyer, &tickets[1]).await == OrderState::Processing;
            stage.until("the second gathers", gathers).await;
            assert_eq!(reason(buyer.buy(&tickets[2], 1).await), "OVERLOADED");
            for asking in &elsewhere {
                assert_eq!(told(asking, &tickets[0]).await, OrderState::Processing);
                assert_eq!(told(asking, &tickets[1]).await, OrderState::Processing);
                assert_eq!(told(asking, &tickets[2]).await, OrderState::NotPlaced, "not taken in");
            }
            // Past their end, the tickets are answered by the same rule.
            stage.shift.jump(Duration::from_secs(6));
            assert_eq!(buyer.buy(&tickets[0], 2).await.unwrap(), Processing);
            assert_eq!(reason(buyer.buy(&tickets[2], 2).await), "TICKET_EXPIRED");
            held.release();
        };
        futures::join!(second, third).0
    };
    let (first, second) = futures::join!(first, rest);
    assert_eq!((reason(first), reason(second)), ("SOLD_OUT".into(), "SOLD_OUT".into()));
    for ticket in &tickets {
        assert_eq!(told(&buyer, ticket).await, OrderState::NotPlaced, "nothing is left behind");
    }
}

#[tokio::test]
async fn who_watches_an_order_in_a_batch_sees_processing() {
    let stage = narrow().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let mut stream = watch(&buyer, &ticket).await;
    assert_eq!(next(&mut stream).await, OrderState::NotPlaced);
    let held = stage.pause.arm("gateway.after_reserve");
    let changes = async {
        assert_eq!(next(&mut stream).await, OrderState::Processing);
        held.release();
        assert_eq!(next(&mut stream).await, OrderState::NotPlaced);
    };
    let changes = tokio::time::timeout(PATIENCE, changes);
    let (bought, watched) = futures::join!(buyer.buy(&ticket, 1), changes);
    assert_eq!(reason(bought), "SOLD_OUT");
    watched.expect("the changes come");
}

#[tokio::test]
async fn an_order_in_a_batch_keeps_no_other_from_being_told_not_placed() {
    let stage = narrow().await;
    let buyer = stage.buyer().await;
    let (carried, other) = (buyer.ticket(1, "carried").await, buyer.ticket(1, "other").await);
    // Nobody has been told so yet, or there would be nothing to tell.
    *lock(&stage.world.found) = Some(FoundState::Open);
    let mut streams = [watch(&buyer, &carried).await, watch(&buyer, &other).await];
    for stream in &mut streams {
        assert_eq!(next(stream).await, OrderState::Processing);
    }
    let [of_carried, of_other] = &mut streams;
    let held = stage.pause.arm("gateway.after_reserve");
    let changes = async {
        held.hit(1).await;
        *lock(&stage.world.found) = None;
        assert_eq!(next(of_other).await, OrderState::NotPlaced);
        held.release();
        assert_eq!(next(of_carried).await, OrderState::NotPlaced);
    };
    let changes = tokio::time::timeout(PATIENCE, changes);
    let (bought, watched) = futures::join!(buyer.buy(&carried, 1), changes);
    assert_eq!(reason(bought), "SOLD_OUT");
    watched.expect("the changes come");
}

#[tokio::test]
async fn an_order_whose_buyer_has_left_is_still_under_way() {
    let stage = narrow().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let held = stage.pause.arm("gateway.after_reserve");
    {
        let leaving = Buyer { client: stage.client().await, ..buyer.clone() };
        let mut sent = Box::pin(leaving.buy(&ticket, 1));
        tokio::select! {
            biased;
            _ = &mut sent => panic!("nobody answers while the batch is held"),
            () = held.hit(1) => {}
        }
    }
    assert_eq!(told(&buyer, &ticket).await, OrderState::Processing);
    held.release();
    let ended = async || told(&buyer, &ticket).await == OrderState::NotPlaced;
    stage.until("nothing is left behind", ended).await;
}
