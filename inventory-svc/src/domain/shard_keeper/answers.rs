//! What the keeper of a shard is told and answers. They are the same for every ledger; how a ledger
//! may fail to answer is the ledger's own.

use std::{fmt, sync::Arc};

use ids::Epoch;

use crate::domain::{EntryAnswer, OpenHold, Terms, attempts::ClockBack};

/// Which process keeps the ledger. A keeper that restarted, or that lost writes in a failover, has
/// another identity.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// From the keeper's own text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The keeper's own text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.0)
    }
}

/// The answer to a batch of `ReserveEntry`s.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reserved {
    /// The epoch that the holds were taken in.
    pub epoch: Epoch,
    /// Units left after the batch.
    pub left: u32,
    /// Grows with each change of the stock within the epoch.
    pub version: u64,
    /// By the keeper's clock, in microseconds since the Unix epoch.
    pub now_us: u64,
    /// One for each entry, in their order.
    pub answers: Vec<EntryAnswer>,
}

/// One look at a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peek {
    /// It admits.
    Open {
        /// The epoch that is loaded.
        epoch: Epoch,
        /// Grows with each change of the stock within the epoch.
        version: u64,
        /// Units left.
        left: u32,
    },
    /// A loader closed it and left its mark; it admits nothing.
    Closed {
        /// The attempt's id.
        mark: Epoch,
    },
    /// It isn't there, or was loaded into another process.
    Fenced,
}

/// Some of a shard's open holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holds {
    /// The epoch that they were taken in.
    pub epoch: Epoch,
    /// The generation of the books' position row that the ledger has seen. Books that are read
    /// *after* this call and show a lower one are an older copy.
    pub generation: u64,
    /// At most as many as were asked for.
    pub holds: Vec<OpenHold>,
}

/// Everything about an epoch but its orders, which were staged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Activation {
    /// The attempt's id, the epoch from then on.
    pub to: Epoch,
    /// The keeper's identity that the ledger answered when staging began; the fence from then on.
    pub identity: Identity,
    /// When the shard admits, and how much per user.
    pub terms: Terms,
    /// Units for sale: the snapshot's total less its sold ones.
    pub stock: u32,
    /// How many orders the snapshot has; as many must have been staged.
    pub orders: u64,
    /// The generation of the books' position row in the snapshot.
    pub generation: u64,
    /// The last movement that the snapshot includes.
    pub movement_watermark: u64,
}

/// Why a whole call did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shut {
    /// A loader has closed the shard, or it was loaded into another process than the one that
    /// answers now.
    Fenced,
    /// Another epoch than the caller's is loaded.
    StaleEpoch {
        /// The one that is.
        loaded: Epoch,
    },
    /// The keeper's clock went back by more than a second, so nobody can tell what is over. It goes
    /// on when the clock has caught up, or with the next load.
    ClockBack,
}

impl From<ClockBack> for Shut {
    fn from(ClockBack: ClockBack) -> Self {
        Self::ClockBack
    }
}

/// Why nothing was staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStaged {
    /// The shard isn't closed by this attempt, or not any more.
    MarkLost,
    /// Another process keeps the shard than when staging began.
    IdentityChanged,
}

/// The shard isn't closed by this attempt, or not any more: nothing was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotForgotten;

/// Why an epoch was not activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotActivated {
    /// The shard isn't closed by this attempt, or not any more.
    MarkLost,
    /// Another process keeps the shard than when staging began.
    IdentityChanged,
    /// This epoch was activated before.
    AlreadyActive,
    /// Not as many orders are staged as the snapshot has.
    Incomplete {
        /// How many there are.
        staged: u64,
    },
}
