//! The ledger of stock and holds: what it promises, and to whom it refuses. It admits and nothing
//! more: a fast bouncer whose answers are hints until the books decide (protocol, sections 3 and
//! 7). Only an admitted hold ever lowers what can be sold (law A). Who keeps it is in the files
//! below;
//! `contract` is one suite for all of them. Leases, the journal and the books are not known here.

pub mod contract;
mod memory;

use std::{fmt, sync::Arc};

use ids::{Epoch, OrderId, ShardNo};

pub use crate::domain::{
    Count, EntryAnswer, Found, Hold, OpenHold, Refusal, ReserveEntry, Settled, Settlement,
    StagedOrder, Terms,
};
pub use memory::MemoryLedger;

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

/// Why the ledger did nothing for a whole call, or can't tell whether it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was done: the shard isn't there, is closed by a loader, or was loaded into another
    /// process than the one that answers now.
    #[error("the ledger is fenced: the shard must be loaded")]
    Fenced,
    /// Nothing was done: another epoch than the caller's is loaded.
    #[error("the ledger has epoch {loaded} loaded")]
    StaleEpoch {
        /// The one that is.
        loaded: Epoch,
    },
    /// Nothing was done: the keeper could not be asked.
    #[error("the ledger can't be reached")]
    Unreachable,
    /// It may have been done: the call was sent and no answer came.
    #[error("the ledger did not answer")]
    Unknown,
}

/// The answer to a batch of [`ReserveEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The epoch that the holds were taken in.
    pub epoch: Epoch,
    /// Units left after the batch.
    pub left: u32,
    /// Grows with each change of the stock within the epoch.
    pub version: u64,
    /// One for each entry, in their order.
    pub answers: Vec<EntryAnswer>,
}

/// One look at a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The attempt's id, the epoch from then on.
    pub to: Epoch,
    /// The keeper's identity that [`Ledger::begin_staging`] answered; the fence from then on.
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

/// Why nothing was staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The shard isn't closed by this attempt, or not any more. Start over with a new id.
    #[error("the ledger's mark is not this attempt's")]
    MarkLost,
    /// Another process keeps the ledger than when staging began. Start over with a new id.
    #[error("another process keeps the ledger than when staging began")]
    IdentityChanged,
    /// The keeper could not be asked, or did not answer; staging may be sent again.
    #[error(transparent)]
    Ledger(#[from] Error),
}

/// Why an epoch was not activated, or may not have been. In each case: start over with a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActivateError {
    /// Refused: the shard isn't closed by this attempt, or not any more.
    #[error("the ledger's mark is not this attempt's")]
    MarkLost,
    /// Refused: another process keeps the ledger than when staging began.
    #[error("another process keeps the ledger than when staging began")]
    IdentityChanged,
    /// Refused: this epoch was activated before. An activate is sent once.
    #[error("the epoch was activated before")]
    AlreadyActive,
    /// Refused: not as many orders are staged as the snapshot has.
    #[error("{staged} orders are staged, not as many as the snapshot has")]
    Incomplete {
        /// How many there are.
        staged: u64,
    },
    /// The keeper could not be asked, or did not answer: it may have been done.
    #[error(transparent)]
    Ledger(#[from] Error),
}

/// The ledger. One call is one atomic step on one shard. Times are the ledger's own: one clock for
/// all callers.
///
/// Every call may answer [`Error::Unreachable`] or [`Error::Unknown`]; below only what else it
/// says.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Who keeps the ledger now.
    async fn identity(&self) -> Result<Identity, Error>;

    /// Takes units for each entry, in their order and each by itself. Idempotent by order id: a
    /// known one is answered with what is stored. `paused` refuses new holds, not known ids.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`].
    async fn reserve(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Reserved, Error>;

    /// Applies what the books decided. Idempotent; unknown orders change nothing, and a tombstone
    /// is never overwritten. It gives no units to the stock: only a movement does (law A).
    ///
    /// `generation` is that of the books' position row. `None` compares nothing: for who has read
    /// the books while newer settles may have overtaken that read.
    ///
    /// A closed shard is settled too, as long as it is that epoch's.
    ///
    /// # Errors
    /// [`Error::Fenced`] if the shard isn't there or was loaded into another process.
    async fn settle(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Error>;

    /// Refuses admission until an activation of `mark`, also of a shard that is fenced or isn't
    /// there, and forgets what other attempts have staged. Idempotent. Open holds stay readable
    /// with [`Ledger::holds`].
    ///
    /// # Errors
    /// None of its own.
    async fn close(&self, shard: ShardNo, mark: Epoch) -> Result<(), Error>;

    /// Starts to stage the epoch `to`, with no orders. Idempotent: what was staged for it before is
    /// forgotten. Answers who keeps the ledger; the rest of the attempt insists on that.
    ///
    /// # Errors
    /// [`StageError::MarkLost`].
    async fn begin_staging(&self, shard: ShardNo, to: Epoch) -> Result<Identity, StageError>;

    /// Stages orders. Idempotent by order id.
    ///
    /// # Errors
    /// [`StageError::IdentityChanged`], [`StageError::MarkLost`] (also if staging never began).
    async fn stage(
        &self,
        shard: ShardNo,
        to: Epoch,
        identity: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), StageError>;

    /// Makes what was staged the shard's epoch, and opens it. To be sent once: never again after
    /// any answer or none.
    ///
    /// # Errors
    /// See [`ActivateError`]; [`ActivateError::Ledger`] with [`Error::Unknown`] may have been done.
    async fn activate(&self, shard: ShardNo, activation: Activation) -> Result<(), ActivateError>;

    /// One look at each of the shards, in their order.
    ///
    /// # Errors
    /// None of its own.
    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error>;

    /// What is known of each of the orders, in their order.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`].
    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        orders: &[OrderId],
    ) -> Result<Vec<Found>, Error>;

    /// Open holds that have waited long enough for the books, the longest overdue first: 5 s after
    /// they were taken, then as [`Ledger::postpone`] says. One whose time lies in the future (the
    /// clock jumped back) is due.
    ///
    /// # Errors
    /// [`Error::Fenced`].
    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error>;

    /// Puts holds off: each is due again after twice the time that it waited last, at most 5 min.
    /// Orders without an open hold change nothing.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`].
    async fn postpone(&self, shard: ShardNo, epoch: Epoch, orders: &[OrderId])
    -> Result<(), Error>;

    /// A page of all open holds, also of a closed shard: the first ones, or those that follow
    /// `after`, the last one of the page before. A page with fewer than `limit` is the last.
    /// Whatever is open from the first page to the last is in one of them, perhaps in two.
    ///
    /// # Errors
    /// [`Error::Fenced`] if the shard has no epoch at all or was loaded into another process: there
    /// is nothing left to be read.
    async fn holds(
        &self,
        shard: ShardNo,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Error>;

    /// Counts one by one; slow on purpose.
    ///
    /// # Errors
    /// [`Error::Fenced`].
    async fn count(&self, shard: ShardNo) -> Result<Count, Error>;
}
