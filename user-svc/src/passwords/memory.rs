//! The memory that hashes are made in, used again and again: as many pieces as hashes were ever
//! made at once, which the workroom bounds. Left to the allocator, each thread that has ever made a
//! hash would keep its 19 MiB. Says what `argon2` says by itself, to the letter.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{
        Error,
        phc::{Output, ParamsString, Salt},
    },
};

/// Pieces that nobody uses.
#[derive(Default)]
pub(super) struct Memory {
    free: Mutex<Vec<Vec<Block>>>,
}

impl Memory {
    /// A new hash under a salt of its own.
    pub(super) fn hash(&self, argon2: &Argon2<'_>, password: &[u8]) -> Result<String, Error> {
        let salt = Salt::new(&rand::random::<[u8; Salt::RECOMMENDED_LENGTH]>())?;
        let params = argon2.params();
        let len = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let made = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params)?,
            salt: Some(salt),
            hash: Some(self.output(argon2, password, &salt, len)?),
        };
        Ok(made.to_string())
    }

    /// Whether the password is that of a hash, which carries its own cost.
    pub(super) fn verify(&self, password: &[u8], against: &str) -> Result<bool, Error> {
        let against = PasswordHash::new(against)?;
        let (Some(salt), Some(expected)) = (&against.salt, &against.hash) else {
            return Ok(false);
        };
        let algorithm = Algorithm::try_from(against.algorithm.as_str())?;
        let version = against.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&against)?);
        let output = self.output(&argon2, password, salt, expected.len())?;
        // Takes the same time wherever they differ.
        Ok(output == *expected)
    }

    fn output(
        &self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        len: usize,
    ) -> Result<Output, Error> {
        let mut out = [0; Output::MAX_LENGTH];
        let out = out.get_mut(..len).ok_or(Error::OutputSize)?;
        let mut blocks = self.free().pop().unwrap_or_default();
        let wanted = argon2.params().block_count();
        let more = wanted.saturating_sub(blocks.len());
        blocks.try_reserve_exact(more).map_err(|_| Error::OutOfMemory)?;
        blocks.resize(blocks.len().max(wanted), Block::new());
        let filled = argon2.hash_password_into_with_memory(password, salt, out, &mut blocks);
        self.free().push(blocks);
        filled?;
        Ok(Output::new(out)?)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pieces there are while nobody uses one.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.free().len()
    }
}
