//! A password on its way from a request to its hash. It can't be printed, and its memory is wiped
//! when it goes. Length is the only rule: rules about its characters make passwords worse.

use secrecy::{ExposeSecret as _, SecretString};

/// Too short is guessed; too long is work for nothing.
const LEN_MIN: usize = 8;
const LEN_MAX: usize = 128;

/// 8 to 128 characters.
#[derive(Debug, Clone)]
pub(crate) struct Password(SecretString);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 128 characters")]
pub(crate) struct PasswordLength;

impl Password {
    pub(crate) fn parse(text: String) -> Result<Self, PasswordLength> {
        let secret = SecretString::from(text);
        let length = secret.expose_secret().chars().count();
        if (LEN_MIN..=LEN_MAX).contains(&length) { Ok(Self(secret)) } else { Err(PasswordLength) }
    }

    /// The bytes, for hashing only.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}
