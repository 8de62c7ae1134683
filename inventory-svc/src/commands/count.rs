//! Counts one shard of the ledger, unit by unit, for the audit. It trusts no counter and judges
//! nothing.

use ids::ShardNo;

use super::Inventory;
use crate::{
    lease::NotLeased,
    ledger::{Count, Error},
};

/// Why a shard can't be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCounted {
    /// It is being loaded, or the ledger can't be asked: later.
    NotNow,
    /// No such shard in the ledger: never assigned, or retired.
    NoSuchShard,
}

/// What the shard holds in the epoch that the catalog shows as open.
///
/// # Errors
/// [`NotCounted`].
pub async fn count(inventory: &Inventory, shard: ShardNo) -> Result<Count, NotCounted> {
    let leased = match inventory.leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Loading | NotLeased::Lapsed) => return Err(NotCounted::NotNow),
        Err(NotLeased::Retired | NotLeased::UnknownShard) => return Err(NotCounted::NoSuchShard),
    };
    let error = match inventory.ledger.count(shard).await {
        Ok(count) if count.epoch == leased.epoch => return Ok(count),
        Ok(count) => Error::StaleEpoch { loaded: count.epoch },
        Err(error) => error,
    };
    inventory.report(shard, leased.epoch, error);
    Err(NotCounted::NotNow)
}

#[cfg(test)]
mod tests;
