//! Retires shards whose sale has been over for a while, so that neither the ledger nor the leases
//! grow with every sale there ever was. The clocks that say so are watched: one that jumps ahead
//! makes a running sale look over, and after that while it is too late to put the clock right.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::{Clock, logs::Lasting};
use ids::ShardNo;

use super::Step;
use crate::{
    catalog::Catalog,
    lease::LeaseView,
    ledger::Ledger,
    loading::{Cause, Loader, Start, over::Pace},
};

/// Shards that are watched until they have been over for long enough.
const WATCHED_MAX: u32 = 4_096;

/// Retiring at once: those that can't be retired now take no more of the loader's seats than these.
const AT_ONCE: usize = 64;

pub(crate) struct RetireOver {
    catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn Ledger>,
    view: LeaseView,
    loader: Loader,
    clock: Clock,
    after_s: u32,
    /// Of the catalog's clock and of the ledger's.
    paces: Mutex<[Pace; 2]>,
    /// Where the next step begins, so that those that can't be retired are in nobody's way.
    turn: AtomicUsize,
    trouble: Lasting,
}

impl Step for RetireOver {
    async fn step(&self) {
        self.watch_clocks().await;
        match self.catalog.over(WATCHED_MAX).await {
            Ok(over) => {
                self.trouble.over();
                self.retire(self.loader.saw_over(&over));
            }
            Err(error) => {
                if let Some(unsaid) = self.trouble.again() {
                    tracing::warn!(%error, unsaid, "the shards to retire were not read");
                }
            }
        }
    }
}

impl RetireOver {
    pub(crate) fn new(
        catalog: &Arc<dyn Catalog>,
        ledger: &Arc<dyn Ledger>,
        view: &LeaseView,
        loader: &Loader,
        clock: &Clock,
        after_s: u32,
    ) -> Self {
        let (catalog, ledger) = (Arc::clone(catalog), Arc::clone(ledger));
        let (view, loader, clock) = (view.clone(), loader.clone(), clock.clone());
        let (paces, turn, trouble) = Default::default();
        Self { catalog, ledger, view, loader, clock, after_s, paces, turn, trouble }
    }

    fn retire(&self, mut due: Vec<ShardNo>) {
        let running = due.iter().filter(|shard| self.loader.is_loading(**shard)).count();
        let room = AT_ONCE.saturating_sub(running);
        let turn = self.turn.fetch_add(room, Ordering::Relaxed);
        // One that somebody loads is retired by that load, or here once it is open.
        let open = self.view.open_shards().into_iter().map(|(shard, _)| shard);
        let open: HashSet<_> = open.collect();
        due.retain(|shard| open.contains(shard) && !self.loader.is_loading(*shard));
        let first = turn.checked_rem(due.len()).unwrap_or(0);
        due.rotate_left(first);
        for shard in due.into_iter().take(room) {
            if self.loader.start(shard, Cause::Over) == Start::NoSeat {
                break;
            }
        }
    }

    async fn watch_clocks(&self) {
        let catalog = self.catalog.now_ms().await.ok().map(|ms| (self.clock.now(), ms));
        let ledger = self.ledger.now_ms().await.ok().map(|ms| (self.clock.now(), ms));
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        for ((pace, told), clock) in paces.iter_mut().zip([catalog, ledger]).zip(CLOCKS) {
            let Some((now, wall_ms)) = told else { continue };
            if let Some(jumped_ms) = pace.look(now, wall_ms) {
                let (jumped_s, retire_after_s) = (jumped_ms / 1_000, self.after_s);
                tracing::warn!(
                    clock,
                    jumped_s,
                    retire_after_s,
                    "a clock has jumped: what is over by it retires for good unless it is put right"
                );
            }
        }
    }
}

const CLOCKS: [&str; 2] = ["the catalog's", "the ledger's"];
