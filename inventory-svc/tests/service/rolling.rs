//! Holds that nobody recorded become orders.

use std::time::Duration;

use ids::{CommandId, Epoch, ShardNo};
use journal::{Command, PlacedHold, Record};

use crate::{
    books::order,
    house::{House, PARTITIONS, eventually},
};

/// Records the holds of these users, as the gateway would, and waits until the books have them.
pub(crate) async fn record(house: &House, shard: ShardNo, epoch: i64, users: &[u8]) {
    let holds = users.iter().map(|number| {
        let (order, user) = order(shard, *number);
        let (quantity, unit_price, taken_at_ms) = (1, 1_250, house.now_ms());
        let traceparent = String::new();
        PlacedHold { order, user, quantity, unit_price, taken_at_ms, traceparent }
    });
    let epoch = Epoch::new(epoch).unwrap();
    let command = Command::HoldsPlaced { epoch, holds: holds.collect() };
    let record = Record { command_id: CommandId::random(), shard, command };
    house.journal.append(shard.get() % PARTITIONS, &record).await.unwrap();
    eventually("the books have the orders", async || {
        let books = house.books.shard(shard.get()).unwrap();
        users.iter().all(|number| books.orders.contains_key(&order(shard, *number).0))
    })
    .await;
}

#[tokio::test]
async fn a_hold_that_nobody_recorded_becomes_an_order() {
    let house = House::open().await;
    let (shard, _) = house.open_shard().await;
    house.hold(shard, &[1, 2, 3]).await;
    house.ledger_shift.jump(Duration::from_secs(6));
    eventually("the books have them", async || {
        house.books.shard(shard.get()).unwrap().orders.len() == 3
    })
    .await;
    let publishes = house.books.shard(shard.get()).unwrap().generation;
    // The second look is due 10 s later and finds them in the books.
    house.ledger_shift.jump(Duration::from_secs(11));
    eventually("they are settled", async || {
        let count = house.count(shard).await;
        (count.open_holds, count.placed_orders, count.stock) == (0, 3, 7)
    })
    .await;
    let again = house.books.shard(shard.get()).unwrap().generation;
    assert_eq!(again, publishes, "what the books know is settled, not published");
}

#[tokio::test]
async fn a_hold_that_was_recorded_but_never_settled_is_settled() {
    let house = House::open().await;
    let (shard, epoch) = house.open_shard().await;
    house.hold(shard, &[1]).await;
    record(&house, shard, epoch, &[1]).await;
    assert_eq!(house.count(shard).await.open_holds, 1);
    house.ledger_shift.jump(Duration::from_secs(6));
    eventually("it is settled", async || house.count(shard).await.open_holds == 0).await;
    assert_eq!(house.count(shard).await.placed_orders, 1);
}

#[tokio::test]
async fn young_holds_are_left_alone() {
    let house = House::open().await;
    let (shard, _) = house.open_shard().await;
    house.hold(shard, &[1]).await;
    house.ledger_shift.jump(Duration::from_secs(4));
    house.hold(shard, &[2]).await;
    house.ledger_shift.jump(Duration::from_secs(2));
    eventually("the old one is an order", async || {
        !house.books.shard(shard.get()).unwrap().orders.is_empty()
    })
    .await;
    let books = house.books.shard(shard.get()).unwrap();
    assert_eq!(books.orders.keys().collect::<Vec<_>>(), [&order(shard, 1).0]);
}
