//! What each kind of task does on a stop, on a crash and at its own end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::pending;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn owner() -> TaskOwner {
    TaskOwner::new("bakery", Stopper::new())
}

async fn until_empty(tasks: &Tasks) {
    tasks.tracker.close();
    timeout(PATIENCE, tasks.tracker.wait()).await.expect("tasks had to end");
}

#[tokio::test]
async fn dropped_owner_ends_every_kind_of_task() {
    let owner = owner();
    let tasks = owner.tasks();
    for kind in [Kind::Essential, Kind::Drained, Kind::Disposable] {
        tasks.spawn(kind, "pending", pending());
    }
    tokio::task::yield_now().await;
    assert_eq!(tasks.len(), 3);
    drop(owner);
    until_empty(&tasks).await;
    assert!(tasks.is_aborted());
    timeout(PATIENCE, tasks.aborted()).await.expect("it is aborted");
}

#[tokio::test]
async fn nothing_runs_after_the_next_await_of_a_dropped_owner() {
    let owner = owner();
    let tasks = owner.tasks();
    let (reached, went_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (r, w, g) = (Arc::clone(&reached), Arc::clone(&went_on), Arc::clone(&gate));
    tasks.spawn(Kind::Drained, "held", async move {
        r.add_permits(1);
        g.acquire().await.expect("it is never closed").forget();
        w.add_permits(1);
    });
    reached.acquire().await.expect("it is never closed").forget();
    // Both happen before the task is polled again: the owner's end has to win.
    gate.add_permits(1);
    drop(owner);
    until_empty(&tasks).await;
    assert_eq!(went_on.available_permits(), 0);
}

#[tokio::test]
async fn spawning_for_a_dropped_owner_polls_nothing() {
    let owner = owner();
    let tasks = owner.tasks();
    drop(owner);
    let polled = Arc::new(Semaphore::new(0));
    let p = Arc::clone(&polled);
    tasks.spawn(Kind::Drained, "late", async move { p.add_permits(1) });
    until_empty(&tasks).await;
    assert_eq!(polled.available_permits(), 0);
}

#[tokio::test]
async fn drain_awaits_drained_tasks_and_drops_disposable_ones() {
    let owner = owner();
    let tasks = owner.tasks();
    let done = Arc::new(Semaphore::new(0));
    let (d, stopper) = (Arc::clone(&done), tasks.stopper().clone());
    tasks.spawn(Kind::Drained, "last words", async move {
        stopper.stopped().await;
        tokio::task::yield_now().await;
        d.add_permits(1);
    });
    tasks.spawn(Kind::Disposable, "pending", pending());
    assert_eq!(owner.drain(PATIENCE).await, Drained { left: 0 });
    assert_eq!(done.available_permits(), 1);
    assert!(tasks.is_empty());
}

#[tokio::test]
async fn drain_ends_what_does_not_end_in_time() {
    let owner = owner();
    let tasks = owner.tasks();
    tasks.spawn(Kind::Drained, "pending", pending());
    assert_eq!(owner.drain(Duration::from_millis(5)).await, Drained { left: 1 });
    until_empty(&tasks).await;
}

#[tokio::test]
async fn drain_leaves_the_shared_stopper_alone() {
    let shared = Stopper::new();
    let owner = TaskOwner::new("bakery", shared.clone());
    let tasks = owner.tasks();
    owner.drain(PATIENCE).await;
    assert!(tasks.stopper().is_stopped());
    assert!(!shared.is_stopped());
}

#[tokio::test]
async fn stop_reaches_the_tasks() {
    let shared = Stopper::new();
    let owner = TaskOwner::new("bakery", shared.clone());
    shared.stop();
    timeout(PATIENCE, owner.tasks().stopper().stopped()).await.expect("it is stopped");
}

#[tokio::test]
async fn end_of_an_essential_task_is_told_by_name() {
    let owner = owner();
    owner.tasks().spawn(Kind::Drained, "any other", async {});
    owner.tasks().spawn(Kind::Essential, "oven", async {});
    let name = timeout(PATIENCE, owner.essential_ended()).await.expect("it has ended");
    assert_eq!(name, "oven");
    // Asked later, the answer is the same.
    assert_eq!(timeout(PATIENCE, owner.essential_ended()).await.expect("still"), "oven");
}

#[tokio::test]
async fn panic_of_an_essential_task_counts_as_its_end() {
    let owner = owner();
    owner.tasks().spawn(Kind::Essential, "oven", async { panic!("too hot") });
    let name = timeout(PATIENCE, owner.essential_ended()).await.expect("it has ended");
    assert_eq!(name, "oven");
}

#[tokio::test]
async fn panic_of_another_task_ends_that_task_only() {
    let owner = owner();
    let tasks = owner.tasks();
    tasks.spawn(Kind::Essential, "oven", pending());
    tasks.spawn(Kind::Drained, "clumsy", async { panic!("{} broken", "plate") });
    while tasks.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(owner.essential_ended().now_or_never().is_none());
}

#[test]
fn panic_texts_of_both_types_are_found() {
    assert_eq!(panic_text(&"borrowed"), "borrowed");
    assert_eq!(panic_text(&String::from("owned")), "owned");
    assert_eq!(panic_text(&7), "a panic without text");
}

#[tokio::test]
async fn many_tasks_come_and_go_without_a_trace() {
    let owner = owner();
    let tasks = owner.tasks();
    for _ in 0..50_000 {
        tasks.spawn(Kind::Drained, "short", async {});
    }
    assert_eq!(owner.drain(Duration::from_secs(30)).await, Drained { left: 0 });
    assert_eq!(tasks.len(), 0);
}
