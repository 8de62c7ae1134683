//! What the ledger knows of order ids. "Nothing" is an answer that a buyer is told as NOT_PLACED,
//! so it is given only by a ledger that is not fenced, and only if the epoch lease holds before the
//! call and after it: else an order could count that is said not to be placed.

use ids::{OrderId, ShardNo};

use super::Inventory;
use crate::ledger::Found;

/// What is known of each order, in their order; none if it can't be told now.
pub async fn find(inventory: &Inventory, shard: ShardNo, orders: &[OrderId]) -> Option<Vec<Found>> {
    let Inventory { ledger, leases, pause, .. } = inventory;
    let leased = leases.check(shard).ok()?;
    pause.reach("inventory.before_find").await;
    let answer = ledger.find(shard, leased.epoch, orders).await;
    pause.reach("inventory.after_find").await;
    match answer {
        Ok(found) => leases.still_valid(&leased).then_some(found),
        Err(error) => {
            inventory.report(shard, leased.epoch, error);
            None
        }
    }
}

#[cfg(test)]
mod tests;
