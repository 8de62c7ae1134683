//! Two inventory-svc: what each has read of the catalog and when, where its connection to the
//! ledger leads, GetOrder's questions, and the roll-forward. What is done about open holds is the
//! code's own plan. Back-off isn't modelled: a hold is due at any moment, but not while a record
//! of it is in the log, since another one would change nothing.

use std::collections::HashMap;

use gateway::answers::{Became, InLedger, Next, after_ledger};
use ids::{Epoch, ItemId, OrderId};
use inventory_svc::{
    domain::{Found, Hold, Holds, Settled, Settlement},
    roll_forward,
};

use crate::{
    buyers::Purchase,
    keeper::Connection,
    lease::Lease,
    loader::Load,
    names,
    settings::{Removed, Settings},
    world::World,
};

/// More than there can be.
const ALL: usize = 9;

/// Later than any back-off.
const LATER_MS: u64 = u64::MAX / 2;

/// One inventory-svc.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Service {
    /// The last thing that it has heard of the catalog, if that was an open epoch.
    pub(crate) view: Option<View>,
    /// An answer of the catalog that is on its way.
    pub(crate) heard_soon: Option<View>,
    pub(crate) connection: Connection,
    pub(crate) load: Option<Load>,
}

/// An open epoch, and the lease that counts from before the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) epoch: Epoch,
    /// The item of that row: a purchase of another one is refused before the ledger.
    pub(crate) item: ItemId,
    pub(crate) lease: Lease,
}

/// GetOrder by a buyer who shows the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LookUp {
    /// Not asked yet.
    Idle,
    /// The books had no row.
    NoRow,
    /// And the shard is retired, with this last epoch.
    Retired(Epoch),
    /// Answered.
    Done,
}

/// What a roll-forward is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Rolled {
    service: usize,
    epoch: Epoch,
    settle: Vec<(OrderId, Settled)>,
    publish: Vec<Hold>,
    books_are_older: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self { view: None, heard_soon: None, connection: Connection::Now, load: None }
    }
}

impl Service {
    /// What it may use the ledger for.
    pub(crate) fn leased(&self) -> Option<View> {
        self.view.filter(|view| !view.lease.is_lapsed)
    }
}

impl Rolled {
    pub(crate) fn carries(&self, order: OrderId) -> bool {
        self.publish.iter().any(|hold| hold.order == order)
    }
}

impl World {
    /// Whether somebody will still come to it who needs a lease.
    pub(crate) fn is_needed(&self, settings: &Settings, index: usize) -> bool {
        let is_here = |service: u8| usize::from(service) == index;
        let purchases = settings.purchases.iter().zip(&self.purchases);
        let looks_up = self.look_up != LookUp::Done;
        settings.look_up.is_some_and(|(_, service)| is_here(service) && looks_up)
            || purchases
                .into_iter()
                .any(|((_, service), purchase)| is_here(*service) && *purchase == Purchase::Idle)
    }

    /// Worlds that differ only in what plays no part any more are one.
    pub(crate) fn forget_what_nobody_asks(&mut self, settings: &Settings) {
        for index in 0..2 {
            if !self.is_needed(settings, index) {
                let service = &mut self.services[index];
                (service.view, service.heard_soon) = (None, None);
            }
        }
    }

    /// The lease is stamped, the catalog is asked.
    pub(crate) fn ask_catalog(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let row = self.catalog.row();
        let lease = Lease::default();
        let view = row.open_epoch().map(|epoch| View { epoch, item: row.item, lease });
        let service = &mut self.services[index];
        if settings.has_slow_leases {
            // What isn't open entitles to nothing, whenever it is heard.
            view?;
            if service.heard_soon == view {
                return None;
            }
            service.heard_soon = view;
        } else {
            if service.view == view {
                return None;
            }
            service.view = view;
        }
        Some(())
    }

    pub(crate) fn hear_catalog(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let service = &mut self.services[index];
        let mut view = service.heard_soon.take()?;
        if settings.is_removed(Removed::LeaseStampedFirst) {
            view.lease = Lease::default();
        }
        service.view = Some(view);
        Some(())
    }

    pub(crate) fn reconnect(&mut self, index: usize) -> Option<()> {
        let connection = &mut self.services[index].connection;
        if *connection == Connection::Now {
            return None;
        }
        *connection = Connection::Now;
        Some(())
    }

    pub(crate) fn ask_books(&mut self, settings: &Settings) -> Option<()> {
        let (ticket, _) = settings.look_up?;
        let has_row = self.books.pages.rows.contains_key(&names::order(ticket));
        self.look_up = match self.look_up {
            LookUp::Idle if !has_row => LookUp::NoRow,
            LookUp::Retired(last) => {
                let open = self.books.pages.open_epoch();
                let open = if settings.is_removed(Removed::BooksOfTheLastEpoch) {
                    Some(last)
                } else {
                    open
                };
                if !has_row && Became::without_row(last, open) == Became::NotPlaced {
                    self.told.deny(ticket);
                }
                LookUp::Done
            }
            LookUp::Idle | LookUp::NoRow | LookUp::Done => LookUp::Done,
        };
        Some(())
    }

    /// The last epoch, if an inventory-svc may have read that the shard is retired, however long
    /// ago.
    fn known_as_retired(&self) -> Option<Epoch> {
        let now = self.catalog.row();
        let mut rows = [&now].into_iter().chain(self.catalog.copies());
        rows.find(|row| row.is_retired()).and_then(|row| row.epoch)
    }

    /// Asks inside the epoch lease, and looks at it again after the answer.
    pub(crate) fn ask_ledger(&mut self, settings: &Settings) -> Option<()> {
        let (ticket, service) = settings.look_up?;
        let service = &self.services[usize::from(service)];
        let is_unleased = settings.is_removed(Removed::LeaseInGetOrder);
        let view = if is_unleased { service.view } else { service.leased() };
        let known = match (view, self.known_as_retired()) {
            (None, Some(last)) => InLedger::Retired(last),
            (None, None) => InLedger::CannotTell,
            (Some(view), _) => {
                let bars = !settings.is_removed(Removed::NotPlacedBars);
                let (me, shard) = self.redis.at_mut(service.connection).shard_mut();
                let orders = [names::order(ticket)];
                match shard.find(me, view.epoch, names::LOOK_US, bars, &orders) {
                    Ok(look) => in_ledger(look.found.first()),
                    Err(_) if settings.is_removed(Removed::FenceInGetOrder) => InLedger::Nothing,
                    Err(_) => InLedger::CannotTell,
                }
            }
        };
        // Another gateway has the batch, if there is one: the ledger bars it.
        self.look_up = match after_ledger(known, false, true) {
            Next::AskBooksOf { last } if !settings.is_removed(Removed::BooksAfterRetired) => {
                LookUp::Retired(last)
            }
            Next::Say(Became::NotPlaced) | Next::AskBooksOf { .. } => {
                self.told.deny(ticket);
                LookUp::Done
            }
            // PROCESSING, or the row.
            Next::Say(_) | Next::Nothing | Next::AskBooksAgain => LookUp::Done,
        };
        Some(())
    }

    pub(crate) fn roll(&mut self, settings: &Settings, index: usize) -> Option<()> {
        if self.rolled.is_some() || settings.is_removed(Removed::RollForward) {
            return None;
        }
        // Only shards that the catalog shows with an epoch are looked after.
        self.catalog.row().epoch?;
        let process = self.redis.at(self.services[index].connection);
        let due = process.shard().due(&process.me, LATER_MS, ALL).ok()?;
        let Holds { epoch, .. } = due;
        let pages = &self.books.pages;
        let orders = due.holds.iter().map(|open| open.hold.order);
        let decided = orders.filter_map(|order| Some((order, pages.decided(order)?)));
        let known = roll_forward::Known {
            decided: decided.collect::<HashMap<_, _>>(),
            generation: pages.guard.as_ref().map(|_| pages.position.generation),
        };
        let plan = roll_forward::plan(due, &known, ALL);
        let publish: Vec<_> = plan.publish.into_iter().flat_map(|group| group.holds).collect();
        let is_new = |hold: &Hold| !self.log.has(&self.rolled_command(settings, epoch, hold));
        let is_older = plan.books_are_older && self.requests.older_books != Some(epoch);
        if plan.settle.is_empty() && !publish.iter().any(is_new) && !is_older {
            return None;
        }
        let settle = plan.settle;
        let books_are_older = plan.books_are_older;
        self.rolled = Some(Rolled { service: index, epoch, settle, publish, books_are_older });
        if !settings.has_slow_rolls {
            self.perform_roll(settings);
        }
        Some(())
    }

    pub(crate) fn perform_roll(&mut self, settings: &Settings) -> Option<()> {
        let Rolled { service, epoch, settle, publish, books_are_older } = self.rolled.take()?;
        if books_are_older {
            self.requests.older_books = Some(epoch);
        }
        if !settle.is_empty() {
            let connection = self.services[service].connection;
            self.settle(connection, epoch, None, &settle);
        }
        for hold in publish {
            let command = self.rolled_command(settings, epoch, &hold);
            self.log.append(command);
        }
        Some(())
    }

    fn rolled_command(&self, settings: &Settings, epoch: Epoch, hold: &Hold) -> journal::Command {
        let is_foreign = settings.is_removed(Removed::RollForwardInOwnEpoch);
        let open = self.books.pages.open_epoch().filter(|_| is_foreign);
        hold_command(open.unwrap_or(epoch), hold)
    }

    /// Tells the ledger, and hears whether that asks for a load.
    pub(crate) fn settle(
        &mut self,
        connection: Connection,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) {
        let pages = &self.books.pages;
        let generation_now = pages.guard.as_ref().map(|_| pages.position.generation);
        let (me, shard) = self.redis.at_mut(connection).shard_mut();
        let mut settled = shard.settle(me, epoch, generation, decisions);
        // A settle that another one has overtaken on the way: the books are asked, and are as far.
        if let Ok(Settlement::GenerationLower { seen }) = settled
            && generation_now.is_some_and(|now| now >= seen)
        {
            settled = shard.settle(me, epoch, None, decisions);
        }
        match settled {
            Ok(Settlement::Applied { rejected: 0 } | Settlement::OtherEpoch) => {}
            Ok(Settlement::Applied { .. }) => self.requests.rejected = Some(epoch),
            Ok(Settlement::GenerationLower { .. }) => self.requests.older_books = Some(epoch),
            // Who finds the ledger so asks for a load anyway.
            Err(_) => {}
        }
    }
}

/// A record of one hold. Records of several have the same effect as one for each.
pub(crate) fn hold_command(epoch: Epoch, hold: &Hold) -> journal::Command {
    let holds = std::slice::from_ref(hold);
    roll_forward::record(names::command(), names::shard(), epoch, holds).command
}

fn in_ledger(found: Option<&Found>) -> InLedger {
    match found {
        Some(Found::Open) => InLedger::Open,
        Some(Found::Settled(_)) => InLedger::Settled,
        Some(Found::Nothing) => InLedger::Nothing,
        Some(Found::Unsure) | None => InLedger::CannotTell,
    }
}
