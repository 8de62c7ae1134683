//! inventory-svc, which keeps the ledger: hears what the books decided. One call at a time, so that
//! a shard's generations arrive in their order; each bounded in time and tries.

use std::time::Duration;

use chassis::{Stopper, channel::Balanced, job::Backoff, metrics::Histogram, telemetry::wall_time};
use ids::OrderId;
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
    let mut client = InventoryServiceClient::new(channel);
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, MERGE_MAX).await > 0 {
        for settle in merge(std::mem::take(&mut batch)) {
            let began = wall_time();
            if let Err(status) = tell(&mut client, &settle, &settings, &stopper).await {
                left_over.note(&settle, &status);
            }
            took.observe_time(wall_time().duration_since(began).unwrap_or_default());
        }
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
