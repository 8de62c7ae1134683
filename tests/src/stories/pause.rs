//! An operator pauses an item in the middle of its rush, and resumes it: meanwhile nobody new is
//! let in, everybody is told when to come back, and in the end exactly what there was is sold.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use chassis::status::retry_after_of;
use futures::{StreamExt as _, stream};
use proto::{
    gateway::v1::PurchaseState,
    inventory::v1::{PauseItemRequest, ResumeItemRequest},
};
use tonic::Code;

use crate::house::{House, Offer, PATIENCE, Shopper, Ticket, eventually, reason};

const UNITS: u32 = 100;

/// Sends a purchase until it is no longer told to come back; whether it was accepted then. Who is
/// told PAUSED for the first time is counted in `met`.
async fn persist(shopper: &Shopper, ticket: &Ticket, met: &AtomicUsize) -> bool {
    let (mut attempt, mut has_met) = (0, false);
    eventually("an answer that is final", PATIENCE, async || {
        attempt += 1;
        match shopper.purchase(ticket, attempt).await {
            Ok(PurchaseState::Accepted) => Some(true),
            Ok(state) => panic!("nothing failed, but an answer is {state:?}"),
            Err(status) if reason(&status) == "PAUSED" => {
                assert_eq!(status.code(), Code::Unavailable);
                assert!(retry_after_of(&status).is_some(), "PAUSED says when to come back");
                met.fetch_add(usize::from(!has_met), Ordering::SeqCst);
                has_met = true;
                None
            }
            // All of them come at once, which may be more than a busy machine takes.
            Err(status) if reason(&status) == "OVERLOADED" => None,
            Err(status) => {
                assert_eq!(reason(&status), "SOLD_OUT");
                Some(false)
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_paused_item_sells_nothing_and_a_resumed_one_sells_out_exactly() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: UNITS, ..Offer::default() }).await;
    let shoppers = house.shoppers(300).await;
    let mut tickets = Vec::new();
    for shopper in &shoppers {
        tickets.push(shopper.ticket(&sale.item_id, 1, "buy").await.expect("a ticket"));
    }
    let (early, late) = tickets.split_at(UNITS as usize / 2);
    let mut promised = BTreeSet::new();
    for (shopper, ticket) in shoppers.iter().zip(early) {
        let state = shopper.purchase(ticket, 1).await.expect("there are units");
        assert_eq!(state, PurchaseState::Accepted);
        promised.insert(ticket.order_id.clone());
    }

    let item_id = sale.item_id.clone();
    let pause = house.as_operator(PauseItemRequest { item_id: item_id.clone() });
    house.catalog().pause_item(pause).await.expect("an operator may");
    // The one inventory-svc knows from now on: not one unit more is taken.
    let held = house.held(&sale).await;
    let met = AtomicUsize::new(0);
    let rush = stream::iter(shoppers[early.len()..].iter().zip(late))
        .map(|(shopper, ticket)| persist(shopper, ticket, &met))
        .buffered(late.len())
        .collect::<Vec<_>>();
    let resume = async {
        // Who was admitted before is told so again, in the pause as well.
        let again = shoppers[0].purchase(&early[0], 2).await;
        assert_eq!(again.expect("it is known"), PurchaseState::Accepted);
        eventually("everybody has met the pause", PATIENCE, async || {
            (met.load(Ordering::SeqCst) == late.len()).then_some(())
        })
        .await;
        assert_eq!(house.held(&sale).await, held, "a unit was taken in the pause");
        let resume = house.as_operator(ResumeItemRequest { item_id });
        house.catalog().resume_item(resume).await.expect("an operator may");
    };
    let (answers, ()) = futures::join!(rush, resume);

    let bought = late.iter().zip(answers).filter(|(_, accepted)| *accepted);
    promised.extend(bought.map(|(ticket, _)| ticket.order_id.clone()));
    assert_eq!(promised.len(), UNITS as usize);
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (u64::from(UNITS), 0));
    house.close().await;
}
