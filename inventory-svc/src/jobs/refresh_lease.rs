//! Keeps the epoch lease: reads all shards from the catalog's primary, often enough that an answer
//! or two may be late.

use std::{fmt::Display, sync::Arc, time::Duration};

use chassis::{Stopper, logs::Lasting};

use crate::{catalog::Catalog, lease::LeaseView};

/// What the job needs.
pub(crate) struct RefreshLease {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) view: LeaseView,
    /// The longest time between two reads.
    pub(crate) interval_max: Duration,
    /// Reads that fail, one after the other.
    pub(crate) trouble: Lasting,
}

impl RefreshLease {
    /// Reads until `stopper` stops.
    pub(crate) async fn run(self, stopper: Stopper) {
        while !stopper.is_stopped() {
            let interval = self.interval();
            // A read that takes as long as the shortest lease is of no use any more.
            let limit = (interval * 8).max(Duration::from_millis(200));
            if tokio::time::timeout(limit, self.step()).await.is_err() {
                self.warn(&"no answer in time");
            }
            tokio::select! {
                biased;
                () = stopper.stopped() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    pub(crate) async fn step(&self) {
        match self.view.refresh(self.catalog.lease_rows()).await {
            Ok(()) => {
                if let Some(after) = self.trouble.over() {
                    tracing::info!(seconds = after.as_secs(), "the epoch lease is read again");
                }
            }
            Err(error) => self.warn(&error),
        }
    }

    fn warn(&self, error: &dyn Display) {
        if let Some(unsaid) = self.trouble.again() {
            tracing::warn!(
                %error, unsaid,
                "the epoch lease was not read: if that lasts, it lapses and nobody buys here"
            );
        }
    }

    fn interval(&self) -> Duration {
        let shortest = self.view.shortest_lease().unwrap_or(self.interval_max);
        self.interval_max.min(shortest / 8)
    }
}
