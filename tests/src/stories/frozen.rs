//! I-2: who was frozen past a lease promises nothing. Only the frozen process's own clock jumps, as
//! it does for one that was stopped and continued.

use std::{collections::BTreeSet, time::Duration};

use proto::gateway::v1::{OrderState, PurchaseState};

use crate::house::{Frozen, House, Offer, PATIENCE, eventually};

async fn frozen_at(who: Frozen, point: &'static str) {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 5, ..Offer::default() }).await;
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "freeze").await.expect("a ticket");
    let paused = house.pause_of(who).arm(point);

    let freezing = async {
        paused.hit(1).await;
        house.clock_of(who).jump(sale.lease + Duration::from_millis(1));
        paused.release();
    };
    let (answer, ()) = futures::join!(shopper.purchase(&ticket, 1), freezing);

    assert!(paused.count() > 0, "nothing was frozen");
    assert_eq!(answer.expect("not a refusal"), PurchaseState::Processing);
    // The hold was taken and the work went on: nothing is lost, it was only not promised.
    eventually("the order is placed all the same", PATIENCE, async || {
        (shopper.order(&ticket).await.ok()? == OrderState::Placed).then_some(())
    })
    .await;
    // Its leases are over; it reads the catalog again by itself.
    eventually("who sends the ticket again is told", PATIENCE, async || {
        let again = shopper.purchase(&ticket, 2).await.ok()?;
        (again == PurchaseState::Accepted).then_some(())
    })
    .await;
    let promised = BTreeSet::from([ticket.order_id]);
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (1, 4));
    house.close().await;
}

#[tokio::test]
async fn a_gateway_frozen_before_the_journal_says_processing() {
    frozen_at(Frozen::Gateway, "gateway.after_reserve").await;
}

#[tokio::test]
async fn a_gateway_frozen_before_its_answer_says_processing() {
    frozen_at(Frozen::Gateway, "gateway.after_produce").await;
}

#[tokio::test]
async fn an_inventory_svc_frozen_before_the_ledger_says_processing() {
    frozen_at(Frozen::Inventory, "inventory.before_ledger").await;
}

#[tokio::test]
async fn an_inventory_svc_frozen_after_the_ledger_says_processing() {
    frozen_at(Frozen::Inventory, "inventory.after_ledger").await;
}
