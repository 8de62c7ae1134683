//! The room where sessions are kept: what it promises, and who keeps it. Of several who spend one
//! token at the same time one wins; an ended session is not there any more. Does not know tokens,
//! nor what a spent one means.

use async_trait::async_trait;
use ids::UserId;

use crate::{
    accounts::AccountsError,
    domain::{SecretHash, Session, SessionId, Spent},
};

mod columns;
mod mysql;
mod sqlite;

#[cfg(test)]
mod contract;

pub(crate) use mysql::MySqlSessions;
pub(crate) use sqlite::SqliteSessions;

/// A token takes the place of the present one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) session: SessionId,
    /// The present one, which is spent by this.
    pub(crate) spent: Spent,
    /// The next one.
    pub(crate) present: SecretHash,
    pub(crate) used_at_ms: u64,
    pub(crate) expires_at_ms: u64,
}

/// Keeps sessions, beside the accounts: it fails as they do.
#[async_trait]
pub(crate) trait Sessions: Send + Sync {
    /// Adds one with an id that is new.
    async fn open(&self, session: &Session) -> Result<(), AccountsError>;

    /// A session by its id, expired or not.
    async fn find(&self, id: SessionId) -> Result<Option<Session>, AccountsError>;

    /// Spends the present token. False: it isn't the present one any more, nothing was changed.
    async fn turn(&self, turn: &Turn) -> Result<bool, AccountsError>;

    /// Ends a session; one that is over already, or never was, is as good.
    async fn end(&self, id: SessionId) -> Result<(), AccountsError>;

    /// Ends the sessions of a user beyond so many, those first that were used the longest time ago.
    async fn end_surplus(&self, user: UserId, kept_max: u32) -> Result<(), AccountsError>;

    /// Removes at most so many that have expired; how many it were.
    async fn remove_expired(&self, now_ms: u64, count_max: u32) -> Result<u64, AccountsError>;
}
