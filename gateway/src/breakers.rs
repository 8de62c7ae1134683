//! While inventory-svc or the shard's part of the journal doesn't answer, a purchase is refused
//! before a hold is taken for it: a hold that can't be recorded helps nobody, and would have to be
//! rolled forward. Asked for what is about to be sent on, and nothing else: a probe that ends
//! before it has met a store proves nothing. One partition of the journal may be dead alone, so
//! each has a breaker. A retry that is refused here has lost nothing: what it asks about stands as
//! before.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::Clock;
use tokio::time::timeout;

use crate::{
    breaker::{Breaker, Fared, Rules},
    domain::item::Shard,
};

/// What a purchase needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Inventory,
    /// A partition of the journal.
    Journal(u32),
}

/// The breakers of one core.
#[derive(Debug)]
pub(crate) struct Breakers {
    rules: Rules,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    inventory: Breaker,
    /// By partition: as many as the journal has, since shards of known items name them.
    journal: HashMap<u32, Breaker>,
}

impl Breakers {
    /// All are closed.
    pub(crate) fn new(rules: Rules, clock: Clock) -> Arc<Self> {
        let state = State { inventory: Breaker::new(rules), journal: HashMap::new() };
        Arc::new(Self { rules, clock, state: Mutex::new(state) })
    }

    /// Whether a purchase of `shard` may go on, as a probe perhaps.
    pub(crate) fn admits(&self, shard: Shard) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let State { inventory, journal } = &mut *state;
        let journal = journal.entry(shard.partition).or_insert_with(|| Breaker::new(self.rules));
        // The second is asked for a probe only if the first lets it through.
        inventory.would_admit(now) && journal.admits(now) && inventory.admits(now)
    }

    /// Whether who was let in before must not be sent on now. Probes aren't counted.
    pub(crate) fn is_open(&self, partition: u32) -> bool {
        let state = self.lock();
        let journal = state.journal.get(&partition);
        state.inventory.is_open() || journal.is_some_and(Breaker::is_open)
    }

    /// Waits for an answer of `store`, at most `limit`, and tells its breaker how that fares: as
    /// soon as it is late, since a store that is silent ends nothing.
    pub(crate) async fn watch<T>(
        &self,
        store: Store,
        limit: Duration,
        call: impl Future<Output = T>,
        is_answer: impl Fn(&T) -> bool,
    ) -> T {
        let mut call = pin!(call);
        // The time-out of a call is no answer; it must be late before.
        let late = self.rules.slow.min(limit / 3 * 2);
        match timeout(late, call.as_mut()).await {
            Ok(done) => {
                let fared = if is_answer(&done) { Fared::Answered } else { Fared::Failed };
                self.tell(store, |breaker, now| breaker.saw(fared, now));
                done
            }
            Err(_) => {
                self.tell(store, |breaker, now| breaker.saw(Fared::Late, now));
                call.await
            }
        }
    }

    /// Somebody was let through, and had nothing to ask of `store`.
    pub(crate) fn was_not_asked(&self, store: Store) {
        self.tell(store, |breaker, _| breaker.was_not_asked());
    }

    fn tell(&self, store: Store, tell: impl FnOnce(&mut Breaker, Duration)) {
        let now = self.clock.now();
        let mut state = self.lock();
        match store {
            Store::Inventory => tell(&mut state.inventory, now),
            Store::Journal(partition) => {
                let breaker = state.journal.entry(partition);
                tell(breaker.or_insert_with(|| Breaker::new(self.rules)), now);
            }
        }
    }

    /// How many are open: towards inventory-svc, and of the journal's.
    pub(crate) fn open(&self) -> (usize, usize) {
        let state = self.lock();
        let journal = state.journal.values().filter(|breaker| breaker.is_open()).count();
        (usize::from(state.inventory.is_open()), journal)
    }

    // Only this core comes here, so nobody waits.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ids::{ItemId, ShardNo};

    use super::*;

    const RULES: Rules = Rules {
        window: Duration::from_secs(1),
        calls_min: 1,
        failed_percent: 50,
        slow: Duration::from_millis(500),
        silent_calls_min: 1,
        open_for: Duration::from_secs(60),
        open_for_max: Duration::from_secs(60),
        probes: 1,
    };

    #[test]
    fn a_purchase_that_meets_no_store_makes_place_for_another_probe_and_for_no_more() {
        let (clock, shift) = Clock::adjustable();
        let breakers = Breakers::new(RULES, clock);
        let (no, item) = (ShardNo::new(1).unwrap(), ItemId::random());
        let shard = Shard { no, item, partition: 3, lease: Duration::from_secs(2) };
        let stores = [Store::Inventory, Store::Journal(shard.partition)];
        let turn_away = || stores.into_iter().for_each(|store| breakers.was_not_asked(store));
        for store in stores {
            breakers.tell(store, |breaker, now| breaker.saw(Fared::Failed, now));
        }
        turn_away();
        assert!(!breakers.admits(shard), "they are open, and nothing was taken");
        shift.jump(RULES.open_for);
        assert!(breakers.admits(shard) && !breakers.admits(shard), "one probe");
        turn_away();
        assert!(breakers.admits(shard) && !breakers.admits(shard), "another one");
        for store in stores {
            breakers.tell(store, |breaker, now| breaker.saw(Fared::Answered, now));
        }
        turn_away();
        assert!((0..10).all(|_| breakers.admits(shard)), "they are closed");
    }
}
