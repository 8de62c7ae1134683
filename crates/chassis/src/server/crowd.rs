//! Who makes room when a core is crowded: connections without a call under way, and requests that
//! don't come to their end; the longest idle first.
//!
//! An idle connection of HTTP/2 takes some 22 KiB and a seat. In quiet times it may stay, since its
//! client will come back; in a crowd it is told to go, which costs an honest client a handshake,
//! and a hoarder of connections what it hoards. Nobody who waits for an answer is ever told. Who
//! has its beginning waits no more: a stream, or an answer that is never read, keeps no seat.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

/// How many are looked at when one comes: two for each arrival would do in the long run.
const LOOKS_MAX: usize = 16;

/// The connections of one core, or its requests that are awaited.
#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    open: Arc<AtomicUsize>,
    /// The longest known first; who has called since goes to the end. Locked once a connection.
    known: Mutex<VecDeque<Weak<Presence>>>,
}

/// One of a crowd.
#[derive(Debug)]
pub(super) struct Presence {
    calls: AtomicUsize,
    /// Since it was last looked at.
    has_called: AtomicBool,
    unwanted: Notify,
    open: Arc<AtomicUsize>,
}

impl Crowd {
    /// A crowd are more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: Arc::default(), known: Mutex::default() }
    }

    /// One more; if it is one too many, an idle one is told to go.
    pub(super) fn enter(&self) -> Arc<Presence> {
        let is_crowded = self.open.fetch_add(1, Ordering::Relaxed) >= self.max;
        let presence = Arc::new(Presence {
            calls: AtomicUsize::new(0),
            has_called: AtomicBool::new(false),
            unwanted: Notify::new(),
            open: Arc::clone(&self.open),
        });
        // No panic can leave the queue half changed.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if is_crowded {
            tell_one_to_go(&mut known);
        }
        known.push_back(Arc::downgrade(&presence));
        // Those who have left: now and then, so that each costs little.
        if known.len() > 2 * self.open.load(Ordering::Relaxed).max(self.max) {
            known.retain(|one| one.strong_count() > 0);
        }
        presence
    }

    /// Whether there are so many that those who were told to go can't be given time for it: in a
    /// flood of newcomers they alone would fill the memory.
    pub(super) fn is_packed(&self) -> bool {
        let leaving_max = self.max / 8;
        self.open.load(Ordering::Relaxed) > self.max.saturating_add(leaving_max)
    }
}

fn tell_one_to_go(known: &mut VecDeque<Weak<Presence>>) {
    for _ in 0..LOOKS_MAX {
        let Some(oldest) = known.pop_front() else { return };
        let Some(presence) = oldest.upgrade() else { continue };
        let is_idle = presence.calls.load(Ordering::Relaxed) == 0;
        let has_called = presence.has_called.swap(false, Ordering::Relaxed);
        if is_idle && !has_called {
            return presence.unwanted.notify_one();
        }
        known.push_back(oldest);
    }
}

impl Presence {
    /// A call begins; it is under way until this is dropped.
    pub(super) fn call(self: &Arc<Self>) -> Busy {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.has_called.store(true, Ordering::Relaxed);
        Busy { presence: Arc::clone(self) }
    }

    /// Returns once it should go. Cancel safe.
    pub(super) async fn unwanted(&self) {
        self.unwanted.notified().await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Busy {
    presence: Arc<Presence>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.presence.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_unwanted(presence: &Presence) -> bool {
        presence.unwanted().now_or_never().is_some()
    }

    #[test]
    fn longest_idle_goes_first_and_nobody_before_there_is_a_crowd() {
        let crowd = Crowd::new(2);
        let first = crowd.enter();
        let second = crowd.enter();
        assert!(!is_unwanted(&first));
        let third = crowd.enter();
        assert!(is_unwanted(&first));
        drop(first);
        assert!(!is_unwanted(&second) && !is_unwanted(&third));
        let _fourth = crowd.enter();
        assert!(is_unwanted(&second) && !is_unwanted(&third));
    }

    #[test]
    fn who_has_a_call_under_way_stays_and_who_had_one_lately_is_looked_at_again() {
        let crowd = Crowd::new(2);
        let (busy, lately) = (crowd.enter(), crowd.enter());
        let call = busy.call();
        drop(lately.call());
        let idle = crowd.enter();
        let _crowding = [crowd.enter(), crowd.enter()];
        assert!(is_unwanted(&idle) && !is_unwanted(&busy));
        assert!(is_unwanted(&lately), "it was spared once");
        drop(call);
        let _more = [crowd.enter(), crowd.enter(), crowd.enter(), crowd.enter()];
        assert!(is_unwanted(&busy));
    }

    #[test]
    fn it_is_packed_when_an_eighth_more_are_there_than_may_be() {
        let crowd = Crowd::new(16);
        let mut inside: Vec<_> = (0..18).map(|_| crowd.enter()).collect();
        assert!(!crowd.is_packed());
        inside.push(crowd.enter());
        assert!(crowd.is_packed());
        inside.truncate(18);
        assert!(!crowd.is_packed());
    }

    #[test]
    fn those_who_left_are_neither_counted_nor_kept() {
        let crowd = Crowd::new(2);
        let regular = crowd.enter();
        for _ in 0..1_000 {
            drop(crowd.enter());
        }
        assert!(!is_unwanted(&regular));
        assert!(crowd.known.lock().unwrap().len() <= 5);
    }
}
