//! Who an operator is: tokens of the audience `seckill-operator`, checked by the public keys of
//! user-svc. The keys are kept, so that operators outlive a user-svc that is down; a token that
//! names an unknown key has them read again, at most once in a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::{
    Clock,
    token::{TokenError, Verifier},
};
use proto::user::v1::{ListPublicKeysRequest, user_service_client::UserServiceClient};
use tonic::{Request, transport::Channel};

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
    client: UserServiceClient<Channel>,
    deadline: Duration,
    clock: Clock,
    verifier: Verifier,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    has_keys: bool,
    last_try: Option<Duration>,
}

impl Operators {
    /// Knows no key yet; tokens must name `issuer`.
    pub fn new(channel: Channel, deadline: Duration, issuer: &str, clock: Clock) -> Self {
        Self {
            client: UserServiceClient::new(channel),
            deadline,
            verifier: Verifier::new(issuer, AUDIENCE, clock.clone()),
            clock,
            read: Mutex::default(),
        }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`NotAnOperator`].
    pub async fn authenticate(&self, token: &str) -> Result<Operator, NotAnOperator> {
        let mut verified = self.verifier.verify(token);
        if verified == Err(TokenError::UnknownKey) && self.may_read_again() {
            if let Err(error) = self.read_keys().await {
                tracing::warn!(%error, "operators' keys could not be read");
            }
            verified = self.verifier.verify(token);
        }
        match verified {
            Ok(claims) => {
                let name = claims.name.unwrap_or_else(|| claims.subject.clone());
                Ok(Operator { subject: claims.subject, name })
            }
            Err(TokenError::UnknownKey) if !self.read().has_keys => Err(NotAnOperator::NoKeys),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the keys of user-svc; those of before are forgotten if there are new ones.
    ///
    /// # Errors
    /// [`Silent`]; the keys of before stay.
    pub async fn read_keys(&self) -> Result<(), Silent> {
        let silent = |why: String| Silent { service: "user-svc", why };
        self.read().last_try = Some(self.clock.now());
        let mut request = Request::new(ListPublicKeysRequest {});
        request.set_timeout(self.deadline);
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(self.deadline, client.list_public_keys(request))
            .await
            .map_err(|_| silent("the deadline has passed".to_owned()))?
            .map_err(|status| silent(format!("{:?}: {}", status.code(), status.message())))?;
        let keys: Vec<_> = answer
            .into_inner()
            .keys
            .into_iter()
            .filter_map(|key| Some((key.key_id, <[u8; 32]>::try_from(&*key.ed25519).ok()?)))
            .collect();
        if keys.is_empty() {
            return Err(silent("no key that can be used".to_owned()));
        }
        self.verifier.set_keys(keys);
        self.read().has_keys = true;
        Ok(())
    }

    /// Whether keys were ever read.
    pub fn has_keys(&self) -> bool {
        self.read().has_keys
    }

    fn may_read_again(&self) -> bool {
        let now = self.clock.now();
        let mut read = self.read();
        let may = read.last_try.is_none_or(|last| now >= last + READ_AGAIN_AFTER);
        if may {
            read.last_try = Some(now);
        }
        may
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
