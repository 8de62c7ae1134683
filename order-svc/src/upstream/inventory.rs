//! inventory-svc, which keeps the ledger: hears what the books decided. One call at a time for each
//! shard, so that its generations arrive in their order; each bounded in time and tries. A shard of
//! which no answer comes, or only a late refusal, is left to the roll-forward for a moment; until
//! then the others wait for its tries, once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::{Clock, Stopper, channel::Balanced, job::Backoff, metrics::Histogram};
use futures::{StreamExt as _, stream};
use ids::{OrderId, ShardNo};
use law::OrderState;
use proto::inventory::v1::{
    self as pb, SettleRequest, inventory_service_client::InventoryServiceClient,
};
use serde::Deserialize;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status};

use crate::settle::{LeftOver, Settle, merge};

/// How the ledger is told. The reasons stand in `config.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleSettings {
    /// Entries that may wait, one for each shard and epoch of a batch.
    pub queue_len_max: usize,
    /// How long one call may take.
    pub deadline_ms: u64,
    /// Calls for the same decisions, the first one included.
    pub tries_max: u32,
    /// The wait after the first failure; it doubles.
    pub retry_first_ms: u64,
    /// How often a shard's left-over decisions are logged.
    pub log_every_s: u64,
}

/// Shards that are told of at once.
const AT_ONCE: usize = 8;

/// How long a shard is left alone of which no answer came. Well below the age at which the
/// roll-forward looks at its holds.
const SILENCE: Duration = Duration::from_secs(2);

/// Shards of which no answer came lately, and until when each is left alone.
#[derive(Default)]
struct Silent {
    clock: Clock,
    until: Mutex<HashMap<ShardNo, Duration>>,
}

impl Silent {
    fn is_silent(&self, shard: ShardNo) -> bool {
        let now = self.clock.now();
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // What is over is forgotten, so that no more are kept than fell silent in a moment.
        until.retain(|_, until| now < *until);
        until.contains_key(&shard)
    }

    fn fell_silent(&self, shard: ShardNo) {
        let until = self.clock.now() + SILENCE;
        self.until.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, until);
    }
}

/// Tells the ledger what comes out of the queue, until its other ends are gone and it is empty.
/// After a stop each call is tried once. `took` measures all tries for the same decisions together.
pub(crate) async fn settle_all(
    mut entries: mpsc::Receiver<Settle>,
    channel: Balanced,
    settings: SettleSettings,
    left_over: LeftOver,
    took: Histogram,
    stopper: Stopper,
) {
    /// Entries that are merged at a time. A bound, not a target: nothing waits for it.
    const MERGE_MAX: usize = 256;
    // inventory-svc gives its store less time than it gets from here, and then refuses: what fails
    // only after a half of a call's time got no answer from the ledger itself.
    let silence = Duration::from_millis(settings.deadline_ms) / 2;
    let client = InventoryServiceClient::new(channel);
    let silent = Silent::default();
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, MERGE_MAX).await > 0 {
        let mut shards: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for settle in merge(std::mem::take(&mut batch)) {
            shards.entry(settle.shard).or_default().push(settle);
        }
        let telling = stream::iter(shards.into_values()).for_each_concurrent(AT_ONCE, |settles| {
            let (mut client, silent, settings) = (client.clone(), &silent, &settings);
            let (left_over, took, stopper) = (&left_over, &took, &stopper);
            async move {
                for settle in settles {
                    if silent.is_silent(settle.shard) {
                        left_over.note(&settle, &"the shard has been silent");
                        continue;
                    }
                    let began = silent.clock.now();
                    let told = tell(&mut client, &settle, settings, stopper).await;
                    let lasted = silent.clock.now().saturating_sub(began);
                    took.observe_time(lasted);
                    if let Err(status) = told {
                        left_over.note(&settle, &status);
                        if lasted >= silence {
                            silent.fell_silent(settle.shard);
                        }
                    }
                }
            }
        });
        telling.await;
    }
}

async fn tell(
    client: &mut InventoryServiceClient<Balanced>,
    settle: &Settle,
    settings: &SettleSettings,
    stopper: &Stopper,
) -> Result<(), Status> {
    let deadline = Duration::from_millis(settings.deadline_ms);
    let first = Duration::from_millis(settings.retry_first_ms);
    let mut backoff = Backoff::new(first, deadline);
    let mut tries = 1;
    loop {
        let mut request = Request::new(request(settle));
        request.set_timeout(deadline);
        let answer = tokio::time::timeout(deadline, client.settle(request)).await;
        let status = match answer {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer in time"),
        };
        let is_final = status.code() == Code::InvalidArgument || tries >= settings.tries_max;
        if is_final || stopper.is_stopped() {
            return Err(status);
        }
        tries += 1;
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn request(settle: &Settle) -> SettleRequest {
    let decision = |order: &OrderId, state| pb::Decision {
        order_id: order.as_bytes().to_vec().into(),
        state: settled(state).into(),
    };
    SettleRequest {
        shard_no: settle.shard.get(),
        epoch: settle.epoch.get(),
        generation: settle.generation,
        decisions: settle.decisions.iter().map(|d| decision(&d.order, d.state)).collect(),
    }
}

const fn settled(state: OrderState) -> pb::SettledState {
    match state {
        OrderState::Placed | OrderState::Paid => pb::SettledState::Placed,
        OrderState::Rejected => pb::SettledState::Rejected,
        OrderState::Cancelled | OrderState::Expired => pb::SettledState::Released,
    }
}

#[cfg(test)]
mod tests;
