//! The loop's beat and end, and the bounds of its waits.

use std::cell::Cell;

use tokio::time::timeout;

use super::*;
use crate::tasks::{Drained, Kind, TaskOwner};

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn repeats_until_stopped() {
    let stopper = Stopper::new();
    let steps = Cell::new(0);
    let job = every(Duration::from_millis(1), &stopper, async || {
        steps.set(steps.get() + 1);
        if steps.get() == 5 {
            stopper.stop();
        }
    });
    timeout(PATIENCE, job).await.expect("it ends on the stop");
    assert_eq!(steps.get(), 5);
}

#[tokio::test]
async fn stop_ends_a_long_wait() {
    let stopper = Stopper::new();
    let job = every(Duration::from_secs(3600), &stopper, async || {
        tokio::task::yield_now().await;
    });
    timeout(PATIENCE, async { tokio::join!(job, async { stopper.stop() }) })
        .await
        .expect("it doesn't wait an hour");
}

#[tokio::test]
async fn runs_as_a_task_and_ends_with_the_drain() {
    let owner = TaskOwner::new("bakery", Stopper::new());
    let stopper = owner.tasks().stopper().clone();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    owner.tasks().spawn(Kind::Essential, "tick", async move {
        every(Duration::from_millis(1), &stopper, async || {
            tokio::task::yield_now().await;
            let _ = tell.send(());
        })
        .await;
    });
    timeout(PATIENCE, told.recv()).await.expect("it runs").expect("it tells");
    assert_eq!(owner.drain(PATIENCE).await, Drained { left: 0 });
}

#[test]
fn waits_double_up_to_the_bound_and_begin_anew() {
    let ms = Duration::from_millis;
    let mut backoff = Backoff::new(ms(100), ms(350));
    for step in [100, 200, 350, 350] {
        let wait = backoff.next_wait();
        assert!(wait >= ms(step) / 2 && wait <= ms(step), "{wait:?} of {step} ms");
    }
    backoff.reset();
    assert!(backoff.next_wait() <= ms(100));
}

#[test]
fn jitter_stays_within_a_tenth() {
    for _ in 0..1000 {
        let wait = jittered(Duration::from_secs(10));
        assert!(wait >= Duration::from_secs(9) && wait <= Duration::from_secs(11));
    }
}
