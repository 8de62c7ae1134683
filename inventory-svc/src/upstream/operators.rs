//! Who an operator is, and may do what: tokens of the audience `seckill-operator`, checked by the
//! public keys of user-svc and by what it says was revoked. Both are kept, so that operators
//! outlive a user-svc that is down; until both were read once, nobody is one. A token that names an
//! unknown key has the keys read again, at most once in a while.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chassis::{
    Clock,
    channel::Balanced,
    token::{Claims, Revocations, TokenError, Verifier},
};
use proto::{
    right_text,
    user::v1::{
        ListPublicKeysRequest, ListRevocationsRequest, OperatorRight,
        token_service_client::TokenServiceClient, user_service_client::UserServiceClient,
    },
};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

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
    /// The token holds, and hasn't the right of this name.
    #[error("the token lacks the right {0}")]
    Lacks(&'static str),
    /// No key was ever read, or never what was revoked, so nothing can be said of any token.
    #[error("what tokens are checked by isn't known yet")]
    NoKeys,
}

/// Checks operators' tokens.
pub struct Operators {
    client: UserServiceClient<Balanced>,
    tokens: TokenServiceClient<Balanced>,
    deadline: Duration,
    clock: Clock,
    verifier: Verifier,
    has_keys: AtomicBool,
    knows_revocations: AtomicBool,
    /// Held while keys are read, so that whoever needs them waits for the read that is under way;
    /// when the last one ended.
    reading: Mutex<Option<Duration>>,
    /// The same for revocations, but that nobody who needs them is turned away.
    reading_revocations: Mutex<()>,
}

impl Operators {
    /// Knows no key yet; tokens must name `issuer`.
    pub fn new(channel: Balanced, deadline: Duration, issuer: &str, clock: Clock) -> Self {
        Self {
            tokens: TokenServiceClient::new(channel.clone()),
            client: UserServiceClient::new(channel),
            deadline,
            verifier: Verifier::new(issuer, AUDIENCE, clock.clone()),
            clock,
            has_keys: AtomicBool::new(false),
            knows_revocations: AtomicBool::new(false),
            reading: Mutex::default(),
            reading_revocations: Mutex::default(),
        }
    }

    /// Checks a token, and that it has the right that is needed.
    ///
    /// # Errors
    /// [`NotAnOperator`].
    pub async fn authenticate(
        &self,
        token: &str,
        needs: OperatorRight,
    ) -> Result<Operator, NotAnOperator> {
        let mut verified = self.verify(token).await;
        // Strangers don't come as far as this.
        if verified.is_ok() && !self.knows_revocations() {
            self.read_first_revocations().await;
            if !self.knows_revocations() {
                return Err(NotAnOperator::NoKeys);
            }
            verified = self.verifier.verify(token);
        }
        let claims = verified.map_err(|error| match error {
            TokenError::UnknownKey if !self.has_keys() => NotAnOperator::NoKeys,
            error => error.into(),
        })?;
        let needs = right_text(needs);
        if !claims.scopes.iter().any(|scope| scope == needs) {
            return Err(NotAnOperator::Lacks(needs));
        }
        let name = claims.name.unwrap_or_else(|| claims.subject.clone());
        Ok(Operator { subject: claims.subject, name })
    }

    /// By the keys that are known, or if the token's isn't, by those of now.
    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let verified = self.verifier.verify(token);
        if verified != Err(TokenError::UnknownKey) {
            return verified;
        }
        let mut last = self.reading.lock().await;
        let verified = self.verifier.verify(token);
        let is_due = last.is_none_or(|last| self.clock.now() >= last + READ_AGAIN_AFTER);
        if verified != Err(TokenError::UnknownKey) || !is_due {
            return verified;
        }
        if let Err(error) = self.read_now(&mut last).await {
            tracing::warn!(%error, "operators' keys could not be read");
        }
        self.verifier.verify(token)
    }

    /// Reads what was revoked; what was known of it before stays.
    ///
    /// # Errors
    /// [`Silent`]; nothing has changed.
    pub async fn read_revocations(&self) -> Result<(), Silent> {
        let _reading = self.reading_revocations.lock().await;
        self.read_revocations_now().await
    }

    /// Whether it was ever read what was revoked.
    pub fn knows_revocations(&self) -> bool {
        self.knows_revocations.load(Ordering::SeqCst)
    }

    /// Reads unless somebody has done so meanwhile.
    async fn read_first_revocations(&self) {
        let _reading = self.reading_revocations.lock().await;
        if self.knows_revocations() {
            return;
        }
        if let Err(error) = self.read_revocations_now().await {
            tracing::warn!(%error, "what was revoked of operators' tokens could not be read");
        }
    }

    async fn read_revocations_now(&self) -> Result<(), Silent> {
        let mut client = self.tokens.clone();
        let told =
            self.ask(ListRevocationsRequest {}, async |it| client.list_revocations(it).await);
        let mut revoked = Revocations::default();
        for told in told.await?.revocations {
            let before_s = told.issued_before.and_then(|time| u64::try_from(time.seconds).ok());
            let before_s = before_s.ok_or_else(|| silent("a revocation without a moment"))?;
            revoked.add(told.name, before_s);
        }
        self.verifier.revoke(revoked);
        self.knows_revocations.store(true, Ordering::SeqCst);
        Ok(())
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
        let mut client = self.client.clone();
        let told = self.ask(ListPublicKeysRequest {}, async |it| client.list_public_keys(it).await);
        let keys = told.await?.keys.into_iter();
        let keys = keys.filter_map(|key| {
            let bytes = <[u8; 32]>::try_from(&*key.ed25519).ok()?;
            Some((key.key_id, bytes))
        });
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() { Err(silent("no key that can be used")) } else { Ok(keys) }
    }

    async fn ask<Q, A>(
        &self,
        question: Q,
        call: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Silent> {
        let mut request = Request::new(question);
        request.set_timeout(self.deadline);
        let answer = tokio::time::timeout(self.deadline, call(request))
            .await
            .map_err(|_| silent("the deadline has passed"))?;
        let says = |status: Status| silent(format!("{:?}: {}", status.code(), status.message()));
        answer.map(Response::into_inner).map_err(says)
    }
}

fn silent(why: impl Into<String>) -> Silent {
    Silent { service: "user-svc", why: why.into() }
}
