//! A session: what signing in opens, and the one refresh token that continues it. Any other token
//! that names the session was spent before, so its coming back means that somebody has a copy. The
//! token that was spent last is let off for a moment: its answer may have been lost on the way.

use std::{fmt, time::Duration};

use ids::UserId;

/// Names a session in its tokens and in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

/// SHA-256 of a token's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecretHash(pub(crate) [u8; 32]);

/// A secret that only the one spent for it opens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrapped(pub(crate) [u8; 32]);

/// The token that was spent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) hash: SecretHash,
    /// What it was spent for.
    pub(crate) wrapped_present: Wrapped,
}

/// One session. Times are wall time, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) present: SecretHash,
    pub(crate) spent: Option<Spent>,
    pub(crate) opened_at_ms: u64,
    /// Opened or refreshed.
    pub(crate) used_at_ms: u64,
    pub(crate) expires_at_ms: u64,
}

/// How long sessions live, and how many a user may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionRules {
    /// Without being used.
    pub(crate) idle_max: Duration,
    /// However often it is used.
    pub(crate) life_max: Duration,
    /// How long the answer to a spent token is given again.
    pub(crate) lost_answer: Duration,
    pub(crate) per_user_max: u32,
}

/// What a token is to the session that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The one that continues it.
    Present,
    /// Spent a moment ago, for this.
    JustSpent(Wrapped),
    /// Spent before: somebody has a copy.
    Copied,
    /// Whatever it is, the session is over.
    Expired,
}

impl Session {
    /// Judges a token by the hash of its secret.
    pub(crate) fn judge(&self, shown: SecretHash, now_ms: u64, rules: &SessionRules) -> Shown {
        if now_ms >= self.expires_at_ms {
            return Shown::Expired;
        }
        if shown == self.present {
            return Shown::Present;
        }
        match self.spent {
            Some(spent) if spent.hash == shown && self.is_fresh(now_ms, rules) => {
                Shown::JustSpent(spent.wrapped_present)
            }
            Some(_) | None => Shown::Copied,
        }
    }

    fn is_fresh(&self, now_ms: u64, rules: &SessionRules) -> bool {
        u128::from(now_ms.saturating_sub(self.used_at_ms)) < rules.lost_answer.as_millis()
    }
}

impl SessionRules {
    /// When a session ends that was opened then and is used now.
    pub(crate) fn expires_at_ms(&self, opened_at_ms: u64, now_ms: u64) -> u64 {
        let after = |start_ms: u64, length: Duration| {
            start_ms.saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
        };
        after(now_ms, self.idle_max).min(after(opened_at_ms, self.life_max))
    }
}

/// It stands in tokens, so it isn't shown.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([redacted])")
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: SessionRules = SessionRules {
        idle_max: Duration::from_secs(100),
        life_max: Duration::from_secs(250),
        lost_answer: Duration::from_secs(10),
        per_user_max: 3,
    };

    #[test]
    fn only_the_present_token_and_for_a_moment_the_one_before_continue_a_session() {
        let (before, spent, present) =
            (SecretHash([1; 32]), SecretHash([2; 32]), SecretHash([3; 32]));
        let wrapped = Wrapped([9; 32]);
        let session = Session {
            id: SessionId([7; 16]),
            user: UserId::random(),
            present,
            spent: Some(Spent { hash: spent, wrapped_present: wrapped }),
            opened_at_ms: 0,
            used_at_ms: 5_000,
            expires_at_ms: 100_000,
        };
        for (shown, now_ms, expected) in [
            (present, 5_000, Shown::Present),
            (present, 99_999, Shown::Present),
            (present, 100_000, Shown::Expired),
            (spent, 5_000, Shown::JustSpent(wrapped)),
            (spent, 14_999, Shown::JustSpent(wrapped)),
            (spent, 15_000, Shown::Copied),
            (spent, 100_000, Shown::Expired),
            (before, 5_000, Shown::Copied),
        ] {
            assert_eq!(session.judge(shown, now_ms, &RULES), expected, "at {now_ms}");
        }
        let unused = Session { spent: None, ..session };
        assert_eq!(unused.judge(spent, 5_000, &RULES), Shown::Copied);
    }

    #[test]
    fn a_session_ends_idle_or_old() {
        for (opened_s, now_s, ends_s) in [(0, 0, 100), (0, 99, 199), (0, 150, 250), (0, 249, 250)] {
            let ends_ms = RULES.expires_at_ms(opened_s * 1000, now_s * 1000);
            assert_eq!(ends_ms, ends_s * 1000, "used at {now_s}");
        }
    }
}
