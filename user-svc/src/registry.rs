//! The room where it is written what became of operators' tokens: who made which, who revoked
//! whose. What was done and that it was done are one step. Events stay; a revocation is only ever
//! raised.
//! Does not know tokens, nor who may do what.

use async_trait::async_trait;

use crate::{
    accounts::AccountsError,
    domain::{OPERATOR_LIFETIME_S_MAX, OperatorEvent, Revocation},
};

mod columns;
mod mysql;
mod sqlite;

#[cfg(test)]
mod contract;

pub(crate) use mysql::MySqlRegistry;
pub(crate) use sqlite::SqliteRegistry;

/// Rows, everyone's among them, at most: what each service that checks tokens remembers. Far more
/// than a shop has operators; whoever needs more revokes everyone's.
const NAMES_MAX: i64 = 1_000;

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// It counts from this moment on, which may be a later one of before. Seconds since 1970.
    Before(u64),
    /// Too many names are revoked; nothing was changed.
    TooMany,
}

/// Keeps events and revocations, beside the accounts: it fails as they do.
#[async_trait]
pub(crate) trait Registry: Send + Sync {
    /// Adds that a token was made.
    async fn note(&self, event: &OperatorEvent) -> Result<(), AccountsError>;

    /// Revokes, and adds that it was done by `event`.
    async fn revoke(
        &self,
        revocation: &Revocation,
        event: &OperatorEvent,
    ) -> Result<Revoked, AccountsError>;

    /// All that can still concern a token.
    async fn revocations(&self) -> Result<Vec<Revocation>, AccountsError>;

    /// At most so many events, the newest first, from before the one of that number on.
    async fn events(
        &self,
        before: Option<i64>,
        count_max: u32,
    ) -> Result<Vec<(i64, OperatorEvent)>, AccountsError>;
}

/// Revocations of before then concern no token that still lives.
fn forgotten_before_s(event: &OperatorEvent) -> i64 {
    // Clocks differ by seconds; an hour is nothing here.
    let longest_s = u64::from(OPERATOR_LIFETIME_S_MAX) + 3_600;
    columns::to_db((event.at_ms / 1_000).saturating_sub(longest_s))
}

/// What became of `revocation`, with so many rows now, and the moments in its own and everyone's.
fn revoked(count: i64, moments: [Option<i64>; 2], revocation: &Revocation) -> Revoked {
    if count > NAMES_MAX {
        return Revoked::TooMany;
    }
    let known = moments.into_iter().flatten().max().and_then(|moment| u64::try_from(moment).ok());
    // One that is forgotten at once has no row, and counts all the same: no token of then lives.
    Revoked::Before(known.unwrap_or_default().max(revocation.issued_before_s))
}
