//! Who an operator is: tokens of the audience `seckill-operator`, checked by the public keys of
//! user-svc. The keys are kept, so that operators outlive a user-svc that is down; a token that
//! names an unknown key has them read again, at most once in a while.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chassis::{
    Clock,
    channel::Balanced,
    token::{TokenError, Verifier},
};
use proto::user::v1::{ListPublicKeysRequest, user_service_client::UserServiceClient};
use tokio::sync::Mutex;
use tonic::Request;

use super::Silent;

const AUDIENCE: &str = "seckill-operator";

/// Not more often than this are keys read because of a token: strangers can make those up.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Someone who has shown an operator's token. Made only by [`Operators::authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    subject: String,
    name: String,
}

impl Operator {
    /// Identifies the operator in the catalog.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Appears beside each action.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why nobody was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOperator {
    /// The token doesn't hold.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No key was ever read, so nothing can be said of any token.
    #[error("the keys that tokens are checked by aren't known yet")]
    NoKeys,
}

/// Checks operators' tokens.
pub struct Operators {
    client: UserServiceClient<Balanced>,
    deadline: Duration,
    clock: Clock,
    verifier: Verifier,
    has_keys: AtomicBool,
    /// Held while keys are read, so that whoever needs them waits for the read that is under way;
    /// when the last one ended.
    reading: Mutex<Option<Duration>>,
}

impl Operators {
    /// Knows no key yet; tokens must name `issuer`.
    pub fn new(channel: Balanced, deadline: Duration, issuer: &str, clock: Clock) -> Self {
        Self {
            client: UserServiceClient::new(channel),
            deadline,
            verifier: Verifier::new(issuer, AUDIENCE, clock.clone()),
            clock,
            has_keys: AtomicBool::new(false),
            reading: Mutex::default(),
        }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`NotAnOperator`].
    pub async fn authenticate(&self, token: &str) -> Result<Operator, NotAnOperator> {
        let mut verified = self.verifier.verify(token);
        if verified == Err(TokenError::UnknownKey) {
            let mut last = self.reading.lock().await;
            verified = self.verifier.verify(token);
            let is_due = last.is_none_or(|last| self.clock.now() >= last + READ_AGAIN_AFTER);
            if verified == Err(TokenError::UnknownKey) && is_due {
                if let Err(error) = self.read_now(&mut last).await {
                    tracing::warn!(%error, "operators' keys could not be read");
                }
                verified = self.verifier.verify(token);
            }
        }
        match verified {
            Ok(claims) => {
                let name = claims.name.unwrap_or_else(|| claims.subject.clone());
                Ok(Operator { subject: claims.subject, name })
            }
            Err(TokenError::UnknownKey) if !self.has_keys() => Err(NotAnOperator::NoKeys),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the keys of user-svc; those of before are forgotten if there are new ones.
    ///
    /// # Errors
    /// [`Silent`]; the keys of before stay.
    pub async fn read_keys(&self) -> Result<(), Silent> {
        let mut last = self.reading.lock().await;
        self.read_now(&mut last).await
    }

    /// Whether keys were ever read.
    pub fn has_keys(&self) -> bool {
        self.has_keys.load(Ordering::SeqCst)
    }

    async fn read_now(&self, last: &mut Option<Duration>) -> Result<(), Silent> {
        let listed = self.list().await;
        *last = Some(self.clock.now());
        self.verifier.set_keys(listed?);
        self.has_keys.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<(String, [u8; 32])>, Silent> {
        let silent = |why: String| Silent { service: "user-svc", why };
        let mut request = Request::new(ListPublicKeysRequest {});
        request.set_timeout(self.deadline);
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(self.deadline, client.list_public_keys(request))
            .await
            .map_err(|_| silent("the deadline has passed".to_owned()))?
            .map_err(|status| silent(format!("{:?}: {}", status.code(), status.message())))?;
        let keys = answer.into_inner().keys.into_iter();
        let keys = keys.filter_map(|key| {
            let bytes = <[u8; 32]>::try_from(&*key.ed25519).ok()?;
            Some((key.key_id, bytes))
        });
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() { Err(silent("no key that can be used".to_owned())) } else { Ok(keys) }
    }
}
