//! Adaptive concurrency: more than can be done in time is refused at once, and never waits. The
//! limit is learnt from purchases alone ([`Limit`]), the one kind of call that takes the whole way
//! to ledger and journal; other calls wait for other services, whose latency says nothing about it.
//! It is told by the batches, never by who waits for them: how long somebody waits is their choice.
//!
//! Other kinds may begin only while purchases leave them room, each up to its share of the places,
//! so under load the lowest is shed first. They never take a purchase's place: a user-svc that
//! hangs must not end the sale. Each core has a limit of its own: what it shares with no other is
//! the first thing to be overloaded, and what they share shows in the latency of all. How the
//! places are dealt out to sales is [`super::shares`]'s.

use std::{
    future::{Ready, ready},
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use chassis::Clock;
use futures::future::Either;
use tower::{Layer, Service};

use super::held::Held;
use crate::{
    call::Call,
    concurrency::{Ended, Limit},
    config::ConcurrencySettings,
    crowd::Crowd,
    domain::refusal::Refusal,
};

/// Kinds of calls, those that are shed last first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What became of an order: who asks may hold a promise already.
    Status,
    Purchase,
    Ticket,
    Browse,
    SignIn,
}

/// One of each, to count them by.
const CLASSES: usize = 5;

/// The places of one core.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    settings: ConcurrencySettings,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: Limit,
    in_flight: [usize; CLASSES],
    /// Those of each class that are turned away: strangers who look around don't lengthen the wait
    /// of buyers.
    crowds: [Crowd; CLASSES],
}

impl Limiter {
    /// Nothing is under way.
    pub(crate) fn new(settings: ConcurrencySettings, clock: Clock) -> Arc<Self> {
        let limit = Limit::new(settings.rules());
        let crowds = std::array::from_fn(|_| Crowd::default());
        let state = Mutex::new(State { limit, in_flight: [0; CLASSES], crowds });
        Arc::new(Self { clock, settings, hasher: RandomState::new(), state })
    }

    /// How many purchases may be under way now.
    pub(crate) fn places(&self) -> usize {
        self.lock().limit.places()
    }

    /// How many are.
    pub(crate) fn purchases(&self) -> usize {
        self.lock().in_flight[Class::Purchase as usize]
    }

    /// A purchase that went all the way has ended, and still has its place.
    pub(crate) fn saw(&self, ended: Ended) {
        let now = self.clock.now();
        let mut state = self.lock();
        let in_flight = state.in_flight[Class::Purchase as usize];
        state.limit.saw(ended, in_flight, now);
    }

    /// A call is turned away for want of room. Says how long it should stay away. Who it is keeps
    /// one that comes again at once from being taken for many.
    pub(crate) fn turned_away(&self, class: Class, who: impl Hash) -> Duration {
        let now = self.clock.now();
        let who = self.hasher.hash_one(who);
        let mut state = self.lock();
        let State { limit, crowds, .. } = &mut *state;
        crowds[class as usize].turned_away(who, limit.answered_per_s(now), now)
    }

    /// A place for a call, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, class: Class) -> Option<Place> {
        self.enter_beside(class, 0)
    }

    /// The same, for a purchase that isn't to answer for so many that were let in when there were
    /// more places.
    pub(crate) fn enter_beside(self: &Arc<Self>, class: Class, surplus: usize) -> Option<Place> {
        let mut state = self.lock();
        let (places, own) = (state.limit.places(), state.in_flight[class as usize]);
        let purchases = state.in_flight[Class::Purchase as usize];
        let part = |percent: usize| places * percent / 100;
        let is_free = match class {
            Class::Status => own < self.settings.status_max,
            // The layer above ([`super::shares`]) lets in as many as there are places, and beyond
            // that only sales that have less than their part or but a few. This bounds those, and
            // what has no share.
            Class::Purchase => own < places * 2 + surplus,
            Class::Ticket => purchases + own < part(self.settings.ticket_percent),
            Class::Browse => purchases + own < part(self.settings.browse_percent),
            Class::SignIn => purchases + own < part(self.settings.sign_in_percent),
        };
        is_free.then(|| {
            state.in_flight[class as usize] += 1;
            Place { class, limiter: Arc::clone(self) }
        })
    }

    // Only this core comes here, so nobody waits.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call's place. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    class: Class,
    limiter: Arc<Limiter>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limiter.lock().in_flight[self.class as usize] -= 1;
    }
}

/// Puts the limit in front of calls of one class, which end when their caller leaves. For purchases
/// see [`super::places`].
#[derive(Debug, Clone)]
pub(crate) struct AdaptiveLayer {
    class: Class,
    limiter: Arc<Limiter>,
}

impl AdaptiveLayer {
    /// For calls of `class`.
    pub(crate) fn new(class: Class, limiter: Arc<Limiter>) -> Self {
        Self { class, limiter }
    }
}

impl<S> Layer<S> for AdaptiveLayer {
    type Service = Adaptive<S>;

    fn layer(&self, inner: S) -> Adaptive<S> {
        Adaptive { layer: self.clone(), inner }
    }
}

/// A service behind the limit.
#[derive(Debug, Clone)]
pub(crate) struct Adaptive<S> {
    layer: AdaptiveLayer,
    inner: S,
}

impl<M, S> Service<Call<M>> for Adaptive<S>
where
    S: Service<Call<M>, Error = Refusal>,
{
    type Response = S::Response;
    type Error = Refusal;
    type Future = Either<Ready<Result<S::Response, Refusal>>, Held<S::Future, Place>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<M>) -> Self::Future {
        match self.layer.limiter.enter(self.layer.class) {
            Some(place) => Either::Right(Held::new(self.inner.call(call), place)),
            None => {
                let address = call.caller.address();
                let wait = self.layer.limiter.turned_away(self.layer.class, address);
                Either::Left(ready(Err(Refusal::Overloaded { wait })))
            }
        }
    }
}
