//! The bounds of the room, with work that runs until the test lets it go.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::runtime::Handle;

use super::{Bounds, Overloaded, Workroom};

const PATIENCE: Duration = Duration::from_secs(20);

fn room(parallel: usize, queue_len_max: usize, wait_max: Duration) -> Arc<Workroom> {
    let parallel_max = NonZeroUsize::new(parallel).unwrap();
    let bounds = Bounds { parallel_max, queue_len_max, wait_max };
    Arc::new(Workroom::new(bounds, Handle::current()))
}

/// Work that says that it began, and goes on when the test drops its end.
fn held_work(began: &mpsc::Sender<()>) -> (impl FnOnce() + Send + use<>, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let began = began.clone();
    let work = move || {
        began.send(()).unwrap();
        assert!(released.recv_timeout(PATIENCE).is_err(), "nothing is ever sent");
    };
    (work, release)
}

#[tokio::test]
async fn as_many_at_once_as_the_bound_and_never_more() {
    const PARALLEL: usize = 3;
    let room = room(PARALLEL, 96, PATIENCE);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    // Work ends only in company of two others: less than the bound would never end.
    let company = Arc::new(Barrier::new(PARALLEL));
    let jobs = (0..99).map(|_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let company = Arc::clone(&company);
        room.run(move || {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            company.wait();
            running.fetch_sub(1, Ordering::SeqCst);
        })
    });
    let all = tokio::time::timeout(PATIENCE, join_all(jobs)).await.unwrap();
    assert_eq!(all, vec![Ok(()); 99]);
    assert_eq!(most.load(Ordering::SeqCst), PARALLEL);
}

#[tokio::test]
async fn who_finds_the_queue_full_is_sent_away_at_once() {
    let room = room(1, 1, PATIENCE);
    let (began, begun) = mpsc::channel();
    let (work, release) = held_work(&began);
    let first = room.run(work);
    let second = room.run(|| "second");
    let third = room.run(|| "third");
    tokio::pin!(first, second);
    // Polled in this order: the first runs, the second waits, the third finds no place.
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(third.await, Err(Overloaded));
    begun.recv_timeout(PATIENCE).unwrap();
    drop(release);
    assert_eq!(first.await, Ok(()));
    assert_eq!(second.await, Ok("second"));
}

#[tokio::test]
async fn who_waits_too_long_is_sent_away_and_nothing_was_done() {
    let room = room(1, 5, Duration::from_millis(20));
    let (began, begun) = mpsc::channel();
    let (work, release) = held_work(&began);
    let first = room.run(work);
    tokio::pin!(first);
    assert!(futures::poll!(&mut first).is_pending());
    begun.recv_timeout(PATIENCE).unwrap();
    let second = room.run(|| unreachable!("its wait was over before it had a slot"));
    assert_eq!(second.await, Err(Overloaded));
    drop(release);
    assert_eq!(first.await, Ok(()));
}

#[tokio::test]
async fn abandoned_work_keeps_its_slot_until_it_ends() {
    let room = room(1, 0, PATIENCE);
    let (began, begun) = mpsc::channel();
    let (work, release) = held_work(&began);
    {
        let abandoned = room.run(work);
        tokio::pin!(abandoned);
        assert!(futures::poll!(&mut abandoned).is_pending());
        begun.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(room.run(|| ()).await, Err(Overloaded));
    drop(release);
    let free_again = async {
        while room.run(|| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free_again).await.unwrap();
}
