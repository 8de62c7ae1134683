//! Every order id that a shard of the ledger knows, for the audit, and which shards it has open at
//! all.

use ids::ShardNo;

use super::{Inventory, count::NotCounted};
use crate::{
    lease::NotLeased,
    ledger::{Error, KnownOrders, Peek},
};

/// What the shard knows in the epoch that the catalog shows as open.
///
/// # Errors
/// [`NotCounted`].
pub async fn known(inventory: &Inventory, shard: ShardNo) -> Result<KnownOrders, NotCounted> {
    let leased = match inventory.leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Loading | NotLeased::Lapsed) => return Err(NotCounted::NotNow),
        Err(NotLeased::Retired | NotLeased::UnknownShard) => return Err(NotCounted::NoSuchShard),
    };
    let error = match inventory.ledger.known(shard).await {
        Ok(known) if known.epoch == leased.epoch => return Ok(known),
        Ok(known) => Error::StaleEpoch { loaded: known.epoch },
        Err(error) => error,
    };
    inventory.report(shard, leased.epoch, error);
    Err(NotCounted::NotNow)
}

/// Those of `shards` that the ledger has open, whatever the catalog knows of them.
///
/// # Errors
/// If the ledger gives no answer.
pub async fn open(
    inventory: &Inventory,
    shards: &[ShardNo],
) -> Result<Vec<(ShardNo, Peek)>, Error> {
    let peeks = inventory.ledger.peek(shards).await?;
    let open = shards.iter().copied().zip(peeks);
    Ok(open.filter(|(_, peek)| matches!(peek, Peek::Open { .. })).collect())
}
