//! A snapshot that is read to its end ends; one that isn't says so, and lets go of its transaction.

use std::sync::Arc;

use proto::order::v1::{SnapshotHead, shard_snapshot_response::Part};
use tokio::sync::Semaphore;
use tonic::Code;

use super::*;
use crate::books::contract::{order, shard, user};

fn head() -> ShardSnapshotResponse {
    ShardSnapshotResponse { part: Some(Part::Head(SnapshotHead::default())) }
}

fn page() -> Vec<SnapshotOrder> {
    let state = law::OrderState::Placed;
    vec![SnapshotOrder { id: order(shard(1), 1), user: user(1), quantity: 1, state }]
}

fn permit(permits: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(permits).try_acquire_owned().unwrap()
}

#[tokio::test]
async fn pages_follow_the_head_and_then_it_ends() {
    let permits = Arc::new(Semaphore::new(1));
    let pages = stream::iter([Ok(page()), Ok(page())]).boxed();
    let (sending, answers) = pipe(head(), pages, permit(&permits), Duration::from_secs(30));
    let ((), answers) = tokio::join!(sending, answers.collect::<Vec<_>>());
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_told_if_it_comes_back() {
    let permits = Arc::new(Semaphore::new(1));
    let pages = stream::repeat_with(|| Ok(page())).boxed();
    let (sending, answers) = pipe(head(), pages, permit(&permits), Duration::from_millis(20));
    sending.await;
    assert_eq!(permits.available_permits(), 1, "the transaction is free");
    let answers: Vec<_> = answers.collect().await;
    let last = answers.last().unwrap().as_ref().unwrap_err();
    assert_eq!(last.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_task_that_crashed_is_no_end() {
    let permits = Arc::new(Semaphore::new(1));
    let pages = stream::iter([Ok(page())]).boxed();
    let (sending, answers) = pipe(head(), pages, permit(&permits), Duration::from_secs(30));
    drop(sending);
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.len(), 2);
    assert!(answers[1].is_err());
}

#[tokio::test]
async fn a_page_that_cannot_be_read_ends_it_with_an_error() {
    let permits = Arc::new(Semaphore::new(1));
    let lost = Err(Error::Lost("gone".to_owned()));
    let pages = stream::iter([Ok(page()), lost, Ok(page())]).boxed();
    let (sending, answers) = pipe(head(), pages, permit(&permits), Duration::from_secs(30));
    let ((), answers) = tokio::join!(sending, answers.collect::<Vec<_>>());
    assert_eq!(answers.len(), 3, "nothing follows the error");
    assert_eq!(answers[2].as_ref().unwrap_err().code(), Code::Unavailable);
}
