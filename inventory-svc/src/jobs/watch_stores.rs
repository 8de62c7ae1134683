//! Keeps readiness true to whether this process can serve: its own catalog has answered lately,
//! and can be written; and its own ledger keeps what it is told. Another process may reach both
//! while this one doesn't, so calls have to find their way past it. It doesn't matter what the
//! ledger says of shards: who is fenced answers too.
//!
//! That the catalog is silent is heard through the epoch lease, whose reads have connections of
//! their own: a question beside it may wait behind a crowd that reads sales, which is no sign of an
//! outage. An error is one.

use std::{sync::Arc, time::Duration};

use chassis::{Health, Stopper, job::Beat, metrics::Gauges};

use crate::{catalog::Catalog, lease::LeaseView, ledger::Ledger};

/// How often it is looked at. With the two below, a store that is lost in silence is noticed within
/// about a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// An answer takes a millisecond.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// Answers that are missing in a row before that means something: one may be late.
const MISSES: u32 = 2;

/// What the job needs.
pub(crate) struct WatchStores {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) view: LeaseView,
    pub(crate) health: Health,
    pub(crate) connections: Gauges<1>,
}

/// What a look at a store showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Answers,
    /// It is certain that it doesn't.
    Fails,
    /// There was no answer in time.
    Late,
}

/// What is made of the looks at one store. It answers until the contrary is shown.
#[derive(Debug, Default)]
struct Store {
    is_lost: bool,
    misses: u32,
}

impl Store {
    /// Whether that has changed anything.
    fn saw(&mut self, look: Look) -> bool {
        self.misses = if look == Look::Late { self.misses + 1 } else { 0 };
        let is_lost = match look {
            Look::Answers => false,
            Look::Fails => true,
            Look::Late => self.is_lost || self.misses >= MISSES,
        };
        std::mem::replace(&mut self.is_lost, is_lost) != is_lost
    }
}

impl WatchStores {
    /// Looks until `stopper` stops, and logs what changes.
    pub(crate) async fn run(self, stopper: Stopper) {
        let (mut catalog, mut ledger) = (Store::default(), Store::default());
        let mut beat = Beat::new(LOOK_INTERVAL, &stopper);
        while beat.next().await {
            self.count_connections();
            let looks = (look(self.catalog.ping()), look(self.ledger.ping()));
            let (at_catalog, at_ledger) = tokio::join!(looks.0, looks.1);
            let at_catalog = match at_catalog {
                Look::Answers | Look::Late if self.view.is_fresh() => Look::Answers,
                Look::Answers | Look::Late | Look::Fails => Look::Fails,
            };
            if catalog.saw(at_catalog) {
                tell("catalog", catalog.is_lost);
            }
            if ledger.saw(at_ledger) {
                tell("ledger", ledger.is_lost);
            }
            let is_ready = !catalog.is_lost && !ledger.is_lost;
            self.health.set_ready(is_ready && !stopper.is_stopped()).await;
        }
        self.health.set_ready(false).await;
    }

    fn count_connections(&self) {
        let store::Connected { open, idle } = self.catalog.connected();
        self.connections.with(["open"]).set(open.into());
        self.connections.with(["idle"]).set(idle.into());
    }
}

async fn look<E>(answer: impl Future<Output = Result<(), E>>) -> Look {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(())) => Look::Answers,
        Ok(Err(_)) => Look::Fails,
        Err(_) => Look::Late,
    }
}

/// What a change means for buyers.
fn tell(store: &str, is_lost: bool) {
    if is_lost {
        tracing::warn!(store, "it can't be used: not ready, buyers are sent to other instances");
    } else {
        tracing::info!(store, "it can be used again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_answer_means_nothing_and_two_do() {
        use Look::{Answers, Fails, Late};
        let check = |looks: &[Look], wanted: bool| {
            let mut store = Store::default();
            for look in looks {
                store.saw(*look);
            }
            assert_eq!(store.is_lost, wanted, "{looks:?}");
        };
        check(&[], false);
        check(&[Late], false);
        check(&[Late, Late], true);
        check(&[Late, Answers, Late], false);
        check(&[Fails], true);
        check(&[Fails, Late], true);
        check(&[Fails, Answers], false);
        check(&[Late, Late, Late, Answers], false);
    }

    #[test]
    fn a_change_is_told_once() {
        let mut store = Store::default();
        let looks = [Look::Fails, Look::Fails, Look::Late, Look::Answers, Look::Answers];
        assert_eq!(looks.map(|look| store.saw(look)), [true, false, false, true, false]);
    }
}
