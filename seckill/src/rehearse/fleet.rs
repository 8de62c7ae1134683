//! The load generator's own threads: one current-thread runtime a worker, each with its share of
//! the connections and of the shoppers, so that no request crosses a thread. The shop may run on
//! the same two cores; what the client burns, the shop lacks.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicU64},
};

use chassis::{Cores, Kind, Stopper, TaskOwner};
use futures::future::try_join_all;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use tokio::sync::oneshot;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::{
    failure::Failure,
    target::{Bearer, connect},
};

/// So many shoppers that arrive one after the other share a connection: what is sent in one
/// moment then goes out in one write, and the load generator takes less from the shop.
const NEIGHBOURS: usize = 16;

/// Counts what is done, over all workers; read by the progress bar.
pub(super) type Done = Arc<AtomicU64>;

/// One buyer of the rehearsal, with everything that its calls need, made before the doors open.
#[derive(Debug)]
pub(super) struct Shopper {
    /// Its place in the schedule.
    pub(super) number: u32,
    pub(super) bearer: Bearer,
    /// A client address of its own, for limits that go by address.
    pub(super) address: MetadataValue<Ascii>,
    pub(super) ticket: String,
    pub(super) order_id: String,
}

/// One worker's share.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) clients: Vec<GatewayServiceClient<Channel>>,
    pub(super) shoppers: Vec<Shopper>,
}

impl Lane {
    /// The connection that the shopper at `place` of this lane uses, always the same one until an
    /// answer is lost: then it takes its next `turn`, on another gateway if there is one.
    pub(super) fn client(&self, place: usize, turn: usize) -> GatewayServiceClient<Channel> {
        self.clients[(place / NEIGHBOURS + turn) % self.clients.len()].clone()
    }
}

/// The workers.
#[derive(Debug)]
pub(super) struct Fleet {
    cores: Cores,
    owner: TaskOwner,
}

impl Fleet {
    /// Starts `workers` threads.
    pub(super) fn start(workers: usize) -> Result<Self, Failure> {
        let cores = Cores::start(workers)
            .map_err(|error| Failure::Machine(format!("can't start {workers} threads: {error}")))?;
        Ok(Self { cores, owner: TaskOwner::new("rehearse", Stopper::new()) })
    }

    /// Opens `connections` to the gateways, as many to each, and deals them and the shoppers out to
    /// the workers.
    pub(super) async fn board(
        &self,
        gateways: &[Endpoint],
        connections: usize,
        shoppers: Vec<Shopper>,
    ) -> Result<Vec<Lane>, Failure> {
        let workers = self.cores.serving().len();
        let mut dealt: Vec<Vec<Shopper>> = (0..workers).map(|_| Vec::new()).collect();
        for (place, shopper) in shoppers.into_iter().enumerate() {
            dealt[place % workers].push(shopper);
        }
        let gateways: Arc<[Endpoint]> = gateways.into();
        let lanes = self.each(dealt, move |worker, shoppers| {
            let gateways = Arc::clone(&gateways);
            // Each worker knows each gateway.
            let share = share(connections, workers, worker).max(gateways.len());
            async move {
                let turns = gateways.iter().cycle().take(share);
                let channels = try_join_all(turns.map(connect)).await?;
                let clients = channels.into_iter().map(GatewayServiceClient::new).collect();
                Ok(Lane { clients, shoppers })
            }
        });
        lanes.await?.into_iter().collect()
    }

    /// Runs `work` once on every worker, each with its own of `inputs`; answers in their order.
    pub(super) async fn each<I, O, F, W>(&self, inputs: Vec<I>, work: W) -> Result<Vec<O>, Failure>
    where
        I: Send + 'static,
        O: Send + 'static,
        F: Future<Output = O> + Send + 'static,
        W: Fn(usize, I) -> F,
    {
        let mut answers = Vec::with_capacity(inputs.len());
        for (worker, input) in inputs.into_iter().enumerate() {
            let (tx, rx) = oneshot::channel();
            let handle = &self.cores.serving()[worker % self.cores.serving().len()];
            let work = work(worker, input);
            self.owner.tasks().spawn_on(handle, Kind::Drained, "worker", async move {
                // Nobody waits any more only if the command is ending.
                let _ = tx.send(work.await);
            });
            answers.push(rx);
        }
        try_join_all(answers)
            .await
            .map_err(|_| Failure::Machine("a worker of the load generator has died".into()))
    }
}

/// How many of `all` fall to `worker`: at least one, and together `all` if there are enough.
fn share(all: usize, workers: usize, worker: usize) -> usize {
    (all / workers + usize::from(worker < all % workers)).max(1)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn connections_are_dealt_out_completely_and_nobody_goes_without() {
        for (all, workers) in [(32, 2), (33, 2), (7, 3), (1, 1)] {
            let dealt: usize = (0..workers).map(|worker| share(all, workers, worker)).sum();
            assert_eq!(dealt, all, "{all} over {workers}");
        }
        assert_eq!(share(1, 4, 3), 1);
    }
}
