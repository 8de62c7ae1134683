//! Who has failed to sign in too often waits. Failures are counted for an account from one
//! neighbourhood, for an account from anywhere, and for a neighbourhood at any account, in this
//! order of patience, before anything is hashed. Whether there is such an account is not known
//! here, so it can't show. Where a user has signed in before, only their own failures from there
//! count: others can't lock them out of their home.
//!
//! In memory, each instance for itself, bounded; a restart forgets it.

use std::{hash::Hash, sync::Arc, time::Duration};

use chassis::Clock;
use moka::{ops::compute::Op, sync::Cache};
use sha2::{Digest as _, Sha256};

use crate::domain::{Email, Neighbourhood, Patience, Tally};

/// After a day without a try nothing counts.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

/// The patience with each kind, and what is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockoutRules {
    /// With an account from one neighbourhood.
    pub(crate) pair: Patience,
    /// With an account from anywhere.
    pub(crate) account: Patience,
    /// With a neighbourhood at any account.
    pub(crate) neighbourhood: Patience,
    /// How long it is remembered where a user has signed in.
    pub(crate) home: Duration,
    /// Tallies of each kind, and homes.
    pub(crate) entries_max: u64,
}

/// The try has to wait. Nobody is told whose failures it were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) wait: Duration,
}

/// An account that may or may not be there: a hash, so that no address is kept.
type Account = [u8; 32];
/// Callers whose address isn't known are one neighbourhood of their own.
type From = Option<Neighbourhood>;

trait Key: Hash + Eq + Send + Sync + 'static {}
impl<K: Hash + Eq + Send + Sync + 'static> Key for K {}

/// Counts; shared by all cores.
pub(crate) struct Lockout {
    rules: LockoutRules,
    clock: Clock,
    pairs: Cache<(Account, From), Tally>,
    accounts: Cache<Account, Tally>,
    neighbourhoods: Cache<Neighbourhood, Tally>,
    homes: Cache<(Account, From), ()>,
}

/// A try that may be made. It takes its place from the beginning, so that many at once get no more
/// tries than one after the other; dropped without a result, it was none.
pub(crate) struct Attempt {
    lockout: Arc<Lockout>,
    account: Account,
    from: From,
    /// Then the account's tally has nothing of it.
    is_home: bool,
}

impl Lockout {
    pub(crate) fn new(rules: LockoutRules, clock: Clock) -> Arc<Self> {
        fn tallies<K: Key>(entries_max: u64) -> Cache<K, Tally> {
            Cache::builder().max_capacity(entries_max).time_to_idle(FORGOTTEN_AFTER).build()
        }
        let homes = Cache::builder().max_capacity(rules.entries_max).time_to_live(rules.home);
        Arc::new(Self {
            clock,
            pairs: tallies(rules.entries_max),
            accounts: tallies(rules.entries_max),
            neighbourhoods: tallies(rules.entries_max),
            homes: homes.build(),
            rules,
        })
    }

    /// Whether a try may be made now.
    pub(crate) fn begin(self: &Arc<Self>, email: &Email, from: From) -> Result<Attempt, TooMany> {
        let account: Account = Sha256::digest(email.key().as_bytes()).into();
        let is_home = self.homes.contains_key(&(account, from));
        let now = self.clock.now();
        if !is_home && let Some(neighbourhood) = from {
            let tally = self.neighbourhoods.get(&neighbourhood).unwrap_or_default();
            if let Some(wait) = tally.wait(now, &self.rules.neighbourhood) {
                return Err(TooMany { wait });
            }
        }
        self.take(&self.pairs, (account, from), &self.rules.pair)?;
        if !is_home && let Err(too_many) = self.take(&self.accounts, account, &self.rules.account) {
            end(&self.pairs, (account, from));
            return Err(too_many);
        }
        Ok(Attempt { lockout: Arc::clone(self), account, from, is_home })
    }

    /// Begins a try, unless it has to wait.
    fn take<K: Key>(
        &self,
        tallies: &Cache<K, Tally>,
        key: K,
        patience: &Patience,
    ) -> Result<(), TooMany> {
        let now = self.clock.now();
        let mut wait = None;
        tallies.entry(key).and_compute_with(|entry| {
            let tally = entry.map(moka::Entry::into_value).unwrap_or_default();
            wait = tally.wait(now, patience);
            match wait {
                None => Op::Put(tally.begun()),
                Some(_) => Op::Nop,
            }
        });
        wait.map_or(Ok(()), |wait| Err(TooMany { wait }))
    }
}

impl Attempt {
    /// It was the account's password.
    pub(crate) fn succeeded(self) {
        let pair = (self.account, self.from);
        self.lockout.homes.insert(pair, ());
        // Those that are under way begin anew as well: their user has the password.
        self.lockout.pairs.invalidate(&pair);
    }

    /// It wasn't, or there is no such account.
    pub(crate) fn failed(self) {
        let Lockout { rules, clock, pairs, accounts, neighbourhoods, .. } = &*self.lockout;
        let now = clock.now();
        count(pairs, (self.account, self.from), now, &rules.pair);
        if !self.is_home {
            count(accounts, self.account, now, &rules.account);
        }
        if let Some(neighbourhood) = self.from {
            count(neighbourhoods, neighbourhood, now, &rules.neighbourhood);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        end(&self.lockout.pairs, (self.account, self.from));
        if !self.is_home {
            end(&self.lockout.accounts, self.account);
        }
    }
}

/// One failure more.
fn count<K: Key>(tallies: &Cache<K, Tally>, key: K, now: Duration, patience: &Patience) {
    tallies.entry(key).and_upsert_with(|entry| {
        entry.map(moka::Entry::into_value).unwrap_or_default().failed(now, patience)
    });
}

/// One try less under way.
fn end<K: Key>(tallies: &Cache<K, Tally>, key: K) {
    tallies.entry(key).and_compute_with(|entry| match entry {
        Some(entry) => Op::Put(entry.into_value().ended()),
        None => Op::Nop,
    });
}

#[cfg(test)]
mod tests;
