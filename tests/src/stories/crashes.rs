//! I-2, I-3: a gateway or an order-svc dies in the worst places, on a ledger and a journal that
//! live on. Whatever the ledger holds becomes an order, once, within ten seconds.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream};
use proto::gateway::v1::PurchaseState;

use crate::house::{
    House, Offer, OpenSale, PATIENCE, Shopper, Ticket, eventually, when_there_is_room,
};

/// Within what time holds become orders (the figure: 5 s until they are due, and a round).
const ROLLED_FORWARD: Duration = Duration::from_secs(10);

struct Load {
    accepted: BTreeSet<String>,
    unanswered: Vec<(Shopper, Ticket)>,
}

/// One ticket for each of the shoppers.
async fn tickets(house: &House, sale: &OpenSale, shoppers: u32) -> Vec<(Shopper, Ticket)> {
    stream::iter(house.shoppers(shoppers).await)
        .map(async |shopper| {
            let ask = async || shopper.ticket(&sale.item_id, 1, "buy").await;
            let ticket = when_there_is_room(ask).await.expect("a ticket");
            (shopper, ticket)
        })
        .buffer_unordered(64)
        .collect()
        .await
}

/// Lets all of them buy one unit each, at once, and keeps what each was told.
async fn buy(tickets: &[(Shopper, Ticket)]) -> Load {
    let answers: Vec<_> = stream::iter(tickets)
        .map(async |(shopper, ticket)| {
            let answer = when_there_is_room(async || shopper.purchase(ticket, 1).await).await;
            (shopper.clone(), ticket.clone(), answer)
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let mut load = Load { accepted: BTreeSet::new(), unanswered: Vec::new() };
    for (shopper, ticket, answer) in answers {
        match answer {
            Ok(PurchaseState::Accepted) => {
                load.accepted.insert(ticket.order_id);
            }
            _ => load.unanswered.push((shopper, ticket)),
        }
    }
    load
}

async fn gateway_dies_at(point: &'static str) {
    let mut house = House::open().await;
    let sale = house.sell(Offer { units: 300, ..Offer::default() }).await;
    let tickets = tickets(&house, &sale, 200).await;
    let calm = buy(&tickets[..100]).await;
    assert_eq!(calm.accepted.len(), 100);
    house.at_rest(&sale, PATIENCE).await;

    let paused = house.gateway_pause.arm(point);
    let (load, held) = {
        let buying = buy(&tickets[100..]);
        let dying = async {
            paused.hit(1).await;
            // The others gather behind the batches that hang.
            eventually("holds are taken", PATIENCE, async || {
                (house.held(&sale).await > 100).then_some(())
            })
            .await;
            house.crash_gateway().await;
        };
        let (load, ()) = futures::join!(buying, dying);
        (load, house.held(&sale).await - 100)
    };
    assert!(paused.count() > 0 && held > 0, "the crash hit nothing");
    assert!(load.accepted.is_empty(), "a batch that hangs answered");
    paused.release();
    house.start_gateway().await;

    let counts = house.at_rest(&sale, ROLLED_FORWARD).await;
    assert_eq!(counts.books.live_orders, 100 + held, "each hold became one order");

    // Those who got no answer send their ticket again; who was rolled forward has one order still.
    let mut promised = calm.accepted;
    for (mut shopper, ticket) in load.unanswered {
        shopper.channel = house.channel();
        let answer = shopper.purchase(&ticket, 2).await.expect("there are units for all");
        assert_eq!(answer, PurchaseState::Accepted);
        promised.insert(ticket.order_id);
    }
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (200, 100));
    house.close().await;
}

#[tokio::test]
async fn a_gateway_that_dies_before_the_journal_loses_no_hold() {
    gateway_dies_at("gateway.after_reserve").await;
}

#[tokio::test]
async fn a_gateway_that_dies_before_its_answer_makes_no_second_order() {
    gateway_dies_at("gateway.after_produce").await;
}

async fn order_svc_dies_at(point: &'static str) {
    let mut house = House::open().await;
    let sale = house.sell(Offer { units: 300, ..Offer::default() }).await;
    let tickets = tickets(&house, &sale, 200).await;

    let paused = house.orders_pause.arm(point);
    let load = buy(&tickets).await;
    assert_eq!(load.accepted.len(), 200, "order-svc is behind, and buyers don't notice");
    paused.hit(1).await;
    let open = house.ledger_count(&sale).await.open_holds;
    assert!(paused.count() > 0 && open > 0, "the crash hit nothing");
    house.crash_orders().await;
    paused.release();
    house.start_orders().await;

    let counts = house.judge(&sale, &load.accepted, ROLLED_FORWARD).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (200, 100));
    house.close().await;
}

#[tokio::test]
async fn an_order_svc_that_dies_before_its_commit_loses_nothing() {
    order_svc_dies_at("order.before_commit").await;
}

#[tokio::test]
async fn an_order_svc_that_dies_before_it_settles_is_settled_for() {
    order_svc_dies_at("order.after_commit").await;
}
