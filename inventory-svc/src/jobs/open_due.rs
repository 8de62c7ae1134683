//! Loads shards for the first time, from their sale's warm-up on.

use std::sync::Arc;

use chassis::logs::Lasting;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

pub(crate) struct OpenDue {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) trouble: Lasting,
    /// Shards looked at in one step: as many as are loaded at once, since those that can't be
    /// opened stay the first in the catalog's answer.
    pub(crate) shards_max: u32,
}

impl Step for OpenDue {
    async fn step(&self) {
        match self.catalog.due_to_open(self.shards_max).await {
            Ok(due) => {
                self.trouble.over();
                for shard in due {
                    if self.loader.start(shard, Cause::Opening) == Start::NoSeat {
                        break;
                    }
                }
            }
            Err(error) => {
                if let Some(unsaid) = self.trouble.again() {
                    tracing::warn!(%error, unsaid, "the shards to open were not read");
                }
            }
        }
    }
}
