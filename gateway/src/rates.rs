//! How often somebody may call: by user, by the network they come from, and by sale. GCRA
//! (governor) over a map of ours, whose memory is bounded whatever is sent: when it is full,
//! newcomers share one allowance among them, so that nobody gets more by making up names, and
//! whoever was there before them isn't touched. Names are forgotten as soon as their allowance is
//! whole again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::Clock;
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use ids::{SaleId, UserId};

use crate::{
    config::{Allowance, RateSettings},
    domain::refusal::Refusal,
};

/// Enough for cores to meet seldom.
const STRIPES: usize = 64;

/// Whose allowance it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    User,
    /// All who come from one network.
    Network,
    Sale,
}

/// An allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) whose: Whose,
    /// When there is some of it again.
    pub(crate) wait: Duration,
}

impl From<TooOften> for Refusal {
    fn from(TooOften { whose, wait }: TooOften) -> Self {
        // A word, and never who it is: refusals are logged by clients.
        let whose = match whose {
            Whose::User => "user",
            Whose::Network => "network",
            Whose::Sale => "sale",
        };
        Self::RateLimited { whose, wait }
    }
}

/// The part of an address that one customer of a provider can't easily change: a /24, or a /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4([u8; 3]),
    V6([u8; 8]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// All allowances of this gateway; one for all cores.
#[derive(Debug)]
pub(crate) struct Rates {
    users: Limiter<UserId>,
    networks: Limiter<Network>,
    sales: Limiter<SaleId>,
    clock: Clock,
}

type Limiter<K> = RateLimiter<K, Keyed<K>, Ticks, NoOpMiddleware<Nanos>>;

impl Rates {
    /// Everybody's allowance is whole.
    pub(crate) fn new(settings: &RateSettings, clock: Clock) -> Self {
        let keys_max = settings.keys_max;
        Self {
            users: limiter(&settings.user, keys_max, &clock),
            networks: limiter(&settings.network, keys_max, &clock),
            sales: limiter(&settings.sale, keys_max, &clock),
            clock,
        }
    }

    /// Takes a call from the allowance of `user`.
    pub(crate) fn user(&self, user: UserId) -> Result<(), TooOften> {
        self.take(&self.users, &user, Whose::User)
    }

    /// The same for the network of an address.
    pub(crate) fn network(&self, address: IpAddr) -> Result<(), TooOften> {
        self.take(&self.networks, &address.into(), Whose::Network)
    }

    /// The same for a sale.
    pub(crate) fn sale(&self, sale: SaleId) -> Result<(), TooOften> {
        self.take(&self.sales, &sale, Whose::Sale)
    }

    /// Forgets everybody whose allowance is whole. For a job.
    pub(crate) fn forget(&self) {
        self.users.retain_recent();
        self.networks.retain_recent();
        self.sales.retain_recent();
    }

    /// How many are remembered: users, networks, sales.
    pub(crate) fn len(&self) -> [usize; 3] {
        [self.users.len(), self.networks.len(), self.sales.len()]
    }

    fn take<K: Hash + Eq + Clone>(
        &self,
        limiter: &Limiter<K>,
        key: &K,
        whose: Whose,
    ) -> Result<(), TooOften> {
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now().into());
            TooOften { whose, wait }
        })
    }
}

fn limiter<K: Hash + Eq + Clone>(
    allowance: &Allowance,
    keys_max: usize,
    clock: &Clock,
) -> Limiter<K> {
    let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(allowance.per_s));
    let quota = quota.allow_burst(at_least_one(allowance.burst));
    RateLimiter::new(quota, Keyed::new(keys_max), Ticks(clock.clone()))
}

/// Our clock as governor reads clocks: leases and allowances see the same time, and tests move it.
#[derive(Debug, Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.now().into()
    }
}

/// The state of each key, in at most so many entries.
#[derive(Debug)]
struct Keyed<K> {
    hasher: RandomState,
    stripes: Vec<Mutex<Stripe<K>>>,
    stripe_len_max: usize,
}

#[derive(Debug)]
struct Stripe<K> {
    /// When the allowance would be whole again, as governor counts.
    known: HashMap<K, Nanos>,
    /// The same for all who came while there was no room.
    rest: Option<Nanos>,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(keys_max: usize) -> Self {
        let empty = || Mutex::new(Stripe { known: HashMap::new(), rest: None });
        let stripes = (0..STRIPES).map(|_| empty()).collect();
        let hasher = RandomState::new();
        Self { hasher, stripes, stripe_len_max: (keys_max / STRIPES).max(1) }
    }

    fn stripe(&self, key: &K) -> MutexGuard<'_, Stripe<K>> {
        // The seed of the hash is ours, so nobody can choose their stripe.
        let place = self.hasher.hash_one(key) as usize % STRIPES;
        lock(&self.stripes[place])
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> StateStore for Keyed<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut stripe = self.stripe(key);
        if let Some(state) = stripe.known.get_mut(key) {
            let (answer, next) = decide(Some(*state))?;
            *state = next;
            return Ok(answer);
        }
        if stripe.known.len() < self.stripe_len_max {
            let (answer, next) = decide(None)?;
            stripe.known.insert(key.clone(), next);
            return Ok(answer);
        }
        let (answer, next) = decide(stripe.rest)?;
        stripe.rest = Some(next);
        Ok(answer)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Keyed<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        for stripe in &self.stripes {
            let mut stripe = lock(stripe);
            stripe.known.retain(|_, state| *state > drop_below);
            // After a flood the room that it took is given back.
            let len = stripe.known.len();
            stripe.known.shrink_to(2 * len);
        }
    }

    fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| lock(stripe).known.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
