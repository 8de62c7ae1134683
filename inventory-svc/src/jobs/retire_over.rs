//! Retires shards whose sale has been over for a while, so that neither the ledger nor the leases
//! grow with every sale there ever was.

use std::sync::Arc;

use chassis::Clock;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

/// Shards looked at in one step: those that can't be retired now take no more of the loader's seats
/// than these.
const SHARDS_MAX: u32 = 64;

pub(crate) struct RetireOver {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) clock: Clock,
    /// For so long a sale has to be over, in milliseconds.
    pub(crate) after_ms: u64,
}

impl Step for RetireOver {
    async fn step(&self) {
        // Before 1970 plus that, nothing is over.
        let Some(closed_ms) = self.clock.wall_ms().checked_sub(self.after_ms) else { return };
        match self.catalog.over(closed_ms, SHARDS_MAX).await {
            Ok(over) => {
                for shard in over {
                    if self.loader.start(shard, Cause::Over) == Start::NoSeat {
                        break;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the shards to retire were not read"),
        }
    }
}
