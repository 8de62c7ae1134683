//! What must be so. The judgements are those of `law`; here is only where their figures stand in
//! the small world, and when each of them may be asked.

use ids::OrderId;
use inventory_svc::domain::sale::Phase;
use law::{OrderState, Units};
use stateright::Property;

use crate::{
    buyers::Purchase,
    inventory::LookUp,
    keeper::Process,
    names::{self, LIMIT_PER_USER, NOW_MS},
    protocol::Protocol,
    settings::Settings,
    world::World,
};

/// I-1.
pub const NO_OVERSELL: &str = "I-1 no oversell";
/// I-2, at any moment: an accepted order is a live row, or something still carries it there.
pub const PROMISE_KEPT: &str = "I-2 a promise is kept";
/// I-2: no accepted order is a row that was refused.
pub const NOT_REFUSED: &str = "I-2 no accepted order is refused";
/// I-3, at rest.
pub const NOTHING_LEAKS: &str = "I-3 nothing leaks";
/// I-4, the second half; the first one is a primary key.
pub const WITHIN_LIMIT: &str = "I-4 nobody is above the limit";
/// Section 5: in an open epoch the guard can't refuse.
pub const LEDGER_IS_RIGHT: &str = "the books refuse no hold of the open epoch";
/// Section 8: who is told NOT_PLACED has no order.
pub const NOT_PLACED_IS_TRUE: &str = "NOT_PLACED is true";

/// A shard's number, its item and its tickets are one: nobody buys what is another item's.
pub const OF_ITS_TICKET: &str = "a row is of its ticket's item";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NO_OVERSELL, |protocol: &Protocol, world: &World| {
            world.sells_no_more(&protocol.settings)
        }),
        Property::always(PROMISE_KEPT, |_, world: &World| world.keeps_promises()),
        Property::always(NOT_REFUSED, |_, world: &World| world.refuses_nobody_it_accepted()),
        Property::always(NOTHING_LEAKS, |protocol: &Protocol, world: &World| {
            !world.is_at_rest() || world.leaks_nothing(&protocol.settings)
        }),
        Property::always(WITHIN_LIMIT, |_, world: &World| world.keeps_limits()),
        Property::always(LEDGER_IS_RIGHT, |_, world: &World| !world.told.is_alarmed),
        Property::always(NOT_PLACED_IS_TRUE, |_, world: &World| {
            world.denies_nobody_with_an_order()
        }),
        Property::always(OF_ITS_TICKET, |_, world: &World| world.sells_what_tickets_name()),
    ]
}

impl World {
    /// Nothing is on its way, everything is decided, and the shard is open or retired, or refused
    /// since its number is another item's: a good end, if it is also lawful.
    pub(crate) fn is_at_rest(&self) -> bool {
        if self.is_refused() {
            return self.is_quiet();
        }
        let row = self.catalog.row();
        let Some(epoch) = row.open_epoch().or(row.epoch.filter(|_| row.is_retired())) else {
            return false;
        };
        self.is_quiet()
            && self.books.pages.open_epoch() == Some(epoch)
            && self.requests.rejected != Some(epoch)
            && self.requests.older_books != Some(epoch)
            && (row.is_retired() || self.open_holds_in(epoch) == Some(0))
    }

    /// The books know the number as another item's, and nobody has touched the shard.
    fn is_refused(&self) -> bool {
        let (row, guard) = (self.catalog.row(), self.books.pages.guard.as_ref());
        row.phase == Phase::New && guard.is_some_and(|guard| guard.item != row.item)
    }

    fn is_quiet(&self) -> bool {
        let in_flight = |purchase: &Purchase| match purchase {
            Purchase::Leased { .. } | Purchase::Held { .. } => true,
            Purchase::Idle | Purchase::Done => false,
        };
        self.redis.before.is_none()
            && !self.can_consume()
            && self.services.iter().all(|service| service.load.is_none())
            && !self.purchases.iter().any(in_flight)
            && !matches!(self.look_up, LookUp::NoRow | LookUp::Retired(_))
            && self.rolled.is_none()
            && self.late.is_none()
    }

    /// At rest: whether nothing is missing.
    pub(crate) fn is_lawful_at_rest(&self, settings: &Settings) -> bool {
        self.leaks_nothing(settings) && self.keeps_promises()
    }

    fn open_holds_in(&self, epoch: ids::Epoch) -> Option<u64> {
        let Process { me, .. } = &self.redis.now;
        let count = self.redis.now.shard().count(me, NOW_MS).ok()?;
        (count.epoch == epoch).then_some(count.open_holds)
    }

    fn sells_no_more(&self, settings: &Settings) -> bool {
        law::no_oversell(settings.total.into(), self.books.pages.live_units()).is_ok()
    }

    fn leaks_nothing(&self, settings: &Settings) -> bool {
        let live = self.books.pages.live_units();
        if self.catalog.row().is_retired() || self.is_refused() {
            // What was left is nobody's any more.
            return law::no_oversell(settings.total.into(), live).is_ok();
        }
        let Process { me, .. } = &self.redis.now;
        let Ok(count) = self.redis.now.shard().count(me, NOW_MS) else { return false };
        let units = Units { stock: count.stock, open: count.open_units, live, unapplied: 0 };
        law::nothing_leaks(settings.total.into(), units).is_ok()
    }

    fn keeps_limits(&self) -> bool {
        let pages = &self.books.pages;
        pages.rows.values().all(|row| {
            let same = pages.rows.values().filter(|other| other.user == row.user);
            let live = same.filter(|other| other.state.is_live());
            law::within_limit(LIMIT_PER_USER, live.map(|row| u64::from(row.quantity)).sum()).is_ok()
        })
    }

    fn keeps_promises(&self) -> bool {
        let mut accepted = self.told.accepted().map(names::order);
        accepted.all(|order| self.is_promise_kept(order) || self.is_carried(order))
    }

    fn is_promise_kept(&self, order: OrderId) -> bool {
        let row = self.books.pages.rows.get(&order);
        let live_rows = row.filter(|row| row.state.is_live()).map_or(0, |_| 1);
        law::promise_kept(order, live_rows).is_ok()
    }

    fn refuses_nobody_it_accepted(&self) -> bool {
        let refused = |order| match self.books.pages.rows.get(&order) {
            Some(row) => row.state == OrderState::Rejected,
            None => false,
        };
        !self.told.accepted().map(names::order).any(refused)
    }

    /// Whether anything but a new attempt of the buyer may still make a row of it: a record that
    /// is not read, an open hold that can be, or a process that is about to write one.
    fn is_carried(&self, order: OrderId) -> bool {
        let pages = &self.books.pages;
        let unread = if pages.is_in_place(&self.log) { pages.position.next_offset } else { 0 };
        let holds_it = |process: &Process| {
            let holds = process.shard().holds(&process.me, None, usize::MAX);
            holds.is_ok_and(|page| page.holds.iter().any(|open| open.hold.order == order))
        };
        let has_it = |purchase: &Purchase| match purchase {
            Purchase::Held { hold, .. } => hold.order == order,
            Purchase::Idle | Purchase::Leased { .. } | Purchase::Done => false,
        };
        self.log.has_hold(order, unread)
            || self.redis.before.iter().chain([&self.redis.now]).any(holds_it)
            || self.purchases.iter().any(has_it)
            || self.rolled.as_ref().is_some_and(|rolled| rolled.carries(order))
    }

    fn sells_what_tickets_name(&self) -> bool {
        let rows = &self.books.pages.rows;
        (0..names::TICKETS).all(|ticket| {
            let row = rows.get(&names::order(ticket));
            row.is_none_or(|row| row.item == names::item_of(ticket))
        })
    }

    fn denies_nobody_with_an_order(&self) -> bool {
        self.told.denied().map(|ticket| (ticket, names::order(ticket))).all(|(ticket, order)| {
            let row = self.books.pages.rows.get(&order);
            let is_live = row.is_some_and(|row| row.state.is_live());
            !is_live && !self.told.accepted().any(|accepted| accepted == ticket)
        })
    }
}
