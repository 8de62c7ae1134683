//! The core of the books: journal records in log order in, rows and what must be told to the ledger
//! out. Its result is that of the records one by one, whatever the borders of the batches (I-1,
//! I-4, law B), and a record changes nothing the second time. It reads a [`View`] and knows no
//! store, clock or message; that the view shows what is committed is the caller's promise.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ids::{Epoch, ItemId, OrderId, ShardNo, UserId};
use journal::record::{Command, ItemOpened, PlacedHold, Record};
use law::OrderState;

use crate::domain::{Guard, Order, Refusal};

mod touched;

pub use touched::Touched;

/// One record of the log, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its place in the partition.
    pub offset: u64,
    /// SHA-256 of `bytes`.
    pub digest: [u8; 32],
    /// What stands in the log.
    pub bytes: Bytes,
    /// What it says (the codec has [checked](Record::check) it), or why that can't be told.
    pub decoded: Result<Record, String>,
}

/// What the books show of everything that a batch [touches](Touched).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Guard rows. One that is missing here is missing in the books.
    pub guards: BTreeMap<ShardNo, Guard>,
    /// States of known orders.
    pub orders: BTreeMap<OrderId, OrderState>,
    /// Live units per user and item; a missing one is 0.
    pub user_units: BTreeMap<(ItemId, UserId), u64>,
    /// Orders whose row as a live one was refused by a unique key, though nothing above shows why.
    pub barred: BTreeSet<OrderId>,
}

/// What a batch does to the books, and what follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// New rows, in log order.
    pub orders: Vec<Order>,
    /// Guard rows that are new or change.
    pub guards: Vec<GuardChange>,
    /// Records that couldn't be read, in log order.
    pub dead_letters: Vec<DeadLetter>,
    /// What the ledger must hear, in log order for each shard and epoch. Also duplicates.
    pub settles: BTreeMap<(ShardNo, Epoch), Vec<Decision>>,
    /// What can't happen unless the ledger was wrong.
    pub alarms: Vec<Alarm>,
    /// Records that don't count: of an epoch that isn't open, or of a shard without a guard row.
    pub ignored: u64,
}

/// A change of one guard row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardChange {
    /// There was none.
    Opened(Guard),
    /// Sales, or another epoch.
    Moved {
        /// Which row.
        shard: ShardNo,
        /// Units to add to `sold`.
        sold_more: u64,
        /// The open epoch after the batch.
        open_epoch: Option<Epoch>,
    },
}

/// What the books decided about one hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Whose hold.
    pub order: OrderId,
    /// The state of its row.
    pub state: OrderState,
}

/// A record that can't be understood. It is kept and blocks nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeadLetter {
    /// Its place in the partition.
    pub offset: u64,
    /// SHA-256 of `bytes`.
    pub digest: [u8; 32],
    /// What is wrong with it.
    pub reason: String,
    /// All of it.
    pub bytes: Bytes,
}

/// A hold of an open epoch that the books had to refuse: the shard must be loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alarm {
    /// The shard to load.
    pub shard: ShardNo,
    /// The epoch that was open.
    pub epoch: Epoch,
    /// The hold.
    pub order: OrderId,
    /// Why.
    pub refusal: Refusal,
}

/// Works through `entries` of `partition` in log order. `view` shows the books before them,
/// `now_ms` becomes the time of new rows.
pub fn fold(view: View, partition: u32, entries: &[Entry], now_ms: u64) -> Outcome {
    let before = view.guards.clone();
    let mut fold = Fold { view, partition, now_ms, outcome: Outcome::default() };
    for entry in entries {
        fold.take(entry);
    }
    let Fold { view, mut outcome, .. } = fold;
    outcome.guards = changes(&before, view.guards);
    outcome
}

struct Fold {
    view: View,
    partition: u32,
    now_ms: u64,
    outcome: Outcome,
}

impl Fold {
    fn take(&mut self, entry: &Entry) {
        let readable = match &entry.decoded {
            Ok(record) => match self.flaw(record) {
                None => Ok(record),
                Some(flaw) => Err(flaw.to_owned()),
            },
            Err(reason) => Err(reason.clone()),
        };
        let record = match readable {
            Ok(record) => record,
            Err(reason) => {
                let Entry { offset, digest, bytes, .. } = entry.clone();
                self.outcome.dead_letters.push(DeadLetter { offset, digest, reason, bytes });
                return;
            }
        };
        let counts = match &record.command {
            Command::ItemOpened(opened) => self.open_item(record.shard, opened),
            Command::EpochChanged { from, to } => self.change_epoch(record.shard, *from, *to),
            Command::HoldsPlaced { epoch, item, holds } => {
                self.place(record.shard, *epoch, *item, holds)
            }
        };
        self.outcome.ignored += u64::from(!counts);
    }

    /// What makes a record that was decoded unfit for the books. A guard row has one writer, that
    /// of its partition.
    fn flaw(&self, record: &Record) -> Option<&'static str> {
        let guard = self.view.guards.get(&record.shard);
        if guard.is_some_and(|guard| guard.partition != self.partition) {
            return Some("the shard belongs to another partition");
        }
        flaw(record)
    }

    fn open_item(&mut self, shard: ShardNo, opened: &ItemOpened) -> bool {
        if self.view.guards.contains_key(&shard) {
            return false;
        }
        let guard = Guard {
            shard,
            partition: self.partition,
            sale: opened.sale,
            item: opened.item,
            total: u64::from(opened.total),
            limit_per_user: opened.limit_per_user,
            unit_price: Some(opened.unit_price),
            currency: opened.currency.clone(),
            pay_within_s: opened.pay_within_s,
            sold: 0,
            open_epoch: None,
        };
        self.view.guards.insert(shard, guard);
        true
    }

    fn change_epoch(&mut self, shard: ShardNo, from: Option<Epoch>, to: Epoch) -> bool {
        match self.view.guards.get_mut(&shard) {
            Some(guard) if guard.open_epoch == from => {
                guard.open_epoch = Some(to);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A hold that the books refuse becomes a row all the same: a tombstone, so that the ledger can
    /// be told, and nobody rolls it forward for ever.
    fn place(
        &mut self,
        shard: ShardNo,
        epoch: Epoch,
        item: Option<ItemId>,
        holds: &[PlacedHold],
    ) -> bool {
        let Some(guard) = self.view.guards.get_mut(&shard) else { return false };
        if guard.open_epoch != Some(epoch) {
            return false;
        }
        let settles = self.outcome.settles.entry((shard, epoch)).or_default();
        for hold in holds {
            let order = hold.order;
            if let Some(state) = self.view.orders.get(&order).copied() {
                settles.push(Decision { order, state });
                continue;
            }
            let units = self.view.user_units.entry((guard.item, hold.user)).or_default();
            let verdict = match self.view.barred.contains(&order) {
                true => Err(Refusal::Key),
                false => guard
                    .agrees(item, hold.unit_price)
                    .and_then(|()| guard.admits(*units, hold.quantity)),
            };
            let state = match verdict {
                Ok(()) => {
                    guard.sold += u64::from(hold.quantity);
                    *units += u64::from(hold.quantity);
                    OrderState::Placed
                }
                Err(refusal) => {
                    self.outcome.alarms.push(Alarm { shard, epoch, order, refusal });
                    OrderState::Rejected
                }
            };
            let row = row(guard, hold, state, self.now_ms);
            let item = item.unwrap_or(guard.item);
            self.outcome.orders.push(Order { item, refusal: verdict.err(), ..row });
            self.view.orders.insert(order, state);
            settles.push(Decision { order, state });
        }
        true
    }
}

/// What a codec can't know to be wrong: these rows are shown as `google.protobuf.Timestamp`, whose
/// last moment is the end of the year 9999.
fn flaw(record: &Record) -> Option<&'static str> {
    const LAST_MS: u64 = 253_402_300_799_999;
    match &record.command {
        Command::HoldsPlaced { holds, .. } if holds.iter().any(|h| h.taken_at_ms > LAST_MS) => {
            Some("a hold was taken after the year 9999")
        }
        Command::HoldsPlaced { .. } | Command::ItemOpened(_) | Command::EpochChanged { .. } => None,
    }
}

fn row(guard: &Guard, hold: &PlacedHold, state: OrderState, now_ms: u64) -> Order {
    Order {
        id: hold.order,
        user: hold.user,
        sale: guard.sale,
        item: guard.item,
        quantity: hold.quantity,
        unit_price: hold.unit_price,
        currency: guard.currency.clone(),
        state,
        held_at_ms: hold.taken_at_ms,
        placed_at_ms: now_ms,
        pay_by_ms: now_ms + u64::from(guard.pay_within_s) * 1000,
        refusal: None,
    }
}

fn changes(before: &BTreeMap<ShardNo, Guard>, after: BTreeMap<ShardNo, Guard>) -> Vec<GuardChange> {
    let change = |guard: Guard| match before.get(&guard.shard) {
        None => Some(GuardChange::Opened(guard)),
        Some(old) if *old == guard => None,
        Some(old) => Some(GuardChange::Moved {
            shard: guard.shard,
            sold_more: guard.sold - old.sold,
            open_epoch: guard.open_epoch,
        }),
    };
    after.into_values().filter_map(change).collect()
}

#[cfg(test)]
mod tests;
