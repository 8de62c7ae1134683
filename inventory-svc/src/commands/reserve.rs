//! Takes units for a batch, inside the epoch lease. What may be promised about the holds is decided
//! by whoever asked; here the lease is looked at before the call, and again after the answer (I-2).

use std::{sync::LazyLock, time::SystemTime};

use chassis::{
    TraceContext,
    logs::Lasting,
    telemetry::{Members, SpanKind, names, wall_time},
};
use ids::{Epoch, ItemId, ShardNo};

use super::Inventory;
use crate::{
    lease::{Leased, NotLeased},
    ledger::{EntryAnswer, Error, ReserveEntry, Reserved},
    metrics::Instruments,
};

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// The ledger has answered for each entry.
    Batch {
        /// What it said.
        reserved: Reserved,
        /// The epoch lease ran out meanwhile: holds may be taken, none may be promised.
        lease_lapsed: bool,
    },
    /// No hold was taken, or none that counts.
    Refused(ShardRefusal),
    /// No hold was taken: the request contradicts what the catalog shows of the shard.
    Contradicted(Contradiction),
    /// Holds may have been taken; nobody knows.
    Unknown,
}

/// What the catalog shows otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The shard is part of this item.
    Item(ItemId),
    /// The item has another price than an entry.
    Price {
        /// The entry's place in the request, from 0.
        index: usize,
        /// The item's price.
        unit_price: i64,
    },
}

/// Why a whole shard admits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardRefusal {
    /// Not loaded, being loaded, or to be loaded anew.
    Loading,
    /// The ledger can't be asked just now, or this process may not ask it.
    Unreachable,
    /// The books alone answer.
    Retired,
    /// No such shard.
    UnknownShard,
}

/// Takes units for each of the entries, in their order. They are all of this shard, and of `item`
/// if the caller says which. `placed_in` says by the clock of which epoch each was placed, as far
/// as that is known: another one's clock tells nothing, so such an attempt takes no hold.
pub async fn reserve(
    inventory: &Inventory,
    shard: ShardNo,
    item: Option<ItemId>,
    mut entries: Vec<ReserveEntry>,
    placed_in: &[Option<i64>],
) -> Reservation {
    let Inventory { ledger, leases, pause, instruments, .. } = inventory;
    let leased = match leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Loading) => return Reservation::Refused(ShardRefusal::Loading),
        Err(NotLeased::Lapsed) => return Reservation::Refused(ShardRefusal::Unreachable),
        Err(NotLeased::Retired) => return Reservation::Refused(ShardRefusal::Retired),
        Err(NotLeased::UnknownShard) => return Reservation::Refused(ShardRefusal::UnknownShard),
    };
    // Neither changes while there are tickets, so what differs was not asked for with one. The
    // books look at both once more.
    if let Some(contradiction) = contradiction(&leased, item, &entries) {
        // A caller that is wrong is so with each call, and they are many.
        static CALLS: LazyLock<Lasting> = LazyLock::new(Lasting::default);
        if let Some(unsaid) = CALLS.again() {
            tracing::error!(%shard, ?contradiction, unsaid, "Reserve calls contradict the catalog");
        }
        return Reservation::Contradicted(contradiction);
    }
    for (entry, placed_in) in entries.iter_mut().zip(placed_in) {
        if placed_in.is_some_and(|epoch| epoch != leased.epoch.get()) {
            entry.placed_us = 0;
        }
    }
    pause.reach("inventory.before_ledger").await;
    let members = Members::of(entries.iter().map(|entry| entry.traceparent.as_str()));
    let call = LedgerCall::begin();
    let answer = ledger.reserve(shard, leased.epoch, leased.paused, entries).await;
    call.end(inventory, &members);
    pause.reach("inventory.after_ledger").await;
    match answer {
        Ok(reserved) => {
            count(instruments, shard, &reserved);
            Reservation::Batch { reserved, lease_lapsed: !leases.still_valid(&leased) }
        }
        Err(error) => refused(inventory, shard, leased.epoch, error),
    }
}

fn contradiction(
    leased: &Leased,
    item: Option<ItemId>,
    entries: &[ReserveEntry],
) -> Option<Contradiction> {
    if item.is_some_and(|item| item != leased.item) {
        return Some(Contradiction::Item(leased.item));
    }
    let unit_price = leased.unit_price;
    let index = entries.iter().position(|entry| entry.unit_price != unit_price)?;
    Some(Contradiction::Price { index, unit_price })
}

fn count(instruments: &Instruments, shard: ShardNo, reserved: &Reserved) {
    instruments.stock_left.with([shard.to_string()]).set(reserved.left.into());
    for answer in &reserved.answers {
        match answer {
            EntryAnswer::Held(_) => instruments.held.inc(),
            EntryAnswer::Open(_) => instruments.open.inc(),
            EntryAnswer::Settled(_) => instruments.known.inc(),
            EntryAnswer::Refused(_) => instruments.refused.inc(),
        };
    }
}

/// The call that takes units: measured, and seen in the batch's trace and in each member's.
struct LedgerCall {
    since: SystemTime,
}

impl LedgerCall {
    fn begin() -> Self {
        Self { since: wall_time() }
    }

    fn end(self, inventory: &Inventory, members: &Members) {
        let Inventory { ledger, tracer, instruments, .. } = inventory;
        let (since, now) = (self.since, wall_time());
        instruments.ledger_reserve.observe_time(now.duration_since(since).unwrap_or_default());
        let Some(batch) = TraceContext::current() else {
            return;
        };
        let fcall = |parent| {
            let mut span = tracer.span(SpanKind::Client, "reserve", parent).between(since, now);
            span.set(names::DB_SYSTEM_NAME, ledger.system());
            span.set(names::DB_OPERATION_NAME, "FCALL");
        };
        fcall(batch);
        members.tell(tracer, SpanKind::Internal, "take units", (batch, since), |span| {
            let place = span.context();
            fcall(place);
            place.enter(|| tracing::debug!("units were asked of the ledger"));
        });
    }
}

fn refused(inventory: &Inventory, shard: ShardNo, epoch: Epoch, error: Error) -> Reservation {
    inventory.report(shard, epoch, error);
    match error {
        // Whoever else asks that ledger hears the same, so no other instance need be asked.
        Error::Fenced | Error::StaleEpoch { .. } | Error::ClockBack => {
            Reservation::Refused(ShardRefusal::Loading)
        }
        Error::Unreachable => Reservation::Refused(ShardRefusal::Unreachable),
        Error::Unknown => Reservation::Unknown,
    }
}

#[cfg(test)]
mod tests;
