//! Finds shards that are OPEN in an epoch that the books don't have open, or under a number that
//! they know as another item's: a catalog or books restored from an older copy. Nobody is refused
//! there, yet nothing that is admitted counts, or it counts as something else.

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
        for (shard, epoch, item) in self.view.open_items() {
            // order-svc down: it is asked again in a moment.
            let Ok(row) = self.books.shard(shard).await else { return };
            match row {
                Some(row) if row.item != item => {
                    self.requests.request(shard, Why::OtherItem(epoch));
                }
                Some(row) if row.open == Some(epoch) => {}
                Some(_) | None => self.requests.request(shard, Why::NotInBooks(epoch)),
            }
        }
    }
}
