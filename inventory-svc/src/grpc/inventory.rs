//! `InventoryService`: what other services ask of the ledger. Every field is checked before
//! anything is done, and no input panics. It decides nothing: refusals travel inside the answers,
//! and `status` makes statuses of the few that can't.

mod ask;
mod tell;

use std::pin::Pin;

use chassis::Stopper;
use futures::{Stream, StreamExt as _};
use proto::inventory::v1::{
    CountShardRequest, CountShardResponse, FindRequest, FindResponse, ReserveRequest,
    ReserveResponse, SettleRequest, SettleResponse, WatchStockRequest, WatchStockResponse,
    inventory_service_server::{InventoryService, InventoryServiceServer},
};
use tonic::{Request, Response, Status};

use super::status;
use crate::{
    commands::{
        Inventory,
        count::{self, NotCounted},
        find,
        reserve::{self, Reservation},
        settle::{self, NotSettled},
        watch::{StockWatch, TooManyStreams},
    },
    upstream::books::Books,
};

/// The service, ready to be routed. Streams end when `stopper` stops.
pub(crate) fn service(
    inventory: Inventory,
    books: Books,
    stock: StockWatch,
    stopper: Stopper,
) -> InventoryServiceServer<impl InventoryService> {
    InventoryServiceServer::new(Handlers { inventory, books, stock, stopper })
}

struct Handlers {
    inventory: Inventory,
    books: Books,
    stock: StockWatch,
    stopper: Stopper,
}

#[tonic::async_trait]
impl InventoryService for Handlers {
    async fn reserve(
        &self,
        request: Request<ReserveRequest>,
    ) -> Result<Response<ReserveResponse>, Status> {
        let asked = ask::reserve(request.into_inner())?;
        match reserve::reserve(&self.inventory, asked.shard, asked.entries).await {
            Reservation::Batch { reserved, lease_lapsed } => {
                Ok(Response::new(tell::batch(reserved, lease_lapsed, asked.ids)))
            }
            Reservation::Refused(refusal) => Ok(Response::new(tell::shard_refusal(refusal))),
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
        let news = self.stock.watch(shards, self.stopper.clone());
        let news = news.map_err(|TooManyStreams| status::too_many_streams())?;
        Ok(Response::new(Box::pin(news.map(|(shard, left)| Ok(tell::left(shard, left))))))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindResponse>, Status> {
        let ask::Find { shard, orders } = ask::find(&request.into_inner())?;
        let found = find::find(&self.inventory, shard, &orders).await;
        Ok(Response::new(tell::found(found, orders.len())))
    }

    async fn count_shard(
        &self,
        request: Request<CountShardRequest>,
    ) -> Result<Response<CountShardResponse>, Status> {
        let shard = ask::count_shard(&request.into_inner())?;
        match count::count(&self.inventory, shard).await {
            Ok(count) => Ok(Response::new(tell::count(count))),
            Err(NotCounted::NotNow) => Err(status::loading()),
            Err(NotCounted::NoSuchShard) => Err(status::not_found("shard")),
        }
    }
}

#[cfg(test)]
mod tests;
