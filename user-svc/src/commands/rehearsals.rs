//! Rehearsals: operators have shoppers without accounts made, many at once, where that is allowed.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use ids::UserId;

use super::{NotDone, Operator, Operators, Refusal};
use crate::{
    domain::RehearsalGrant,
    tokens::{Holder, Signer, Token},
    workroom::Workroom,
};

/// Shoppers in one message: about 200 KiB, well below what gRPC clients take by default.
const BATCH_LEN_MAX: u32 = 500;

/// Somebody of a rehearsal, without an account.
#[derive(Debug)]
pub(crate) struct Shopper {
    pub(crate) user: UserId,
    pub(crate) access: Token,
}

/// How rehearsals are let in.
pub(crate) struct Rehearsal {
    pub(crate) is_allowed: bool,
    /// Where the tokens are signed, so that the cores that serve go on serving.
    pub(crate) room: Arc<Workroom>,
    /// Batches that one grant signs ahead of its reader.
    pub(crate) batches_ahead_max: usize,
}

impl Operators {
    /// Tokens for shoppers, in batches. They are signed as they are read: a reader that is slow, or
    /// leaves, has no more than a few batches made.
    pub(crate) fn grant(
        &self,
        by: &Operator,
        grant: &RehearsalGrant,
    ) -> Result<impl Stream<Item = Result<Vec<Shopper>, NotDone>> + Send + use<>, Refusal> {
        if !self.rehearsal.is_allowed {
            return Err(Refusal::RehearsalsOff);
        }
        tracing::info!(
            operator = %by.name(),
            shoppers = grant.shoppers,
            lifetime_s = grant.lifetime.as_secs(),
            "operator grants a rehearsal"
        );
        let (signer, room) = (Arc::clone(&self.signer), Arc::clone(&self.rehearsal.room));
        let lifetime = grant.lifetime;
        let batches = stream::iter(batch_lengths(grant.shoppers)).map(move |length| {
            let (signer, room) = (Arc::clone(&signer), Arc::clone(&room));
            async move { room.run(move || sign_batch(&signer, length, lifetime)).await? }
        });
        Ok(batches.buffered(self.rehearsal.batches_ahead_max))
    }
}

fn batch_lengths(shoppers: u32) -> impl Iterator<Item = u32> + Send {
    let starts = (0..shoppers).step_by(BATCH_LEN_MAX as usize);
    starts.map(move |start| BATCH_LEN_MAX.min(shoppers - start))
}

fn sign_batch(signer: &Signer, length: u32, lifetime: Duration) -> Result<Vec<Shopper>, NotDone> {
    (0..length)
        .map(|_| {
            let user = UserId::random();
            let issued = signer.issue(Holder::Rehearsal(user), lifetime)?;
            Ok(Shopper { user, access: issued.token })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::batch_lengths;

    #[test]
    fn batches_add_up_and_none_is_too_long() {
        for (shoppers, lengths) in [
            (1, vec![1]),
            (499, vec![499]),
            (500, vec![500]),
            (501, vec![500, 1]),
            (1_201, vec![500, 500, 201]),
        ] {
            assert_eq!(batch_lengths(shoppers).collect::<Vec<_>>(), lengths);
        }
    }
}
