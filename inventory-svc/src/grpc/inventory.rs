//! `InventoryService`: what other services ask of the ledger. Every field is checked before
//! anything is done, and no input panics. It decides nothing: refusals travel inside the answers,
//! and `status` makes statuses of the few that can't. What this process alone can't do is noted in
//! the head of the answer, and its streams end while it isn't ready: callers go elsewhere.

mod ask;
mod tell;

use std::{pin::Pin, sync::Arc};

use chassis::{Health, Stopper, channel::unable};
use futures::{Stream, StreamExt as _, stream};
use ids::{Epoch, ShardNo};
use proto::inventory::v1::{
    CountShardRequest, CountShardResponse, FindRequest, FindResponse, ListKnownOrdersRequest,
    ListKnownOrdersResponse, PeekShardsRequest, PeekShardsResponse, ReserveRequest,
    ReserveResponse, SettleRequest, SettleResponse, WatchStockRequest, WatchStockResponse,
    inventory_service_server::{InventoryService, InventoryServiceServer},
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::status;
use crate::{
    catalog::{Catalog, ItemKey},
    commands::{
        Inventory, count,
        find::{self, Known},
        known,
        reserve::{self, Reservation, ShardRefusal},
        settle::{self, NotSettled},
        watch::{StockWatch, TooManyStreams},
    },
    domain::sale::Phase,
    upstream::books::Books,
};

/// The service, ready to be routed. Streams end when `stopper` leaves or `health` isn't ready.
pub(crate) fn service(
    inventory: Inventory,
    catalog: Arc<dyn Catalog>,
    books: Books,
    stock: StockWatch,
    health: Health,
    stopper: Stopper,
) -> InventoryServiceServer<impl InventoryService> {
    let lists = Arc::new(Semaphore::new(1));
    InventoryServiceServer::new(Handlers {
        inventory,
        catalog,
        books,
        stock,
        health,
        stopper,
        lists,
    })
}

struct Handlers {
    inventory: Inventory,
    catalog: Arc<dyn Catalog>,
    books: Books,
    stock: StockWatch,
    health: Health,
    stopper: Stopper,
    /// A list is as large as its shard.
    lists: Arc<Semaphore>,
}

#[tonic::async_trait]
impl InventoryService for Handlers {
    async fn reserve(
        &self,
        request: Request<ReserveRequest>,
    ) -> Result<Response<ReserveResponse>, Status> {
        let asked = ask::reserve(request.into_inner())?;
        let ask::Reserve { shard, item, entries, placed_in, ids } = asked;
        match reserve::reserve(&self.inventory, shard, item, entries, &placed_in).await {
            Reservation::Batch { reserved, lease_lapsed } => {
                Ok(Response::new(tell::batch(reserved, lease_lapsed, ids)))
            }
            Reservation::Refused(refusal) => {
                let mut answer = Response::new(tell::shard_refusal(refusal));
                if refusal == ShardRefusal::Unreachable {
                    unable(answer.metadata_mut());
                }
                Ok(answer)
            }
            Reservation::Contradicted(contradiction) => Err(ask::contradicted(contradiction)),
            Reservation::Unknown => Err(status::ledger_is_silent()),
        }
    }

    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        let ask::Settle { shard, epoch, generation, decisions } =
            ask::settle(&request.into_inner())?;
        let generation_now =
            || async { Ok(self.books.shard(shard).await?.map(|row| row.generation)) };
        let inventory = &self.inventory;
        let settled =
            settle::settle(inventory, shard, epoch, generation, &decisions, generation_now).await;
        settled.map_err(|NotSettled| status::ledger_is_silent())?;
        Ok(Response::new(SettleResponse {}))
    }

    type WatchStockStream =
        Pin<Box<dyn Stream<Item = Result<WatchStockResponse, Status>> + Send + 'static>>;

    async fn watch_stock(
        &self,
        request: Request<WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        let shards = ask::watch_stock(&request.into_inner())?;
        let unready = self.health.unready();
        if !self.health.is_ready() {
            return Err(status::not_ready());
        }
        // Another instance has the same news, and is there for longer.
        let news = self.stock.watch(shards, self.stopper.of_leaving());
        let news = news.map_err(|TooManyStreams| status::too_many_streams())?;
        let news = news.map(|(shard, left)| Ok(tell::left(shard, left)));
        Ok(Response::new(Box::pin(news.take_until(unready))))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindResponse>, Status> {
        let ask::Find { shard, orders, bars } = ask::find(&request.into_inner())?;
        let last_epoch = || self.last_epoch(shard);
        let known = find::find(&self.inventory, shard, bars, &orders, last_epoch).await;
        let is_unable = known == Known::Unable;
        let mut answer = Response::new(tell::found(known, orders.len()));
        if is_unable {
            unable(answer.metadata_mut());
        }
        Ok(answer)
    }

    async fn count_shard(
        &self,
        request: Request<CountShardRequest>,
    ) -> Result<Response<CountShardResponse>, Status> {
        let shard = ask::count_shard(&request.into_inner())?;
        let count = count::count(&self.inventory, shard).await.map_err(status::not_counted)?;
        Ok(Response::new(tell::count(count)))
    }

    type ListKnownOrdersStream =
        Pin<Box<dyn Stream<Item = Result<ListKnownOrdersResponse, Status>> + Send + 'static>>;

    async fn list_known_orders(
        &self,
        request: Request<ListKnownOrdersRequest>,
    ) -> Result<Response<Self::ListKnownOrdersStream>, Status> {
        let shard = ask::list_known_orders(&request.into_inner())?;
        let permit = Arc::clone(&self.lists).try_acquire_owned();
        let permit = permit.map_err(|_| status::too_many_streams())?;
        let known = known::known(&self.inventory, shard).await.map_err(status::not_counted)?;
        let pages = stream::iter(tell::known(known)).map(move |page| {
            let _until_it_is_read = &permit;
            Ok(page)
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn peek_shards(
        &self,
        request: Request<PeekShardsRequest>,
    ) -> Result<Response<PeekShardsResponse>, Status> {
        let shards = ask::peek_shards(&request.into_inner())?;
        let open = known::open(&self.inventory, &shards).await;
        Ok(Response::new(tell::open(open.map_err(|_| status::ledger_is_silent())?)))
    }
}

impl Handlers {
    /// Of a shard that the catalog shows as retired.
    async fn last_epoch(&self, shard: ShardNo) -> Option<Epoch> {
        match self.catalog.item(ItemKey::Shard(shard)).await {
            Ok(item) => {
                let shards = item.into_iter().flat_map(|(item, _)| item.shards);
                let mut retired = shards.filter(|row| row.phase == Phase::Retired);
                retired.find(|row| row.no == shard).and_then(|row| row.epoch)
            }
            Err(error) => {
                tracing::warn!(%shard, %error, "a retired shard's last epoch was not read");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
