//! As many consumers as the group has given partitions to this instance. One that is given up ends
//! with the transaction that it has begun, one that is new begins at once and waits for nobody:
//! should two instances have the same partition for a moment, the books' position decides. While no
//! group has answered, all partitions are read: the group only spreads work, and orders don't wait
//! for it. A partition that can't be read now is tried again, and the others are read meanwhile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{Kind, Stopper, Tasks, logs::Lasting};
use journal::{Assignment, Journal, PartitionReader};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

/// How soon a partition is tried again that can't be read.
const AGAIN: Duration = Duration::from_secs(1);

/// What is needed to start and end consumers.
pub(crate) struct Consumers<F> {
    /// Gives readers.
    pub journal: Journal,
    /// What the group says.
    pub assignment: watch::Receiver<Assignment>,
    /// How long to wait for the group before all partitions are read.
    pub wait: Duration,
    /// Consumes with a reader until it is stopped.
    pub consume: F,
    /// Whose tasks the consumers are.
    pub tasks: Tasks,
    /// Where they run.
    pub background: Handle,
}

/// Those that run, each with what stops it.
type Running = BTreeMap<u32, Stopper>;

impl<F, C> Consumers<F>
where
    F: Fn(PartitionReader, Stopper) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    /// Follows the group until the App is asked to stop, which ends the consumers too. Returns as
    /// well when a consumer has panicked: a partition would stay unread.
    pub(crate) async fn run(mut self) {
        let mut running = Running::new();
        let failed = Arc::new(Notify::new());
        let waited = tokio::time::sleep(self.wait);
        let trouble = Lasting::default();
        tokio::pin!(waited);
        loop {
            let given = self.assignment.borrow_and_update().clone();
            let is_late = given.is_none() && waited.is_elapsed();
            let wanted = given.clone().unwrap_or_else(|| {
                let all = if is_late { self.journal.partitions() } else { 0 };
                (0..all).collect()
            });
            if is_late {
                tracing::warn!("no group has spread the partitions: all of them are read here");
            }
            running.retain(|partition, stopper| {
                let is_kept = wanted.contains(partition);
                if !is_kept {
                    tracing::info!(partition, "a partition is given up");
                    stopper.stop();
                }
                is_kept
            });
            let mut is_one_missing = false;
            for partition in wanted {
                if running.contains_key(&partition) {
                    continue;
                }
                match self.start(partition, &failed) {
                    Ok(stopper) => running.insert(partition, stopper),
                    Err(error) => {
                        is_one_missing = true;
                        if let Some(unsaid) = trouble.again() {
                            tracing::error!(
                                partition, %error, unsaid,
                                "a partition can't be read: its buyers hear PROCESSING"
                            );
                        }
                        continue;
                    }
                };
            }
            if !is_one_missing && trouble.over().is_some() {
                tracing::info!("every partition is read");
            }
            tokio::select! {
                biased;
                () = self.tasks.stopper().stopped() => return,
                () = failed.notified() => return,
                changed = self.assignment.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN), if is_one_missing => {}
                () = &mut waited, if given.is_none() && !is_late => {}
            }
        }
    }

    fn start(&self, partition: u32, failed: &Arc<Notify>) -> Result<Stopper, journal::Error> {
        let stopper = self.tasks.stopper().child();
        let consuming = (self.consume)(self.journal.reader(partition)?, stopper.clone());
        let ended = Ended { stopper: stopper.clone(), failed: Arc::clone(failed) };
        tracing::info!(partition, "a partition is read");
        self.tasks.spawn_on(&self.background, Kind::Drained, "consumer", async move {
            let _ended = ended;
            consuming.await;
        });
        Ok(stopper)
    }
}

/// Tells if a consumer ends that nobody stopped: by a panic.
struct Ended {
    stopper: Stopper,
    failed: Arc<Notify>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.stopper.is_stopped() {
            self.failed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
