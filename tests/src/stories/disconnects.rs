//! I-3: a buyer who leaves takes nothing along. What was begun for them is finished without them.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream};
use proto::gateway::v1::OrderState;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::house::{House, Offer, PATIENCE, SEED, eventually};

const CLIENTS: u32 = 1_000;

#[tokio::test]
async fn a_thousand_clients_that_leave_leak_nothing() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 600, ..Offer::default() }).await;
    let shoppers = house.shoppers(CLIENTS).await;
    let mut seed = StdRng::seed_from_u64(SEED);
    let delays: Vec<_> =
        shoppers.iter().map(|_| Duration::from_micros(seed.random_range(0..5_000))).collect();

    // Every client has a connection of its own, and closes it in the middle of its call.
    let left: Vec<_> = stream::iter(shoppers.into_iter().zip(delays))
        .map(|(mut shopper, delay)| {
            let (house, item_id) = (&house, &sale.item_id);
            async move {
                let ticket = shopper.ticket(item_id, 1, "leave").await.expect("a ticket");
                shopper.channel = house.channel();
                let answer = tokio::time::timeout(delay, shopper.purchase(&ticket, 1)).await;
                (shopper, ticket, answer.is_err())
            }
        })
        .buffer_unordered(64)
        .collect()
        .await;

    let gone = left.iter().filter(|(_, _, is_gone)| *is_gone).count();
    assert!(gone > 100, "only {gone} clients left before their answer: nothing was tried");
    let counts = house.judge(&sale, &BTreeSet::new(), PATIENCE).await;
    assert!(counts.books.live_orders > 0, "no purchase arrived at all");
    // Each of them can learn what became of the purchase, and none is left in the dark.
    let (mut placed, channel) = (0, house.channel());
    for (mut shopper, ticket, _) in left {
        shopper.channel = channel.clone();
        let state = eventually("the order is decided", PATIENCE, async || {
            let state = shopper.order(&ticket).await.ok()?;
            (state != OrderState::Processing).then_some(state)
        })
        .await;
        assert!([OrderState::Placed, OrderState::NotPlaced].contains(&state), "{state:?}");
        placed += u64::from(state == OrderState::Placed);
    }
    assert_eq!(placed, counts.books.live_orders);
    house.close().await;
}
