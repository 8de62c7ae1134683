//! Counts one shard of the ledger, unit by unit, for the audit. It trusts no counter and judges
//! nothing.

use ids::{Epoch, ShardNo};

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
    in_leased_epoch(inventory, shard, inventory.ledger.count(shard), |count| count.epoch).await
}

/// What the ledger answers to `ask`, if that is of the `epoch` that the catalog shows as open.
pub(super) async fn in_leased_epoch<T>(
    inventory: &Inventory,
    shard: ShardNo,
    ask: impl Future<Output = Result<T, Error>>,
    epoch: impl FnOnce(&T) -> Epoch,
) -> Result<T, NotCounted> {
    let leased = match inventory.leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Loading | NotLeased::Lapsed) => return Err(NotCounted::NotNow),
        Err(NotLeased::Retired | NotLeased::UnknownShard) => return Err(NotCounted::NoSuchShard),
    };
    let error = match ask.await {
        Ok(answer) => match epoch(&answer) {
            loaded if loaded == leased.epoch => return Ok(answer),
            loaded => Error::StaleEpoch { loaded },
        },
        Err(error) => error,
    };
    inventory.report(shard, leased.epoch, error);
    Err(NotCounted::NotNow)
}

#[cfg(test)]
mod tests;
