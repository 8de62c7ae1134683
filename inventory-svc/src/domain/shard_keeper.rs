//! One shard as its keeper has it, behind the fence: whether it admits, in which epoch, which
//! attempt has closed it, and what that attempt has staged (protocol sections 3 and 7). Pure: who
//! the keeper is and what time it is comes with each call, so a state can outlive its process, as
//! it does when a replica takes over.

use std::mem;

use ids::{Epoch, OrderId};

use super::{
    Count, KnownOrders, Look, OpenHold, Opening, Place, ReserveEntry, Settled, Settlement,
    StagedOrder, Staging, Stock, Taken,
};

mod answers;

pub use answers::{
    Activation, Holds, Identity, NotActivated, NotForgotten, NotStaged, Peek, Reserved, Shut,
};

/// See the module. `me` is the process that has it now. One that is absent is fenced.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ShardKeeper(Phase);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
enum Phase {
    /// Nobody has brought anything here.
    #[default]
    Absent,
    Open(Loaded),
    Closed {
        mark: Epoch,
        staging: Option<Staging>,
        /// The epoch before, for whoever wants to save its open holds.
        last: Option<Loaded>,
    },
}

/// An epoch that was activated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Loaded {
    /// The process that it was loaded into: another one may lack what was written since.
    fence: Identity,
    stock: Stock,
}

impl Loaded {
    fn behind_fence(&self, me: &Identity) -> Result<&Stock, Shut> {
        if self.fence == *me { Ok(&self.stock) } else { Err(Shut::Fenced) }
    }
}

impl ShardKeeper {
    /// Refuses admission until an activation of `mark`, also of a shard that is fenced or absent,
    /// and forgets what other attempts have staged. Idempotent.
    pub fn close(&mut self, mark: Epoch) {
        self.0 = match mem::take(&mut self.0) {
            Phase::Absent => Phase::Closed { mark, staging: None, last: None },
            Phase::Open(loaded) => Phase::Closed { mark, staging: None, last: Some(loaded) },
            Phase::Closed { mark: before, staging, last } => {
                let staging = staging.filter(|_| before == mark);
                Phase::Closed { mark, staging, last }
            }
        };
    }

    /// Takes units for each entry, in their order and each by itself.
    ///
    /// # Errors
    /// [`Shut::Fenced`], then [`Shut::StaleEpoch`], then [`Shut::ClockBack`].
    pub fn reserve(
        &mut self,
        me: &Identity,
        epoch: Epoch,
        now_us: u64,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Reserved, Shut> {
        let stock = self.open_in(me, epoch)?;
        let Taken { now_us, answers } = stock.reserve(now_us, paused, entries)?;
        Ok(Reserved { epoch, left: stock.left(), version: stock.version(), now_us, answers })
    }

    /// Applies what the books decided in `epoch`; of a closed shard too. See [`Stock::settle`].
    ///
    /// # Errors
    /// [`Shut::Fenced`] if it was loaded into another process, or never.
    pub fn settle(
        &mut self,
        me: &Identity,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Result<Settlement, Shut> {
        self.readable(me)?;
        let stock = self.stock_mut().ok_or(Shut::Fenced)?;
        Ok(stock.settle(epoch, generation, decisions))
    }

    /// Starts to stage the epoch `to`, with no orders; what was staged for it before is forgotten.
    ///
    /// # Errors
    /// [`NotStaged::MarkLost`].
    pub fn begin_staging(&mut self, to: Epoch) -> Result<(), NotStaged> {
        *self.staging(to).ok_or(NotStaged::MarkLost)? = Some(Staging::default());
        Ok(())
    }

    /// Stages orders. Idempotent by order id. `began_on` had the shard when staging began.
    ///
    /// # Errors
    /// [`NotStaged::IdentityChanged`], [`NotStaged::MarkLost`] (also if staging never began).
    pub fn stage(
        &mut self,
        me: &Identity,
        to: Epoch,
        began_on: &Identity,
        orders: Vec<StagedOrder>,
    ) -> Result<(), NotStaged> {
        if me != began_on {
            return Err(NotStaged::IdentityChanged);
        }
        let staging = self.staging(to).and_then(Option::as_mut).ok_or(NotStaged::MarkLost)?;
        orders.into_iter().for_each(|order| staging.add(order));
        Ok(())
    }

    /// Makes what was staged the shard's epoch, and opens it. Answers what was there before, to be
    /// dropped where nobody waits for it.
    ///
    /// # Errors
    /// See [`NotActivated`].
    pub fn activate(
        &mut self,
        me: &Identity,
        activation: &Activation,
    ) -> Result<Self, NotActivated> {
        let Activation { to, ref identity, terms, stock, orders, generation, movement_watermark } =
            *activation;
        if me != identity {
            return Err(NotActivated::IdentityChanged);
        }
        if self.has_been(to) {
            return Err(NotActivated::AlreadyActive);
        }
        let staging = self.staging(to).ok_or(NotActivated::MarkLost)?;
        let staged = staging.as_ref().map_or(0, Staging::orders);
        match staging.take_if(|_| staged == orders) {
            Some(staging) => {
                let opening = Opening { epoch: to, terms, stock, generation, movement_watermark };
                let opened = Loaded { fence: me.clone(), stock: staging.open(opening) };
                Ok(mem::replace(self, Self(Phase::Open(opened))))
            }
            None => Err(NotActivated::Incomplete { staged }),
        }
    }

    /// Leaves nothing here, if attempt `mark` has closed the shard; of one that is absent there is
    /// nothing already. Answers what was there, to be dropped where nobody waits for it.
    ///
    /// # Errors
    /// [`NotForgotten`]: another attempt has closed it since, or has opened it.
    pub fn forget(&mut self, mark: Epoch) -> Result<Self, NotForgotten> {
        match &self.0 {
            Phase::Absent => Ok(Self::default()),
            Phase::Closed { mark: closed_by, .. } if *closed_by == mark => Ok(mem::take(self)),
            Phase::Closed { .. } | Phase::Open(_) => Err(NotForgotten),
        }
    }

    /// Whether nobody has brought anything here.
    pub fn is_absent(&self) -> bool {
        self.0 == Phase::Absent
    }

    /// One look.
    pub fn peek(&self, me: &Identity) -> Peek {
        match &self.0 {
            Phase::Open(loaded) => match loaded.behind_fence(me) {
                Ok(stock) => Peek::Open {
                    epoch: stock.epoch(),
                    version: stock.version(),
                    left: stock.left(),
                },
                Err(_) => Peek::Fenced,
            },
            Phase::Closed { mark, .. } => Peek::Closed { mark: *mark },
            Phase::Absent => Peek::Fenced,
        }
    }

    /// What is known of each of the orders, in their order. See [`Stock::look`].
    ///
    /// # Errors
    /// [`Shut::Fenced`], then [`Shut::StaleEpoch`], then [`Shut::ClockBack`].
    pub fn find(
        &mut self,
        me: &Identity,
        epoch: Epoch,
        now_us: u64,
        bars: bool,
        orders: &[OrderId],
    ) -> Result<Look, Shut> {
        Ok(self.open_in(me, epoch)?.look(now_us, bars, orders)?)
    }

    /// Open holds that waited long enough for the books, the longest overdue first.
    ///
    /// # Errors
    /// [`Shut::Fenced`].
    pub fn due(&self, me: &Identity, now_ms: u64, limit: usize) -> Result<Holds, Shut> {
        let stock = self.open(me)?;
        let holds = stock.due(now_ms, limit);
        Ok(Holds { epoch: stock.epoch(), generation: stock.generation(), holds })
    }

    /// Puts open holds off that are still in their places. See [`Stock::postpone`].
    ///
    /// # Errors
    /// [`Shut::Fenced`], then [`Shut::StaleEpoch`].
    pub fn postpone(
        &mut self,
        me: &Identity,
        epoch: Epoch,
        now_ms: u64,
        places: &[Place],
    ) -> Result<(), Shut> {
        self.open_in(me, epoch)?.postpone(now_ms, places);
        Ok(())
    }

    /// A page of all open holds, also of a closed shard. See [`Stock::page`].
    ///
    /// # Errors
    /// [`Shut::Fenced`] if it was loaded into another process, or never: there is nothing left to
    /// be read.
    pub fn holds(
        &self,
        me: &Identity,
        after: Option<&OpenHold>,
        limit: usize,
    ) -> Result<Holds, Shut> {
        let stock = self.readable(me)?;
        let holds = stock.page(after, limit);
        Ok(Holds { epoch: stock.epoch(), generation: stock.generation(), holds })
    }

    /// Counts one by one; slow on purpose.
    ///
    /// # Errors
    /// [`Shut::Fenced`].
    pub fn count(&self, me: &Identity, now_ms: u64) -> Result<Count, Shut> {
        Ok(self.open(me)?.count(now_ms))
    }

    /// All order ids that are known; slow on purpose.
    ///
    /// # Errors
    /// [`Shut::Fenced`].
    pub fn known(&self, me: &Identity) -> Result<KnownOrders, Shut> {
        Ok(self.open(me)?.known())
    }

    /// Damages the stock, if there is one. See [`Stock::tamper`].
    pub fn tamper(&mut self, delta: i32) -> bool {
        self.stock_mut().map(|stock| stock.tamper(delta)).is_some()
    }

    /// What is remembered of attempts is lost, as by a Redis that lost its library.
    pub fn lose_attempts(&mut self) {
        if let Some(stock) = self.stock_mut() {
            stock.lose_attempts();
        }
    }

    fn loaded(&self) -> Option<&Loaded> {
        match &self.0 {
            Phase::Open(loaded) => Some(loaded),
            Phase::Closed { last, .. } => last.as_ref(),
            Phase::Absent => None,
        }
    }

    fn stock_mut(&mut self) -> Option<&mut Stock> {
        match &mut self.0 {
            Phase::Open(loaded) => Some(&mut loaded.stock),
            Phase::Closed { last, .. } => last.as_mut().map(|loaded| &mut loaded.stock),
            Phase::Absent => None,
        }
    }

    fn readable(&self, me: &Identity) -> Result<&Stock, Shut> {
        self.loaded().ok_or(Shut::Fenced)?.behind_fence(me)
    }

    fn open(&self, me: &Identity) -> Result<&Stock, Shut> {
        match &self.0 {
            Phase::Open(loaded) => loaded.behind_fence(me),
            Phase::Closed { .. } | Phase::Absent => Err(Shut::Fenced),
        }
    }

    fn open_in(&mut self, me: &Identity, epoch: Epoch) -> Result<&mut Stock, Shut> {
        in_epoch(self.open(me)?, epoch)?;
        self.stock_mut().ok_or(Shut::Fenced)
    }

    /// Whether `to` was active here: it is never staged or activated again (law B).
    fn has_been(&self, to: Epoch) -> bool {
        self.loaded().is_some_and(|loaded| loaded.stock.epoch() == to)
    }

    /// The place for what attempt `to` stages, while the shard is closed by it.
    fn staging(&mut self, to: Epoch) -> Option<&mut Option<Staging>> {
        if self.has_been(to) {
            return None;
        }
        match &mut self.0 {
            Phase::Closed { mark, staging, .. } if *mark == to => Some(staging),
            Phase::Closed { .. } | Phase::Open(_) | Phase::Absent => None,
        }
    }
}

fn in_epoch(stock: &Stock, epoch: Epoch) -> Result<&Stock, Shut> {
    if stock.epoch() == epoch { Ok(stock) } else { Err(Shut::StaleEpoch { loaded: stock.epoch() }) }
}

#[cfg(test)]
mod tests;
