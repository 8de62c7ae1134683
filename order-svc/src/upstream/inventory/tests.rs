//! The way to the ledger, against a ledger that answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use chassis::{Clock, Cores, Listeners, ServerSettings, TaskOwner, channel};
use futures::stream::BoxStream;
use pb::inventory_service_server::{InventoryService, InventoryServiceServer};
use tonic::{Response, service::Routes};

use super::*;
use crate::{
    books::contract::{epoch, order, shard},
    fold::Decision,
    settle::Settles,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Of the 500 ms that a call may take here.
const LATE: Duration = Duration::from_millis(300);

enum Answer {
    Done,
    Refused(Code),
    /// Its own store didn't answer it, for which it waits less than it is waited for.
    RefusedLate,
    Never,
}

#[derive(Clone)]
struct Ledger {
    heard: mpsc::UnboundedSender<SettleRequest>,
    /// What it does with the next calls; after these all are done.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// Never answers anything about this shard.
    hanging: Arc<Mutex<Option<u32>>>,
}

#[tonic::async_trait]
impl InventoryService for Ledger {
    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<pb::SettleResponse>, Status> {
        let request = request.into_inner();
        let hangs = *self.hanging.lock().unwrap() == Some(request.shard_no);
        self.heard.send(request).unwrap();
        if hangs {
            return std::future::pending().await;
        }
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Done);
        match answer {
            Answer::Done => Ok(Response::new(pb::SettleResponse {})),
            Answer::Refused(code) => Err(Status::new(code, "as told")),
            Answer::RefusedLate => {
                let _ = tokio::time::timeout(LATE, std::future::pending::<()>()).await;
                Err(Status::unavailable("as told"))
            }
            Answer::Never => std::future::pending().await,
        }
    }

    async fn reserve(
        &self,
        _: Request<pb::ReserveRequest>,
    ) -> Result<Response<pb::ReserveResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    type WatchStockStream = BoxStream<'static, Result<pb::WatchStockResponse, Status>>;

    async fn watch_stock(
        &self,
        _: Request<pb::WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn find(
        &self,
        _: Request<pb::FindRequest>,
    ) -> Result<Response<pb::FindResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn count_shard(
        &self,
        _: Request<pb::CountShardRequest>,
    ) -> Result<Response<pb::CountShardResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    type ListKnownOrdersStream = BoxStream<'static, Result<pb::ListKnownOrdersResponse, Status>>;

    async fn list_known_orders(
        &self,
        _: Request<pb::ListKnownOrdersRequest>,
    ) -> Result<Response<Self::ListKnownOrdersStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn peek_shards(
        &self,
        _: Request<pb::PeekShardsRequest>,
    ) -> Result<Response<pb::PeekShardsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

/// The queue, its way, and the ledger at its end.
struct Way {
    settles: Settles,
    heard: mpsc::UnboundedReceiver<SettleRequest>,
    hanging: Arc<Mutex<Option<u32>>>,
    left_over: LeftOver,
    owner: TaskOwner,
    _ledger: TaskOwner,
    _cores: Cores,
}

impl Way {
    fn to_a_ledger_that_answers(answers: impl IntoIterator<Item = Answer>) -> Self {
        let (heard, received) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let hanging = Arc::<Mutex<Option<u32>>>::default();
        let service = Ledger { heard, answers, hanging: Arc::clone(&hanging) };
        let routes = Routes::new(InventoryServiceServer::new(service));
        let cores = Cores::start(1).unwrap();
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = format!("http://{}", listeners.addr());
        let ledger = TaskOwner::new("ledger", Stopper::new());
        let settings = ServerSettings::default();
        let words = crate::grpc::words();
        let off = chassis::Telemetry::off("ledger");
        chassis::serve(&ledger.tasks(), &cores, listeners, &settings, words, &off, |_| {
            routes.clone()
        });

        let left_over =
            LeftOver::new(Clock::system(), PATIENCE, chassis::metrics::Counter::default());
        let (settles, entries) = Settles::new(64, left_over.clone());
        let background = cores.background();
        let channel = channel::connect_lazy(background, &address, &Default::default()).unwrap();
        let settings = SettleSettings {
            queue_len_max: 64,
            deadline_ms: 500,
            tries_max: 3,
            retry_first_ms: 1,
            log_every_s: 1,
        };
        let owner = TaskOwner::new("settle", Stopper::new());
        let stopper = owner.tasks().stopper().clone();
        let took = crate::metrics::Instruments::new(&chassis::Metrics::new()).settle;
        let telling = settle_all(entries, channel, settings, left_over.clone(), took, stopper);
        owner.tasks().spawn_on(background, chassis::Kind::Drained, "settle", telling);
        Self { settles, heard: received, hanging, left_over, owner, _ledger: ledger, _cores: cores }
    }

    fn decide(&self, number: u32, states: &[OrderState]) {
        let shard = shard(number);
        let decisions = (0..).zip(states).map(|(id, state)| {
            let order = order(shard, id);
            Decision { order, state: *state }
        });
        let decisions = decisions.collect();
        self.settles.offer(Settle { shard, epoch: epoch(7), generation: 5, decisions });
    }

    /// The shards of the next calls.
    async fn hears(&mut self, count: usize) -> Vec<u32> {
        let mut shards = Vec::new();
        while shards.len() < count {
            shards.push(self.next().await.shard_no);
        }
        shards
    }

    async fn next(&mut self) -> SettleRequest {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.unwrap().unwrap()
    }

    /// Ends the queue and waits until it is told.
    async fn end(self) -> u64 {
        drop(self.settles);
        assert_eq!(self.owner.drain(PATIENCE).await.left, 0);
        self.left_over.holds()
    }
}

#[tokio::test]
async fn the_ledger_hears_what_was_decided() {
    use OrderState::{Cancelled, Expired, Paid, Placed, Rejected};
    let mut way = Way::to_a_ledger_that_answers([]);
    way.decide(1, &[Placed, Paid, Rejected, Cancelled, Expired]);
    let heard = way.next().await;
    assert_eq!((heard.shard_no, heard.epoch, heard.generation), (1, 7, 5));
    let states: Vec<_> = heard.decisions.iter().map(pb::Decision::state).collect();
    use pb::SettledState as Told;
    let expected = [Told::Placed, Told::Placed, Told::Rejected, Told::Released, Told::Released];
    assert_eq!(states, expected);
    assert_eq!(heard.decisions[4].order_id, order(shard(1), 4).as_bytes().as_slice());
    assert_eq!(way.end().await, 0);
}

#[tokio::test]
async fn a_call_that_failed_is_tried_again() {
    let failed = [Answer::Refused(Code::Unavailable), Answer::Never];
    let mut way = Way::to_a_ledger_that_answers(failed);
    way.decide(1, &[OrderState::Placed]);
    assert_eq!(way.hears(3).await, [1, 1, 1]);
    assert_eq!(way.end().await, 0);
}

#[tokio::test]
async fn what_fails_again_and_again_is_left_over_and_holds_up_nobody() {
    let unavailable = || Answer::Refused(Code::Unavailable);
    let mut way = Way::to_a_ledger_that_answers([unavailable(), unavailable(), unavailable()]);
    way.decide(1, &[OrderState::Placed; 2]);
    assert_eq!(way.hears(3).await, [1, 1, 1]);
    way.decide(2, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [2]);
    assert_eq!(way.end().await, 2);
}

#[tokio::test]
async fn a_shard_that_hangs_is_in_no_others_way() {
    let mut way = Way::to_a_ledger_that_answers([]);
    *way.hanging.lock().unwrap() = Some(1);
    way.decide(1, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [1]);
    // The hanging one has decisions in each batch; it is asked thrice, and then left alone.
    for number in 2..20 {
        way.decide(1, &[OrderState::Placed]);
        way.decide(number, &[OrderState::Placed]);
        while way.next().await.shard_no != number {}
    }
    assert!(way.end().await > 0);
}

#[tokio::test]
async fn a_shard_that_is_refused_late_is_left_alone_too() {
    let late = || Answer::RefusedLate;
    let mut way = Way::to_a_ledger_that_answers([late(), late(), late()]);
    way.decide(1, &[OrderState::Placed]);
    assert_eq!(way.hears(3).await, [1, 1, 1]);
    way.decide(1, &[OrderState::Placed]);
    way.decide(2, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [2]);
    assert_eq!(way.end().await, 2, "the second decision would have been heard");
}

#[tokio::test]
async fn what_the_ledger_cannot_use_is_not_sent_twice() {
    let mut way = Way::to_a_ledger_that_answers([Answer::Refused(Code::InvalidArgument)]);
    way.decide(1, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [1]);
    way.decide(2, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [2]);
    assert_eq!(way.end().await, 1);
}

#[tokio::test]
async fn after_a_stop_each_call_is_tried_once() {
    let unavailable = || Answer::Refused(Code::Unavailable);
    let mut way = Way::to_a_ledger_that_answers([unavailable(), unavailable()]);
    way.owner.tasks().stopper().stop();
    way.decide(1, &[OrderState::Placed]);
    way.decide(1, &[OrderState::Placed]);
    assert_eq!(way.hears(1).await, [1]);
    assert!(way.end().await > 0);
}
