//! Accounts in an SQLite file of their own.

use async_trait::async_trait;
use ids::UserId;
use sqlx::migrate::Migrator;
use store::{Trouble, sqlite::Sqlite};

use super::{Accounts, AccountsError, Added, Login, NewAccount};
use crate::{domain::Email, passwords::StoredHash};

/// The schema, oldest first.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Reads on any connection, writes on the one that may.
pub(crate) struct SqliteAccounts {
    db: Sqlite,
}

impl SqliteAccounts {
    pub(crate) fn new(db: Sqlite) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Accounts for SqliteAccounts {
    async fn add(&self, account: &NewAccount) -> Result<Added, AccountsError> {
        let inserted = sqlx::query(
            "INSERT INTO account (user_id, email_key, password_hash, created_at_ms)
             VALUES (?, ?, ?, ?)",
        )
        .bind(account.user.as_bytes().as_slice())
        .bind(account.email.key())
        .bind(account.password_hash.as_text())
        .bind(i64::try_from(account.created_at_ms).unwrap_or(i64::MAX))
        .execute(&self.db.writer)
        .await;
        match inserted {
            Ok(_) => Ok(Added::Yes),
            // User ids are random: only the address can be there already.
            Err(error) if store::trouble(&error) == Trouble::Duplicate => Ok(Added::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, email: &Email) -> Result<Option<Login>, AccountsError> {
        let row: Option<(Vec<u8>, String)> =
            sqlx::query_as("SELECT user_id, password_hash FROM account WHERE email_key = ?")
                .bind(email.key())
                .fetch_optional(&self.db.reader)
                .await?;
        let Some((user, password_hash)) = row else {
            return Ok(None);
        };
        let user = UserId::try_from(user.as_slice())
            .map_err(|broken| AccountsError::Damaged(broken.into()))?;
        Ok(Some(Login { user, password_hash: StoredHash::from_text(password_hash) }))
    }

    async fn ping(&self) -> Result<(), AccountsError> {
        sqlx::query("SELECT user_id FROM account LIMIT 1").fetch_optional(&self.db.reader).await?;
        Ok(self.db.look().await?)
    }
}

impl From<sqlx::Error> for AccountsError {
    fn from(error: sqlx::Error) -> Self {
        match store::trouble(&error) {
            Trouble::Busy => Self::Busy(error.into()),
            Trouble::Lost => Self::Lost(error.into()),
            Trouble::Duplicate | Trouble::Other => Self::Failed(error.into()),
        }
    }
}
