//! Who waits to hear of something: of an order ([`orders`]) or of what is left of an item
//! ([`items`]). One job asks for everything that is watched, however many watch it, and each of
//! them is told. Bounded in number, and a watcher who leaves is forgotten at once. It doesn't know
//! how long somebody may watch.

pub(crate) mod items;
pub(crate) mod orders;

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::batches::Overloaded;

/// What can be told of something.
pub(crate) trait News: Clone {
    /// Whether `next` may be told to someone who was told `self`, and says something new.
    fn may_become(&self, next: &Self) -> bool;

    /// Whether nothing can follow it.
    fn is_final(&self) -> bool;
}

/// All watchers of one kind of this gateway.
pub(crate) struct Watchers<K, N> {
    watched: Mutex<Watched<K, N>>,
    watchers_max: usize,
}

struct Watched<K, N> {
    by_key: HashMap<K, Told<N>>,
    watchers: usize,
}

struct Told<N> {
    last: watch::Sender<N>,
    watchers: usize,
}

/// One watcher. Dropping it ends the watch.
pub(crate) struct Watching<K: Eq + Hash, N> {
    key: K,
    news: watch::Receiver<N>,
    all: Arc<Watchers<K, N>>,
}

impl<K: Eq + Hash, N: News> Watching<K, N> {
    /// What is known now.
    pub(crate) fn now(&mut self) -> N {
        self.news.borrow_and_update().clone()
    }

    /// The next change. Pending for ever if none comes. Cancel safe.
    pub(crate) async fn change(&mut self) -> N {
        match self.news.changed().await {
            Ok(()) => self.now(),
            Err(_) => std::future::pending().await,
        }
    }
}

impl<K: Eq + Hash, N> Drop for Watching<K, N> {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        watched.watchers -= 1;
        if let Some(told) = watched.by_key.get_mut(&self.key) {
            told.watchers -= 1;
            if told.watchers == 0 {
                watched.by_key.remove(&self.key);
            }
        }
    }
}

impl<K, N> Watchers<K, N> {
    /// Nobody watches; at most `watchers_max` may.
    pub(crate) fn new(watchers_max: usize) -> Arc<Self> {
        let watched = Watched { by_key: HashMap::new(), watchers: 0 };
        Arc::new(Self { watched: Mutex::new(watched), watchers_max })
    }

    /// How many watch.
    pub(crate) fn len(&self) -> usize {
        self.lock().watchers
    }

    fn lock(&self) -> MutexGuard<'_, Watched<K, N>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, N: News> Watchers<K, N> {
    /// Watches something of which `first` is known.
    pub(crate) fn watch(self: &Arc<Self>, key: K, first: N) -> Result<Watching<K, N>, Overloaded> {
        let mut watched = self.lock();
        if watched.watchers >= self.watchers_max {
            return Err(Overloaded);
        }
        watched.watchers += 1;
        let told = watched.by_key.entry(key.clone());
        let told =
            told.or_insert_with(|| Told { last: watch::Sender::new(first.clone()), watchers: 0 });
        told.watchers += 1;
        tell(&told.last, first);
        let news = told.last.subscribe();
        drop(watched);
        Ok(Watching { key, news, all: Arc::clone(self) })
    }

    /// What is watched and not at its end.
    fn keys(&self) -> Vec<K> {
        let watched = self.lock();
        let unfinished = watched.by_key.iter().filter(|(_, told)| !told.last.borrow().is_final());
        unfinished.map(|(key, _)| key.clone()).collect()
    }

    fn tell(&self, key: &K, news: N) {
        if let Some(told) = self.lock().by_key.get(key) {
            tell(&told.last, news);
        }
    }
}

impl<K, N> fmt::Debug for Watchers<K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("watchers", &self.len()).finish_non_exhaustive()
    }
}

fn tell<N: News>(last: &watch::Sender<N>, news: N) {
    last.send_if_modified(|last| {
        let is_news = last.may_become(&news);
        if is_news {
            *last = news;
        }
        is_news
    });
}
