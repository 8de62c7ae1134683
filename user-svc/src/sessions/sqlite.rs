//! Sessions in the SQLite file of the accounts. One writer makes each call one step; spending is
//! the WHERE of one UPDATE.

use async_trait::async_trait;
use ids::UserId;
use store::sqlite::Sqlite;

use super::{
    Sessions, Turn,
    columns::{self, Columns, to_db},
};
use crate::{
    accounts::AccountsError,
    domain::{Session, SessionId},
};

/// Reads on any connection, writes on the one that may.
pub(crate) struct SqliteSessions {
    db: Sqlite,
}

impl SqliteSessions {
    pub(crate) fn new(db: Sqlite) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Sessions for SqliteSessions {
    async fn open(&self, session: &Session) -> Result<(), AccountsError> {
        sqlx::query(
            "INSERT INTO session (session_id, user_id, present_hash, opened_at_ms, used_at_ms, \
             expires_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(session.id.0.as_slice())
        .bind(session.user.as_bytes().as_slice())
        .bind(session.present.0.as_slice())
        .bind(to_db(session.opened_at_ms))
        .bind(to_db(session.used_at_ms))
        .bind(to_db(session.expires_at_ms))
        .execute(&self.db.writer)
        .await?;
        Ok(())
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>, AccountsError> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT user_id, present_hash, spent_hash, wrapped_present, opened_at_ms, used_at_ms, \
             expires_at_ms FROM session WHERE session_id = ?",
        )
        .bind(id.0.as_slice())
        .fetch_optional(&self.db.reader)
        .await?;
        row.map(|columns| columns::session(id, columns)).transpose()
    }

    async fn turn(&self, turn: &Turn) -> Result<bool, AccountsError> {
        let done = sqlx::query(
            "UPDATE session SET spent_hash = present_hash, wrapped_present = ?, present_hash = ?, \
             used_at_ms = ?, expires_at_ms = ? WHERE session_id = ? AND present_hash = ?",
        )
        .bind(turn.spent.wrapped_present.0.as_slice())
        .bind(turn.present.0.as_slice())
        .bind(to_db(turn.used_at_ms))
        .bind(to_db(turn.expires_at_ms))
        .bind(turn.session.0.as_slice())
        .bind(turn.spent.hash.0.as_slice())
        .execute(&self.db.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn end(&self, id: SessionId) -> Result<(), AccountsError> {
        sqlx::query("DELETE FROM session WHERE session_id = ?")
            .bind(id.0.as_slice())
            .execute(&self.db.writer)
            .await?;
        Ok(())
    }

    async fn end_surplus(&self, user: UserId, kept_max: u32) -> Result<(), AccountsError> {
        sqlx::query(
            "DELETE FROM session WHERE session_id IN (SELECT session_id FROM session \
             WHERE user_id = ? ORDER BY used_at_ms DESC, session_id LIMIT -1 OFFSET ?)",
        )
        .bind(user.as_bytes().as_slice())
        .bind(kept_max)
        .execute(&self.db.writer)
        .await?;
        Ok(())
    }

    async fn remove_expired(&self, now_ms: u64, count_max: u32) -> Result<u64, AccountsError> {
        let done = sqlx::query(
            "DELETE FROM session WHERE session_id IN (SELECT session_id FROM session \
             WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)",
        )
        .bind(to_db(now_ms))
        .bind(count_max)
        .execute(&self.db.writer)
        .await?;
        Ok(done.rows_affected())
    }
}
