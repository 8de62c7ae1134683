//! Bad tokens that were looked at lately, and what is wrong with them: to find that out costs as
//! much as a good one. Known by a hash with a key of ours, so that nobody can choose which of them
//! is forgotten or make a good token pass for one. Bounded; a newcomer takes the place of another.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TokenError;

/// Some 30 bytes each.
const REMEMBERED: usize = 4096;
/// No longer than somebody waits who has set a clock right.
const FOR: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Bad {
    hash: u64,
    until: Duration,
    error: TokenError,
}

/// See the module.
pub(super) struct BadTokens {
    hasher: RandomState,
    places: Mutex<Vec<Option<Bad>>>,
}

impl BadTokens {
    /// None is known.
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), places: Mutex::new(vec![None; REMEMBERED]) }
    }

    /// What is known to be wrong with a token.
    pub(super) fn recall(&self, token: &str, now: Duration) -> Option<TokenError> {
        let hash = self.hasher.hash_one(token);
        let known = self.places()[hash as usize % REMEMBERED]?;
        (known.hash == hash && now < known.until).then_some(known.error)
    }

    /// Something is wrong with it, and stays so.
    pub(super) fn remember(&self, token: &str, error: TokenError, now: Duration) {
        let hash = self.hasher.hash_one(token);
        self.places()[hash as usize % REMEMBERED] = Some(Bad { hash, until: now + FOR, error });
    }

    /// With other keys they may be good.
    pub(super) fn forget(&self) {
        self.places().fill(None);
    }

    fn places(&self) -> MutexGuard<'_, Vec<Option<Bad>>> {
        // No panic can leave a place half changed.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
