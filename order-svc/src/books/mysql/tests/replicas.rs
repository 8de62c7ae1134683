//! Reads that may be old. The replica here is a database of its own, so that it differs as much as
//! a test wants.

use std::time::Duration;

use chassis::Clock;

use super::*;

/// Two places with the same shop: the second one is the replica of the first.
async fn with_replica(clock: Clock) -> (Place, Place, MySqlBooks) {
    let [primary, behind] = [
        Place::on(&testbed::running::mariadb()).await,
        Place::on(&testbed::running::mariadb()).await,
    ];
    for place in [&primary, &behind] {
        place.open_shard(9, 9).await;
        place.apply(&entries(2, vec![holds(shard(1), 7, [(1, 1, 1)])])).await;
    }
    // The replica hasn't heard of this one yet.
    primary.apply(&entries(3, vec![holds(shard(1), 7, [(2, 1, 1)])])).await;
    let replica = store::mysql::replica(&behind.url, &patient(), &Handle::current()).unwrap();
    let store = open(&primary.url, &patient()).await;
    let replica = Some(Replica::new(replica, clock));
    let books = MySqlBooks::new(store, replica, IDENTITY, PausePoints::default());
    (primary, behind, books)
}

#[tokio::test]
async fn a_replica_answers_what_it_has_and_the_primary_what_is_decided_by() {
    let (_primary, behind, books) = with_replica(Clock::system()).await;
    behind.by_hand("UPDATE orders SET unit_price = 1").await.unwrap();
    let [old, new, none] = [1, 2, 3].map(|id| order(shard(1), id));
    assert_eq!(books.order(old).await.unwrap().unwrap().unit_price, 1, "of the replica");
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap().len(), 1, "of the replica");
    // NOT_PLACED rests on the first of these, loads and settles on the others.
    assert!(books.order(new).await.unwrap().is_some());
    assert_eq!(books.order(none).await.unwrap(), None);
    assert_eq!(books.find(&[old, new]).await.unwrap().orders.len(), 2);
    assert_eq!(books.guard(shard(1)).await.unwrap().unwrap().guard.sold, 2);
    assert_eq!(books.count(shard(1)).await.unwrap().unwrap().live_orders, 2);
    let snapshot = books.snapshot(shard(1), epoch(7)).await.unwrap();
    assert!(matches!(snapshot, Snapshot::Open { orders: 2, .. }));
}

#[tokio::test]
async fn a_replica_in_trouble_is_left_alone_for_a_while() {
    let (clock, shift) = Clock::adjustable();
    let (_primary, behind, books) = with_replica(clock).await;
    behind.by_hand("RENAME TABLE orders TO lost").await.unwrap();
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap().len(), 2, "of the primary");
    behind.by_hand("RENAME TABLE lost TO orders").await.unwrap();
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap().len(), 2, "still of the primary");
    shift.jump(Duration::from_secs(5));
    assert_eq!(books.orders_of(user(1), None, 9).await.unwrap().len(), 1, "of the replica again");
}

#[tokio::test]
async fn a_replica_that_is_not_there_keeps_nobody_waiting_for_long() {
    let primary = Place::on(&testbed::running::mariadb()).await;
    primary.open_shard(9, 9).await;
    primary.apply(&entries(2, vec![holds(shard(1), 7, [(1, 1, 1)])])).await;
    let nowhere = "mysql://root@127.0.0.1:9/orders";
    let replica = store::mysql::replica(nowhere, &patient(), &Handle::current()).unwrap();
    let replica = Some(Replica::new(replica, Clock::system()));
    let store = open(&primary.url, &patient()).await;
    let books = MySqlBooks::new(store, replica, IDENTITY, PausePoints::default());
    let asking = books.order(order(shard(1), 1));
    let answer = tokio::time::timeout(Duration::from_secs(5), asking).await;
    assert!(answer.expect("in time").unwrap().is_some());
}
