//! What each call of a loader does in the stores, whenever it arrives.

use std::sync::Arc;

use ids::OrderId;
use inventory_svc::domain::Hold;

use super::*;
use crate::{books::Pages, inventory::hold_command, keeper::Connection};

/// One call, with all that it needs when it arrives late.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(super) action: Action,
    pub(super) to: Epoch,
    pub(super) item: ItemId,
    pub(super) seen: Option<Row>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) staged_on: Option<Identity>,
    /// Where the connection to the ledger led. A call dies with that process.
    pub(super) process: Identity,
    /// Whether the attempt has done the like before.
    pub(super) has_sent: bool,
    pub(super) total: u32,
}

/// What nobody waits for any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Late {
    /// A loader's call.
    Call(Call),
    /// What the books have decided.
    Settle {
        connection: Connection,
        epoch: Epoch,
        generation: u64,
        decisions: Vec<(OrderId, inventory_svc::domain::Settled)>,
    },
}

/// Whether a call that is lost or late differs from one that is simply made later.
pub(crate) fn has_twins(action: Action) -> bool {
    match action {
        Action::Claim
        | Action::Close
        | Action::Stage
        | Action::Activate
        | Action::Open
        | Action::Forget
        | Action::Retire
        | Action::PublishItemOpened
        | Action::PublishChange { .. } => true,
        Action::Wait(_)
        | Action::ReadBooks
        | Action::CheckClaim
        | Action::CheckHolds { .. }
        | Action::PublishHolds { .. }
        | Action::End(_) => false,
    }
}

impl World {
    pub(crate) fn late_arrives(&mut self, settings: &Settings) -> Option<()> {
        match self.late.take()? {
            Late::Call(mut call) => {
                let is_again =
                    call.action == Action::Activate && settings.is_removed(Removed::ActivateOnce);
                if is_again {
                    self.activate_whatever_is_there(&call);
                } else {
                    self.perform(settings, &mut call);
                }
            }
            Late::Settle { connection, epoch, generation, decisions } => {
                self.settle(connection, epoch, Some(generation), &decisions);
            }
        }
        Some(())
    }

    pub(super) fn perform(&mut self, settings: &Settings, call: &mut Call) -> Answer {
        let is_removed = |mechanism| settings.is_removed(mechanism);
        let to = call.to;
        match call.action {
            Action::Wait(_) | Action::End(_) => Answer::Done,
            Action::ReadBooks => self.read_books(settings, call),
            Action::PublishItemOpened => {
                let opened = names::item_opened(call.item, call.total);
                self.log.append(Command::ItemOpened(opened));
                Answer::Done
            }
            Action::Claim => match call.seen {
                Some(seen) => self.catalog.claim(seen, to, is_removed(Removed::ItemInTheClaim)),
                None => Answer::Refused,
            },
            Action::Close => {
                if !is_removed(Removed::CloseFirst) {
                    self.on_ledger(call, |_, shard| shard.close(to));
                }
                Answer::Done
            }
            Action::CheckClaim if is_removed(Removed::LookAfterTheWait) => Answer::Done,
            Action::CheckClaim => self.catalog.go_on(to, Phase::Loading),
            Action::CheckHolds { .. } if is_removed(Removed::HoldsWithTheChange) => Answer::Done,
            Action::CheckHolds { .. }
                if is_removed(Removed::HoldsUntilTheyAreRows) && call.has_sent =>
            {
                Answer::Done
            }
            Action::CheckHolds { from } => {
                let pages = Arc::clone(&self.books.pages);
                let is_row = |hold: &Hold| Pages::decided(&pages, hold.order).is_some();
                if self.open_holds(call, from).iter().all(is_row) {
                    Answer::Done
                } else {
                    Answer::Refused
                }
            }
            Action::PublishHolds { from } => {
                for hold in self.open_holds(call, from) {
                    self.log.append(hold_command(from, &hold));
                }
                Answer::Done
            }
            Action::PublishChange { from } => {
                if is_removed(Removed::ChangeInTheLog) {
                    self.change_in_the_books(from, to);
                } else if !(is_removed(Removed::ChangeSentAgain) && call.has_sent) {
                    self.log.append(Command::EpochChanged { from, to });
                }
                Answer::Done
            }
            Action::Stage => self.stage(settings, call),
            Action::Activate => self.activate(settings, call),
            Action::Open if is_removed(Removed::OpenIsConditional) => {
                self.catalog.overwrite(Phase::Open, to);
                Answer::Done
            }
            Action::Open => self.catalog.go_on(to, Phase::Open),
            Action::Forget => match self.on_ledger(call, |_, shard| shard.forget(to).is_ok()) {
                Some(true) => Answer::Done,
                Some(false) => Answer::Refused,
                None => Answer::Silent,
            },
            Action::Retire => self.catalog.go_on(to, Phase::Retired),
        }
    }

    fn read_books(&self, settings: &Settings, call: &Call) -> Answer {
        let Some(guard) = &self.books.pages.guard else { return Answer::NoRow };
        let is_blind = settings.is_removed(Removed::ItemOfTheGuard);
        let item = if is_blind { call.item } else { guard.item };
        if settings.is_removed(Removed::SnapshotShowsTo) && call.has_sent {
            return Answer::Row { item, open: Some(call.to) };
        }
        // An attempt that finds its own id stops; here it is led past that.
        let is_own = guard.open_epoch == Some(call.to) && !call.has_sent;
        if settings.is_removed(Removed::FreshId) && is_own {
            return Answer::Row { item, open: Some(epoch(NO_EPOCH)) };
        }
        Answer::Row { item, open: guard.open_epoch }
    }

    fn change_in_the_books(&mut self, from: Option<Epoch>, to: Epoch) {
        let is_so = self.books.pages.open_epoch() == from;
        if let Some(guard) = self.books.pages_mut().guard.as_mut().filter(|_| is_so) {
            guard.open_epoch = Some(to);
        }
    }

    /// What the ledger can still show of an epoch; nothing if its process is gone.
    fn open_holds(&mut self, call: &Call, from: Epoch) -> Vec<Hold> {
        let page = self.on_ledger(call, |me, shard| shard.holds(me, None, usize::MAX));
        let Some(Ok(page)) = page else { return Vec::new() };
        let is_of_epoch = page.epoch == from;
        page.holds.into_iter().filter(|_| is_of_epoch).map(|open| open.hold).collect()
    }

    fn stage(&mut self, settings: &Settings, call: &mut Call) -> Answer {
        let closes = settings.is_removed(Removed::CloseFirst) || settings.is_removed(Removed::Mark);
        let Some(snapshot) = call.snapshot.clone() else { return Answer::Refused };
        let to = call.to;
        let staged = self.on_ledger(call, |me, shard| {
            if closes {
                shard.close(to);
            }
            shard.begin_staging(to)?;
            shard.stage(me, to, me, snapshot.orders.clone()).map(|()| me.clone())
        });
        match staged {
            Some(Ok(identity)) => {
                call.staged_on = Some(identity);
                Answer::Done
            }
            Some(Err(_)) => Answer::Refused,
            None => Answer::Silent,
        }
    }

    fn activate(&mut self, settings: &Settings, call: &Call) -> Answer {
        let Some((activation, snapshot)) = activation(call) else { return Answer::Refused };
        let is_unmarked = settings.is_removed(Removed::Mark);
        let activated = self.on_ledger(call, |me, shard| {
            if is_unmarked && *me == activation.identity {
                shard.close(call.to);
                let _ = shard.begin_staging(call.to);
                let _ = shard.stage(me, call.to, me, snapshot.orders.clone());
            }
            shard.activate(me, &activation).is_ok()
        });
        match activated {
            Some(true) => Answer::Done,
            Some(false) => Answer::Refused,
            None => Answer::Silent,
        }
    }

    /// As a ledger would that does what it is told as often as it is told.
    fn activate_whatever_is_there(&mut self, call: &Call) {
        let Some((activation, snapshot)) = activation(call) else { return };
        self.on_ledger(call, |me, shard| {
            let mut again = inventory_svc::domain::ShardKeeper::default();
            again.close(call.to);
            let _ = again.begin_staging(call.to);
            let _ = again.stage(me, call.to, me, snapshot.orders.clone());
            if again.activate(me, &activation).is_ok() {
                *shard = again;
            }
        });
    }

    /// Runs `step` on the process that the call was sent to, if that is alive.
    fn on_ledger<T>(
        &mut self,
        call: &Call,
        step: impl FnOnce(&Identity, &mut inventory_svc::domain::ShardKeeper) -> T,
    ) -> Option<T> {
        let redis = &mut self.redis;
        let mut alive = redis.before.iter_mut().chain([&mut redis.now]);
        let process = alive.find(|process| process.me == call.process)?;
        let (me, shard) = process.shard_mut();
        Some(step(me, shard))
    }
}

fn activation(call: &Call) -> Option<(Activation, Arc<Snapshot>)> {
    let (identity, snapshot) = (call.staged_on.clone()?, call.snapshot.clone()?);
    let stock = snapshot.total.saturating_sub(snapshot.sold);
    let activation = Activation {
        to: call.to,
        identity,
        terms: TERMS,
        stock: u32::try_from(stock).unwrap_or(u32::MAX),
        orders: snapshot.orders.len() as u64,
        generation: snapshot.generation,
        movement_watermark: 0,
    };
    Some((activation, snapshot))
}
