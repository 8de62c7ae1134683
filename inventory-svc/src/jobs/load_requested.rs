//! Starts the loads that others asked for. What can't be started now is dropped: whoever is refused
//! next asks again.

use chassis::Stopper;

use crate::loading::{Cause, LoadRequests, Loader};

pub(crate) struct LoadRequested {
    pub(crate) requests: LoadRequests,
    pub(crate) loader: Loader,
}

impl LoadRequested {
    /// Starts loads as they are asked for, until `stopper` stops.
    pub(crate) async fn run(self, stopper: Stopper) {
        loop {
            tokio::select! {
                biased;
                () = stopper.stopped() => return,
                () = self.requests.arrived() => {}
            }
            for (shard, why) in self.requests.take() {
                if !self.loader.start(shard, Cause::Requested(why)) {
                    tracing::warn!(%shard, %why, "too many shards are being loaded");
                }
            }
        }
    }
}
