//! The room where accounts are kept: what it promises, and who keeps it. Each address has at most
//! one account, whoever asks at the same time; an account that was added is there after a crash.
//! Does not know how passwords are checked.

use std::error::Error;

use async_trait::async_trait;
use ids::UserId;

use crate::{domain::Email, passwords::StoredHash};

mod open;

mod mysql;
mod sqlite;

#[cfg(test)]
mod contract;

#[cfg(test)]
pub(crate) use mysql::MIGRATIONS as SERVER_MIGRATIONS;
pub(crate) use open::{Kept, migrate, open};
#[cfg(test)]
pub(crate) use sqlite::{MIGRATIONS, SqliteAccounts};

/// A new account.
#[derive(Debug, Clone)]
pub(crate) struct NewAccount {
    pub(crate) user: UserId,
    pub(crate) email: Email,
    pub(crate) password_hash: StoredHash,
    pub(crate) created_at_ms: u64,
}

/// What signing in needs of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: UserId,
    pub(crate) password_hash: StoredHash,
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is there, and durable.
    Yes,
    /// The address has an account already; nothing was changed.
    EmailTaken,
}

/// What the driver said.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// Why the store gave no answer. What was asked may or may not have happened, but for `Busy`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    /// Somebody else wrote for too long; nothing happened.
    #[error("the accounts are busy")]
    Busy(#[source] Cause),
    /// The store can't be reached.
    #[error("the accounts can't be reached")]
    Lost(#[source] Cause),
    /// Anything else: a defect or a damaged store.
    #[error("the accounts failed")]
    Failed(#[source] Cause),
    /// A row that this service did not write like that.
    #[error("a row is damaged")]
    Damaged(#[source] Cause),
}

/// Keeps accounts.
#[async_trait]
pub(crate) trait Accounts: Send + Sync {
    /// Adds an account, unless its address has one.
    async fn add(&self, account: &NewAccount) -> Result<Added, AccountsError>;

    /// The account of an address.
    async fn find(&self, email: &Email) -> Result<Option<Login>, AccountsError>;

    /// Whether the store answers at all, and can be written as far as that is known.
    async fn ping(&self) -> Result<(), AccountsError>;
}
