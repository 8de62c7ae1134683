//! Accounts on MySQL or MariaDB. The unique key decides who of two gets an address.

use async_trait::async_trait;
use ids::UserId;
use sqlx::{MySqlConnection, migrate::Migrator};
use store::{Trouble, mysql::MySql};

use super::{Accounts, AccountsError, Added, Login, NewAccount};
use crate::{domain::Email, passwords::StoredHash};

/// The schema, oldest first.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/mysql");

/// Reads are of the primary: who has just registered can sign in.
pub(crate) struct MySqlAccounts {
    db: MySql,
}

impl MySqlAccounts {
    pub(crate) fn new(db: MySql) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Accounts for MySqlAccounts {
    async fn add(&self, account: &NewAccount) -> Result<Added, AccountsError> {
        let insert = async |it: &mut MySqlConnection| {
            sqlx::query(
                "INSERT INTO account (user_id, email_key, password_hash, created_at_ms) \
                 VALUES (?, ?, ?, ?)",
            )
            .bind(account.user.as_bytes().as_slice())
            .bind(account.email.key().as_bytes())
            .bind(account.password_hash.as_text())
            .bind(i64::try_from(account.created_at_ms).unwrap_or(i64::MAX))
            .execute(it)
            .await
        };
        match self.db.writer.ask(insert).await {
            Ok(_) => Ok(Added::Yes),
            // User ids are random: only the address can be there already.
            Err(error) if store::trouble(&error) == Trouble::Duplicate => Ok(Added::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, email: &Email) -> Result<Option<Login>, AccountsError> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query_as("SELECT user_id, password_hash FROM account WHERE email_key = ?")
                .bind(email.key().as_bytes())
                .fetch_optional(it)
                .await
        };
        let row: Result<Option<(Vec<u8>, String)>, sqlx::Error> = self.db.reader.ask(look).await;
        let Some((user, password_hash)) = row? else {
            return Ok(None);
        };
        let user = UserId::try_from(user.as_slice())
            .map_err(|broken| AccountsError::Damaged(broken.into()))?;
        Ok(Some(Login { user, password_hash: StoredHash::from_text(password_hash) }))
    }

    async fn ping(&self) -> Result<(), AccountsError> {
        let look = async |it: &mut MySqlConnection| {
            sqlx::query("SELECT user_id FROM account LIMIT 1").fetch_optional(it).await
        };
        self.db.reader.ask(look).await?;
        // As long as anybody's, and at a random place in both indexes.
        let insert = async |it: &mut MySqlConnection| {
            let (user, key) = (UserId::random(), UserId::random());
            sqlx::query(
                "INSERT INTO account (user_id, email_key, password_hash, created_at_ms) \
                 VALUES (?, ?, REPEAT('-', 100), 0)",
            )
            .bind(user.as_bytes().as_slice())
            .bind(key.as_bytes().as_slice())
            .execute(it)
            .await
            .map(drop)
        };
        Ok(self.db.look(insert).await?)
    }
}
