//! What we are asked. One file a command: each looks at the epoch lease where the ledger's answer
//! rests on it, and asks for a load where the answer shows that one is needed.

pub mod count;
pub mod find;
pub mod known;
pub mod reserve;
pub mod sales;
pub mod settle;
pub mod watch;

use std::sync::Arc;

use chassis::{PausePoints, telemetry::Tracer};
use ids::{Epoch, ShardNo};

use crate::{
    lease::LeaseView,
    ledger::{Error, Ledger},
    loading::{LoadRequests, Why},
    metrics::Instruments,
};

/// What the commands on the ledger work with. Clones are the same one.
#[derive(Clone)]
pub struct Inventory {
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Which epochs may be used now.
    pub leases: LeaseView,
    /// Where loads are asked for.
    pub loads: LoadRequests,
    /// Where tests hold a command.
    pub pause: PausePoints,
    /// Makes spans.
    pub tracer: Tracer,
    /// What is counted and measured.
    pub instruments: Instruments,
}

impl Inventory {
    /// Asks for a load if the ledger's answer in `epoch` says that there is a need.
    fn report(&self, shard: ShardNo, epoch: Epoch, error: Error) {
        match error {
            Error::Fenced => self.loads.request(shard, Why::Fenced(epoch)),
            Error::StaleEpoch { .. } => self.loads.request(shard, Why::StaleEpoch(epoch)),
            // A load would go on by a clock that may be wrong: that is an operator's to decide.
            Error::ClockBack | Error::Unreachable | Error::Unknown => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod bench;
