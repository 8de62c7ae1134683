//! Takes units for a batch, inside the epoch lease. What may be promised about the holds is decided
//! by whoever asked; here the lease is looked at before the call, and again after the answer (I-2).

use ids::{Epoch, ShardNo};

use super::Inventory;
use crate::{
    lease::NotLeased,
    ledger::{Error, ReserveEntry, Reserved},
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
    /// Holds may have been taken; nobody knows.
    Unknown,
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

/// Takes units for each of the entries, in their order. They are all of this shard.
pub async fn reserve(
    inventory: &Inventory,
    shard: ShardNo,
    entries: Vec<ReserveEntry>,
) -> Reservation {
    let Inventory { ledger, leases, pause, .. } = inventory;
    let leased = match leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Loading) => return Reservation::Refused(ShardRefusal::Loading),
        Err(NotLeased::Lapsed) => return Reservation::Refused(ShardRefusal::Unreachable),
        Err(NotLeased::Retired) => return Reservation::Refused(ShardRefusal::Retired),
        Err(NotLeased::UnknownShard) => return Reservation::Refused(ShardRefusal::UnknownShard),
    };
    pause.reach("inventory.before_ledger").await;
    let answer = ledger.reserve(shard, leased.epoch, leased.paused, entries).await;
    pause.reach("inventory.after_ledger").await;
    match answer {
        Ok(reserved) => Reservation::Batch { reserved, lease_lapsed: !leases.still_valid(&leased) },
        Err(error) => refused(inventory, shard, leased.epoch, error),
    }
}

fn refused(inventory: &Inventory, shard: ShardNo, epoch: Epoch, error: Error) -> Reservation {
    inventory.report(shard, epoch, error);
    match error {
        Error::Fenced | Error::StaleEpoch { .. } => Reservation::Refused(ShardRefusal::Loading),
        Error::Unreachable => Reservation::Refused(ShardRefusal::Unreachable),
        Error::Unknown => Reservation::Unknown,
    }
}

#[cfg(test)]
mod tests;
