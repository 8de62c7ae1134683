//! Tasks have an owner, and none outlives it.
//!
//! A [`TaskOwner`] that is dropped ends all of its tasks at their next await: that is what a crash
//! looks like, and nothing is cleaned up. [`TaskOwner::drain`] is the other end: it asks for a
//! stop and waits. A panic ends its task only, and is logged here, once.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::stop::Stopper;

/// What the end of a task means, and what a stop means to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its end, by return or by panic, is the end of the App. It ends itself on a stop.
    Essential,
    /// May end at any time; a drain waits for it.
    Drained,
    /// Of no consequence: dropped at its next await when a stop is asked for.
    Disposable,
}

/// Owns the tasks of one App. Dropping it ends them all at their next await.
#[derive(Debug)]
pub struct TaskOwner {
    tasks: Tasks,
}

/// What is left after a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Tasks that had not ended in time, and were ended at their next await.
    pub left: usize,
}

/// Spawns tasks that belong to a [`TaskOwner`]. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Tasks {
    owner: &'static str,
    tracker: TaskTracker,
    stopper: Stopper,
    abort: CancellationToken,
    disposable: CancellationToken,
    essential: watch::Sender<Option<&'static str>>,
}

impl TaskOwner {
    /// An owner without tasks. `name` is for logs. Its tasks stop with `stopper`; a drain doesn't
    /// stop `stopper` itself, which others may share.
    pub fn new(name: &'static str, stopper: Stopper) -> Self {
        let stopper = stopper.child();
        let disposable = stopper.child_token();
        Self {
            tasks: Tasks {
                owner: name,
                tracker: TaskTracker::new(),
                stopper,
                abort: CancellationToken::new(),
                disposable,
                essential: watch::Sender::new(None),
            },
        }
    }

    /// What spawns tasks of this owner.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Asks for a stop and waits for all tasks, at most `within`; those left are then ended at
    /// their next await.
    pub async fn drain(self, within: Duration) -> Drained {
        let Tasks { owner, tracker, stopper, .. } = &self.tasks;
        stopper.stop();
        tracker.close();
        let left = match tokio::time::timeout(within, tracker.wait()).await {
            Ok(()) => 0,
            Err(_elapsed) => tracker.len(),
        };
        if left > 0 {
            tracing::warn!(owner, left, "tasks had not ended within the drain time");
        }
        Drained { left }
    }

    /// Returns the name of the first essential task that ended. For ever pending while all run.
    /// Cancel safe.
    pub async fn essential_ended(&self) -> &'static str {
        let mut ended = self.tasks.essential.subscribe();
        let name = ended.wait_for(Option::is_some).await.ok().and_then(|name| *name);
        name.expect("the sender lives in self, and the wait is for a name")
    }
}

impl Drop for TaskOwner {
    fn drop(&mut self) {
        self.tasks.abort.cancel();
        self.tasks.disposable.cancel();
    }
}

impl Tasks {
    /// Spawns `task` on the current runtime. After the owner is gone the task is dropped unpolled.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn spawn<F>(&self, kind: Kind, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(&Handle::current(), kind, name, task);
    }

    /// Spawns `task` on the runtime of `handle`.
    pub fn spawn_on<F>(&self, handle: &Handle, kind: Kind, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let ender = match kind {
            Kind::Essential | Kind::Drained => self.abort.clone(),
            Kind::Disposable => self.disposable.clone(),
        };
        let owner = self.owner;
        let essential = (kind == Kind::Essential).then(|| self.essential.clone());
        handle.spawn(self.tracker.track_future(async move {
            tokio::select! {
                biased;
                () = ender.cancelled() => {}
                end = AssertUnwindSafe(task).catch_unwind() => {
                    if let Err(panic) = end {
                        let panic = panic_text(panic.as_ref());
                        tracing::error!(owner, task = name, panic, "a task panicked");
                    }
                    if let Some(essential) = essential {
                        // The first one is the cause; the others follow from it.
                        essential.send_if_modified(|first| first.is_none() && {
                            *first = Some(name);
                            true
                        });
                    }
                }
            }
        }));
    }

    /// `task`, as one that a drain waits for. It has to end with the owner by itself.
    pub(crate) fn tracked<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.tracker.track_future(task)
    }

    /// Stops when the App is asked to stop.
    pub fn stopper(&self) -> &Stopper {
        &self.stopper
    }

    /// How many tasks have not ended yet.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Whether the owner is gone.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    /// Returns once the owner is gone. Cancel safe.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }

    /// Fires when the owner is gone; a child of its own keeps waiters of different cores apart.
    pub(crate) fn abort_token(&self) -> CancellationToken {
        self.abort.child_token()
    }
}

/// The text of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&'static str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "a panic without text",
    }
}

#[cfg(test)]
mod tests;
