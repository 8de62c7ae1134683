//! The plain story: more buyers than units, and the books come out exact.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use proto::{error::v1::ErrorReason, gateway::v1::PurchaseState};

use crate::house::{House, Offer, PATIENCE, reason, when_there_is_room};

#[tokio::test]
async fn sells_out_exactly() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 200, ..Offer::default() }).await;
    let shoppers = house.shoppers(1_000).await;

    let answers: Vec<_> = stream::iter(&shoppers)
        .map(|shopper| {
            let item_id = &sale.item_id;
            async move {
                let ask = async || shopper.ticket(item_id, 1, "buy").await;
                let ticket = when_there_is_room(ask).await.expect("a ticket");
                let answer = when_there_is_room(async || shopper.purchase(&ticket, 1).await).await;
                (ticket.order_id, answer)
            }
        })
        .buffer_unordered(128)
        .collect()
        .await;

    let mut promised = BTreeSet::new();
    let mut refused = BTreeMap::<_, u32>::new();
    for (order_id, answer) in answers {
        match answer {
            Ok(PurchaseState::Accepted) => assert!(promised.insert(order_id)),
            Ok(state) => panic!("nothing failed, but an answer is {state:?}"),
            Err(status) => *refused.entry(reason(&status)).or_default() += 1,
        }
    }
    assert_eq!(promised.len(), 200);
    let sold_out = proto::reason_text(ErrorReason::SoldOut).to_owned();
    assert_eq!(refused, BTreeMap::from([(sold_out, 800)]));
    let counts = house.judge(&sale, &promised, PATIENCE).await;
    assert_eq!((counts.books.live_orders, counts.ledger.stock), (200, 0));
    house.close().await;
}
