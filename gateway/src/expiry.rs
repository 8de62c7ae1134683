//! How long what was read is remembered: never longer than said, and a little less at random, so
//! that what a crowd asked for at one moment isn't asked for again at one moment, by every gateway.

use std::time::{Duration, Instant};

use rand::RngExt as _;

/// For the entries of a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// The longest.
    pub(crate) at_most: Duration,
}

impl Spread {
    fn pick(self) -> Duration {
        self.at_most.mul_f64(rand::rng().random_range(0.75..=1.0))
    }
}

impl<K, V> moka::Expiry<K, V> for Spread {
    fn expire_after_create(&self, _: &K, _: &V, _: Instant) -> Option<Duration> {
        Some(self.pick())
    }

    fn expire_after_update(
        &self,
        _: &K,
        _: &V,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.pick())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_remembered_for_too_long_and_not_all_for_as_long() {
        let at_most = Duration::from_secs(1);
        let picked: Vec<_> = (0..1000).map(|_| Spread { at_most }.pick()).collect();
        let (min, max) = (picked.iter().min().unwrap(), picked.iter().max().unwrap());
        assert!(*min >= at_most.mul_f64(0.75) && *max <= at_most, "{min:?} to {max:?}");
        assert!(*max - *min > at_most / 5, "{min:?} to {max:?}");
    }

    #[tokio::test]
    async fn an_entry_ends_in_its_time() {
        let at_most = Duration::from_millis(40);
        let cache = moka::future::Cache::builder().expire_after(Spread { at_most }).build();
        cache.insert(1, ()).await;
        let gone = async {
            while cache.get(&1).await.is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
