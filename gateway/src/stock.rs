//! What is left, as heard lately: one cell per shard, written by the one task that listens to
//! inventory-svc, read by every request without a lock. It is a hint that dies of silence, and only
//! the first attempt of a ticket is ever refused by it. It doesn't know what the stock is now; only
//! the ledger does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{Clock, Stopper, job::Backoff};
use futures::StreamExt as _;
use ids::ShardNo;
use tokio::sync::Notify;

use crate::{
    domain::admission::{Heard, Level},
    ledger_time::LedgerTime,
    upstream::{Inventory, inventory::WATCH_LEN_MAX},
};

/// What inventory-svc says of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) shard: ShardNo,
    pub(crate) epoch: i64,
    /// Grows within an epoch.
    pub(crate) version: u64,
    /// `None` while the shard can't be sold from.
    pub(crate) level: Option<Level>,
}

/// What was last heard of one shard.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    /// By the monotonic clock, in milliseconds.
    heard_at_ms: AtomicU64,
    /// A [`Heard`] in one word, so that no reader sees half of one: 0 for nothing yet.
    word: AtomicU64,
    /// What its ledger's clock shows.
    pub(crate) time: LedgerTime,
}

const IS_HEARD: u64 = 1 << 63;
const IS_OPEN: u64 = 1 << 62;
const IS_PAUSED: u64 = 1 << 61;

impl Cell {
    /// What was heard, if that was at most `fresh` ago.
    pub(crate) fn heard(&self, now: Duration, fresh: Duration) -> Option<Heard> {
        let heard_at = Duration::from_millis(self.heard_at_ms.load(Ordering::Acquire));
        let word = self.word.load(Ordering::Acquire);
        if word & IS_HEARD == 0 || now.saturating_sub(heard_at) > fresh {
            return None;
        }
        if word & IS_OPEN == 0 {
            return Some(Heard::Loading);
        }
        let units_left = u32::try_from(word & u64::from(u32::MAX)).expect("the low 32 bits");
        Some(Heard::Open(Level { units_left, is_paused: word & IS_PAUSED != 0 }))
    }

    /// The stock, if the shard is open and was heard of at most `fresh` ago.
    pub(crate) fn level(&self, now: Duration, fresh: Duration) -> Option<Level> {
        match self.heard(now, fresh)? {
            Heard::Open(level) => Some(level),
            Heard::Loading => None,
        }
    }

    fn hear(&self, level: Option<Level>, now: Duration) {
        let open = level.map_or(0, |level| {
            let paused = if level.is_paused { IS_PAUSED } else { 0 };
            IS_OPEN | paused | u64::from(level.units_left)
        });
        self.word.store(IS_HEARD | open, Ordering::Release);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.heard_at_ms.store(now_ms, Ordering::Release);
    }
}

/// All shards that someone wants to hear of.
#[derive(Debug, Default)]
pub(crate) struct StockView {
    watched: Mutex<HashMap<ShardNo, Watched>>,
    wanted: Notify,
}

#[derive(Debug)]
struct Watched {
    /// Dead once no known item refers to it; then the shard isn't watched any more.
    cell: Weak<Cell>,
    heard: (i64, u64),
}

impl StockView {
    /// The cell of a shard, which from now on is listened for.
    pub(crate) fn cell(&self, shard: ShardNo) -> Arc<Cell> {
        let mut watched = self.lock();
        if let Some(cell) = watched.get(&shard).and_then(|watched| watched.cell.upgrade()) {
            return cell;
        }
        let cell = Arc::new(Cell::default());
        watched.insert(shard, Watched { cell: Arc::downgrade(&cell), heard: (0, 0) });
        drop(watched);
        self.wanted.notify_one();
        cell
    }

    /// The cell of a shard that somebody listens for.
    pub(crate) fn known(&self, shard: ShardNo) -> Option<Arc<Cell>> {
        self.lock().get(&shard).and_then(|watched| watched.cell.upgrade())
    }

    /// Takes news in. Older news of the same epoch than was heard already is dropped.
    fn hear(&self, news: &News, now: Duration) {
        let mut watched = self.lock();
        let Some(watched) = watched.get_mut(&news.shard) else {
            return;
        };
        let (epoch, version) = watched.heard;
        if news.level.is_some() {
            if news.epoch == epoch && news.version < version {
                return;
            }
            watched.heard = (news.epoch, news.version);
        }
        if let Some(cell) = watched.cell.upgrade() {
            if news.level.is_some() {
                cell.time.epoch_is(news.epoch);
            }
            cell.hear(news.level, now);
        }
    }

    /// How far the ledgers' clocks are ahead of ours, in milliseconds: of the one that is furthest.
    pub(crate) fn clock_ahead_ms(&self, clock: &Clock) -> Option<i64> {
        let (now, ours_ms) = (clock.now(), clock.wall_ms());
        let watched = self.lock();
        let cells = watched.values().filter_map(|watched| watched.cell.upgrade());
        let told = cells.filter_map(|cell| cell.time.now_ms(now));
        let ahead = told.map(|told_ms| told_ms.cast_signed().saturating_sub_unsigned(ours_ms));
        ahead.max_by_key(|ahead_ms| ahead_ms.unsigned_abs())
    }

    /// Who is to be listened for: the newest shards, if there are too many.
    fn wanted(&self) -> Vec<ShardNo> {
        let mut watched = self.lock();
        watched.retain(|_, watched| watched.cell.strong_count() > 0);
        let mut shards: Vec<_> = watched.keys().copied().collect();
        drop(watched);
        shards.sort_unstable_by(|a, b| b.cmp(a));
        if shards.len() > WATCH_LEN_MAX {
            let left_out = shards.len() - WATCH_LEN_MAX;
            tracing::warn!(left_out, "too many shards to watch the stock of all of them");
            shards.truncate(WATCH_LEN_MAX);
        }
        shards
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ShardNo, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says so when our clock and a ledger's come apart, and when they agree again.
pub(crate) struct ClockWatch {
    is_apart: AtomicBool,
}

impl ClockWatch {
    /// They agree, as far as is known.
    pub(crate) fn new() -> Self {
        Self { is_apart: AtomicBool::new(false) }
    }

    /// One look.
    pub(crate) fn look(&self, view: &StockView, clock: &Clock, slack_ms: u64) {
        let Some(ahead_ms) = view.clock_ahead_ms(clock) else { return };
        let is_apart = ahead_ms.unsigned_abs() > slack_ms;
        match (self.is_apart.swap(is_apart, Ordering::Relaxed), is_apart) {
            (false, true) => tracing::warn!(
                ahead_ms,
                "the ledger's clock and this machine's are apart: sales go by the ledger's"
            ),
            (true, false) => tracing::info!(ahead_ms, "the ledger's clock and ours agree again"),
            (false, false) | (true, true) => {}
        }
    }
}

/// A stream without news is left: two of inventory-svc's heartbeats more than those after which
/// nothing is known any more. Whoever answers may have nothing to tell either, so it isn't hurried.
const NO_NEWS_MAX: Duration = Duration::from_secs(1);

/// How long to wait for more shards before the stream is opened anew for all of them.
const GATHER: Duration = Duration::from_millis(10);

/// Listens until it is stopped. A stream that breaks, ends or falls silent is opened again, at an
/// instance that is ready then, with growing pauses.
pub(crate) async fn listen(
    view: Arc<StockView>,
    inventory: Inventory,
    clock: Clock,
    stopper: Stopper,
    connect_limit: Duration,
) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    while !stopper.is_stopped() {
        let shards = view.wanted();
        if shards.is_empty() {
            view.wanted.notified().await;
            tokio::time::sleep(GATHER).await;
            continue;
        }
        if let Ok(mut stream) = inventory.watch_stock(&shards, connect_limit.min(NO_NEWS_MAX)).await
        {
            loop {
                tokio::select! {
                    news = tokio::time::timeout(NO_NEWS_MAX, stream.next()) => match news {
                        Ok(Some(Some(news))) => {
                            backoff.reset();
                            view.hear(&news, clock.now());
                        }
                        Ok(Some(None) | None) | Err(_) => break,
                    },
                    () = view.wanted.notified() => {
                        tokio::time::sleep(GATHER).await;
                        backoff.reset();
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_millis(500);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn shard() -> ShardNo {
        ShardNo::new(3).unwrap()
    }

    fn news(epoch: i64, version: u64, units_left: u32) -> News {
        let level = Some(Level { units_left, is_paused: false });
        News { shard: shard(), epoch, version, level }
    }

    fn units(cell: &Cell, now: u64) -> Option<u32> {
        cell.level(at(now), FRESH).map(|level| level.units_left)
    }

    #[test]
    fn the_view_dies_of_silence() {
        let view = StockView::default();
        let cell = view.cell(shard());
        assert_eq!(units(&cell, 0), None, "never heard of");
        view.hear(&news(7, 1, 4), at(1000));
        assert_eq!(units(&cell, 1500), Some(4));
        assert_eq!(units(&cell, 1501), None);
    }

    #[test]
    fn older_news_of_an_epoch_is_dropped_and_a_new_epoch_counts() {
        let view = StockView::default();
        let cell = view.cell(shard());
        view.hear(&news(7, 5, 1), at(1000));
        view.hear(&news(7, 4, 2), at(1001));
        assert_eq!(units(&cell, 1001), Some(1));
        view.hear(&news(8, 1, 9), at(1002));
        assert_eq!(units(&cell, 1002), Some(9));
        view.hear(&News { level: None, ..news(0, 0, 0) }, at(1003));
        assert_eq!(units(&cell, 1003), None);
        assert_eq!(cell.heard(at(1003), FRESH), Some(Heard::Loading));
        assert_eq!(cell.heard(at(1504), FRESH), None, "silence says nothing, not even that");
        view.hear(&news(8, 1, 9), at(1004));
        assert_eq!(units(&cell, 1004), Some(9));
    }

    #[test]
    fn the_ledger_that_is_furthest_from_our_clock_is_seen() {
        use ids::Epoch;

        use crate::ledger_time::Reading;

        let (clock, view) = (Clock::system(), StockView::default());
        let cell = view.cell(shard());
        assert_eq!(view.clock_ahead_ms(&clock), None, "nothing was heard");
        let now = clock.now();
        let theirs_us = clock.wall_us() - 3_600_000_000;
        let reading = Reading::heard(Epoch::new(7).unwrap(), theirs_us, now).unwrap();
        cell.time.hear(reading, now);
        let ahead_ms = view.clock_ahead_ms(&clock).unwrap();
        assert!((-3_600_100..-3_599_900).contains(&ahead_ms), "{ahead_ms}");
        let watch = ClockWatch::new();
        watch.look(&view, &clock, 1_000);
        assert!(watch.is_apart.load(Ordering::Relaxed));
        watch.look(&view, &clock, 7_200_000);
        assert!(!watch.is_apart.load(Ordering::Relaxed));
    }

    #[test]
    fn a_shard_that_nobody_refers_to_is_not_watched() {
        let view = StockView::default();
        let cell = view.cell(shard());
        assert!(Arc::ptr_eq(&cell, &view.cell(shard())));
        assert_eq!(view.wanted(), [shard()]);
        drop(cell);
        assert_eq!(view.wanted(), []);
    }
}
