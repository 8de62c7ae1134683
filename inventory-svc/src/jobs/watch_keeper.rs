//! Notices that another process keeps the ledger than before, and asks for a load of every open
//! shard, so that nobody has to be refused first.

use std::sync::{Arc, Mutex, PoisonError};

use super::Step;
use crate::{
    lease::LeaseView,
    ledger::{Identity, Ledger},
    loading::{LoadRequests, Why},
};

pub(crate) struct WatchKeeper {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) view: LeaseView,
    pub(crate) requests: LoadRequests,
    pub(crate) known: Mutex<Option<Identity>>,
}

impl Step for WatchKeeper {
    async fn step(&self) {
        // Down or slow: it is asked again in a moment, and buyers are told meanwhile.
        let Ok(identity) = self.ledger.identity().await else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.replace(identity.clone());
        drop(known);
        if before.is_none_or(|before| before == identity) {
            return;
        }
        let open = self.view.open_shards();
        tracing::warn!(shards = open.len(), "the ledger's keeper is another one; loading");
        for (shard, epoch) in open {
            self.requests.request(shard, Why::IdentityChanged(epoch));
        }
    }
}
