//! The sentences of a sale, for tests that are about something else: shard 1, one unit an order,
//! an order a user, a window that never closes.

use std::time::Duration;

use ids::{Epoch, OrderId, ShardNo, UserId};
use tokio::time::{sleep, timeout};

use super::bench::PATIENCE;
use crate::{
    domain::PLACED_NOBODY_SAYS,
    ledger::{
        ActivateError, Activation, EntryAnswer, Error, Hold, Ledger, ReserveEntry, Reserved,
        Settled, StageError, StagedOrder, Terms,
    },
};

pub(super) fn shard() -> ShardNo {
    ShardNo::new(1).unwrap()
}

pub(super) fn epoch(number: u32) -> Epoch {
    Epoch::new(number.into()).unwrap()
}

pub(super) fn order(number: u32) -> OrderId {
    let mut hash = [0; 12];
    hash[8..].copy_from_slice(&number.to_be_bytes());
    OrderId::mint(shard(), hash)
}

fn user(number: u32) -> UserId {
    let mut user = [0; 16];
    user[..4].copy_from_slice(&number.to_be_bytes());
    UserId::from_bytes(user)
}

pub(super) fn entry(number: u32) -> ReserveEntry {
    ReserveEntry {
        order: order(number),
        user: user(number),
        quantity: 1,
        unit_price: 4_999,
        ticket_expires_ms: u64::MAX,
        placed_us: PLACED_NOBODY_SAYS,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

pub(super) fn placed(number: u32) -> StagedOrder {
    StagedOrder { order: order(number), user: user(number), quantity: 1, state: Settled::Placed }
}

/// Loads the shard with `stock` units and `orders` that are placed.
pub(super) async fn load_with(
    ledger: &dyn Ledger,
    to: u32,
    stock: u32,
    orders: Vec<StagedOrder>,
) -> Result<(), ActivateError> {
    ledger.close(shard(), epoch(to)).await?;
    let begun = ledger.begin_staging(shard(), epoch(to)).await;
    let identity = begun.map_err(not_staged)?;
    let activation = Activation {
        to: epoch(to),
        identity: identity.clone(),
        terms: Terms { opens_ms: 0, closes_ms: u64::MAX, limit_per_user: 1 },
        stock,
        orders: orders.len() as u64,
        generation: 1,
        movement_watermark: 0,
    };
    ledger.stage(shard(), epoch(to), &identity, orders).await.map_err(not_staged)?;
    ledger.activate(shard(), activation).await
}

fn not_staged(error: StageError) -> ActivateError {
    match error {
        StageError::MarkLost => ActivateError::MarkLost,
        StageError::IdentityChanged => ActivateError::IdentityChanged,
        StageError::Ledger(error) => ActivateError::Ledger(error),
    }
}

pub(super) async fn load(ledger: &dyn Ledger, to: u32, stock: u32) {
    load_with(ledger, to, stock, Vec::new()).await.unwrap();
}

/// One purchase.
pub(super) async fn buy(
    ledger: &dyn Ledger,
    in_epoch: u32,
    number: u32,
) -> Result<EntryAnswer, Error> {
    let entries = vec![entry(number)];
    let reserved = ledger.reserve(shard(), epoch(in_epoch), false, entries).await?;
    let Reserved { mut answers, .. } = reserved;
    Ok(answers.pop().unwrap())
}

/// The holds of purchases that must be held now.
pub(super) async fn hold(
    ledger: &dyn Ledger,
    in_epoch: u32,
    numbers: std::ops::Range<u32>,
) -> Vec<Hold> {
    let entries: Vec<_> = numbers.map(entry).collect();
    let reserved = ledger.reserve(shard(), epoch(in_epoch), false, entries).await.unwrap();
    let held = reserved.answers.into_iter().map(|answer| match answer {
        EntryAnswer::Held(hold) => hold,
        other => panic!("not held: {other:?}"),
    });
    held.collect()
}

/// Every call that isn't a loader's own is fenced, whatever it asks.
pub(super) async fn assert_fenced(ledger: &dyn Ledger, in_epoch: u32) {
    let (shard, epoch) = (shard(), epoch(in_epoch));
    assert_eq!(buy(ledger, in_epoch, 999_999).await, Err(Error::Fenced));
    let settled = [(order(0), Settled::Placed)];
    assert_eq!(ledger.settle(shard, epoch, None, &settled).await, Err(Error::Fenced));
    assert_eq!(ledger.find(shard, epoch, false, &[order(0)]).await, Err(Error::Fenced));
    assert_eq!(ledger.due(shard, 10).await, Err(Error::Fenced));
    assert_eq!(ledger.postpone(shard, epoch, &[]).await, Err(Error::Fenced));
    assert_eq!(ledger.holds(shard, None, 10).await, Err(Error::Fenced));
    assert_eq!(ledger.count(shard).await, Err(Error::Fenced));
    assert_eq!(ledger.peek(&[shard]).await, Ok(vec![crate::ledger::Peek::Fenced]));
    assert_eq!(ledger.ping().await, Ok(()), "it answers all the same");
}

/// Asks again and again until there is an answer.
pub(super) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = condition().await {
                return answer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until calls come through again, on every connection.
pub(super) async fn healed(ledger: &dyn Ledger) {
    let works = "the ledger reaches its Redis";
    until(works, async || ledger.identity().await.ok()).await;
    until(works, async || ledger.peek(&[shard()]).await.ok()).await;
    until(works, async || match ledger.find(shard(), epoch(1), false, &[order(0)]).await {
        Ok(_) | Err(Error::Fenced | Error::StaleEpoch { .. } | Error::ClockBack) => Some(()),
        Err(Error::Unreachable | Error::Unknown) => None,
    })
    .await;
}
