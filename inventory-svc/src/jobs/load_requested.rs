//! Starts the loads that others asked for. A request that can't be started now waits: it may be the
//! only one of its kind (a hold that the books refused is told once), and the load that is under
//! way may have looked at the books before it.

use std::time::Duration;

use chassis::Stopper;

use crate::loading::{Cause, LoadRequests, Loader, Start};

pub(crate) struct LoadRequested {
    pub(crate) requests: LoadRequests,
    pub(crate) loader: Loader,
    /// How often those that wait are tried again.
    pub(crate) again: Duration,
}

impl LoadRequested {
    /// Starts loads as they are asked for, until `stopper` stops.
    pub(crate) async fn run(self, stopper: Stopper) {
        loop {
            tokio::select! {
                biased;
                () = stopper.stopped() => return,
                () = self.requests.arrived() => {}
                () = tokio::time::sleep(self.again) => {}
            }
            for (shard, why) in self.requests.take() {
                match self.loader.start(shard, Cause::Requested(why)) {
                    Start::Started => tracing::info!(%shard, %why, "a shard is to be loaded anew"),
                    Start::AlreadyLoading | Start::NoSeat => self.requests.put_back(shard, why),
                }
            }
        }
    }
}
