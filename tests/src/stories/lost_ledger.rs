//! I-1 to I-4 when the ledger forgets everything under load: refused while it is loaded again by
//! itself, never "sold out", and in the end exactly sold out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt as _, future::join_all, stream};
use proto::{
    error::v1::ErrorReason,
    gateway::v1::{OrderState, PurchaseState},
};
use tonic::Code;

use crate::house::{
    House, Offer, OpenSale, PATIENCE, Shopper, eventually, reason, when_there_is_room,
};

const UNITS: u32 = 400;
const SHOPPERS: u32 = 600;

/// What one shopper was told, in the end.
struct Told {
    order_id: String,
    accepted: bool,
    refusals: Vec<String>,
}

/// Sends the ticket again, as the answers say, until there is a final one.
async fn insist(shopper: &Shopper, sale: &OpenSale) -> Told {
    let ask = async || shopper.ticket(&sale.item_id, 1, "insist").await;
    let ticket = when_there_is_room(ask).await.expect("a ticket");
    let mut told =
        Told { order_id: ticket.order_id.clone(), accepted: false, refusals: Vec::new() };
    let mut attempt = 0;
    eventually("a final answer", PATIENCE, async || {
        attempt += 1;
        match shopper.purchase(&ticket, attempt).await {
            Ok(PurchaseState::Accepted) => {
                told.accepted = true;
                Some(())
            }
            Ok(_) => None,
            Err(status) => {
                told.refusals.push(reason(&status));
                (status.code() == Code::FailedPrecondition).then_some(())
            }
        }
    })
    .await;
    told
}

#[tokio::test]
async fn an_empty_ledger_under_load_is_loaded_again_and_sells_out() {
    let house = House::open().await;
    let offer = Offer { units: UNITS, lease: Duration::from_millis(500), ..Offer::default() };
    let sale = house.sell(offer).await;
    let shoppers = house.shoppers(SHOPPERS).await;
    // Holds pile up undecided, so that the ledger has something to lose.
    let paused = house.orders_pause.arm("order.before_commit");

    let buying = stream::iter(&shoppers)
        .map(|shopper| insist(shopper, &sale))
        .buffer_unordered(96)
        .collect::<Vec<_>>();
    let losing = async {
        paused.hit(1).await;
        let open = eventually("holds are open", PATIENCE, async || {
            let open = house.ledger_count(&sale).await.open_holds;
            (open > 20).then_some(open)
        })
        .await;
        house.ledger.swap_for_empty();
        paused.release();
        open
    };
    let (told, lost) = futures::join!(buying, losing);

    assert!(lost > 0, "the ledger lost nothing");
    let mut refused = BTreeMap::<String, u32>::new();
    for reason in told.iter().flat_map(|told| &told.refusals) {
        *refused.entry(reason.clone()).or_default() += 1;
    }
    let loading = proto::reason_text(ErrorReason::Loading);
    assert!(refused.contains_key(loading), "nobody met the loading: {refused:?}");
    let promised: BTreeSet<_> =
        told.into_iter().filter(|told| told.accepted).map(|told| told.order_id).collect();
    let counts = house.judge(&sale, &promised, Duration::from_secs(10)).await;
    assert_eq!(counts.books.live_units, u64::from(UNITS), "sold out exactly: {refused:?}");
    assert_eq!(counts.ledger.stock, 0);
    house.close().await;
}

#[tokio::test]
async fn a_gateway_that_slept_through_a_load_promises_nothing() {
    let house = House::open().await;
    let offer = Offer { units: 10, lease: Duration::from_millis(300), ..Offer::default() };
    let sale = house.sell(offer).await;
    // As many as there are batches in flight on a core: each hangs with a hold of its own.
    let shoppers = house.shoppers(2).await;
    let paused = house.gateway_pause.arm("gateway.after_reserve");

    let mut tickets = Vec::new();
    for shopper in &shoppers {
        tickets.push(shopper.ticket(&sale.item_id, 1, "sleep").await.expect("a ticket"));
    }
    // One after the other, or both would leave in one batch.
    let sends = shoppers.iter().zip(&tickets).enumerate().map(|(number, (shopper, ticket))| {
        let paused = &paused;
        async move {
            paused.hit(number).await;
            shopper.purchase(ticket, 1).await
        }
    });
    let loading = async {
        paused.hit(2).await;
        let before = house.ledger_count(&sale).await;
        assert_eq!(before.open_holds, 2, "not everything was held");
        house.ledger.swap_for_empty();
        eventually("the shard is loaded again by itself", PATIENCE, async || {
            let counts = house.counts(&sale).await.ok()?;
            (counts.ledger.epoch != before.epoch).then_some(())
        })
        .await;
        // Only now the old batch wakes and writes its record, behind the change of the epoch.
        paused.release();
    };
    let (answers, ()) = futures::join!(join_all(sends), loading);

    for answer in answers {
        // At the end of the lease the buyers had this answer; the batch never promised more.
        assert_eq!(answer.expect("not a refusal"), PurchaseState::Processing);
    }
    for (shopper, ticket) in shoppers.iter().zip(&tickets) {
        let state = eventually("the order is decided", PATIENCE, async || {
            let state = shopper.order(ticket).await.ok()?;
            (state != OrderState::Processing).then_some(state)
        })
        .await;
        assert_eq!(state, OrderState::NotPlaced, "the ledger lost the hold, and says so");
    }
    let first = (&shoppers[0], &tickets[0]);
    first.0.buy(first.1, 2).await;
    let promised = BTreeSet::from([first.1.order_id.clone()]);
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (1, 9));
    house.close().await;
}
