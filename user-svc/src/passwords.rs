//! Hashes of passwords: argon2id, each with a salt of its own, made and checked in a bounded room.
//! Whether an account exists must not show in time: checking against nobody costs exactly one
//! hash of the same price, as checking against somebody does. Knows no accounts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{Algorithm, Argon2, Params, Version, password_hash};

use self::memory::Memory;
use crate::{
    domain::Password,
    workroom::{Overloaded, Place, Workroom},
};

mod memory;

/// What one hash costs; each hash carries its own cost, so this can change while accounts exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

/// A hash as it is stored (PHC text). Not a secret like the password, but nobody's business.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredHash(String);

impl StoredHash {
    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredHash([redacted])")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The cost is out of argon2's range, memory could not be had, or a stored hash is damaged.
    #[error("argon2: {0}")]
    Hash(password_hash::Error),
}

/// Makes and checks hashes; shared by all cores.
pub(crate) struct Passwords {
    argon2: Arc<Argon2<'static>>,
    memory: Arc<Memory>,
    /// What a password is checked against when there is no account. It is of 256 random bits that
    /// nobody knows, so no password fits.
    nobody: StoredHash,
    room: Workroom,
    checks: Arc<AtomicU64>,
}

impl Passwords {
    /// Makes one hash, so a bad cost or missing memory shows at the start and not at a sign-in.
    pub(crate) fn new(cost: Cost, room: Workroom) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|broken| PasswordError::Hash(broken.into()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let memory = Memory::default();
        let nobody = memory.hash(&argon2, &rand::random::<[u8; 32]>());
        let nobody = StoredHash(nobody.map_err(PasswordError::Hash)?);
        let (argon2, memory) = (Arc::new(argon2), Arc::new(memory));
        Ok(Self { argon2, memory, nobody, room, checks: Arc::default() })
    }

    /// A new hash under a new salt.
    pub(crate) async fn hash(&self, password: Password) -> Result<StoredHash, PasswordError> {
        let (argon2, memory) = (Arc::clone(&self.argon2), Arc::clone(&self.memory));
        let made = self.room.run(move || memory.hash(&argon2, password.expose())).await?;
        made.map(StoredHash).map_err(PasswordError::Hash)
    }

    /// A place for one check, to be had before anything else is done for it.
    pub(crate) fn place(&self) -> Result<Place, PasswordError> {
        Ok(self.room.place()?)
    }

    /// Whether it is the password of this hash; never, but in the same time, for `None`. `judge` is
    /// told as soon as that is known, whether its caller still waits or has left.
    pub(crate) async fn check<T: Send + 'static>(
        &self,
        place: Place,
        password: Password,
        stored: Option<StoredHash>,
        judge: impl FnOnce(bool) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let against = stored.unwrap_or_else(|| self.nobody.clone());
        let (memory, checks) = (Arc::clone(&self.memory), Arc::clone(&self.checks));
        let work = move || {
            checks.fetch_add(1, Ordering::Relaxed);
            memory.verify(password.expose(), &against.0).map(judge)
        };
        self.room.run_in(place, work).await?.map_err(PasswordError::Hash)
    }

    /// How many checks were made since the start.
    #[cfg(test)]
    pub(crate) fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
