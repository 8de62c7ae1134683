//! Reserving inside a lease, and who asks for a load when it fails.

use super::*;
use crate::{
    commands::bench::{Bench, LEASE, PRICE, entry, epoch, item, load, shard},
    domain::sale::Phase,
    ledger::{EntryAnswer, Ledger as _, Refusal},
    loading::Why,
};

/// How the batch was answered: (how many were held, whether the lease lapsed).
fn batch(reservation: Reservation) -> (usize, bool) {
    let Reservation::Batch { reserved, lease_lapsed } = reservation else {
        panic!("not a batch: {reservation:?}")
    };
    let held = |answer: &&EntryAnswer| matches!(answer, EntryAnswer::Held(_));
    (reserved.answers.iter().filter(held).count(), lease_lapsed)
}

#[tokio::test]
async fn a_leased_shard_admits() {
    let bench = Bench::open(2).await;
    let asked = vec![entry(1), entry(2), entry(3)];
    assert_eq!(batch(reserve(&bench.inventory, shard(1), None, asked, &[]).await), (2, false));
    assert_eq!(bench.loads(), []);
}

#[tokio::test]
async fn a_shard_without_a_lease_is_not_asked() {
    let bench = Bench::open(9).await;
    let refused =
        async |number| reserve(&bench.inventory, shard(number), None, vec![entry(1)], &[]).await;
    assert_eq!(refused(2).await, Reservation::Refused(ShardRefusal::Retired));
    assert_eq!(refused(3).await, Reservation::Refused(ShardRefusal::UnknownShard));
    bench.show(Phase::Loading, 2);
    assert_eq!(refused(1).await, Reservation::Refused(ShardRefusal::Loading));
    bench.show(Phase::Open, 1);
    bench.shift.jump(LEASE / 2);
    assert_eq!(refused(1).await, Reservation::Refused(ShardRefusal::Unreachable));
    assert_eq!(bench.ledger.count(shard(1)).await.unwrap().stock, 9);
    assert_eq!(bench.loads(), [], "nobody has seen the ledger");
}

#[tokio::test]
async fn what_contradicts_the_catalog_takes_nothing() {
    let bench = Bench::open(9).await;
    let ask = async |item, entries| reserve(&bench.inventory, shard(1), item, entries, &[]).await;
    let stranger = Some(ItemId::from_bytes([9; 16]));
    let other_item = Reservation::Contradicted(Contradiction::Item(item()));
    assert_eq!(ask(stranger, vec![entry(1)]).await, other_item);
    let cheap = || ReserveEntry { unit_price: 0, ..entry(2) };
    let other_price = Contradiction::Price { index: 1, unit_price: PRICE };
    for item in [None, Some(item())] {
        let asked = ask(item, vec![entry(1), cheap()]).await;
        assert_eq!(asked, Reservation::Contradicted(other_price));
    }
    assert_eq!(bench.ledger.count(shard(1)).await.unwrap().stock, 9);
    assert_eq!(batch(ask(Some(item()), vec![entry(1)]).await), (1, false));
}

#[tokio::test]
async fn a_pause_reaches_the_ledger() {
    let bench = Bench::open(9).await;
    let row = crate::catalog::LeaseRow {
        shard: shard(1),
        partition: 1,
        epoch: Some(epoch(1)),
        phase: Phase::Open,
        paused: true,
        lease: LEASE,
        item: item(),
        unit_price: PRICE,
    };
    bench.show_row(row);
    let answer = reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]).await;
    let Reservation::Batch { reserved, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(reserved.answers, [EntryAnswer::Refused(Refusal::Paused)]);
}

#[tokio::test]
async fn a_process_that_was_frozen_past_its_lease_says_so() {
    for point in ["inventory.before_ledger", "inventory.after_ledger"] {
        let bench = Bench::open(9).await;
        let handle = bench.inventory.pause.arm(point);
        let frozen = async {
            handle.hit(1).await;
            bench.shift.jump(LEASE / 2);
            handle.release();
        };
        let reserved = reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]);
        let (answer, ()) = tokio::join!(reserved, frozen);
        assert_eq!(batch(answer), (1, true), "frozen at {point}");
    }
}

#[tokio::test]
async fn a_renewal_meanwhile_does_not_excuse_a_freeze() {
    let bench = Bench::open(9).await;
    let handle = bench.inventory.pause.arm("inventory.after_ledger");
    let renewed = async {
        handle.hit(1).await;
        bench.shift.jump(LEASE / 2);
        bench.show(Phase::Open, 1);
        handle.release();
    };
    let reserved = reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]);
    let (answer, ()) = tokio::join!(reserved, renewed);
    assert_eq!(batch(answer), (1, true));
}

#[tokio::test]
async fn a_fenced_or_stale_ledger_is_loading_and_asks_for_a_load() {
    let loading = Reservation::Refused(ShardRefusal::Loading);
    let bench = Bench::open(9).await;
    load(&*bench.ledger, shard(1), epoch(7), 9, bench.clock.wall_ms()).await;
    assert_eq!(reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]).await, loading);
    assert_eq!(bench.loads(), [(shard(1), Why::StaleEpoch(epoch(1)))]);
    bench.ledger.swap_for_empty();
    assert_eq!(reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]).await, loading);
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(1)))]);
}

#[tokio::test]
async fn certainly_not_done_and_perhaps_done_are_not_the_same() {
    let bench = Bench::failing(Error::Unreachable).await;
    let answer = reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]).await;
    assert_eq!(answer, Reservation::Refused(ShardRefusal::Unreachable));
    let bench = Bench::failing(Error::Unknown).await;
    let answer = reserve(&bench.inventory, shard(1), None, vec![entry(1)], &[]).await;
    assert_eq!(answer, Reservation::Unknown);
    assert_eq!(bench.loads(), []);
}
