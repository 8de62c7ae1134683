//! I-4: however often a ticket is sent there is one order, and however a buyer splits what they
//! want there is never more than the limit.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use proto::{error::v1::ErrorReason, gateway::v1::PurchaseState};

use crate::house::{House, Offer, PATIENCE, reason};

#[tokio::test]
async fn fifty_sends_of_one_ticket_are_one_order() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 10, ..Offer::default() }).await;
    let shopper = house.shopper().await;
    let ticket = shopper.ticket(&sale.item_id, 1, "one").await.expect("a ticket");

    let sends = (0..50).map(|nth| {
        let mut shopper = shopper.clone();
        // Several connections, so that different cores have it in their hands at once.
        shopper.channel = house.channel();
        let ticket = ticket.clone();
        async move { shopper.purchase(&ticket, nth % 3).await }
    });
    let answers: Vec<_> = join_all(sends).await;

    for answer in answers {
        assert_eq!(answer.expect("no refusal"), PurchaseState::Accepted);
    }
    let promised = BTreeSet::from([ticket.order_id.clone()]);
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (1, 9));
    house.close().await;
}

#[tokio::test]
async fn a_limit_of_two_is_never_exceeded() {
    for split in [vec![1, 1, 1], vec![2, 1], vec![1, 2]] {
        let house = House::open().await;
        let sale = house.sell(Offer { units: 10, limit_per_user: 2, ..Offer::default() }).await;
        let shopper = house.shopper().await;
        let mut tickets = Vec::new();
        for (nth, quantity) in split.iter().enumerate() {
            let request_id = format!("want-{nth}");
            tickets.push(shopper.ticket(&sale.item_id, *quantity, &request_id).await.unwrap());
        }

        let sends = tickets.iter().map(|ticket| shopper.purchase(ticket, 1));
        let answers = join_all(sends).await;

        let mut promised = BTreeSet::new();
        let mut refused = BTreeMap::<_, u32>::new();
        for (answer, ticket) in answers.into_iter().zip(&tickets) {
            match answer {
                Ok(state) => {
                    assert_eq!(state, PurchaseState::Accepted);
                    promised.insert(ticket.order_id.clone());
                }
                Err(status) => *refused.entry(reason(&status)).or_default() += 1,
            }
        }
        let limit_reached = proto::reason_text(ErrorReason::LimitReached).to_owned();
        assert_eq!(refused, BTreeMap::from([(limit_reached, 1)]), "{split:?}");
        let counts = house.judge(&sale, &promised, PATIENCE).await;
        assert!(counts.books.live_units <= 2, "{split:?}: {counts:?}");
        house.close().await;
    }
}
