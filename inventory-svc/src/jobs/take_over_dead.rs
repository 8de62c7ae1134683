//! Goes on where a loader died: a shard that is LOADING and whose loader's lease has run out is
//! loaded with a new id (decision 11: the lease says no more than when).

use std::{sync::Arc, time::Duration};

use chassis::logs::Lasting;

use super::Step;
use crate::{
    catalog::Catalog,
    loading::{Cause, Loader, Start},
};

const SHARDS_MAX: u32 = 256;

pub(crate) struct TakeOverDead {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) loader: Loader,
    pub(crate) trouble: Lasting,
    /// What a live loader asks for at most; more means that the catalog's clock jumped back.
    pub(crate) loader_lease: Duration,
}

impl Step for TakeOverDead {
    async fn step(&self) {
        match self.catalog.abandoned(2 * self.loader_lease, SHARDS_MAX).await {
            Ok(abandoned) => {
                self.trouble.over();
                for shard in abandoned {
                    if self.loader.start(shard, Cause::Abandoned) == Start::NoSeat {
                        break;
                    }
                }
            }
            Err(error) => {
                if let Some(unsaid) = self.trouble.again() {
                    tracing::warn!(%error, unsaid, "the abandoned shards were not read");
                }
            }
        }
    }
}
