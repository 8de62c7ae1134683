//! What the ledger knows of order ids. "Nothing" is an answer that a buyer is told as NOT_PLACED,
//! so it is given only by a ledger that is not fenced, and only if the epoch lease holds before the
//! call and after it: else an order could count that is said not to be placed. Of a retired shard
//! the ledger knows nothing any more, and the books have all that will ever count, unless they are
//! an older copy: their open epoch tells.

use ids::{Epoch, OrderId, ShardNo};

use super::Inventory;
use crate::{
    lease::NotLeased,
    ledger::{Error, Look},
};

/// What is known of the orders of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// One for each order, in their order; and the epoch that this is of.
    Each(Epoch, Look),
    /// It can't be told now.
    Unknown,
    /// This process can't tell now; another may.
    Unable,
    /// The shard is retired, with this last epoch: what isn't in books that have it open never will
    /// be.
    Retired(Epoch),
}

/// What is known of each order; with `bars`, nothing comes any more of attempts so far at those of
/// which there is nothing. `last_epoch` is that of a shard which the catalog shows as retired;
/// it is asked for only then.
pub async fn find<F>(
    inventory: &Inventory,
    shard: ShardNo,
    bars: bool,
    orders: &[OrderId],
    last_epoch: impl FnOnce() -> F,
) -> Known
where
    F: Future<Output = Option<Epoch>>,
{
    let Inventory { ledger, leases, pause, .. } = inventory;
    let leased = match leases.check(shard) {
        Ok(leased) => leased,
        Err(NotLeased::Retired) => {
            return last_epoch().await.map_or(Known::Unknown, Known::Retired);
        }
        Err(NotLeased::Loading | NotLeased::UnknownShard) => return Known::Unknown,
        Err(NotLeased::Lapsed) => return Known::Unable,
    };
    pause.reach("inventory.before_find").await;
    let answer = ledger.find(shard, leased.epoch, bars, orders).await;
    pause.reach("inventory.after_find").await;
    match answer {
        Ok(look) if leases.still_valid(&leased) => Known::Each(leased.epoch, look),
        Ok(_) => Known::Unable,
        Err(error) => {
            inventory.report(shard, leased.epoch, error);
            match error {
                // A clock that went back is nobody else's.
                Error::Fenced | Error::StaleEpoch { .. } | Error::ClockBack => Known::Unknown,
                Error::Unreachable | Error::Unknown => Known::Unable,
            }
        }
    }
}

#[cfg(test)]
mod tests;
