//! While inventory-svc or the shard's part of the journal doesn't answer, a purchase is refused
//! before a hold is taken for it: a hold that can't be recorded helps nobody, and would have to be
//! rolled forward. The innermost layer, since it alone lets probes through, and a probe that
//! another layer then refuses would prove nothing. One partition of the journal may be dead alone,
//! so each has a breaker. A retry that is refused here has lost nothing: what it asks about stands
//! as before.

use std::{
    collections::HashMap,
    future::{Ready, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use chassis::Clock;
use futures::future::Either;
use tower::{Layer, Service};

use super::{adaptive::Limiter, wanted::Wanted};
use crate::{
    breaker::{Breaker, Fared, Rules},
    call::Known,
    domain::{item::Shard, refusal::Refusal},
};

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
    fn admits(&self, shard: Shard) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let State { inventory, journal } = &mut *state;
        let journal = journal.entry(shard.partition).or_insert_with(|| Breaker::new(self.rules));
        // The second is asked for a probe only if the first lets it through.
        !inventory.is_open(now) && journal.admits(now) && inventory.admits(now)
    }

    /// Whether nothing can be recorded in a partition now. Probes aren't counted.
    pub(crate) fn is_journal_open(&self, partition: u32) -> bool {
        let now = self.clock.now();
        self.lock().journal.get(&partition).is_some_and(|breaker| breaker.is_open(now))
    }

    /// What became of a call to inventory-svc.
    pub(crate) fn saw_inventory(&self, fared: Fared) {
        let now = self.clock.now();
        self.lock().inventory.saw(fared, now);
    }

    /// What became of an append.
    pub(crate) fn saw_journal(&self, partition: u32, fared: Fared) {
        let now = self.clock.now();
        let mut state = self.lock();
        let breaker = state.journal.entry(partition).or_insert_with(|| Breaker::new(self.rules));
        breaker.saw(fared, now);
    }

    /// How many are open: towards inventory-svc, and of the journal's.
    pub(crate) fn open(&self) -> (usize, usize) {
        let now = self.clock.now();
        let state = self.lock();
        let journal = state.journal.values().filter(|breaker| breaker.is_open(now)).count();
        (usize::from(state.inventory.is_open(now)), journal)
    }

    // Only this core comes here, so nobody waits.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the breakers in front of purchases.
#[derive(Debug, Clone)]
pub(crate) struct BreakersLayer {
    breakers: Arc<Breakers>,
    limiter: Arc<Limiter>,
}

impl BreakersLayer {
    /// Those of the core, whose limiter says when to come back.
    pub(crate) fn new(breakers: Arc<Breakers>, limiter: Arc<Limiter>) -> Self {
        Self { breakers, limiter }
    }
}

impl<S> Layer<S> for BreakersLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { layer: self.clone(), inner }
    }
}

/// Purchases behind the breakers.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    layer: BreakersLayer,
    inner: S,
}

impl<S> Service<Known<Wanted>> for Guarded<S>
where
    S: Service<Known<Wanted>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Known<Wanted>) -> Self::Future {
        let facts = &call.message.item.facts;
        let shard = facts.shards[facts.place_for(call.buyer.user())];
        if self.layer.breakers.admits(shard) {
            Either::Right(self.inner.call(call))
        } else {
            let wait = self.layer.limiter.turned_away();
            Either::Left(ready(Err(Refusal::UpstreamUnavailable { wait })))
        }
    }
}
