//! Goes on where a loader died: a shard that is LOADING and whose loader's lease has run out is
//! loaded with a new id (decision 11: the lease says no more than when).

use std::{sync::Arc, time::Duration};

use chassis::Clock;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

const SHARDS_MAX: u32 = 256;

pub(crate) struct TakeOverDead {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) clock: Clock,
    /// What a live loader asks for at most; more means that the clock jumped back.
    pub(crate) loader_lease: Duration,
}

impl Step for TakeOverDead {
    async fn step(&self) {
        let now_ms = self.clock.wall_ms();
        match self.catalog.abandoned(now_ms, 2 * self.loader_lease, SHARDS_MAX).await {
            Ok(abandoned) => {
                for shard in abandoned {
                    if self.loader.start(shard, Cause::Abandoned) == Start::NoSeat {
                        break;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the abandoned shards were not read"),
        }
    }
}
