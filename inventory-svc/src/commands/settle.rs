//! Tells the ledger what the books decided. It needs no lease: a decision of the books is the truth
//! about its order in whatever epoch, and one of another epoch changes nothing. What it may show is
//! that the ledger and the books disagree; then the shard is loaded anew.

use ids::{Epoch, OrderId, ShardNo};

use super::Inventory;
use crate::{
    ledger::{Error, Settled, Settlement},
    loading::Why,
    upstream::Silent,
};

/// The ledger, or the books, could not be asked or did not answer. The same decisions may be sent
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger or the books gave no answer")]
pub struct NotSettled;

/// Applies decisions that the books made in `epoch`. `generation` is that of their position row.
/// Where the ledger has nothing of that epoch, there is nothing to settle, and that is a success.
///
/// A generation that is lower than one before may be that of an older copy of the books, or of a
/// settle that another one has overtaken on the way: two instances of order-svc may have written to
/// the partition. `generation_now` asks the books' primary which; it is asked only then.
///
/// # Errors
/// [`NotSettled`], also if the books had to be asked and gave no answer.
pub async fn settle<F>(
    inventory: &Inventory,
    shard: ShardNo,
    epoch: Epoch,
    generation: u64,
    decisions: &[(OrderId, Settled)],
    generation_now: impl FnOnce() -> F,
) -> Result<(), NotSettled>
where
    F: Future<Output = Result<Option<u64>, Silent>>,
{
    let ledger = &inventory.ledger;
    let mut settled = ledger.settle(shard, epoch, Some(generation), decisions).await;
    if let Ok(Settlement::GenerationLower { seen }) = settled {
        let now = generation_now().await.map_err(|_| NotSettled)?;
        if now.is_some_and(|now| now >= seen) {
            settled = ledger.settle(shard, epoch, None, decisions).await;
        }
    }
    match settled {
        Ok(Settlement::Applied { rejected: 0 }) => {
            inventory.instruments.settled.inc_by(decisions.len() as u64);
            Ok(())
        }
        Ok(Settlement::OtherEpoch) => Ok(()),
        Ok(Settlement::Applied { rejected }) => {
            inventory.instruments.settled.inc_by(decisions.len() as u64);
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
        Err(Error::ClockBack | Error::Unreachable | Error::Unknown) => Err(NotSettled),
    }
}

#[cfg(test)]
mod tests;
