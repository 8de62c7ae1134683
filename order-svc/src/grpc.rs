//! How the books are asked over gRPC: reads requests, writes answers and statuses. Decides nothing
//! but who may see an order.

use std::{sync::Arc, time::Duration};

use chassis::{Tasks, reflection::Offered};
use futures::stream::BoxStream;
use ids::{Epoch, OrderId, ShardNo, UserId};
use journal::Journal;
use proto::order::v1::{
    CountShardRequest, CountShardResponse, FindOrdersRequest, FindOrdersResponse, GetOrderRequest,
    GetOrderResponse, GetShardRequest, GetShardResponse, HighestShardRequest, HighestShardResponse,
    KnownShard, ListOrdersRequest, ListOrdersResponse, ListShardsRequest, ListShardsResponse,
    ShardSnapshotRequest, ShardSnapshotResponse,
    order_service_server::{OrderService, OrderServiceServer},
};
use serde::Deserialize;
use tokio::{runtime::Handle, sync::Semaphore};
use tonic::{Request, Response, Status, service::Routes};

use crate::books::{Books, Guarded, PageEnd, Snapshot};

mod answer;
mod input;
mod read_up;
mod refusal;
mod snapshot;

pub(crate) use refusal::words;

use input::Input;
use read_up::ReadUp;

/// What bounds snapshots. The reasons stand in `config.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSettings {
    /// How long one may hold its transaction.
    pub deadline_ms: u64,
    /// How many may be under way.
    pub concurrent_max: usize,
}

/// The service. Cloning is cheap; clones share the bound on snapshots.
#[derive(Clone)]
pub(crate) struct OrderApi {
    books: Arc<dyn Books>,
    tasks: Tasks,
    background: Handle,
    snapshots: Arc<Semaphore>,
    snapshot_deadline: Duration,
    read_up: ReadUp,
}

impl OrderApi {
    /// Over books of `journal`. Snapshots are read by `tasks` on `background`.
    pub(crate) fn new(
        books: Arc<dyn Books>,
        journal: Journal,
        tasks: Tasks,
        background: Handle,
        settings: &SnapshotSettings,
    ) -> Self {
        Self {
            read_up: ReadUp::new(Arc::clone(&books), journal),
            books,
            tasks,
            background,
            snapshots: Arc::new(Semaphore::new(settings.concurrent_max)),
            snapshot_deadline: Duration::from_millis(settings.deadline_ms),
        }
    }

    /// The service beside `others`.
    pub(crate) fn routes(self, others: Routes) -> Routes {
        others.add_service(OrderServiceServer::new(self))
    }
}

/// What reflection tells: the service, and the reasons of refusals.
pub(crate) const OFFERED: Offered<'static> = Offered {
    contract: proto::DESCRIPTORS,
    services: &["seckill.order.v1.OrderService"],
    packages: &["seckill.error.v1"],
};

#[tonic::async_trait]
impl OrderService for OrderApi {
    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        let request = request.into_inner();
        let mut input = Input::default();
        let order = input.read("order_id", OrderId::try_from(&*request.order_id));
        let user = input.read("user_id", UserId::try_from(&*request.user_id));
        let (Some(id), Some(user)) = (order, user) else { return Err(input.refuse()) };
        let order = self.books.order(id).await.map_err(refusal::unanswered)?;
        // Someone else's order is told from none by nothing.
        let order = order.filter(|order| order.user == user);
        let order = order.ok_or_else(|| refusal::not_found("no such order of this user"))?;
        Ok(Response::new(GetOrderResponse { order: Some(answer::order(&order)) }))
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let mut input = Input::default();
        let user = input.read("user_id", UserId::try_from(&*request.user_id));
        let page_size = input.read("page_size", input::page_size(request.page_size));
        let after = input.read("page_token", input::page_token(&request.page_token));
        let (Some(user), Some(page_size), Some(after)) = (user, page_size, after) else {
            return Err(input.refuse());
        };
        // One more than asked for tells whether another page follows.
        let orders = self.books.orders_of(user, after, page_size + 1).await;
        let mut orders = orders.map_err(refusal::unanswered)?;
        let page_len = page_size as usize;
        let has_more = orders.len() > page_len;
        orders.truncate(page_len);
        let end = orders.last().filter(|_| has_more);
        let end = end.map(|last| PageEnd { placed_at_ms: last.placed_at_ms, order: last.id });
        Ok(Response::new(ListOrdersResponse {
            orders: orders.iter().map(answer::order).collect(),
            next_page_token: end.map(input::write_page_token).unwrap_or_default(),
        }))
    }

    async fn find_orders(
        &self,
        request: Request<FindOrdersRequest>,
    ) -> Result<Response<FindOrdersResponse>, Status> {
        let ids = input::order_ids(&request.into_inner().order_ids)?;
        let found = self.books.find(&ids).await.map_err(refusal::unanswered)?;
        let known = |Guarded { guard, generation }: Guarded| KnownShard {
            shard_no: guard.shard.get(),
            generation,
            open_epoch: Epoch::to_wire(guard.open_epoch),
        };
        Ok(Response::new(FindOrdersResponse {
            orders: found.orders.iter().map(answer::order).collect(),
            shards: found.shards.into_iter().map(known).collect(),
        }))
    }

    async fn get_shard(
        &self,
        request: Request<GetShardRequest>,
    ) -> Result<Response<GetShardResponse>, Status> {
        let shard = input::shard(request.into_inner().shard_no)?;
        let guarded = self.books.guard(shard).await.map_err(refusal::unanswered)?;
        let Guarded { guard, generation } = guarded.ok_or_else(unknown_shard)?;
        Ok(Response::new(GetShardResponse {
            item_id: guard.item.as_bytes().to_vec().into(),
            open_epoch: Epoch::to_wire(guard.open_epoch),
            total: guard.total,
            sold: guard.sold,
            generation,
        }))
    }

    async fn highest_shard(
        &self,
        _: Request<HighestShardRequest>,
    ) -> Result<Response<HighestShardResponse>, Status> {
        self.read_up.wait().await?;
        let shard_no = self.books.highest_shard().await.map_err(refusal::unanswered)?;
        Ok(Response::new(HighestShardResponse { shard_no }))
    }

    type ShardSnapshotStream = BoxStream<'static, Result<ShardSnapshotResponse, Status>>;

    async fn shard_snapshot(
        &self,
        request: Request<ShardSnapshotRequest>,
    ) -> Result<Response<Self::ShardSnapshotStream>, Status> {
        let request = request.into_inner();
        let mut input = Input::default();
        let shard = input.read("shard_no", ShardNo::new(request.shard_no));
        let epoch = input.read("epoch", Epoch::new(request.epoch));
        let (Some(shard), Some(epoch)) = (shard, epoch) else { return Err(input.refuse()) };
        let permit = Arc::clone(&self.snapshots).try_acquire_owned();
        let permit = permit.map_err(|_| refusal::overloaded("enough snapshots are under way"))?;
        let snapshot = self.books.snapshot(shard, epoch).await.map_err(refusal::unanswered)?;
        let (head, pages) = match snapshot {
            Snapshot::UnknownShard => return Err(unknown_shard()),
            Snapshot::OtherEpoch(open) => return Err(refusal::other_epoch(open)),
            Snapshot::Open { guarded, movement_watermark, orders, pages } => {
                (answer::snapshot_head(&guarded, movement_watermark, orders), pages)
            }
        };
        let (sending, answers) = snapshot::pipe(head, pages, permit, self.snapshot_deadline);
        let kind = chassis::Kind::Disposable;
        self.tasks.spawn_on(&self.background, kind, "snapshot", sending);
        Ok(Response::new(answers))
    }

    async fn count_shard(
        &self,
        request: Request<CountShardRequest>,
    ) -> Result<Response<CountShardResponse>, Status> {
        let shard = input::shard(request.into_inner().shard_no)?;
        let count = self.books.count(shard).await.map_err(refusal::unanswered)?;
        Ok(Response::new(answer::count(&count.ok_or_else(unknown_shard)?)))
    }

    async fn list_shards(
        &self,
        request: Request<ListShardsRequest>,
    ) -> Result<Response<ListShardsResponse>, Status> {
        let ListShardsRequest { after_shard_no, page_size } = request.into_inner();
        let mut input = Input::default();
        let page_size = input.read("page_size", input::page_size(page_size));
        let page_size = page_size.ok_or_else(|| input.refuse())?;
        // 0 is no number of a shard.
        let after = ShardNo::new(after_shard_no).ok();
        let guards = self.books.guards_after(after, page_size).await;
        let guards = guards.map_err(refusal::unanswered)?;
        let orders_without_shard = match after {
            None => self.books.orders_without_shard().await.map_err(refusal::unanswered)?,
            Some(_) => 0,
        };
        let shards = guards.iter().map(answer::shard_row).collect();
        Ok(Response::new(ListShardsResponse { shards, orders_without_shard }))
    }
}

fn unknown_shard() -> Status {
    refusal::not_found("the books have no such shard; ItemOpened was not consumed yet")
}

#[cfg(test)]
mod tests;
