//! Sessions: opened by who signed in, continued by who has the present refresh token, ended by who
//! leaves, or by a token that comes back. Whatever doesn't continue a session is refused in the
//! same words, so that nobody learns which sessions there are.

use std::{sync::Arc, time::Duration};

use chassis::Clock;
use ids::UserId;

use super::{NotDone, Refusal};
use crate::{
    domain::{Session, SessionRules, Shown, Spent},
    refresh_tokens::RefreshToken,
    sessions::{Sessions, Turn},
    tokens::{Holder, Issued, Signer},
};

/// Who loses twice to others that spend the same token finds what they spent it for.
const TRIES_MAX: usize = 3;

/// Commands on sessions.
pub(crate) struct SessionDesk {
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) clock: Clock,
    pub(crate) rules: SessionRules,
    /// Of access tokens.
    pub(crate) token_lifetime: Duration,
}

/// What continues a session.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) user: UserId,
    pub(crate) access: Issued,
    pub(crate) refresh: RefreshToken,
    /// When the session ends unless it is used before: wall time, milliseconds since 1970.
    pub(crate) session_expires_at_ms: u64,
}

impl SessionDesk {
    /// A new session for who has just proven to be this user.
    pub(crate) async fn open(&self, user: UserId) -> Result<Granted, NotDone> {
        let now_ms = self.clock.wall_ms();
        let refresh = RefreshToken::of_new_session();
        let session = Session {
            id: refresh.session(),
            user,
            present: refresh.hash(),
            spent: None,
            opened_at_ms: now_ms,
            used_at_ms: now_ms,
            expires_at_ms: self.rules.expires_at_ms(now_ms, now_ms),
        };
        self.sessions.open(&session).await?;
        self.sessions.end_surplus(user, self.rules.per_user_max).await?;
        self.grant(user, refresh, session.expires_at_ms)
    }

    /// Spends the token for the next one.
    pub(crate) async fn refresh(&self, shown: &RefreshToken) -> Result<Granted, NotDone> {
        for _ in 0..TRIES_MAX {
            let Some(session) = self.sessions.find(shown.session()).await? else {
                return Err(Refusal::SessionEnded.into());
            };
            let now_ms = self.clock.wall_ms();
            match session.judge(shown.hash(), now_ms, &self.rules) {
                Shown::Present => {
                    let next = shown.next();
                    let turn = self.turn(&session, shown, &next, now_ms);
                    // Else somebody spent it since we looked: look again.
                    if self.sessions.turn(&turn).await? {
                        return self.grant(session.user, next, turn.expires_at_ms);
                    }
                }
                Shown::JustSpent(wrapped) => {
                    let present = shown.unwrap(wrapped);
                    return self.grant(session.user, present, session.expires_at_ms);
                }
                Shown::Copied => {
                    self.sessions.end(session.id).await?;
                    tracing::warn!("a spent refresh token came back; its session was ended");
                    return Err(Refusal::SessionEnded.into());
                }
                Shown::Expired => return Err(Refusal::SessionEnded.into()),
            }
        }
        Err(Refusal::Overloaded.into())
    }

    /// Ends the session of a token, if there is one; of a spent one too, which would end it anyway.
    pub(crate) async fn end(&self, shown: &RefreshToken) -> Result<(), NotDone> {
        Ok(self.sessions.end(shown.session()).await?)
    }

    fn turn(&self, of: &Session, shown: &RefreshToken, next: &RefreshToken, now_ms: u64) -> Turn {
        Turn {
            session: of.id,
            spent: Spent { hash: shown.hash(), wrapped_present: shown.wrap(next) },
            present: next.hash(),
            used_at_ms: now_ms,
            expires_at_ms: self.rules.expires_at_ms(of.opened_at_ms, now_ms),
        }
    }

    fn grant(
        &self,
        user: UserId,
        refresh: RefreshToken,
        session_expires_at_ms: u64,
    ) -> Result<Granted, NotDone> {
        let access = self.signer.issue(Holder::Buyer(user), self.token_lifetime)?;
        Ok(Granted { user, access, refresh, session_expires_at_ms })
    }
}
