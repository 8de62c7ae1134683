//! What we are asked, whoever asks: buyers register, sign in and stay so, operators get tokens.
//! Each answers with what was done, or with why not: a refusal (our rules say no) or a fault (a
//! store or a machine could not). Does not know how the question arrived.

mod operators;
mod people;
mod rehearsals;
mod sessions;

pub(crate) use operators::{Operator, Operators};
pub(crate) use people::People;
pub(crate) use rehearsals::{Rehearsal, Shopper};
pub(crate) use sessions::{Granted, SessionDesk};

use crate::{
    accounts::AccountsError,
    domain::{Right, Violation},
    lockout::TooMany,
    passwords::PasswordError,
    tokens::SigningError,
    workroom::Overloaded,
};

/// Why nothing was done, by our rules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Every broken rule of the request.
    InvalidInput(Vec<Violation>),
    /// The address has an account.
    EmailTaken,
    /// No such address, or not its password: nobody is told which.
    BadCredentials,
    /// The refresh token continues no session: nobody is told why.
    SessionEnded,
    /// Too many sign-ins have failed: whose, nobody is told.
    TooManyFailures(TooMany),
    /// Too much is waiting; nothing was done.
    Overloaded,
    /// No operator's token, or one that doesn't hold.
    NotAnOperator,
    /// The operator's token hasn't this right.
    Lacks(Right),
    /// So many names are revoked that no more are remembered.
    TooManyRevoked,
    /// The configuration allows no rehearsals here.
    RehearsalsOff,
}

/// Why there is no answer. What was asked may have happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Accounts(AccountsError),
    #[error(transparent)]
    Password(PasswordError),
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Why a command has no result.
#[derive(Debug)]
pub(crate) enum NotDone {
    Refused(Refusal),
    Failed(Fault),
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Vec<Violation>> for NotDone {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Refused(Refusal::InvalidInput(violations))
    }
}

impl From<TooMany> for NotDone {
    fn from(too_many: TooMany) -> Self {
        Self::Refused(Refusal::TooManyFailures(too_many))
    }
}

impl From<Overloaded> for NotDone {
    fn from(_: Overloaded) -> Self {
        Self::Refused(Refusal::Overloaded)
    }
}

impl From<PasswordError> for NotDone {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded(overloaded) => overloaded.into(),
            PasswordError::Hash(_) => Self::Failed(Fault::Password(error)),
        }
    }
}

impl From<AccountsError> for NotDone {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Busy(_) => Self::Refused(Refusal::Overloaded),
            AccountsError::Lost(_) | AccountsError::Failed(_) | AccountsError::Damaged(_) => {
                Self::Failed(Fault::Accounts(error))
            }
        }
    }
}

impl From<SigningError> for NotDone {
    fn from(error: SigningError) -> Self {
        Self::Failed(Fault::Signing(error))
    }
}
