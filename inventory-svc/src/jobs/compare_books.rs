//! Finds shards that are OPEN in an epoch that the books don't have open: a catalog or books
//! restored from an older copy. Nobody is refused there, yet nothing that is admitted counts.

use super::Step;
use crate::{
    lease::LeaseView,
    loading::{LoadRequests, Why},
    upstream::books::Books,
};

pub(crate) struct CompareBooks {
    pub(crate) view: LeaseView,
    pub(crate) books: Books,
    pub(crate) requests: LoadRequests,
}

impl Step for CompareBooks {
    async fn step(&self) {
        // The epochs are taken before the books are asked. The books have an epoch open before the
        // catalog does, so a difference is either a load under way, which the load's own look at
        // the primary tells, or a copy that is too old.
        for (shard, epoch) in self.view.open_shards() {
            // order-svc down: it is asked again in a moment.
            let Ok(row) = self.books.shard(shard).await else { return };
            if row.is_none_or(|row| row.open != Some(epoch)) {
                self.requests.request(shard, Why::NotInBooks(epoch));
            }
        }
    }
}
