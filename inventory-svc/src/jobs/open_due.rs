//! Loads shards for the first time, from their sale's warm-up on.

use std::sync::Arc;

use chassis::Clock;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

/// More than can be loaded at once; the next step takes the rest.
const SHARDS_MAX: u32 = 256;

pub(crate) struct OpenDue {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) clock: Clock,
}

impl Step for OpenDue {
    async fn step(&self) {
        match self.catalog.due_to_open(self.clock.wall_ms(), SHARDS_MAX).await {
            Ok(due) => {
                for shard in due {
                    if self.loader.start(shard, Cause::Opening) == Start::NoSlot {
                        break;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the shards to open were not read"),
        }
    }
}
