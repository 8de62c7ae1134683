//! I-3: a buyer who leaves takes nothing along. What was begun for them is finished without them.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream};
use proto::gateway::v1::OrderState;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::house::{House, Offer, PATIENCE, SEED, Shopper, eventually, when_there_is_room};

const CLIENTS: u32 = 1_000;

#[tokio::test]
async fn a_thousand_clients_that_leave_leak_nothing() {
    let house = House::open().await;
    let sale = house.sell(Offer { units: 600, ..Offer::default() }).await;
    let shoppers = house.shoppers(CLIENTS).await;
    let mut seed = StdRng::seed_from_u64(SEED);
    let delays: Vec<_> =
        shoppers.iter().map(|_| Duration::from_micros(seed.random_range(0..5_000))).collect();

    // Every client has a connection of its own, which asking for the ticket opens, and closes it in
    // the middle of the purchase.
    let left: Vec<_> = stream::iter(shoppers.into_iter().zip(delays))
        .map(|(mut shopper, delay)| {
            let (house, item_id) = (&house, &sale.item_id);
            async move {
                shopper.channel = house.channel();
                // Those who left before are still being served, and may have to be waited for.
                let ask = async || shopper.ticket(item_id, 1, "leave").await;
                let ticket = when_there_is_room(ask).await.expect("a ticket");
                let answer = tokio::time::timeout(delay, shopper.purchase(&ticket, 1)).await;
                let is_gone = answer.is_err();
                drop(answer);
                shopper.channel = house.channel();
                (shopper, ticket, is_gone)
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;

    let gone = left.iter().filter(|(_, _, is_gone)| *is_gone).count();
    assert!(gone > 100, "only {gone} clients left before their answer: nothing was tried");
    // Each of them can learn what became of the purchase, and none is left in the dark.
    let channel = house.channel();
    let counts = eventually("what buyers learn is what the books have", PATIENCE, async || {
        let mut placed = 0;
        for (shopper, ticket, _) in &left {
            let shopper = Shopper { channel: channel.clone(), ..shopper.clone() };
            match shopper.order(ticket).await.ok()? {
                OrderState::Placed => placed += 1,
                OrderState::NotPlaced => {}
                OrderState::Processing => return None,
                other => panic!("{other:?}"),
            }
        }
        let counts = house.judge(&sale, &BTreeSet::new(), PATIENCE).await;
        (counts.books.live_orders == placed).then_some(counts)
    })
    .await;
    let placed = counts.books.live_orders;
    assert!(placed > 100, "only {placed} purchases arrived: nothing was tried");
    house.close().await;
}
