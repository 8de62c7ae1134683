//! Buyers: they make an account, and prove that it is theirs. An unknown address and a wrong
//! password are answered alike, at the same price.

use std::sync::Arc;

use chassis::Clock;
use ids::UserId;

use super::{Granted, NotDone, Refusal, SessionDesk};
use crate::{
    accounts::{Accounts, Added, NewAccount},
    domain::{Credentials, Neighbourhood},
    lockout::Lockout,
    passwords::Passwords,
};

/// Commands of buyers.
pub(crate) struct People {
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) passwords: Passwords,
    pub(crate) lockout: Arc<Lockout>,
    pub(crate) desk: SessionDesk,
    pub(crate) clock: Clock,
}

impl People {
    /// Makes an account.
    pub(crate) async fn register(&self, credentials: Credentials) -> Result<UserId, NotDone> {
        // Asked before the hash, which is a thousand times dearer; the store decides below.
        if self.accounts.find(&credentials.email).await?.is_some() {
            return Err(Refusal::EmailTaken.into());
        }
        let password_hash = self.passwords.hash(credentials.password).await?;
        let account = NewAccount {
            user: UserId::random(),
            email: credentials.email,
            password_hash,
            created_at_ms: self.clock.wall_ms(),
        };
        match self.accounts.add(&account).await? {
            Added::Yes => Ok(account.user),
            Added::EmailTaken => Err(Refusal::EmailTaken.into()),
        }
    }

    /// Opens a session for whoever knows the password.
    pub(crate) async fn sign_in(
        &self,
        credentials: Credentials,
        from: Option<Neighbourhood>,
    ) -> Result<Granted, NotDone> {
        // Both before anything that a guesser, or a crowd, would make us pay for.
        let attempt = self.lockout.begin(&credentials.email, from)?;
        let place = self.passwords.place()?;
        let login = self.accounts.find(&credentials.email).await?;
        let stored = login.as_ref().map(|login| login.password_hash.clone());
        // Before it is known whether there is an account: exactly one check on either path.
        let judge = move |is_theirs| match login {
            Some(login) if is_theirs => {
                attempt.succeeded();
                Some(login.user)
            }
            _ => {
                attempt.failed();
                None
            }
        };
        // A guesser who leaves before the answer has guessed all the same.
        let user = self.passwords.check(place, credentials.password, stored, judge).await?;
        self.desk.open(user.ok_or(Refusal::BadCredentials)?).await
    }
}

#[cfg(test)]
mod tests;
