//! The services behind the door, as small as they can be: a ledger with the rules that a gateway
//! can see, rows, and keys. A test scripts what it needs to be otherwise.

mod ledger;
mod people;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chassis::Clock;
use futures::{StreamExt as _, stream::BoxStream};
use ids::OrderId;
use proto::{
    inventory::v1::{
        self as inventory, catalog_service_server::CatalogService,
        inventory_service_server::InventoryService,
    },
    order::v1::{self as order, order_service_server::OrderService},
    user::v1::{self as user, operator_service_server::OperatorService},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub(crate) use ledger::{Ledger, batch, held};

/// Of the shard, where Find says that it is retired.
pub(crate) const LAST_EPOCH: i64 = 7;

type Reserve =
    Box<dyn Fn(inventory::ReserveRequest) -> Result<inventory::ReserveResponse, Status> + Send>;

/// What all stubs know.
#[derive(Default)]
pub(crate) struct World {
    /// Answers Reserve in the place of the ledger.
    pub(crate) reserve: Mutex<Option<Reserve>>,
    pub(crate) ledger: Mutex<Ledger>,
    /// The ledger's; the machine's if there is none.
    pub(crate) clock: Mutex<Option<Clock>>,
    /// Lengths of the batches that came.
    pub(crate) batches: Mutex<Vec<usize>>,
    /// What WatchStock says, again and again; silent while `None`.
    pub(crate) stock: Mutex<Option<inventory::WatchStockResponse>>,
    /// What Find says of ids that the ledger doesn't know.
    pub(crate) found: Mutex<Option<inventory::FoundState>>,
    pub(crate) sales: Mutex<Vec<inventory::Sale>>,
    pub(crate) catalog_reads: AtomicUsize,
    pub(crate) rows: Mutex<HashMap<Bytes, order::Order>>,
    /// What the books have open of any shard.
    pub(crate) open_epoch: AtomicI64,
    pub(crate) keys: Mutex<Vec<user::PublicKey>>,
    pub(crate) key_reads: AtomicUsize,
    /// Of operators' tokens.
    pub(crate) revocations: Mutex<Vec<user::Revocation>>,
    pub(crate) hides_revocations: AtomicBool,
    /// All addresses that the last sign-in came with.
    pub(crate) signed_in_from: Mutex<Vec<String>>,
    /// What operators asked, and the head of each call.
    pub(crate) operator_calls: Mutex<Vec<(&'static str, MetadataMap)>>,
    /// Refresh tokens.
    pub(crate) signed_out: Mutex<Vec<String>>,
    pub(crate) is_inventory_down: AtomicBool,
    pub(crate) is_order_down: AtomicBool,
    pub(crate) is_user_down: AtomicBool,
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn reserve_with(
        &self,
        answer: impl Fn(inventory::ReserveRequest) -> Result<inventory::ReserveResponse, Status>
        + Send
        + 'static,
    ) {
        *lock(&self.reserve) = Some(Box::new(answer));
    }

    /// The answer to every entry.
    pub(crate) fn answer_all_with(&self, answer: inventory::entry_answer::Answer) {
        self.reserve_with(move |request| {
            let entry = inventory::EntryAnswer { answer: Some(answer.clone()) };
            Ok(batch(vec![entry; request.entries.len()]))
        });
    }

    pub(crate) fn refuse_shard_with(&self, refusal: inventory::ShardRefusal) {
        self.reserve_with(move |_| {
            let answer = inventory::reserve_response::Answer::Refusal(refusal.into());
            Ok(inventory::ReserveResponse { answer: Some(answer) })
        });
    }

    /// By the ledger's clock.
    pub(crate) fn now_us(&self) -> u64 {
        lock(&self.clock).clone().unwrap_or_else(Clock::system).wall_us()
    }

    fn closes_us(&self) -> u64 {
        let sales = lock(&self.sales);
        let closes = sales.first().and_then(|sale| sale.closes_at);
        closes.map_or(u64::MAX, |at| {
            u64::try_from(at.seconds).unwrap() * 1_000_000 + u64::try_from(at.nanos).unwrap() / 1000
        })
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        lock(&self.batches).clone()
    }
}

/// One of the three services, all over one world.
#[derive(Clone)]
pub(crate) struct Stub(pub(crate) std::sync::Arc<World>);

fn up(is_down: &AtomicBool) -> Result<(), Status> {
    if is_down.load(Ordering::SeqCst) { Err(Status::unavailable("down")) } else { Ok(()) }
}

#[tonic::async_trait]
impl InventoryService for Stub {
    type WatchStockStream = BoxStream<'static, Result<inventory::WatchStockResponse, Status>>;

    async fn reserve(
        &self,
        request: Request<inventory::ReserveRequest>,
    ) -> Result<Response<inventory::ReserveResponse>, Status> {
        assert!(request.metadata().contains_key("grpc-timeout"), "Reserve has a deadline");
        let request = request.into_inner();
        let is_first = request.entries[0].placed_at.is_none_or(|at| at.epoch == 0);
        let len = request.entries.len();
        let now_us = self.0.now_us();
        let answer = up(&self.0.is_inventory_down).and_then(|()| match &*lock(&self.0.reserve) {
            Some(script) => script(request),
            None => Ok(lock(&self.0.ledger).reserve(&request, now_us, self.0.closes_us())),
        });
        let mut answer = answer.inspect_err(|_| lock(&self.0.batches).push(len))?;
        let mut has_taught = false;
        if let Some(inventory::reserve_response::Answer::Batch(batch)) = &mut answer.answer {
            batch.now_us = now_us;
            let too_late = inventory::EntryRefusal::TooLate.into();
            let too_late = Some(inventory::entry_answer::Answer::Refusal(too_late));
            has_taught = is_first && batch.answers.iter().any(|entry| entry.answer == too_late);
        }
        // One that only taught the time is sent again.
        if !has_taught {
            lock(&self.0.batches).push(len);
        }
        Ok(crate::instances::with_head(answer))
    }

    async fn settle(
        &self,
        _: Request<inventory::SettleRequest>,
    ) -> Result<Response<inventory::SettleResponse>, Status> {
        Err(Status::unimplemented("gateways don't settle"))
    }

    async fn watch_stock(
        &self,
        _: Request<inventory::WatchStockRequest>,
    ) -> Result<Response<Self::WatchStockStream>, Status> {
        up(&self.0.is_inventory_down)?;
        let world = self.0.clone();
        let beats = futures::stream::unfold(world, |world| async move {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let news = *lock(&world.stock);
                if let Some(news) = news {
                    return Some((Ok(news), world));
                }
            }
        });
        Ok(Response::new(beats.boxed()))
    }

    async fn find(
        &self,
        request: Request<inventory::FindRequest>,
    ) -> Result<Response<inventory::FindResponse>, Status> {
        up(&self.0.is_inventory_down)?;
        let otherwise = lock(&self.0.found).unwrap_or(inventory::FoundState::Nothing);
        let now_us = self.0.now_us();
        let mut ledger = lock(&self.0.ledger);
        let inventory::FindRequest { order_ids, bars, .. } = request.into_inner();
        let states = order_ids.into_iter().map(|id| {
            let state = ledger.find(&id).unwrap_or(otherwise);
            if bars && state == inventory::FoundState::Nothing {
                ledger.barred.insert(id, now_us);
            }
            state.into()
        });
        let states = states.collect();
        let retired_epoch = LAST_EPOCH;
        Ok(Response::new(inventory::FindResponse { states, retired_epoch, epoch: 7, now_us }))
    }

    async fn count_shard(
        &self,
        _: Request<inventory::CountShardRequest>,
    ) -> Result<Response<inventory::CountShardResponse>, Status> {
        Err(Status::unimplemented("gateways don't count"))
    }

    type ListKnownOrdersStream =
        BoxStream<'static, Result<inventory::ListKnownOrdersResponse, Status>>;

    async fn list_known_orders(
        &self,
        _: Request<inventory::ListKnownOrdersRequest>,
    ) -> Result<Response<Self::ListKnownOrdersStream>, Status> {
        Err(Status::unimplemented("gateways don't count"))
    }

    async fn peek_shards(
        &self,
        _: Request<inventory::PeekShardsRequest>,
    ) -> Result<Response<inventory::PeekShardsResponse>, Status> {
        Err(Status::unimplemented("gateways don't count"))
    }
}

impl Stub {
    fn operator_call<T>(&self, name: &'static str, request: &Request<T>) -> Result<(), Status> {
        up(&self.0.is_inventory_down)?;
        lock(&self.0.operator_calls).push((name, request.metadata().clone()));
        Ok(())
    }
}

#[tonic::async_trait]
impl OperatorService for Stub {
    async fn issue_operator_token(
        &self,
        request: Request<user::IssueOperatorTokenRequest>,
    ) -> Result<Response<user::IssueOperatorTokenResponse>, Status> {
        self.operator_call("issue_operator_token", &request)?;
        let refusal = chassis::status::Refusal::new(
            tonic::Code::InvalidArgument,
            "INVALID_INPUT",
            proto::ERROR_DOMAIN,
            "the name is none",
        );
        Err(refusal.field("name", "must be 1 to 64 characters").into_status())
    }

    async fn revoke_operator_tokens(
        &self,
        request: Request<user::RevokeOperatorTokensRequest>,
    ) -> Result<Response<user::RevokeOperatorTokensResponse>, Status> {
        self.operator_call("revoke_operator_tokens", &request)?;
        Ok(Response::new(user::RevokeOperatorTokensResponse::default()))
    }

    async fn list_operator_events(
        &self,
        request: Request<user::ListOperatorEventsRequest>,
    ) -> Result<Response<user::ListOperatorEventsResponse>, Status> {
        self.operator_call("list_operator_events", &request)?;
        Ok(Response::new(user::ListOperatorEventsResponse::default()))
    }

    type GrantRehearsalStream = BoxStream<'static, Result<user::GrantRehearsalResponse, Status>>;

    async fn grant_rehearsal(
        &self,
        request: Request<user::GrantRehearsalRequest>,
    ) -> Result<Response<Self::GrantRehearsalStream>, Status> {
        self.operator_call("grant_rehearsal", &request)?;
        let shopper = user::RehearsalShopper::default();
        let batch = user::GrantRehearsalResponse { shoppers: vec![shopper] };
        let batches = [Ok(batch.clone()), Ok(batch), Err(Status::internal("a secret of ours"))];
        Ok(Response::new(futures::stream::iter(batches).boxed()))
    }
}

#[tonic::async_trait]
impl CatalogService for Stub {
    async fn create_sale(
        &self,
        request: Request<inventory::CreateSaleRequest>,
    ) -> Result<Response<inventory::CreateSaleResponse>, Status> {
        self.operator_call("create_sale", &request)?;
        Ok(Response::new(inventory::CreateSaleResponse::default()))
    }

    async fn schedule_sale(
        &self,
        request: Request<inventory::ScheduleSaleRequest>,
    ) -> Result<Response<inventory::ScheduleSaleResponse>, Status> {
        self.operator_call("schedule_sale", &request)?;
        Ok(Response::new(inventory::ScheduleSaleResponse::default()))
    }

    async fn pause_item(
        &self,
        request: Request<inventory::PauseItemRequest>,
    ) -> Result<Response<inventory::PauseItemResponse>, Status> {
        self.operator_call("pause_item", &request)?;
        Ok(Response::new(inventory::PauseItemResponse::default()))
    }

    async fn resume_item(
        &self,
        request: Request<inventory::ResumeItemRequest>,
    ) -> Result<Response<inventory::ResumeItemResponse>, Status> {
        self.operator_call("resume_item", &request)?;
        Ok(Response::new(inventory::ResumeItemResponse::default()))
    }

    async fn list_sales(
        &self,
        request: Request<inventory::ListSalesRequest>,
    ) -> Result<Response<inventory::ListSalesResponse>, Status> {
        self.0.catalog_reads.fetch_add(1, Ordering::SeqCst);
        up(&self.0.is_inventory_down)?;
        if request.get_ref().page_token == "13" {
            return Err(Status::invalid_argument("page_token"));
        }
        let mut sales = lock(&self.0.sales).clone();
        sales.iter_mut().for_each(|sale| sale.items.clear());
        Ok(Response::new(inventory::ListSalesResponse { sales, next_page_token: "7".into() }))
    }

    async fn get_sale(
        &self,
        request: Request<inventory::GetSaleRequest>,
    ) -> Result<Response<inventory::GetSaleResponse>, Status> {
        self.0.catalog_reads.fetch_add(1, Ordering::SeqCst);
        up(&self.0.is_inventory_down)?;
        let sales = lock(&self.0.sales);
        let sale = sales.iter().find(|sale| sale.sale_id == request.get_ref().sale_id);
        let sale = sale.ok_or_else(|| Status::not_found("sale"))?.clone();
        Ok(Response::new(inventory::GetSaleResponse { sale: Some(sale) }))
    }

    async fn get_item(
        &self,
        request: Request<inventory::GetItemRequest>,
    ) -> Result<Response<inventory::GetItemResponse>, Status> {
        self.0.catalog_reads.fetch_add(1, Ordering::SeqCst);
        up(&self.0.is_inventory_down)?;
        let Some(inventory::get_item_request::By::ItemId(id)) = request.into_inner().by else {
            return Err(Status::invalid_argument("by"));
        };
        let sales = lock(&self.0.sales);
        let all = sales.iter().flat_map(|sale| sale.items.iter().map(move |item| (sale, item)));
        let found = all.into_iter().find(|(_, item)| item.item_id == id);
        let (sale, item) = found.ok_or_else(|| Status::not_found("item"))?;
        Ok(Response::new(inventory::GetItemResponse {
            item: Some(item.clone()),
            sale_state: sale.state,
            opens_at: sale.opens_at,
            closes_at: sale.closes_at,
            warm_up_seconds: sale.warm_up_seconds,
        }))
    }
}

#[tonic::async_trait]
impl OrderService for Stub {
    type ShardSnapshotStream = BoxStream<'static, Result<order::ShardSnapshotResponse, Status>>;

    async fn get_order(
        &self,
        request: Request<order::GetOrderRequest>,
    ) -> Result<Response<order::GetOrderResponse>, Status> {
        up(&self.0.is_order_down)?;
        let order::GetOrderRequest { order_id, user_id } = request.into_inner();
        let row = lock(&self.0.rows).get(&order_id).filter(|row| row.user_id == user_id).cloned();
        let row = row.ok_or_else(|| Status::not_found("order"))?;
        Ok(Response::new(order::GetOrderResponse { order: Some(row) }))
    }

    async fn list_orders(
        &self,
        request: Request<order::ListOrdersRequest>,
    ) -> Result<Response<order::ListOrdersResponse>, Status> {
        up(&self.0.is_order_down)?;
        let request = request.into_inner();
        if request.page_token == "foreign" {
            return Err(Status::invalid_argument("page_token"));
        }
        let rows = lock(&self.0.rows);
        let orders = rows.values().filter(|row| row.user_id == request.user_id).cloned().collect();
        Ok(Response::new(order::ListOrdersResponse { orders, next_page_token: "next".into() }))
    }

    async fn find_orders(
        &self,
        request: Request<order::FindOrdersRequest>,
    ) -> Result<Response<order::FindOrdersResponse>, Status> {
        up(&self.0.is_order_down)?;
        let ids = &request.get_ref().order_ids;
        let orders = ids.iter().filter_map(|id| lock(&self.0.rows).get(id).cloned()).collect();
        let shards = ids.iter().map(|id| order::KnownShard {
            shard_no: OrderId::try_from(id.as_ref()).unwrap().shard().get(),
            generation: 1,
            open_epoch: self.0.open_epoch.load(Ordering::SeqCst),
        });
        Ok(Response::new(order::FindOrdersResponse { orders, shards: shards.collect() }))
    }

    async fn highest_shard(
        &self,
        _: Request<order::HighestShardRequest>,
    ) -> Result<Response<order::HighestShardResponse>, Status> {
        Err(Status::unimplemented("the gateway doesn't ask this"))
    }

    async fn get_shard(
        &self,
        _: Request<order::GetShardRequest>,
    ) -> Result<Response<order::GetShardResponse>, Status> {
        Err(Status::unimplemented("gateways don't load"))
    }

    async fn shard_snapshot(
        &self,
        _: Request<order::ShardSnapshotRequest>,
    ) -> Result<Response<Self::ShardSnapshotStream>, Status> {
        Err(Status::unimplemented("gateways don't load"))
    }

    async fn count_shard(
        &self,
        _: Request<order::CountShardRequest>,
    ) -> Result<Response<order::CountShardResponse>, Status> {
        Err(Status::unimplemented("gateways don't count"))
    }

    async fn list_shards(
        &self,
        _: Request<order::ListShardsRequest>,
    ) -> Result<Response<order::ListShardsResponse>, Status> {
        Err(Status::unimplemented("gateways don't count"))
    }
}
