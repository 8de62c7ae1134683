//! What may be told of an order id, and when nothing may.

use super::*;
use crate::{
    commands::bench::{Bench, LEASE, entry, epoch, order, shard},
    domain::sale::Phase,
    ledger::{Error, Found, Ledger, Settled},
    loading::Why,
};

/// The catalog isn't asked for a shard that isn't retired.
async fn find(inventory: &Inventory, shard: ShardNo, orders: &[OrderId]) -> Known {
    super::find(inventory, shard, true, orders, || async { panic!("it isn't retired") }).await
}

#[tokio::test]
async fn what_the_ledger_knows_is_told() {
    let bench = Bench::open(9).await;
    let asked = vec![entry(1), entry(2)];
    bench.ledger.reserve(shard(1), epoch(1), false, asked).await.unwrap();
    let placed = [(order(2), Settled::Placed)];
    bench.ledger.settle(shard(1), epoch(1), None, &placed).await.unwrap();
    let found = find(&bench.inventory, shard(1), &[order(1), order(2), order(3)]).await;
    let wanted = [Found::Open, Found::Settled(Settled::Placed), Found::Nothing];
    let Known::Each(in_epoch, look) = found else { panic!("{found:?}") };
    assert_eq!((in_epoch, look.found), (epoch(1), wanted.to_vec()));
    assert!(look.now_us <= bench.clock.wall_us());
}

#[tokio::test]
async fn nothing_is_said_without_a_lease_before() {
    let bench = Bench::open(9).await;
    bench.shift.jump(LEASE / 2);
    assert_eq!(find(&bench.inventory, shard(1), &[order(1)]).await, Known::Unable);
    bench.show(Phase::Loading, 2);
    assert_eq!(find(&bench.inventory, shard(1), &[order(1)]).await, Known::Unknown);
    assert_eq!(find(&bench.inventory, shard(3), &[order(1)]).await, Known::Unknown);
}

#[tokio::test]
async fn nothing_is_said_without_a_lease_after() {
    for point in ["inventory.before_find", "inventory.after_find"] {
        let bench = Bench::open(9).await;
        let handle = bench.inventory.pause.arm(point);
        let frozen = async {
            handle.hit(1).await;
            bench.shift.jump(LEASE / 2);
            handle.release();
        };
        let asked = [order(1)];
        let found = find(&bench.inventory, shard(1), &asked);
        let (found, ()) = tokio::join!(found, frozen);
        assert_eq!(found, Known::Unable, "frozen at {point}");
    }
}

#[tokio::test]
async fn of_a_retired_shard_the_last_epoch_is_told() {
    let bench = Bench::open(9).await;
    let asked = async |last| {
        super::find(&bench.inventory, shard(2), true, &[order(1)], || async move { last }).await
    };
    assert_eq!(asked(Some(epoch(7))).await, Known::Retired(epoch(7)));
    assert_eq!(asked(None).await, Known::Unknown, "the catalog gave no answer");
    // However old the view is: retired is final.
    bench.shift.jump(10 * LEASE);
    assert_eq!(asked(Some(epoch(7))).await, Known::Retired(epoch(7)));
}

#[tokio::test]
async fn a_ledger_that_is_fenced_or_silent_says_nothing() {
    let bench = Bench::open(9).await;
    bench.ledger.swap_for_empty();
    assert_eq!(find(&bench.inventory, shard(1), &[order(1)]).await, Known::Unknown);
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(1)))]);
    for error in [Error::Unreachable, Error::Unknown] {
        let bench = Bench::failing(error).await;
        assert_eq!(find(&bench.inventory, shard(1), &[order(1)]).await, Known::Unable);
        assert_eq!(bench.loads(), []);
    }
}
