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
    settle(&bench.inventory, shard(1), epoch(of), generation, &[(order(1), state)]).await
}

async fn with_a_hold() -> Bench {
    let bench = Bench::open(9).await;
    bench.ledger.reserve(shard(1), epoch(1), false, vec![entry(1)]).await.unwrap();
    bench
}

async fn found(bench: &Bench) -> Found {
    bench.ledger.find(shard(1), epoch(1), &[order(1)]).await.unwrap()[0]
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
