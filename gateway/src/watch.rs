//! Who waits to hear of an order. One poll for all of them, however many there are: the books are
//! asked for all watched orders at once, the ledger for those without a row. Bounded in number and
//! time, and a watcher who leaves is forgotten at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::Clock;
use ids::{OrderId, ShardNo, UserId};
use tokio::sync::watch;

use crate::{
    batches::Overloaded,
    domain::order::{Became, Next},
    orders::Inquiry,
    upstream::{Until, inventory, orders},
};

/// An order is watched for one user: to anybody else it isn't there.
type Key = (OrderId, UserId);

/// All watchers of this gateway.
#[derive(Debug)]
pub(crate) struct Watchers {
    watched: Mutex<Watched>,
    watchers_max: usize,
}

#[derive(Debug, Default)]
struct Watched {
    by_order: HashMap<Key, Told>,
    watchers: usize,
}

#[derive(Debug)]
struct Told {
    last: watch::Sender<Became>,
    watchers: usize,
}

/// One watcher. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Watching {
    key: Key,
    news: watch::Receiver<Became>,
    all: Arc<Watchers>,
}

impl Watching {
    /// What is known now.
    pub(crate) fn now(&mut self) -> Became {
        self.news.borrow_and_update().clone()
    }

    /// The next change. Pending for ever if none comes. Cancel safe.
    pub(crate) async fn change(&mut self) -> Became {
        match self.news.changed().await {
            Ok(()) => self.now(),
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watched = self.all.lock();
        watched.watchers -= 1;
        if let Some(told) = watched.by_order.get_mut(&self.key) {
            told.watchers -= 1;
            if told.watchers == 0 {
                watched.by_order.remove(&self.key);
            }
        }
    }
}

impl Watchers {
    /// Nobody watches; at most `watchers_max` may.
    pub(crate) fn new(watchers_max: usize) -> Arc<Self> {
        Arc::new(Self { watched: Mutex::default(), watchers_max })
    }

    /// Watches an order of which `first` is known.
    pub(crate) fn watch(
        self: &Arc<Self>,
        order: OrderId,
        user: UserId,
        first: Became,
    ) -> Result<Watching, Overloaded> {
        let key = (order, user);
        let mut watched = self.lock();
        if watched.watchers >= self.watchers_max {
            return Err(Overloaded);
        }
        watched.watchers += 1;
        let told = watched.by_order.entry(key);
        let told =
            told.or_insert_with(|| Told { last: watch::Sender::new(first.clone()), watchers: 0 });
        told.watchers += 1;
        tell(&told.last, first);
        let news = told.last.subscribe();
        drop(watched);
        Ok(Watching { key, news, all: Arc::clone(self) })
    }

    fn keys(&self) -> Vec<Key> {
        let watched = self.lock();
        let unfinished = watched.by_order.iter().filter(|(_, told)| !told.last.borrow().is_final());
        unfinished.map(|(key, _)| *key).collect()
    }

    fn tell(&self, key: &Key, news: Became) {
        if let Some(told) = self.lock().by_order.get(key) {
            tell(&told.last, news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(last: &watch::Sender<Became>, news: Became) {
    last.send_if_modified(|last| {
        let is_news = last.may_become(&news);
        if is_news {
            *last = news;
        }
        is_news
    });
}

/// Asks once for everything that is watched. Books that can't be asked are no news.
pub(crate) async fn poll(watchers: &Watchers, inquiry: &Inquiry, clock: &Clock, limit: Duration) {
    for keys in watchers.keys().chunks(orders::FIND_LEN_MAX) {
        let ids: Vec<_> = keys.iter().map(|(order, _)| *order).collect();
        let Ok(rows) = inquiry.books.find(&ids, limit).await else {
            return;
        };
        let mut rows: HashMap<Key, _> =
            rows.into_iter().map(|row| ((row.order, row.user), row)).collect();
        let mut rowless: BTreeMap<ShardNo, Vec<Key>> = BTreeMap::new();
        for key in keys {
            match rows.remove(key) {
                Some(row) => watchers.tell(key, Became::Recorded(row)),
                None => rowless.entry(key.0.shard()).or_default().push(*key),
            }
        }
        for (shard, keys) in rowless {
            for keys in keys.chunks(inventory::FIND_LEN_MAX) {
                ask_ledger(watchers, inquiry, shard, keys, Until::within(clock, limit)).await;
            }
        }
    }
}

async fn ask_ledger(
    watchers: &Watchers,
    inquiry: &Inquiry,
    shard: ShardNo,
    keys: &[Key],
    until: Until,
) {
    let ids: Vec<_> = keys.iter().map(|(order, _)| *order).collect();
    let says = inquiry.beyond_books(shard, &ids, until).await;
    for (key, next) in keys.iter().zip(says) {
        match next {
            Next::Say(became) => watchers.tell(key, became),
            // The next poll does, soon enough.
            Next::AskBooksAgain => watchers.tell(key, Became::Processing),
        }
    }
}
