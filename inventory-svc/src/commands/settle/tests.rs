//! Settling, and what a settle says about the books.

use super::*;
use crate::{
    commands::bench::{Bench, entry, epoch, order, shard},
    ledger::{Found, Ledger as _},
};

async fn settle_one(
    bench: &Bench,
    of: i64,
    generation: u64,
    state: Settled,
) -> Result<(), NotSettled> {
    settle_beside(bench, of, generation, state, Ok(Some(generation))).await
}

/// Settles while the books' primary says that its generation is `now`.
async fn settle_beside(
    bench: &Bench,
    of: i64,
    generation: u64,
    state: Settled,
    now: Result<Option<u64>, Silent>,
) -> Result<(), NotSettled> {
    let decisions = [(order(1), state)];
    let inventory = &bench.inventory;
    settle(inventory, shard(1), epoch(of), generation, &decisions, async || now).await
}

async fn with_a_hold() -> Bench {
    let bench = Bench::open(9).await;
    bench.ledger.reserve(shard(1), epoch(1), false, vec![entry(1)]).await.unwrap();
    bench
}

async fn found(bench: &Bench) -> Found {
    bench.ledger.find(shard(1), epoch(1), false, &[order(1)]).await.unwrap().found[0]
}

#[tokio::test]
async fn a_placed_hold_is_settled_and_nothing_else_happens() {
    let bench = with_a_hold().await;
    settle_one(&bench, 1, 5, Settled::Placed).await.unwrap();
    settle_one(&bench, 1, 5, Settled::Placed).await.unwrap();
    assert_eq!(found(&bench).await, Found::Settled(Settled::Placed));
    assert_eq!(bench.loads(), []);
}

#[tokio::test]
async fn it_needs_no_lease() {
    let bench = with_a_hold().await;
    bench.shift.jump(std::time::Duration::from_secs(60));
    settle_one(&bench, 1, 5, Settled::Placed).await.unwrap();
    assert_eq!(found(&bench).await, Found::Settled(Settled::Placed));
}

#[tokio::test]
async fn a_rejected_hold_asks_for_a_load_once() {
    let bench = with_a_hold().await;
    settle_one(&bench, 1, 5, Settled::Rejected).await.unwrap();
    assert_eq!(bench.loads(), [(shard(1), Why::Rejected(epoch(1)))]);
    // The books tell it again with each duplicate; the shard isn't loaded each time.
    settle_one(&bench, 1, 5, Settled::Rejected).await.unwrap();
    assert_eq!(bench.loads(), []);
}

#[tokio::test]
async fn older_books_ask_for_a_load() {
    let bench = with_a_hold().await;
    settle_one(&bench, 1, 4, Settled::Placed).await.unwrap();
    assert_eq!(bench.loads(), [(shard(1), Why::LowerGeneration(epoch(1)))]);
    assert_eq!(found(&bench).await, Found::Open);
}

#[tokio::test]
async fn a_settle_that_was_overtaken_is_applied_and_loads_nothing() {
    let bench = with_a_hold().await;
    // The ledger has heard of generation 5; this one is older, and the books aren't.
    settle_beside(&bench, 1, 4, Settled::Placed, Ok(Some(5))).await.unwrap();
    assert_eq!(found(&bench).await, Found::Settled(Settled::Placed));
    assert_eq!(bench.loads(), []);
    // It doesn't make the ledger believe older books either.
    settle_beside(&bench, 1, 4, Settled::Placed, Ok(Some(4))).await.unwrap();
    assert_eq!(bench.loads(), [(shard(1), Why::LowerGeneration(epoch(1)))]);
}

#[tokio::test]
async fn books_that_do_not_know_the_shard_are_older() {
    let bench = with_a_hold().await;
    settle_beside(&bench, 1, 4, Settled::Placed, Ok(None)).await.unwrap();
    assert_eq!(bench.loads(), [(shard(1), Why::LowerGeneration(epoch(1)))]);
}

#[tokio::test]
async fn while_the_books_do_not_answer_nothing_is_decided_about_their_age() {
    let bench = with_a_hold().await;
    let silent = Silent { service: "order-svc", why: "it is down".to_owned() };
    let settled = settle_beside(&bench, 1, 4, Settled::Placed, Err(silent)).await;
    assert_eq!(settled, Err(NotSettled));
    assert_eq!((found(&bench).await, bench.loads()), (Found::Open, vec![]));
}

#[tokio::test]
async fn another_epoch_changes_nothing() {
    let bench = with_a_hold().await;
    settle_one(&bench, 2, 9, Settled::Rejected).await.unwrap();
    assert_eq!(found(&bench).await, Found::Open);
    assert_eq!(bench.loads(), []);
}

#[tokio::test]
async fn where_nothing_is_left_there_is_nothing_to_settle() {
    let bench = with_a_hold().await;
    bench.ledger.swap_for_empty();
    settle_one(&bench, 1, 5, Settled::Placed).await.unwrap();
    assert_eq!(bench.loads(), [(shard(1), Why::Fenced(epoch(1)))]);
}

#[tokio::test]
async fn no_answer_is_an_error() {
    for error in [Error::Unreachable, Error::Unknown] {
        let bench = Bench::failing(error).await;
        assert_eq!(settle_one(&bench, 1, 5, Settled::Placed).await, Err(NotSettled));
    }
}
