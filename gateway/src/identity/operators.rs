//! Who is an operator, and may do what is asked: tokens of their own audience that have the right
//! and weren't revoked. What was revoked is asked of user-svc every few seconds; while that is
//! silent, what was known goes on, and before anything was ever known nobody is an operator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{
    Clock, Stopper,
    job::jittered,
    logs::Lasting,
    token::{TokenError, Verifier, bearer},
};
use tokio::sync::Mutex;
use tonic::metadata::MetadataMap;

use super::Identity;
use crate::{domain::refusal::Refusal, upstream::Users};

const OPERATORS: &str = "seckill-operator";

/// Checks operators' tokens. They are few, and each is checked each time.
pub(super) struct OperatorTokens {
    pub(super) verifier: Verifier,
    users: Users,
    limit: Duration,
    knows_revocations: AtomicBool,
    /// Held while it is asked for them, so that who comes meanwhile waits for that answer.
    asking: Mutex<()>,
    silent: Lasting,
}

impl OperatorTokens {
    pub(super) fn new(issuer: String, users: Users, limit: Duration, clock: Clock) -> Self {
        Self {
            verifier: Verifier::new(issuer, OPERATORS, clock),
            users,
            limit,
            knows_revocations: AtomicBool::new(false),
            asking: Mutex::default(),
            silent: Lasting::default(),
        }
    }

    fn knows_revocations(&self) -> bool {
        self.knows_revocations.load(Ordering::Acquire)
    }

    /// Asks for revocations; those who come meanwhile wait for that answer, and are content with it
    /// if it was their first.
    async fn ask_for_revocations(&self, is_first_enough: bool) {
        let _asking = self.asking.lock().await;
        if is_first_enough && self.knows_revocations() {
            return;
        }
        match self.users.revocations(self.limit).await {
            Ok(revoked) => {
                self.verifier.revoke(revoked);
                self.knows_revocations.store(true, Ordering::Release);
                if self.silent.over().is_some() {
                    tracing::info!("user-svc tells again which operators' tokens are revoked");
                }
            }
            Err(status) => {
                if let Some(unsaid) = self.silent.again() {
                    let code = status.code();
                    tracing::warn!(
                        ?code,
                        unsaid,
                        "user-svc doesn't tell which operators' tokens are revoked"
                    );
                }
            }
        }
    }
}

impl Identity {
    /// The token of the operator who calls, if it has the right of that name.
    pub(crate) async fn check_operator<'a>(
        &self,
        metadata: &'a MetadataMap,
        needs: &'static str,
    ) -> Result<&'a str, Refusal> {
        let none = Refusal::Unauthenticated("an operator's token is needed here");
        let token = bearer(metadata).ok_or_else(|| none.clone())?;
        let of_operators = &self.of_operators;
        let mut claims = of_operators.verifier.verify(token);
        if claims == Err(TokenError::UnknownKey) {
            self.ask_for_keys(self.settings.unknown_key_pause()).await;
            claims = of_operators.verifier.verify(token);
        }
        // Strangers don't come as far as this.
        if claims.is_ok() && !of_operators.knows_revocations() {
            of_operators.ask_for_revocations(true).await;
            if !of_operators.knows_revocations() {
                return Err(Refusal::NO_ANSWER);
            }
            claims = of_operators.verifier.verify(token);
        }
        match claims {
            Ok(claims) if claims.scopes.iter().any(|scope| scope == needs) => Ok(token),
            Ok(_) => Err(Refusal::LacksRight(needs)),
            // Without any key we can't say that the token is bad.
            Err(TokenError::UnknownKey) if !self.has_keys.load(Ordering::Relaxed) => {
                Err(Refusal::NO_ANSWER)
            }
            Err(_) => Err(none),
        }
    }
}

/// Asks which tokens are revoked, again and again, until it is stopped.
pub(crate) async fn keep_revocations(identity: Arc<Identity>, stopper: Stopper) {
    while !stopper.is_stopped() {
        identity.of_operators.ask_for_revocations(false).await;
        tokio::time::sleep(jittered(identity.settings.revocations_interval())).await;
    }
}
