//! The ledger of stock and holds: what it promises, and to whom it refuses. It admits and nothing
//! more: a fast bouncer whose answers are hints until the books decide (protocol, sections 3 and
//! 7). Only an admitted hold ever lowers what can be sold (law A). Who keeps it is in the files
//! below;
//! `contract` is one suite for all of them. Leases, the journal and the books are not known here.

pub mod contract;
mod memory;
pub mod redis;

use std::{sync::Arc, time::Duration};

use ids::{Epoch, OrderId, ShardNo};
use tokio::runtime::Handle;

pub use crate::domain::{
    Activation, Count, EntryAnswer, Found, Hold, Holds, Identity, KnownOrder, KnownOrders, Look,
    OpenHold, Peek, Place, Refusal, ReserveEntry, Reserved, Settled, Settlement, StagedOrder,
    Terms,
};
pub use memory::MemoryLedger;

use self::redis::{BadAddress, RedisLedger};
use crate::{
    Config,
    domain::{NotActivated, NotForgotten, NotStaged, Shut},
};

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
    /// Nothing was done: the ledger's clock went back. A load goes on from what it shows then.
    #[error("the ledger's clock went back by more than a second")]
    ClockBack,
    /// Nothing was done: the keeper could not be asked.
    #[error("the ledger can't be reached")]
    Unreachable,
    /// It may have been done: the call was sent and no answer came.
    #[error("the ledger did not answer")]
    Unknown,
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

/// Why a shard is still there, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// The shard isn't closed by this attempt, or not any more: someone else loads it.
    #[error("the ledger's mark is not this attempt's")]
    MarkLost,
    /// The keeper could not be asked, or did not answer; it may be asked again.
    #[error(transparent)]
    Ledger(#[from] Error),
}

impl From<Shut> for Error {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::Fenced => Self::Fenced,
            Shut::StaleEpoch { loaded } => Self::StaleEpoch { loaded },
            Shut::ClockBack => Self::ClockBack,
        }
    }
}

impl From<NotStaged> for StageError {
    fn from(why: NotStaged) -> Self {
        match why {
            NotStaged::MarkLost => Self::MarkLost,
            NotStaged::IdentityChanged => Self::IdentityChanged,
        }
    }
}

impl From<NotForgotten> for ForgetError {
    fn from(NotForgotten: NotForgotten) -> Self {
        Self::MarkLost
    }
}

impl From<NotActivated> for ActivateError {
    fn from(why: NotActivated) -> Self {
        match why {
            NotActivated::MarkLost => Self::MarkLost,
            NotActivated::IdentityChanged => Self::IdentityChanged,
            NotActivated::AlreadyActive => Self::AlreadyActive,
            NotActivated::Incomplete { staged } => Self::Incomplete { staged },
        }
    }
}

/// Why there is no ledger to be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It would be lost with this process, and others would not see it.
    #[error("ledger_url is memory, which only `seckill dev` can use: it must be that of a Redis")]
    Memory,
    /// Its address can't be used.
    #[error(transparent)]
    Address(#[from] BadAddress),
}

/// The ledger that `config` names, for a role in a process of its own. Its connections live on
/// `runtime`. A Redis that doesn't answer yet is waited for a moment, and then no longer: roles
/// start in any order, and a ledger that can't be reached says so to each call.
///
/// # Errors
/// If it names none that several processes could share.
pub async fn open(config: &Config, runtime: &Handle) -> Result<Arc<dyn Ledger>, OpenError> {
    if config.ledger_url == "memory" {
        return Err(OpenError::Memory);
    }
    let ledger = RedisLedger::connect(&config.ledger_url, &config.ledger, runtime)?;
    if !ledger.connected(Duration::from_millis(config.ledger.connect_ms_max)).await {
        tracing::warn!(redis = %redis::shown(&config.ledger_url), "the ledger isn't there yet");
    }
    Ok(Arc::new(ledger))
}

/// The ledger. One call is one atomic step on one shard. Times are the ledger's own: one clock for
/// all callers.
///
/// Every call may answer [`Error::Unreachable`] or [`Error::Unknown`]; below only what else it
/// says.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// What keeps it, as traces name it.
    fn system(&self) -> &'static str {
        "memory"
    }

    /// Who keeps the ledger now.
    async fn identity(&self) -> Result<Identity, Error>;

    /// Takes units for each entry, in their order and each by itself. Idempotent by order id: a
    /// known one is answered with what is stored. `paused` refuses new holds, not known ids.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`], then [`Error::ClockBack`].
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

    /// Forgets a shard that attempt `mark` has closed: nothing of it is kept, and it is fenced from
    /// then on. Idempotent: of one that isn't there, there is nothing to forget.
    ///
    /// # Errors
    /// [`ForgetError::MarkLost`]: nothing was forgotten.
    async fn forget(&self, shard: ShardNo, mark: Epoch) -> Result<(), ForgetError>;

    /// The time that admission goes by, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// None of its own.
    async fn now_ms(&self) -> Result<u64, Error>;

    /// Whether anybody answers who would keep what they are told. That no shard is loaded is no
    /// matter. Cheap, and behind nothing that takes long.
    ///
    /// # Errors
    /// None of its own.
    async fn ping(&self) -> Result<(), Error> {
        self.now_ms().await.map(drop)
    }

    /// One look at each of the shards, in their order.
    ///
    /// # Errors
    /// None of its own.
    async fn peek(&self, shards: &[ShardNo]) -> Result<Vec<Peek>, Error>;

    /// What is known of each of the orders, in their order. With `bars`, no attempt that was placed
    /// up to now takes a hold for an order of which there is nothing.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`], then [`Error::ClockBack`].
    async fn find(
        &self,
        shard: ShardNo,
        epoch: Epoch,
        bars: bool,
        orders: &[OrderId],
    ) -> Result<Look, Error>;

    /// Open holds that have waited long enough for the books, the longest overdue first: 5 s after
    /// they were taken, then as [`Ledger::postpone`] says. One whose time lies in the future (the
    /// clock jumped back) is due.
    ///
    /// # Errors
    /// [`Error::Fenced`].
    async fn due(&self, shard: ShardNo, limit: usize) -> Result<Holds, Error>;

    /// Puts holds off: each is due again after twice the time that it waited last, at most 5 min.
    /// One that isn't open or not in its place any more is left as it is: whoever else rolls the
    /// shard forward has put it off, and two of them don't double the wait twice.
    ///
    /// # Errors
    /// [`Error::Fenced`], then [`Error::StaleEpoch`].
    async fn postpone(&self, shard: ShardNo, epoch: Epoch, places: &[Place]) -> Result<(), Error>;

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

    /// Every order id that the shard knows; slow on purpose, and so large as the shard. What is
    /// known from the beginning of the call to its end is in it.
    ///
    /// # Errors
    /// [`Error::Fenced`], also if the shard was loaded anew meanwhile.
    async fn known(&self, shard: ShardNo) -> Result<KnownOrders, Error>;
}
