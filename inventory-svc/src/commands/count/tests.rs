//! Counting a shard for the audit.

use super::*;
use crate::{
    commands::bench::{Bench, LEASE, entry, epoch, load, shard},
    domain::sale::Phase,
    ledger::Ledger as _,
    loading::Why,
};

#[tokio::test]
async fn what_is_there_is_counted() {
    let bench = Bench::open(9).await;
    bench.ledger.reserve(shard(1), epoch(1), false, vec![entry(1), entry(2)]).await.unwrap();
    let counted = count(&bench.inventory, shard(1)).await.unwrap();
    assert_eq!((counted.stock, counted.open_holds, counted.open_units), (7, 2, 2));
    bench.ledger.tamper_stock(shard(1), -1);
    assert_eq!(count(&bench.inventory, shard(1)).await.unwrap().stock, 6, "damage shows");
}

#[tokio::test]
async fn a_shard_that_is_not_there_is_told_from_one_that_is_not_there_now() {
    let bench = Bench::open(9).await;
    for number in [2, 3] {
        let counted = count(&bench.inventory, shard(number)).await;
        assert_eq!(counted, Err(NotCounted::NoSuchShard));
    }
    bench.show(Phase::Loading, 1);
    assert_eq!(count(&bench.inventory, shard(1)).await, Err(NotCounted::NotNow));
    bench.show(Phase::Open, 1);
    bench.shift.jump(LEASE / 2);
    assert_eq!(count(&bench.inventory, shard(1)).await, Err(NotCounted::NotNow));
}

#[tokio::test]
async fn another_epoch_or_an_empty_ledger_is_not_counted() {
    let bench = Bench::open(9).await;
    load(&*bench.ledger, shard(1), epoch(7), 9, bench.clock.wall_ms()).await;
    assert_eq!(count(&bench.inventory, shard(1)).await, Err(NotCounted::NotNow));
    assert_eq!(bench.loads(), [(shard(1), Why::StaleEpoch(epoch(1)))]);
    bench.ledger.swap_for_empty();
    assert_eq!(count(&bench.inventory, shard(1)).await, Err(NotCounted::NotNow));
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(1)))]);
}
