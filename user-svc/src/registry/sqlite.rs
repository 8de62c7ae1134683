//! Events and revocations in the SQLite file of the accounts.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use store::sqlite::Sqlite;

use super::{
    Registry, Revoked,
    columns::{self, Row, to_db},
    forgotten_before_s, revoked,
};
use crate::{
    accounts::AccountsError,
    domain::{OperatorEvent, Revocation},
};

/// Reads on any connection, writes on the one that may.
pub(crate) struct SqliteRegistry {
    db: Sqlite,
}

impl SqliteRegistry {
    pub(crate) fn new(db: Sqlite) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn note(&self, event: &OperatorEvent) -> Result<(), AccountsError> {
        let mut tx = self.db.begin_write().await?;
        add(&mut tx, event).await?;
        Ok(tx.commit().await?)
    }

    async fn revoke(
        &self,
        revocation: &Revocation,
        event: &OperatorEvent,
    ) -> Result<Revoked, AccountsError> {
        let mut tx = self.db.begin_write().await?;
        let revoked = raise(&mut tx, revocation, event).await?;
        // Else it is rolled back as it is dropped.
        if revoked != Revoked::TooMany {
            add(&mut tx, event).await?;
            tx.commit().await?;
        }
        Ok(revoked)
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, AccountsError> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT whose, issued_before_s FROM operator_revocation WHERE issued_before_s > 0",
        )
        .fetch_all(&self.db.reader)
        .await?;
        rows.into_iter().map(columns::revocation).collect()
    }

    async fn events(
        &self,
        before: Option<i64>,
        count_max: u32,
    ) -> Result<Vec<(i64, OperatorEvent)>, AccountsError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT event_id, at_ms, by_name, by_token, whose, token, rights, expires_at_s, \
             issued_before_s FROM operator_audit WHERE event_id < ? \
             ORDER BY event_id DESC LIMIT ?",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(count_max)
        .fetch_all(&self.db.reader)
        .await?;
        rows.into_iter().map(columns::event).collect()
    }
}

async fn add(it: &mut SqliteConnection, event: &OperatorEvent) -> Result<(), sqlx::Error> {
    let new = columns::of_event(event);
    sqlx::query(
        "INSERT INTO operator_audit (at_ms, by_name, by_token, whose, token, rights, \
         expires_at_s, issued_before_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.at_ms)
    .bind(new.by)
    .bind(new.by_token)
    .bind(new.whose)
    .bind(new.token)
    .bind(new.rights)
    .bind(new.expires_at_s)
    .bind(new.issued_before_s)
    .execute(it)
    .await?;
    Ok(())
}

/// Raises a revocation, forgets those that concern nobody any more, and says from which moment on
/// it counts.
async fn raise(
    it: &mut SqliteConnection,
    revocation: &Revocation,
    event: &OperatorEvent,
) -> Result<Revoked, sqlx::Error> {
    let whose = columns::of_whose(&revocation.whose);
    sqlx::query(
        "INSERT INTO operator_revocation (whose, issued_before_s) VALUES (?, ?) \
         ON CONFLICT (whose) DO UPDATE \
         SET issued_before_s = max(issued_before_s, excluded.issued_before_s)",
    )
    .bind(&whose)
    .bind(to_db(revocation.issued_before_s))
    .execute(&mut *it)
    .await?;
    let everyones: Option<i64> =
        sqlx::query_scalar("SELECT issued_before_s FROM operator_revocation WHERE whose = x''")
            .fetch_optional(&mut *it)
            .await?;
    // What everyone's covers needn't stand beside it.
    sqlx::query(
        "DELETE FROM operator_revocation WHERE whose <> x'' \
         AND (issued_before_s <= ? OR issued_before_s < ?)",
    )
    .bind(everyones.unwrap_or_default())
    .bind(forgotten_before_s(event))
    .execute(&mut *it)
    .await?;
    let (count, before): (i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), max(CASE WHEN whose = ? THEN issued_before_s END) \
         FROM operator_revocation",
    )
    .bind(&whose)
    .fetch_one(it)
    .await?;
    Ok(revoked(count, [before, everyones], revocation))
}
