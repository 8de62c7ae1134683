//! A room for heavy work (hashes, bulk signing): so many jobs at once, so many waiting, for so
//! long, and nobody beyond. It bounds memory (19 MiB a hash) and keeps the cores that serve free.
//! Does not know what the work is.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The bounds of a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Jobs that run at the same time.
    pub(crate) parallel_max: NonZeroUsize,
    /// Jobs that wait while those run.
    pub(crate) queue_len_max: usize,
    /// How long one waits at most.
    pub(crate) wait_max: Duration,
}

/// The room is full, or the wait was too long. The work was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more work is waiting than can be done in time")]
pub(crate) struct Overloaded;

/// A place in the room; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// Shared by all cores that serve.
#[derive(Debug)]
pub(crate) struct Workroom {
    /// Everybody inside, running or waiting.
    places: Arc<Semaphore>,
    /// Who runs.
    slots: Arc<Semaphore>,
    wait_max: Duration,
    blocking: Handle,
}

impl Workroom {
    /// Work runs on the blocking threads of the given runtime.
    pub(crate) fn new(bounds: Bounds, blocking: Handle) -> Self {
        let parallel = bounds.parallel_max.get();
        Self {
            places: Arc::new(Semaphore::new(parallel.saturating_add(bounds.queue_len_max))),
            slots: Arc::new(Semaphore::new(parallel)),
            wait_max: bounds.wait_max,
            blocking,
        }
    }

    /// A place for one job, running or waiting: whoever gets none needn't do anything else for it.
    pub(crate) fn place(&self) -> Result<Place, Overloaded> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(Place).map_err(|_| Overloaded)
    }

    /// Takes a place and runs the work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        self.run_in(self.place()?, work).await
    }

    /// Runs the work as soon as there is a slot for it. A caller that leaves while it waits gives
    /// its place back; one that leaves later doesn't stop the work.
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let slot = timeout(self.wait_max, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| Overloaded)?
            .map_err(|_| Overloaded)?;
        let running = self.blocking.spawn_blocking(move || {
            // The permits travel with the work: else callers that leave would let in more than the
            // bound while their abandoned work still holds its memory.
            let _held = (place, slot);
            work()
        });
        match running.await {
            Ok(done) => Ok(done),
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime is going down and has not begun.
            Err(_) => Err(Overloaded),
        }
    }
}

#[cfg(test)]
mod tests;
