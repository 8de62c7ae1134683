//! What asks for a load: a bounded, deduplicating mailbox between those who meet a sick epoch and
//! the job that loads. Losing a request is harmless: whoever is refused next asks again. It does
//! not know whether a request is still true; the job reads the catalog's primary for that.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use ids::{Epoch, ShardNo};
use tokio::sync::Notify;

/// More than one process loads in a long while; the rest ask again.
const WAITING_MAX: usize = 4096;

/// Why a shard should be loaded anew, with the epoch that was met. The load starts only if the
/// catalog's primary, read after the request, still shows that epoch OPEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The keeper answered FENCED to a call in this epoch.
    Fenced(Epoch),
    /// The keeper has another epoch than this one, which the catalog shows.
    StaleEpoch(Epoch),
    /// A settle of this epoch came from an older copy of the books than the ledger has seen.
    LowerGeneration(Epoch),
    /// The books refused a hold of this epoch, so the ledger was wrong.
    Rejected(Epoch),
    /// The keeper isn't the process that this epoch was loaded into.
    IdentityChanged(Epoch),
    /// The books have another epoch open than this one, which the catalog shows.
    NotInBooks(Epoch),
    /// The books know the shard's number as another item's. A load finds the same and leaves the
    /// shard closed.
    OtherItem(Epoch),
}

impl Why {
    /// The epoch that was met.
    pub const fn epoch(self) -> Epoch {
        match self {
            Self::Fenced(epoch)
            | Self::StaleEpoch(epoch)
            | Self::LowerGeneration(epoch)
            | Self::Rejected(epoch)
            | Self::IdentityChanged(epoch)
            | Self::NotInBooks(epoch)
            | Self::OtherItem(epoch) => epoch,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fenced(_) => "the ledger is fenced",
            Self::StaleEpoch(_) => "the ledger has another epoch",
            Self::LowerGeneration(_) => "the books are an older copy",
            Self::Rejected(_) => "the books refused a hold",
            Self::IdentityChanged(_) => "the ledger's keeper is another one",
            Self::NotInBooks(_) => "the books have another epoch",
            Self::OtherItem(_) => "the books have another item",
        })
    }
}

/// The mailbox. Clones are the same one.
#[derive(Clone, Default)]
pub struct LoadRequests(Arc<Mailbox>);

#[derive(Default)]
struct Mailbox {
    waiting: Mutex<BTreeMap<(ShardNo, Epoch), Why>>,
    arrived: Notify,
}

impl LoadRequests {
    /// Asks for a load of `shard`. One request waits per shard and epoch, the newest: one about
    /// another epoch, which may be long over, doesn't take its place. Beyond 4,096 new ones are
    /// dropped. Never blocks.
    pub fn request(&self, shard: ShardNo, why: Why) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let about = (shard, why.epoch());
        if waiting.len() < WAITING_MAX || waiting.contains_key(&about) {
            waiting.insert(about, why);
        }
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// What was taken and could not be used yet waits again, behind any newer request.
    pub fn put_back(&self, shard: ShardNo, why: Why) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.entry((shard, why.epoch())).or_insert(why);
        }
    }

    /// Takes all that wait.
    pub fn take(&self) -> Vec<(ShardNo, Why)> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).into_iter().map(|((shard, _), why)| (shard, why)).collect()
    }

    /// Waits until something was requested since the last [`LoadRequests::take`]; may also wake
    /// for nothing. For one job.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u32) -> ShardNo {
        ShardNo::new(number).unwrap()
    }

    fn epoch(number: i64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    #[test]
    fn an_epoch_of_a_shard_waits_once_with_its_newest_reason() {
        let requests = LoadRequests::default();
        requests.request(shard(1), Why::Fenced(epoch(5)));
        requests.request(shard(1), Why::StaleEpoch(epoch(5)));
        requests.request(shard(2), Why::Rejected(epoch(7)));
        let taken = requests.take();
        let wanted = [(shard(1), Why::StaleEpoch(epoch(5))), (shard(2), Why::Rejected(epoch(7)))];
        assert_eq!(taken, wanted);
        assert_eq!(requests.take(), []);
    }

    #[test]
    fn what_is_told_once_outlives_news_of_another_epoch() {
        let requests = LoadRequests::default();
        requests.request(shard(1), Why::Rejected(epoch(6)));
        requests.request(shard(1), Why::Fenced(epoch(5)));
        requests.put_back(shard(1), Why::StaleEpoch(epoch(4)));
        let taken = requests.take();
        assert_eq!(taken.len(), 3, "{taken:?}");
        assert!(taken.contains(&(shard(1), Why::Rejected(epoch(6)))), "{taken:?}");
    }

    #[test]
    fn what_is_put_back_gives_way_to_what_came_since() {
        let requests = LoadRequests::default();
        requests.put_back(shard(1), Why::Fenced(epoch(5)));
        requests.request(shard(2), Why::Rejected(epoch(6)));
        requests.put_back(shard(2), Why::Fenced(epoch(6)));
        let wanted = [(shard(1), Why::Fenced(epoch(5))), (shard(2), Why::Rejected(epoch(6)))];
        assert_eq!(requests.take(), wanted);
    }

    #[test]
    fn a_full_mailbox_takes_nothing_new_but_renews_what_it_has() {
        let requests = LoadRequests::default();
        for number in 1..=5000 {
            requests.request(shard(number), Why::Fenced(epoch(1)));
        }
        requests.request(shard(1), Why::Rejected(epoch(1)));
        requests.request(shard(1), Why::Rejected(epoch(2)));
        requests.put_back(shard(1), Why::Rejected(epoch(3)));
        let taken = requests.take();
        assert_eq!(taken.len(), WAITING_MAX);
        assert_eq!(taken[0], (shard(1), Why::Rejected(epoch(1))));
        assert_eq!(taken[1].0, shard(2));
    }
}
