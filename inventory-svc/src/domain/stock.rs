//! The stock of one shard in one epoch: what is left, what is held, and what the books have said of
//! each order id. Every rule of protocol section 3 behind the fence is here, in that order, with
//! `now` passed in. Keeps I-1, I-3, I-4 and I-5 within the shard and asserts them with `law`.
//! It does not know fences, marks, who keeps it, or who asks.

use std::collections::{HashMap, hash_map};

use ids::{Epoch, OrderId, UserId};
use law::{AdmissionTimes, Units, Violation};

use super::{
    EntryAnswer, Hold, OpenHold, Refusal, ReserveEntry, Settled, StagedOrder,
    attempts::{Attempts, ClockBack},
    hold::ATTEMPTS_MAX,
    waiting::{Place, Waiting},
};

mod answers;
mod hashing;
mod known;

pub use known::{KnownOrder, KnownOrders};

pub use answers::{Count, Found, Look, Settlement, Taken};

/// When a shard admits, and how much per user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The window is `[opens_ms, closes_ms)`, in milliseconds since the Unix epoch.
    pub opens_ms: u64,
    /// See `opens_ms`.
    pub closes_ms: u64,
    /// Units per user and item, 1 or more.
    pub limit_per_user: u32,
}

/// Everything that an epoch starts with, but its orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opening {
    /// Its name.
    pub epoch: Epoch,
    /// When it admits, and how much per user.
    pub terms: Terms,
    /// Units for sale.
    pub stock: u32,
    /// Of the books' position row in the snapshot.
    pub generation: u64,
    /// The last movement that the snapshot includes.
    pub movement_watermark: u64,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    opening: Opening,
    left: u32,
    version: u64,
    generation: u64,
    orders: HashMap<OrderId, Known>,
    users: HashMap<UserId, u32>,
    waiting: Waiting,
    /// `None` if what was there is lost.
    attempts: Option<Attempts>,
    open_units: u64,
    placed_units: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Known {
    Open(OpenHold),
    Placed { user: UserId, quantity: u32 },
    Rejected,
    Released,
}

/// How many holds there is room for from the start: 100 MiB of addresses.
const ROOM_MAX: usize = 1 << 20;

/// The orders of an epoch that is being prepared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Staging {
    orders: HashMap<OrderId, Known>,
    users: HashMap<UserId, u32>,
    placed_units: u64,
}

impl Staging {
    /// Adds an order of the books. One that is there already changes nothing.
    pub fn add(&mut self, staged: StagedOrder) {
        let StagedOrder { order, user, quantity, state } = staged;
        let hash_map::Entry::Vacant(place) = self.orders.entry(order) else {
            return;
        };
        place.insert(match state {
            Settled::Placed => {
                let units = self.users.entry(user).or_default();
                *units = units.saturating_add(quantity);
                self.placed_units += u64::from(quantity);
                Known::Placed { user, quantity }
            }
            Settled::Rejected => Known::Rejected,
            Settled::Released => Known::Released,
        });
    }

    /// How many orders there are.
    pub fn orders(&self) -> u64 {
        self.orders.len() as u64
    }

    /// Opens the epoch with these orders.
    pub fn open(self, opening: Opening) -> Stock {
        let Self { mut orders, mut users, placed_units } = self;
        // Each hold takes a unit or more. A table that grows in the rush stops all buyers while it
        // moves; memory that isn't touched costs nothing.
        let holds_max = usize::try_from(opening.stock).unwrap_or(ROOM_MAX).min(ROOM_MAX);
        orders.reserve(holds_max);
        users.reserve(holds_max);
        Stock {
            opening,
            left: opening.stock,
            version: 1,
            generation: opening.generation,
            orders,
            users,
            waiting: Waiting::default(),
            attempts: Some(Attempts::default()),
            open_units: 0,
            placed_units,
        }
    }
}

impl Stock {
    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.opening.epoch
    }

    /// Units for sale.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Grows with each change of what is left.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The highest generation of the books' position row that was seen.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes units for each entry, in their order and each by itself.
    ///
    /// # Errors
    /// [`ClockBack`]: nothing was done.
    pub fn reserve(
        &mut self,
        now_us: u64,
        paused: bool,
        entries: Vec<ReserveEntry>,
    ) -> Result<Taken, ClockBack> {
        let now_us = self.attempts_at(now_us).time_at(now_us)?;
        let one = |entry| self.reserve_one(now_us, paused, entry);
        Ok(Taken { now_us, answers: entries.into_iter().map(one).collect() })
    }

    fn attempts_at(&mut self, now_us: u64) -> &mut Attempts {
        self.attempts.get_or_insert_with(|| Attempts::since(now_us))
    }

    /// What is remembered of attempts is lost, and nothing else.
    pub fn lose_attempts(&mut self) {
        self.attempts = None;
    }

    fn reserve_one(&mut self, now_us: u64, paused: bool, entry: ReserveEntry) -> EntryAnswer {
        if let Some(known) = self.orders.get(&entry.order) {
            return match known {
                Known::Open(open) => EntryAnswer::Open(open.hold.clone()),
                Known::Placed { .. } => EntryAnswer::Settled(Settled::Placed),
                Known::Rejected => EntryAnswer::Settled(Settled::Rejected),
                Known::Released => EntryAnswer::Settled(Settled::Released),
            };
        }
        match self.refusal(now_us, paused, &entry) {
            Some(refusal) => EntryAnswer::Refused(refusal),
            None => EntryAnswer::Held(self.hold(now_us / 1000, entry)),
        }
    }

    /// The first reason not to admit what isn't known yet.
    fn refusal(&self, now_us: u64, paused: bool, entry: &ReserveEntry) -> Option<Refusal> {
        let now_ms = now_us / 1000;
        // Looked up last: in a flood nearly all are refused for another reason.
        let may_hold = || {
            let attempts = self.attempts.as_ref();
            attempts.is_some_and(|them| them.may_hold(entry.order, entry.placed_us, now_us))
        };
        let Terms { opens_ms, closes_ms, limit_per_user } = self.opening.terms;
        // Users whose requests are refused get no entry: what is kept is bounded by the stock.
        let has = self.users.get(&entry.user).copied().unwrap_or(0);
        let would_have = u64::from(has) + u64::from(entry.quantity);
        if now_ms < opens_ms {
            Some(Refusal::NotOpen)
        } else if now_ms >= closes_ms {
            Some(Refusal::Closed)
        } else if now_ms >= entry.ticket_expires_ms {
            Some(Refusal::TicketExpired)
        } else if paused {
            Some(Refusal::Paused)
        } else if would_have > u64::from(limit_per_user) {
            Some(Refusal::LimitReached)
        } else if self.left < entry.quantity {
            Some(Refusal::SoldOut)
        } else if !may_hold() {
            Some(Refusal::TooLate)
        } else {
            None
        }
    }

    fn hold(&mut self, now_ms: u64, entry: ReserveEntry) -> Hold {
        let Terms { opens_ms, closes_ms, limit_per_user } = self.opening.terms;
        let ReserveEntry {
            order,
            user,
            quantity,
            unit_price,
            ticket_expires_ms,
            traceparent,
            placed_us: _,
        } = entry;
        let before = self.units();
        let hold = Hold { order, user, quantity, unit_price, taken_at_ms: now_ms, traceparent };
        let open = OpenHold { hold: hold.clone(), attempts: 0, since_ms: now_ms };

        self.left -= quantity;
        self.version += 1;
        let units = self.users.entry(user).or_default();
        *units += quantity;
        let user_units = *units;
        self.open_units += u64::from(quantity);
        self.waiting.insert(open.place());
        self.orders.insert(order, Known::Open(open));

        let times = AdmissionTimes { opens_ms, closes_ms, ticket_expires_ms };
        assert_lawful(|| law::admitted_lawfully(now_ms, times));
        assert_lawful(|| law::within_limit(limit_per_user, user_units.into()));
        assert_lawful(|| law::nothing_leaks(units_sum(before), self.units()));
        hold
    }

    /// Applies what the books decided in `epoch`. `generation` is that of their position row; none
    /// compares nothing.
    ///
    /// A tombstone is never overwritten. [`Settled::Released`] makes none here: its units come with
    /// a movement, and until then the order counts as placed (law A: a settle gives no stock).
    pub fn settle(
        &mut self,
        epoch: Epoch,
        generation: Option<u64>,
        decisions: &[(OrderId, Settled)],
    ) -> Settlement {
        if epoch != self.epoch() {
            return Settlement::OtherEpoch;
        }
        if let Some(generation) = generation {
            if generation < self.generation {
                return Settlement::GenerationLower { seen: self.generation };
            }
            self.generation = generation;
        }
        let mut rejected = 0;
        for (order, decision) in decisions {
            match decision {
                Settled::Placed | Settled::Released => self.place(*order),
                Settled::Rejected => rejected += u32::from(self.reject(*order)),
            }
        }
        Settlement::Applied { rejected }
    }

    fn place(&mut self, order: OrderId) {
        let Some(known) = self.orders.get_mut(&order) else {
            return;
        };
        match known {
            Known::Open(open) => {
                let Hold { user, quantity, .. } = open.hold;
                self.waiting.remove(open.place());
                *known = Known::Placed { user, quantity };
                let before = self.units();
                self.open_units -= u64::from(quantity);
                self.placed_units += u64::from(quantity);
                assert_lawful(|| law::nothing_leaks(units_sum(before), self.units()));
            }
            Known::Placed { .. } | Known::Rejected | Known::Released => {}
        }
    }

    /// Whether it was live. Its units are the user's no more, but they don't come back to the
    /// stock: the books don't have them.
    fn reject(&mut self, order: OrderId) -> bool {
        let Some(known) = self.orders.get_mut(&order) else {
            return false;
        };
        let (user, quantity) = match known {
            Known::Open(open) => {
                self.waiting.remove(open.place());
                self.open_units -= u64::from(open.hold.quantity);
                (open.hold.user, open.hold.quantity)
            }
            Known::Placed { user, quantity } => {
                self.placed_units -= u64::from(*quantity);
                (*user, *quantity)
            }
            Known::Rejected | Known::Released => return false,
        };
        *known = Known::Rejected;
        if let hash_map::Entry::Occupied(mut units) = self.users.entry(user) {
            match units.get().saturating_sub(quantity) {
                0 => drop(units.remove()),
                less => drop(units.insert(less)),
            }
        }
        true
    }

    /// What is known of each of the orders. With `bars`, those of which there is nothing are barred
    /// for all attempts so far.
    ///
    /// # Errors
    /// [`ClockBack`].
    pub fn look(&mut self, now_us: u64, bars: bool, orders: &[OrderId]) -> Result<Look, ClockBack> {
        let now_us = self.attempts_at(now_us).time_at(now_us)?;
        let look = |order: &OrderId| match self.find(*order) {
            Found::Nothing if bars && !self.attempts_at(now_us).bar(*order, now_us) => {
                Found::Unsure
            }
            found => found,
        };
        Ok(Look { now_us, found: orders.iter().map(look).collect() })
    }

    fn find(&self, order: OrderId) -> Found {
        match self.orders.get(&order) {
            None => Found::Nothing,
            Some(Known::Open(_)) => Found::Open,
            Some(Known::Placed { .. }) => Found::Settled(Settled::Placed),
            Some(Known::Rejected) => Found::Settled(Settled::Rejected),
            Some(Known::Released) => Found::Settled(Settled::Released),
        }
    }

    /// Open holds that waited long enough for the books, the longest overdue first.
    pub fn due(&self, now_ms: u64, limit: usize) -> Vec<OpenHold> {
        self.open_at(self.waiting.due(now_ms, limit))
    }

    /// Puts open holds off: each is due again after twice the time that it waited last. One that
    /// isn't in its place any more was put off by somebody else, and isn't a second time.
    pub fn postpone(&mut self, now_ms: u64, places: &[Place]) {
        for place in places {
            if let Some(Known::Open(open)) = self.orders.get_mut(&place.order)
                && open.place() == *place
            {
                self.waiting.remove(*place);
                open.attempts = ATTEMPTS_MAX.min(open.attempts + 1);
                open.since_ms = now_ms;
                self.waiting.insert(open.place());
            }
        }
    }

    /// The first open holds, or those that follow `after`.
    pub fn page(&self, after: Option<&OpenHold>, limit: usize) -> Vec<OpenHold> {
        self.open_at(self.waiting.page(after.map(OpenHold::place), limit))
    }

    fn open_at(&self, places: Vec<Place>) -> Vec<OpenHold> {
        let open = places.into_iter().filter_map(|place| match self.orders.get(&place.order) {
            Some(Known::Open(open)) => Some(open.clone()),
            Some(Known::Placed { .. } | Known::Rejected | Known::Released) | None => None,
        });
        open.collect()
    }

    /// Counts one by one what it has, trusting no counter but that of the stock itself.
    pub fn count(&self, now_ms: u64) -> Count {
        let mut count = Count {
            epoch: self.epoch(),
            stock: self.left.into(),
            open_holds: 0,
            open_units: 0,
            placed_orders: 0,
            placed_units: 0,
            tombstones: 0,
            user_units: self.users.values().copied().map(u64::from).sum(),
            user_units_max: self.users.values().copied().max().unwrap_or(0),
            movement_watermark: self.opening.movement_watermark,
            oldest_open_ms: 0,
        };
        for known in self.orders.values() {
            match known {
                Known::Open(OpenHold { hold, .. }) => {
                    count.open_holds += 1;
                    count.open_units += u64::from(hold.quantity);
                    let age_ms = now_ms.saturating_sub(hold.taken_at_ms);
                    count.oldest_open_ms = count.oldest_open_ms.max(age_ms);
                }
                Known::Placed { quantity, .. } => {
                    count.placed_orders += 1;
                    count.placed_units += u64::from(*quantity);
                }
                Known::Rejected | Known::Released => count.tombstones += 1,
            }
        }
        count
    }

    /// Changes what is left by `delta` units without a reason, within 0 to `u32::MAX`. For tests
    /// of the audit only: it is the damage that an audit must see.
    pub fn tamper(&mut self, delta: i32) {
        self.left = self.left.saturating_add_signed(delta);
        self.version += 1;
    }

    fn units(&self) -> Units {
        Units {
            stock: self.left.into(),
            open: self.open_units,
            live: self.placed_units,
            unapplied: 0,
        }
    }
}

fn units_sum(units: Units) -> u64 {
    units.stock + units.open + units.live
}

/// In debug builds, a broken law ends the process before anybody is told a lie.
fn assert_lawful(check: impl FnOnce() -> Result<(), Violation>) {
    if cfg!(debug_assertions)
        && let Err(violation) = check()
    {
        panic!("{violation}");
    }
}

#[cfg(test)]
mod tests;
