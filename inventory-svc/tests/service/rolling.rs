//! Holds that nobody recorded become orders.

use std::time::Duration;

use ids::{CommandId, Epoch, ShardNo};
use inventory_svc::ledger::Ledger as _;
use journal::{Command, PlacedHold, Record};

use crate::{
    books::order,
    house::{House, PARTITIONS, PATIENCE, eventually},
};

/// Leaves the partition of `shard` without room: with records that the books ignore, and that stay
/// uncommitted until the books are told to commit.
pub(crate) async fn fill(house: &House, shard: ShardNo) {
    let partition = shard.get() % PARTITIONS;
    house.books.set_committing(partition, false);
    let (order, user) = order(shard, 255);
    let hold = PlacedHold {
        order,
        user,
        quantity: 1,
        unit_price: 1_250,
        taken_at_ms: house.now_ms(),
        traceparent: "x".repeat(55),
    };
    let epoch = Epoch::new(i64::MAX).unwrap();
    let command = Command::HoldsPlaced { epoch, item: None, holds: vec![hold; 1_024] };
    while house.journal.has_room(partition) {
        let command_id = CommandId::random();
        let record = Record { command_id, shard, command: command.clone() };
        house.journal.append(partition, &record).await.unwrap();
    }
}

/// Records the holds of these users, as the gateway would, and waits until the books have them.
pub(crate) async fn record(house: &House, shard: ShardNo, epoch: i64, users: &[u8]) {
    let holds = users.iter().map(|number| {
        let (order, user) = order(shard, *number);
        let (quantity, unit_price, taken_at_ms) = (1, 1_250, house.now_ms());
        let traceparent = String::new();
        PlacedHold { order, user, quantity, unit_price, taken_at_ms, traceparent }
    });
    let epoch = Epoch::new(epoch).unwrap();
    let command = Command::HoldsPlaced { epoch, item: None, holds: holds.collect() };
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

#[tokio::test]
async fn a_partition_without_room_holds_up_no_other() {
    let house = House::open().await;
    let (full, _) = house.open_shard().await;
    let sale = house.create("another").await;
    let other = house.schedule(&sale).await;
    house.opened(other).await;
    assert_ne!(full.get() % PARTITIONS, other.get() % PARTITIONS);
    house.hold(full, &[1]).await;
    house.hold(other, &[2]).await;
    fill(&house, full).await;
    let orders = |shard: ShardNo| house.books.shard(shard.get()).unwrap().orders.len();

    house.ledger_shift.jump(Duration::from_secs(6));
    eventually("the other shard's hold is an order", async || orders(other) == 1).await;
    assert_eq!(orders(full), 0, "there is no room for it");
    house.books.set_committing(full.get() % PARTITIONS, true);
    eventually("there is room again", async || orders(full) == 1).await;
}

/// The ledger can't say which holds of this shard are due, nor the books anything about them.
#[tokio::test]
async fn a_shard_that_fails_stops_no_other() {
    let house = House::open().await;
    let (sick, _) = house.open_shard().await;
    let sale = house.create("another").await;
    let well = house.schedule(&sale).await;
    house.opened(well).await;
    assert!(sick < well, "it has its turn first");
    house.hold(sick, &[1]).await;
    house.hold(well, &[2]).await;
    house.books.set_silent_about(Some(sick.get()));
    let orders = |shard: ShardNo| house.books.shard(shard.get()).unwrap().orders.len();

    house.ledger_shift.jump(Duration::from_secs(6));
    eventually("the other shard's hold is an order", async || orders(well) == 1).await;
    assert_eq!(orders(sick), 0, "nobody can say what the books know of it");
    house.books.set_silent_about(None);
    eventually("it is rolled forward too", async || orders(sick) == 1).await;
}

#[tokio::test]
async fn a_journal_that_acknowledges_nothing_makes_no_hold_wait_longer() {
    let house = House::open().await;
    let (shard, _) = house.open_shard().await;
    let _neighbour = house.neighbour().await;
    house.hold(shard, &[1, 2, 3]).await;
    house.broker.faults().fail_writes(10_000);
    let attempts = async || {
        let page = house.ledger.holds(shard, None, 10).await.unwrap().holds;
        page.iter().map(|open| open.attempts).max()
    };

    // For longer than the back-off would be by now.
    for _ in 0..4 {
        house.ledger_shift.jump(Duration::from_secs(10));
        let in_flight = async |within| house.journal.flush(within).await.left;
        eventually("it is tried", async || in_flight(Duration::from_millis(1)).await > 0).await;
        assert_eq!(in_flight(PATIENCE).await, 0, "and in vain");
        assert_eq!(attempts().await, Some(0), "an outage is no reason to doubt a hold");
    }
    house.broker.faults().heal();
    // Without any more time that passes for the ledger.
    eventually("the books have them", async || {
        house.books.shard(shard.get()).unwrap().orders.len() == 3
    })
    .await;
    assert!(attempts().await <= Some(1), "two that roll it forward put it off once");
}
