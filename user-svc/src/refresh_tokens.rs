//! Refresh tokens: opaque texts of a session's id and 256 random bits. Only a hash of those bits is
//! kept; a fast one is right, since nobody can try 2^256 secrets. A spent secret opens the wrapping
//! of the next one, so that a lost answer can be given again without anything being stored that
//! would be of use alone.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::domain::{SecretHash, SessionId, Wrapped};

const ID_LEN: usize = 16;
const SECRET_LEN: usize = 32;
/// Base64 of both, without padding.
const TEXT_LEN: usize = (ID_LEN + SECRET_LEN) / 3 * 4;

/// Keeps the wrapping's key apart from the hash that is stored.
const WRAPPING: &[u8] = b"seckill refresh token wrapping";

/// Whoever has it may continue the session. Prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    session: SessionId,
    secret: [u8; SECRET_LEN],
}

/// A text that isn't one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a refresh token as SignIn or RefreshSession gave it")]
pub(crate) struct NotARefreshToken;

impl RefreshToken {
    /// The first of a new session.
    pub(crate) fn of_new_session() -> Self {
        Self { session: SessionId(rand::random()), secret: rand::random() }
    }

    /// Another one of the same session.
    pub(crate) fn next(&self) -> Self {
        Self { session: self.session, secret: rand::random() }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, NotARefreshToken> {
        if text.len() != TEXT_LEN {
            return Err(NotARefreshToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotARefreshToken)?;
        let (session, secret) = bytes.split_at_checked(ID_LEN).ok_or(NotARefreshToken)?;
        let session = session.try_into().map_err(|_| NotARefreshToken)?;
        let secret = secret.try_into().map_err(|_| NotARefreshToken)?;
        Ok(Self { session: SessionId(session), secret })
    }

    /// The text, for the answer to its holder only.
    pub(crate) fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.session.0.as_slice(), &self.secret].concat())
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret).into())
    }

    /// Wraps the one that this one is spent for.
    pub(crate) fn wrap(&self, next: &Self) -> Wrapped {
        Wrapped(self.masked(next.secret))
    }

    /// What was wrapped by this one.
    pub(crate) fn unwrap(&self, wrapped: Wrapped) -> Self {
        Self { session: self.session, secret: self.masked(wrapped.0) }
    }

    /// A one-time pad: each secret is random and wraps one other, since it is spent once.
    fn masked(&self, mut bytes: [u8; SECRET_LEN]) -> [u8; SECRET_LEN] {
        let pad = Sha256::new().chain_update(WRAPPING).chain_update(self.secret).finalize();
        bytes.iter_mut().zip(pad).for_each(|(byte, mask)| *byte ^= mask);
        bytes
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_as_it_was_written() {
        let token = RefreshToken::of_new_session();
        let text = token.expose();
        assert_eq!(text.len(), TEXT_LEN);
        assert_eq!(RefreshToken::parse(&text), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&text));
        for bad in ["", "a", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "!")] {
            assert_eq!(RefreshToken::parse(bad), Err(NotARefreshToken), "{bad:?}");
        }
    }

    #[test]
    fn the_next_one_is_opened_by_the_one_that_was_spent_for_it() {
        let spent = RefreshToken::of_new_session();
        let next = spent.next();
        let wrapped = spent.wrap(&next);
        assert_eq!(spent.unwrap(wrapped), next);
        assert_ne!(next.hash(), spent.hash());
        assert_ne!(wrapped.0, next.secret);
        assert_ne!(spent.next().unwrap(wrapped), next, "by no other");
    }
}
