//! An e-mail address as a key: one address, one account, however it is spelled in upper and lower
//! case. Checks the shape only; whether anybody reads what is sent there is another question.
//! Personal data: it never shows itself in `Debug`.

use std::fmt;

/// The longest address that SMTP can deliver to (RFC 5321), in bytes.
const LEN_MAX: usize = 254;

/// An address in lower case.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EmailError {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most 254 bytes")]
    TooLong,
    #[error("must not contain spaces or control characters")]
    ForbiddenCharacter,
    #[error("must have exactly one @, with something on both sides")]
    NotOneAt,
}

impl Email {
    pub(crate) fn parse(text: &str) -> Result<Self, EmailError> {
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        let key = text.to_lowercase();
        // Lower case can be longer (`İ`): both must fit.
        if text.len() > LEN_MAX || key.len() > LEN_MAX {
            return Err(EmailError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(EmailError::ForbiddenCharacter);
        }
        match key.split_once('@') {
            Some((local, domain))
                if !local.is_empty() && !domain.is_empty() && !domain.contains('@') =>
            {
                Ok(Self(key))
            }
            _ => Err(EmailError::NotOneAt),
        }
    }

    /// What is stored and compared.
    pub(crate) fn key(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email([redacted])")
    }
}
