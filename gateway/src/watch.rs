//! Who waits to hear of something: of an order ([`orders`]) or of what is left of an item
//! ([`items`]). One job asks for everything that is watched, however many watch it, and each of
//! them is told. Bounded in number, in all and for each holder (an account, a network), so that few
//! can't take all places; a watcher who leaves is forgotten at once. It doesn't know how long
//! somebody may watch.

pub(crate) mod items;
pub(crate) mod orders;

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What can be told of something.
pub(crate) trait News: Clone {
    /// Whether `next` may be told to someone who was told `self`, and says something new.
    fn may_become(&self, next: &Self) -> bool;

    /// Whether nothing can follow it.
    fn is_final(&self) -> bool;
}

/// All watchers of one kind of this gateway, who come from holders `H`.
pub(crate) struct Watchers<K, N, H> {
    watched: Mutex<Watched<K, N, H>>,
    room: Room,
}

/// How many may watch at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) all: usize,
    pub(crate) of_one: usize,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken.
    All,
    /// The holder has as many as it may.
    Holder,
}

struct Watched<K, N, H> {
    by_key: HashMap<K, Told<N>>,
    /// No holder has 0.
    by_holder: HashMap<H, usize>,
    watchers: usize,
}

struct Told<N> {
    last: watch::Sender<N>,
    watchers: usize,
}

/// One watcher. Dropping it ends the watch.
pub(crate) struct Watching<K: Eq + Hash, N, H: Eq + Hash> {
    key: K,
    holder: H,
    news: watch::Receiver<N>,
    all: Arc<Watchers<K, N, H>>,
}

impl<K: Eq + Hash, N: News, H: Eq + Hash> Watching<K, N, H> {
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

impl<K: Eq + Hash, N, H: Eq + Hash> Drop for Watching<K, N, H> {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        watched.watchers -= 1;
        if let Some(held) = watched.by_holder.get_mut(&self.holder) {
            *held -= 1;
            if *held == 0 {
                watched.by_holder.remove(&self.holder);
            }
        }
        if let Some(told) = watched.by_key.get_mut(&self.key) {
            told.watchers -= 1;
            if told.watchers == 0 {
                watched.by_key.remove(&self.key);
            }
        }
    }
}

impl<K, N, H> Watchers<K, N, H> {
    /// Nobody watches; at most so many may.
    pub(crate) fn new(room: Room) -> Arc<Self> {
        let watched = Watched { by_key: HashMap::new(), by_holder: HashMap::new(), watchers: 0 };
        Arc::new(Self { watched: Mutex::new(watched), room })
    }

    /// How many watch.
    pub(crate) fn len(&self) -> usize {
        self.lock().watchers
    }

    fn lock(&self) -> MutexGuard<'_, Watched<K, N, H>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, N: News, H: Clone + Eq + Hash> Watchers<K, N, H> {
    /// Watches something of which `first` is known.
    pub(crate) fn watch(
        self: &Arc<Self>,
        key: K,
        holder: H,
        first: N,
    ) -> Result<Watching<K, N, H>, Full> {
        let mut watched = self.lock();
        if watched.by_holder.get(&holder).is_some_and(|held| *held >= self.room.of_one) {
            return Err(Full::Holder);
        }
        if watched.watchers >= self.room.all {
            return Err(Full::All);
        }
        watched.watchers += 1;
        *watched.by_holder.entry(holder.clone()).or_default() += 1;
        let told = watched.by_key.entry(key.clone());
        let told =
            told.or_insert_with(|| Told { last: watch::Sender::new(first.clone()), watchers: 0 });
        told.watchers += 1;
        tell(&told.last, first);
        let news = told.last.subscribe();
        drop(watched);
        Ok(Watching { key, holder, news, all: Arc::clone(self) })
    }

    /// What is watched and not at its end.
    fn keys(&self) -> Vec<K> {
        let watched = self.lock();
        let unfinished = watched.by_key.iter().filter(|(_, told)| !told.last.borrow().is_final());
        unfinished.map(|(key, _)| key.clone()).collect()
    }

    /// What is known of something that is watched.
    fn last(&self, key: &K) -> Option<N> {
        self.lock().by_key.get(key).map(|told| told.last.borrow().clone())
    }

    fn tell(&self, key: &K, news: N) {
        if let Some(told) = self.lock().by_key.get(key) {
            tell(&told.last, news);
        }
    }
}

impl<K, N, H> fmt::Debug for Watchers<K, N, H> {
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
