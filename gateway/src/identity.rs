//! Who is calling. Promises that an [`Authenticated`] buyer showed an access token that holds now,
//! signed by a key of user-svc, and that a token of a rehearsal passes only where configuration
//! says so. It goes on with the keys it has while user-svc is down. It knows nothing of accounts.

mod operators;

pub(crate) use operators::keep_revocations;

use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use chassis::{
    Clock, Stopper,
    job::{Backoff, jittered},
    token::{Claims, TokenError, Verifier, bearer},
};
use ids::UserId;
use moka::policy::EvictionPolicy;
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;

use self::operators::OperatorTokens;
use crate::{config::IdentitySettings, domain::refusal::Refusal, upstream::Users};

/// What tokens for buyers name.
const BUYERS: &str = "seckill";

/// A buyer whose token was checked for this call. Made by [`Identity`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authenticated(UserId);

impl Authenticated {
    /// Who it is.
    pub(crate) fn user(self) -> UserId {
        self.0
    }
}

/// A token that came with a call, and whatever it may be.
pub(crate) struct Shown<'a> {
    text: &'a str,
    hash: [u8; 32],
}

/// What a token said when it was checked.
#[derive(Debug, Clone, Copy)]
struct Known {
    user: UserId,
    is_rehearsal: bool,
    expires_at_s: u64,
    /// The keys by which it was checked, see [`Identity::withdrawals`].
    withdrawals: u64,
}

/// What was last asked for, and heard.
#[derive(Default)]
struct Asked {
    at: Option<Duration>,
    keys: Vec<(String, [u8; 32])>,
}

/// Checks access tokens. One for all cores: what one core has checked, all know.
pub(crate) struct Identity {
    verifier: Verifier,
    of_operators: OperatorTokens,
    /// By the hash of the token: the tokens themselves aren't kept.
    known: moka::sync::Cache<[u8; 32], Known>,
    settings: IdentitySettings,
    clock: Clock,
    users: Users,
    has_keys: AtomicBool,
    /// How often a key was withdrawn: what was checked before that is checked anew.
    withdrawals: AtomicU64,
    asked: tokio::sync::Mutex<Asked>,
}

impl Identity {
    /// Knows no keys until [`keep_keys`] runs or someone shows a token.
    pub(crate) fn new(settings: IdentitySettings, users: Users, clock: Clock) -> Arc<Self> {
        let known = moka::sync::Cache::builder()
            .max_capacity(settings.known_tokens_max)
            .time_to_idle(settings.known_for())
            // Who comes now is more likely to come again than who came often.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let issuer = || settings.issuer.clone();
        let (limit, same) = (settings.keys_limit(), users.clone());
        Arc::new(Self {
            verifier: Verifier::new(issuer(), BUYERS, clock.clone()),
            of_operators: OperatorTokens::new(issuer(), same, limit, clock.clone()),
            known,
            settings,
            clock,
            users,
            has_keys: AtomicBool::new(false),
            withdrawals: AtomicU64::new(0),
            asked: tokio::sync::Mutex::default(),
        })
    }

    /// The token that is shown.
    pub(crate) fn shown<'a>(&self, metadata: &'a MetadataMap) -> Result<Shown<'a>, Refusal> {
        let says = "an access token is needed (authorization: Bearer …)";
        let text = bearer(metadata).ok_or(Refusal::Unauthenticated(says))?;
        Ok(Shown { text, hash: Sha256::digest(text.as_bytes()).into() })
    }

    /// The buyer of a token that was checked lately and found good. It costs next to nothing.
    pub(crate) fn recall(&self, token: &Shown<'_>) -> Option<Result<Authenticated, Refusal>> {
        let withdrawals = self.withdrawals.load(Ordering::Acquire);
        let holds = |known: &Known| {
            known.withdrawals == withdrawals && self.clock.wall_ms() / 1000 < known.expires_at_s
        };
        self.known.get(&token.hash).filter(holds).map(|known| self.let_in(known))
    }

    /// The buyer of any token, if the keys that are known suffice to say so.
    pub(crate) fn check(&self, token: &Shown<'_>) -> Option<Result<Authenticated, Refusal>> {
        // Before the keys are looked at, so that a check by former ones counts as such.
        let withdrawals = self.withdrawals.load(Ordering::Acquire);
        match self.verifier.verify(token.text) {
            Err(TokenError::UnknownKey) => None,
            claims => {
                let known = self.remember(token.hash, claims, withdrawals);
                Some(known.and_then(|known| self.let_in(known)))
            }
        }
    }

    /// The same for a token with an unknown key, after looking for new ones.
    pub(crate) async fn check_with_new_keys(
        &self,
        token: &Shown<'_>,
    ) -> Result<Authenticated, Refusal> {
        self.ask_for_keys(self.settings.unknown_key_pause()).await;
        let withdrawals = self.withdrawals.load(Ordering::Acquire);
        self.let_in(self.remember(token.hash, self.verifier.verify(token.text), withdrawals)?)
    }

    fn remember(
        &self,
        hash: [u8; 32],
        claims: Result<Claims, TokenError>,
        withdrawals: u64,
    ) -> Result<Known, Refusal> {
        let claims = claims.map_err(|error| match error {
            // Without any key we can't say that the token is bad.
            TokenError::UnknownKey if !self.has_keys.load(Ordering::Relaxed) => Refusal::NO_ANSWER,
            TokenError::UnknownKey
            | TokenError::Malformed
            | TokenError::Algorithm
            | TokenError::Signature
            | TokenError::Claim(_)
            | TokenError::Issuer
            | TokenError::Audience
            | TokenError::Expired
            | TokenError::NotYet
            | TokenError::Revoked => Refusal::Unauthenticated("the access token doesn't hold"),
        })?;
        let user = claims.subject.parse();
        let user = user.map_err(|_| Refusal::Unauthenticated("the access token names no buyer"))?;
        let expires_at_s = claims.expires_at_s;
        let known = Known { user, is_rehearsal: claims.rehearsal, expires_at_s, withdrawals };
        self.known.insert(hash, known);
        Ok(known)
    }

    fn let_in(&self, known: Known) -> Result<Authenticated, Refusal> {
        if known.is_rehearsal && !self.settings.rehearsal_allowed {
            return Err(Refusal::PermissionDenied("tokens of a rehearsal don't count here"));
        }
        Ok(Authenticated(known.user))
    }

    /// Asks user-svc for its keys unless someone did less than `pause` ago; those who come
    /// meanwhile wait for that answer. Forged key ids so cost user-svc next to nothing.
    async fn ask_for_keys(&self, pause: Duration) {
        let mut asked = self.asked.lock().await;
        let now = self.clock.now();
        if asked.at.is_some_and(|at| now.saturating_sub(at) < pause) {
            return;
        }
        match self.users.public_keys(self.settings.keys_limit()).await {
            Ok((keys, issuer)) => {
                if issuer != self.settings.issuer {
                    let expected = &self.settings.issuer;
                    tracing::error!(issuer, expected, "user-svc signs for another issuer");
                }
                let had_keys = self.has_keys.swap(!keys.is_empty(), Ordering::Relaxed);
                if !had_keys {
                    tracing::info!(keys = keys.len(), "the keys of access tokens are known");
                }
                self.of_operators.verifier.set_keys(keys.clone());
                self.verifier.set_keys(keys.clone());
                if asked.keys.iter().any(|key| !keys.contains(key)) {
                    self.withdrawals.fetch_add(1, Ordering::Release);
                }
                asked.keys = keys;
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), "user-svc didn't tell its public keys");
            }
        }
        asked.at = Some(self.clock.now());
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Fetches keys until there are some, then again from time to time, until it is stopped.
pub(crate) async fn keep_keys(identity: Arc<Identity>, stopper: Stopper) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    while !stopper.is_stopped() {
        identity.ask_for_keys(Duration::ZERO).await;
        let wait = if identity.has_keys.load(Ordering::Relaxed) {
            jittered(identity.settings.keys_interval())
        } else {
            backoff.next_wait()
        };
        tokio::time::sleep(wait).await;
    }
}
