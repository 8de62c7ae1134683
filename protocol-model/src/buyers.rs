//! Purchases on their way through two gateways. What is told is the code's own rule; the batch is
//! of one. The client's Reserve call and the look at the epoch lease are one step: a call that is
//! sent earlier has a shorter lease, so it promises less.

use gateway::answers::{self, Answer, EntryAnswer, EntryRefusal, Hold, Recorded, Settled};
use ids::Epoch;
use inventory_svc::domain;
use journal::{Command, PlacedHold};

use crate::{
    inventory::LookUp,
    lease::Lease,
    names,
    settings::{Fault, Removed, Settings},
    world::World,
};

/// How far one is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Purchase {
    /// Not sent yet.
    #[default]
    Idle,
    /// It was placed then, inventory-svc has looked at its epoch lease, and not yet asked the
    /// ledger. The lease on ACCEPTED ends with it.
    Leased { epoch: Epoch, lease: Lease, placed_us: u64 },
    /// The gateway has the ledger's answer.
    Held { epoch: Epoch, hold: Hold, lease: Lease, was_lapsed: bool },
    /// It is answered, or its gateway has died.
    Done,
}

impl World {
    pub(crate) fn can_check_lease(&self, settings: &Settings, index: usize) -> bool {
        let Some((ticket, service)) = settings.purchases.get(index) else { return false };
        // As long as the ledger has what the books refused, it makes a liar of any second gateway.
        let may_come =
            index == 0 || !settings.has_barring() || self.is_settled(names::order(*ticket));
        let is_leased = self.services[usize::from(*service)].leased().is_some();
        // There is no ticket for an item that no catalog has shown yet.
        let item = names::item_of(*ticket);
        let has_ticket = item == names::ITEM || item == self.catalog.row().item;
        self.purchases[index] == Purchase::Idle && is_leased && may_come && has_ticket
    }

    fn placed_us(&self) -> u64 {
        names::LOOK_US + u64::from(self.look_up == LookUp::Done)
    }

    /// Whether the books have decided it, and the ledger has no open hold of it.
    fn is_settled(&self, order: ids::OrderId) -> bool {
        let process = &self.redis.now;
        let holds = process.shard().holds(&process.me, None, usize::MAX);
        let is_open =
            holds.is_ok_and(|page| page.holds.iter().any(|open| open.hold.order == order));
        self.books.pages.decided(order).is_some() && !is_open
    }

    pub(crate) fn check_lease(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let (ticket, service) = *settings.purchases.get(index)?;
        let view = self.services[usize::from(service)].leased()?;
        let is_blind = settings.is_removed(Removed::ItemInReserve);
        if view.item != names::item_of(ticket) && !is_blind {
            self.purchases[index] = Purchase::Done;
            return Some(());
        }
        self.purchases[index] =
            Purchase::Leased { epoch: view.epoch, lease: view.lease, placed_us: self.placed_us() };
        Some(())
    }

    pub(crate) fn reserve(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let Purchase::Leased { epoch, lease, placed_us } = self.purchases[index] else {
            return None;
        };
        let (ticket, service) = *settings.purchases.get(index)?;
        let connection = self.services[usize::from(service)].connection;
        let (me, shard) = self.redis.at_mut(connection).shard_mut();
        let entries = vec![names::entry(ticket, placed_us)];
        let reserved = shard.reserve(me, epoch, names::LOOK_US, false, entries);
        let Some(answer) = reserved.ok().and_then(|mut reserved| reserved.answers.pop()) else {
            self.purchases[index] = Purchase::Done;
            return Some(());
        };
        if let domain::EntryAnswer::Held(_) = answer {
            self.told.hold_taken(ticket, placed_us);
        }
        let was_lapsed = lease.is_lapsed;
        self.purchases[index] = match heard(answer) {
            EntryAnswer::Hold(hold) => Purchase::Held { epoch, hold, lease, was_lapsed },
            answer @ (EntryAnswer::Settled(_) | EntryAnswer::Refused(_)) => {
                self.tell(ticket, &answer, was_lapsed, Recorded::Unsure);
                Purchase::Done
            }
        };
        Some(())
    }

    pub(crate) fn record(&mut self, settings: &Settings, index: usize) -> Option<()> {
        let purchase = std::mem::replace(&mut self.purchases[index], Purchase::Done);
        let Purchase::Held { epoch, hold, lease, was_lapsed } = purchase else { return None };
        let (ticket, _) = *settings.purchases.get(index)?;
        let holds = vec![placed(&hold)];
        let item = Some(names::item_of(ticket));
        self.log.append(Command::HoldsPlaced { epoch, item, holds });
        let is_in_time = !lease.is_lapsed || settings.is_removed(Removed::AcceptedLease);
        let recorded = if is_in_time { Recorded::InsideLease } else { Recorded::Unsure };
        self.tell(ticket, &EntryAnswer::Hold(hold), was_lapsed, recorded);
        Some(())
    }

    pub(crate) fn gateway_dies(&mut self, index: usize) -> Option<()> {
        let Purchase::Held { .. } = self.purchases[index] else { return None };
        self.faults.spend(Fault::GatewayDeath);
        self.purchases[index] = Purchase::Done;
        Some(())
    }

    /// Whether a purchase of this order is on its way.
    pub(crate) fn has_in_flight(&self, settings: &Settings, order: ids::OrderId) -> bool {
        let mut purchases = settings.purchases.iter().zip(&self.purchases);
        purchases.any(|((ticket, _), purchase)| match purchase {
            Purchase::Leased { .. } | Purchase::Held { .. } => names::order(*ticket) == order,
            Purchase::Idle | Purchase::Done => false,
        })
    }

    fn tell(&mut self, ticket: u8, answer: &EntryAnswer, was_lapsed: bool, recorded: Recorded) {
        let told = answers::answers(std::slice::from_ref(answer), was_lapsed, recorded);
        if told == [Answer::Accepted] {
            self.told.accept(ticket);
        }
    }
}

/// The ledger's answer as it comes to the gateway.
fn heard(answer: domain::EntryAnswer) -> EntryAnswer {
    match answer {
        domain::EntryAnswer::Held(hold) | domain::EntryAnswer::Open(hold) => {
            let domain::Hold { order, user, quantity, unit_price, taken_at_ms, traceparent } = hold;
            EntryAnswer::Hold(Hold { order, user, quantity, unit_price, taken_at_ms, traceparent })
        }
        domain::EntryAnswer::Settled(settled) => EntryAnswer::Settled(match settled {
            domain::Settled::Placed => Settled::Placed,
            domain::Settled::Rejected => Settled::Rejected,
            domain::Settled::Released => Settled::Released,
        }),
        domain::EntryAnswer::Refused(why) => EntryAnswer::Refused(match why {
            domain::Refusal::NotOpen => EntryRefusal::NotOpen,
            domain::Refusal::Closed => EntryRefusal::Closed,
            domain::Refusal::TicketExpired => EntryRefusal::TicketExpired,
            domain::Refusal::Paused => EntryRefusal::Paused,
            domain::Refusal::LimitReached => EntryRefusal::LimitReached,
            domain::Refusal::SoldOut => EntryRefusal::SoldOut,
            domain::Refusal::TooLate => EntryRefusal::TooLate,
        }),
    }
}

/// The record is built from what the ledger stored.
fn placed(hold: &Hold) -> PlacedHold {
    let Hold { order, user, quantity, unit_price, taken_at_ms, traceparent } = hold.clone();
    PlacedHold { order, user, quantity, unit_price, taken_at_ms, traceparent }
}
