//! Shards whose numbers the books know as another item's: a catalog that was restored from an older
//! copy has given them again. They aren't loaded, and only an operator can do something about it:
//! so it is said once when it is met, shown as long as it lasts, and said once when it is over. It
//! is what this process has met, and forgotten with it: the next load meets it again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chassis::metrics::Gauges;
use ids::{ItemId, ShardNo};

/// More than a catalog gives again before somebody looks; what is beyond isn't shown.
const SHARDS_MAX: usize = 4_096;

/// The shards. Clones are the same.
#[derive(Clone)]
pub struct Foreign {
    met: Arc<Mutex<BTreeMap<ShardNo, Met>>>,
    shown: Gauges<1>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Met {
    in_catalog: ItemId,
    in_books: ItemId,
}

impl Foreign {
    /// None yet; those that come are shown in a gauge each.
    pub fn new(shown: Gauges<1>) -> Self {
        Self { met: Arc::default(), shown }
    }

    /// A load has met it. True if that is news.
    pub fn met(&self, shard: ShardNo, in_catalog: ItemId, in_books: ItemId) -> bool {
        let mut all = self.all();
        if all.len() >= SHARDS_MAX && !all.contains_key(&shard) {
            return false;
        }
        let met = Met { in_catalog, in_books };
        let is_news = all.insert(shard, met) != Some(met);
        drop(all);
        if is_news {
            self.shown.with([shard.to_string()]).set(1.0);
            tracing::error!(
                %shard, %in_catalog, %in_books,
                "this shard's number is another item's in the books: the catalog is an older copy; \
                 nothing is loaded, and its buyers are told LOADING until the sale is made anew"
            );
        }
        is_news
    }

    /// Catalog and books agree, or the shard is retired; whichever process has loaded it.
    pub fn over(&self, shard: ShardNo) {
        if self.all().remove(&shard).is_some() {
            self.shown.remove([shard.to_string()]);
            tracing::info!(%shard, "catalog and books agree again on whose shard it is");
        }
    }

    /// Whose shard it is in the books, if it was met that this isn't the catalog's `item`.
    pub fn owner(&self, shard: ShardNo, item: ItemId) -> Option<ItemId> {
        let met = self.all().get(&shard).copied();
        met.filter(|met| met.in_catalog == item).map(|met| met.in_books)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ShardNo, Met>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_news_once() {
        let instruments = crate::metrics::Instruments::new(&chassis::Metrics::new());
        let foreign = Foreign::new(instruments.foreign_shards);
        let shard = ShardNo::new(3).unwrap();
        let [ours, theirs, others] = [1, 2, 3].map(|byte| ItemId::from_bytes([byte; 16]));
        assert_eq!(foreign.owner(shard, ours), None);
        assert!(foreign.met(shard, ours, theirs));
        assert!(!foreign.met(shard, ours, theirs));
        assert_eq!(foreign.owner(shard, ours), Some(theirs));
        assert_eq!(foreign.owner(shard, theirs), None, "a catalog that was put right again");
        assert!(foreign.met(shard, others, theirs));
        foreign.over(shard);
        assert_eq!(foreign.owner(shard, others), None);
        assert!(foreign.met(shard, others, theirs));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let instruments = crate::metrics::Instruments::new(&chassis::Metrics::new());
        let foreign = Foreign::new(instruments.foreign_shards);
        let [ours, theirs] = [1, 2].map(|byte| ItemId::from_bytes([byte; 16]));
        let met = |number| foreign.met(ShardNo::new(number).unwrap(), ours, theirs);
        assert_eq!((1..=5_000).filter(|number| met(*number)).count(), SHARDS_MAX);
    }
}
