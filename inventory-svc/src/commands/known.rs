//! Every order id that a shard of the ledger knows, for the audit, and which shards it has open at
//! all.

use ids::ShardNo;

use super::{
    Inventory,
    count::{NotCounted, in_leased_epoch},
};
use crate::ledger::{Error, KnownOrders, Peek};

/// What the shard knows in the epoch that the catalog shows as open.
///
/// # Errors
/// [`NotCounted`].
pub async fn known(inventory: &Inventory, shard: ShardNo) -> Result<KnownOrders, NotCounted> {
    in_leased_epoch(inventory, shard, inventory.ledger.known(shard), |known| known.epoch).await
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
