//! Sessions on MySQL or MariaDB, beside the accounts. Every call is one statement or bears to be
//! done by half; spending is the WHERE of one UPDATE.

use async_trait::async_trait;
use ids::UserId;
use sqlx::MySqlConnection;
use store::mysql::MySql;

use super::{
    Sessions, Turn,
    columns::{self, Columns, to_db},
};
use crate::{
    accounts::AccountsError,
    domain::{Session, SessionId},
};

/// Reads are of the primary: what was just spent is seen to be.
pub(crate) struct MySqlSessions {
    db: MySql,
}

/// More than anybody has beyond the bound: each sign-in adds one and ends what is too many.
const SURPLUS_MAX: u32 = 100;

impl MySqlSessions {
    pub(crate) fn new(db: MySql) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Sessions for MySqlSessions {
    async fn open(&self, session: &Session) -> Result<(), AccountsError> {
        let insert = async |it: &mut MySqlConnection| {
            sqlx::query(
                "INSERT INTO session (session_id, user_id, present_hash, opened_at_ms, \
                 used_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(session.id.0.as_slice())
            .bind(session.user.as_bytes().as_slice())
            .bind(session.present.0.as_slice())
            .bind(to_db(session.opened_at_ms))
            .bind(to_db(session.used_at_ms))
            .bind(to_db(session.expires_at_ms))
            .execute(it)
            .await
        };
        self.db.writer.ask(insert).await?;
        Ok(())
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>, AccountsError> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query_as(
                "SELECT user_id, present_hash, spent_hash, wrapped_present, opened_at_ms, \
                 used_at_ms, expires_at_ms FROM session WHERE session_id = ?",
            )
            .bind(id.0.as_slice())
            .fetch_optional(it)
            .await
        };
        let row: Result<Option<Columns>, sqlx::Error> = self.db.reader.ask(look).await;
        row?.map(|columns| columns::session(id, columns)).transpose()
    }

    async fn turn(&self, turn: &Turn) -> Result<bool, AccountsError> {
        let set = async |it: &mut MySqlConnection| {
            // In this order: MySQL assigns from left to right, and reads what it has assigned.
            sqlx::query(
                "UPDATE session SET spent_hash = present_hash, wrapped_present = ?, \
                 present_hash = ?, used_at_ms = ?, expires_at_ms = ? \
                 WHERE session_id = ? AND present_hash = ?",
            )
            .bind(turn.spent.wrapped_present.0.as_slice())
            .bind(turn.present.0.as_slice())
            .bind(to_db(turn.used_at_ms))
            .bind(to_db(turn.expires_at_ms))
            .bind(turn.session.0.as_slice())
            .bind(turn.spent.hash.0.as_slice())
            .execute(it)
            .await
        };
        let done = self.db.writer.ask(set).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn end(&self, id: SessionId) -> Result<(), AccountsError> {
        let delete = async |it: &mut MySqlConnection| {
            let query = sqlx::query("DELETE FROM session WHERE session_id = ?");
            query.bind(id.0.as_slice()).execute(it).await
        };
        self.db.writer.ask(delete).await?;
        Ok(())
    }

    async fn end_surplus(&self, user: UserId, kept_max: u32) -> Result<(), AccountsError> {
        // By their keys, one by one: two sign-ins of a user can't wait for each other's rows.
        let delete = async |it: &mut MySqlConnection| {
            let surplus: Vec<Vec<u8>> = sqlx::query_scalar(
                "SELECT session_id FROM session WHERE user_id = ? \
                 ORDER BY used_at_ms DESC, session_id LIMIT ? OFFSET ?",
            )
            .bind(user.as_bytes().as_slice())
            .bind(SURPLUS_MAX)
            .bind(kept_max)
            .fetch_all(&mut *it)
            .await?;
            for id in surplus {
                let query = sqlx::query("DELETE FROM session WHERE session_id = ?");
                query.bind(id).execute(&mut *it).await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        Ok(self.db.writer.ask(delete).await?)
    }

    async fn remove_expired(&self, now_ms: u64, count_max: u32) -> Result<u64, AccountsError> {
        let delete = async |it: &mut MySqlConnection| {
            sqlx::query(
                "DELETE FROM session WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?",
            )
            .bind(to_db(now_ms))
            .bind(count_max)
            .execute(it)
            .await
        };
        Ok(self.db.writer.ask(delete).await?.rows_affected())
    }
}
