//! Loads shards for the first time, from their sale's warm-up on.

use std::sync::Arc;

use chassis::Clock;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

pub(crate) struct OpenDue {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) clock: Clock,
    /// Shards looked at in one step: as many as are loaded at once, since those that can't be
    /// opened stay the first in the catalog's answer.
    pub(crate) shards_max: u32,
}

impl Step for OpenDue {
    async fn step(&self) {
        match self.catalog.due_to_open(self.clock.wall_ms(), self.shards_max).await {
            Ok(due) => {
                for shard in due {
                    if self.loader.start(shard, Cause::Opening) == Start::NoSeat {
                        break;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the shards to open were not read"),
        }
    }
}
