//! Why the door says no. A refusal is an answer, not an error; the edge turns it into a status in
//! one place.

use std::time::Duration;

/// A field of a request that can't be accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadField {
    pub(crate) field: &'static str,
    /// Says what would be right; never repeats what was sent.
    pub(crate) says: String,
}

/// What a buyer is told instead of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unauthenticated(&'static str),
    /// The token is good, but not for this.
    PermissionDenied(&'static str),
    /// The operator's token is good, but lacks the right of this name.
    LacksRight(&'static str),
    InvalidInput(BadField),
    TicketInvalid,
    NotFound(&'static str),
    NotOpen {
        opens_ms: u64,
    },
    Closed,
    TicketExpired,
    LimitReached {
        limit: u32,
    },
    SoldOut,
    /// The books refused the order or have given its units back.
    Rejected,
    Loading,
    Paused,
    /// Somebody's allowance of calls is used up; whose, in a word.
    RateLimited {
        whose: &'static str,
        wait: Duration,
    },
    /// More work waits than can be done in time; nothing was done.
    Overloaded {
        /// About how long to stay away.
        wait: Duration,
    },
    /// This server is going away, and a stream of it ends.
    Stopping,
    /// A service behind the door can't answer.
    UpstreamUnavailable {
        /// About how long to stay away.
        wait: Duration,
    },
}

impl Refusal {
    /// A bound that has nothing to do with how fast anything is done.
    pub(crate) const FULL: Self = Self::Overloaded { wait: Duration::from_millis(300) };
    /// A service that restarts needs a moment.
    pub(crate) const NO_ANSWER: Self =
        Self::UpstreamUnavailable { wait: Duration::from_millis(500) };

    /// A bad field of a request.
    pub(crate) fn field(field: &'static str, says: impl Into<String>) -> Self {
        Self::InvalidInput(BadField { field, says: says.into() })
    }
}
