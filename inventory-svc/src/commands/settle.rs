//! Tells the ledger what the books decided. It needs no lease: a decision of the books is the truth
//! about its order in whatever epoch, and one of another epoch changes nothing. What it may show is
//! that the ledger and the books disagree; then the shard is loaded anew.

use ids::{Epoch, OrderId, ShardNo};

use super::Inventory;
use crate::{
    ledger::{Error, Settled, Settlement},
    loading::Why,
};

/// The ledger could not be asked, or did not answer. The same decisions may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger gave no answer")]
pub struct NotSettled;

/// Applies decisions that the books made in `epoch`. `generation` is that of their position row.
/// Where the ledger has nothing of that epoch, there is nothing to settle, and that is a success.
///
/// # Errors
/// [`NotSettled`].
pub async fn settle(
    inventory: &Inventory,
    shard: ShardNo,
    epoch: Epoch,
    generation: u64,
    decisions: &[(OrderId, Settled)],
) -> Result<(), NotSettled> {
    let ledger = &inventory.ledger;
    match ledger.settle(shard, epoch, Some(generation), decisions).await {
        Ok(Settlement::Applied { rejected: 0 } | Settlement::OtherEpoch) => Ok(()),
        Ok(Settlement::Applied { rejected }) => {
            tracing::error!(%shard, %epoch, rejected, "the books refused holds of an open epoch");
            inventory.loads.request(shard, Why::Rejected(epoch));
            Ok(())
        }
        Ok(Settlement::GenerationLower { seen }) => {
            tracing::error!(%shard, %epoch, generation, seen, "the books are an older copy");
            inventory.loads.request(shard, Why::LowerGeneration(epoch));
            Ok(())
        }
        Err(error @ (Error::Fenced | Error::StaleEpoch { .. })) => {
            inventory.report(shard, epoch, error);
            Ok(())
        }
        Err(Error::Unreachable | Error::Unknown) => Err(NotSettled),
    }
}

#[cfg(test)]
mod tests;
