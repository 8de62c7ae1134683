//! How the public asks: the handlers of both public services. They translate, look at who asks and
//! what was shown, and hand on; what is decided is decided in [`crate::domain`]. Refusals become
//! statuses in [`status`] alone.

mod buy;
pub(crate) mod cors;
pub(crate) mod http;
mod input;
mod look_up;
pub(crate) mod operators;
mod people;
mod shop_window;
pub(crate) mod status;
mod streams;
pub(crate) mod web;
mod wish;

use std::{sync::Arc, time::Duration};

use chassis::{Clock, Deadline, Stopper, reflection::Offered};
use futures::stream::BoxStream;
use proto::{
    gateway::v1::{
        self as wire,
        gateway_service_server::{GatewayService, GatewayServiceServer},
    },
    user::v1::user_service_server::UserServiceServer,
};
use tonic::{Extensions, Request, Response, Status};
use tower::{ServiceExt as _, service_fn};

use crate::{
    call::{Call, Known},
    config::Config,
    domain::refusal::Refusal,
    identity::Identity,
    items::{Items, KnownItem},
    layers::adaptive::Class,
    metrics::Instruments,
    orders::Inquiry,
    rates::Rates,
    sales::Sales,
    sent::Sent,
    stack::Stack,
    tickets::Tickets,
    upstream::{ReadError, Until},
    watch,
};

pub(crate) use people::Reception;

/// What all cores share.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) instruments: Instruments,
    pub(crate) identity: Arc<Identity>,
    pub(crate) tickets: Tickets,
    pub(crate) items: Arc<Items>,
    pub(crate) sales: Sales,
    pub(crate) inquiry: Inquiry,
    pub(crate) order_watchers: Arc<watch::orders::Watchers>,
    pub(crate) item_watchers: Arc<watch::items::Watchers>,
    pub(crate) sent: Sent,
    pub(crate) rates: Arc<Rates>,
}

/// Something of all cores, with a count of references of this core's own: a count that all cores
/// share would be the most written line of memory of the process.
pub(crate) type OnCore<T> = Arc<Arc<T>>;

/// The buyers' service, on one core.
#[derive(Debug)]
pub(crate) struct Edge {
    shop: Arc<Shop>,
    stack: Stack,
    stopper: Stopper,
}

impl Edge {
    /// Streams end when `stopper` stops.
    pub(crate) fn new(shop: Arc<Shop>, stack: Stack, stopper: Stopper) -> Self {
        Self { shop, stack, stopper }
    }

    /// Lets a call that needs a token through the stack to `handler`.
    async fn for_buyer<M, A, F>(
        &self,
        class: Class,
        request: Request<M>,
        handler: impl Fn(Known<M>) -> F + Clone + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        M: Send + 'static,
        A: Send + 'static,
        F: Future<Output = Result<A, Refusal>> + Send,
    {
        let service = self.stack.for_buyers(class, service_fn(handler));
        self.shop.answer(service.oneshot(Call::from(request)).await)
    }

    /// The same for a call that needs none: the shop window.
    async fn for_everybody<M, A, F>(
        &self,
        request: Request<M>,
        handler: impl Fn(Call<M>) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Refusal>>,
    {
        let service = self.stack.for_everybody(Class::Browse, service_fn(handler));
        self.shop.answer(service.oneshot(Call::from(request)).await)
    }
}

/// A ledger that doesn't tell its time within this is waited for no longer: few have to, since one
/// in a while asks for all.
const LEARN_WITHIN: Duration = Duration::from_millis(250);

/// The longest message that is decoded: ten times what a ticket needs.
const REQUEST_LEN_MAX: usize = 4 * 1024;

/// What reflection tells the public: both services, and the reasons of refusals.
pub(crate) const OFFERED: Offered<'static> = Offered {
    contract: proto::DESCRIPTORS,
    services: &["seckill.gateway.v1.GatewayService", "seckill.user.v1.UserService"],
    packages: &["seckill.error.v1"],
};

/// Both public services of one core, ready to be put behind the layers.
pub(crate) fn services(
    edge: Edge,
    reception: Reception,
) -> (GatewayServiceServer<Edge>, UserServiceServer<Reception>) {
    let edge = GatewayServiceServer::new(edge).max_decoding_message_size(REQUEST_LEN_MAX);
    let reception = UserServiceServer::new(reception).max_decoding_message_size(REQUEST_LEN_MAX);
    (edge, reception)
}

impl Shop {
    /// The rest of the caller's patience.
    pub(crate) fn remaining(&self, extensions: &Extensions) -> Duration {
        // Without the layer there would be no bound at all, so a read's is taken.
        let deadline = Deadline::of(extensions);
        deadline.map_or(self.config.upstream.read_limit(), |deadline| deadline.remaining())
    }

    /// The answer, or the refusal, which is counted and never logged.
    pub(crate) fn answer<T>(&self, result: Result<T, Refusal>) -> Result<Response<T>, Status> {
        result.map(Response::new).map_err(|refusal| {
            let (reason, status) = status::told(refusal);
            self.instruments.refusals.with([reason]).inc();
            status
        })
    }

    /// The time that a word about an item's window rests on, in milliseconds since the Unix epoch:
    /// the ledger's, which is asked if it isn't known. If it can't tell, ours opens the sale, and
    /// doesn't close it.
    pub(crate) async fn time_of(&self, item: &KnownItem) -> Result<u64, Refusal> {
        let (shard, cell) = item.first();
        let (time, closes_ms) = (&cell.time, item.facts.window.closes_ms);
        let now = self.clock.now();
        if time.now_ms(now).is_none() && !time.is_over() && time.may_ask(now) {
            let until = Until::within(&self.clock, LEARN_WITHIN);
            self.inquiry.learn_time(shard.no, until).await;
        }
        let ours_ms = self.clock.wall_ms();
        match time.now_ms(self.clock.now()) {
            _ if time.is_over() => Ok(closes_ms.max(ours_ms)),
            Some(ledger_ms) => Ok(ledger_ms),
            None if closes_ms <= ours_ms => Err(Refusal::NO_ANSWER),
            None => Ok(ours_ms),
        }
    }

    /// When a read on behalf of the caller must be over.
    pub(crate) fn until(&self, extensions: &Extensions) -> Until {
        let limit = self.remaining(extensions).min(self.config.upstream.read_limit());
        Until::within(&self.clock, limit.saturating_sub(self.config.purchase.answer_margin()))
    }
}

/// What a failed read means to who asked for `what`.
fn no_result(error: ReadError, what: &'static str) -> Refusal {
    match error {
        ReadError::NotFound => Refusal::NotFound(what),
        ReadError::BadInput => {
            Refusal::field("page_token", "must be empty or from an answer before")
        }
        ReadError::Unavailable => Refusal::NO_ANSWER,
    }
}

#[tonic::async_trait]
impl GatewayService for Edge {
    type WatchItemStream = BoxStream<'static, Result<wire::WatchItemResponse, Status>>;
    type WatchOrderStream = BoxStream<'static, Result<wire::WatchOrderResponse, Status>>;

    async fn list_sales(
        &self,
        request: Request<wire::ListSalesRequest>,
    ) -> Result<Response<wire::ListSalesResponse>, Status> {
        let list = |call: Call<_>| shop_window::list_sales(&self.shop, call.message);
        self.for_everybody(request, list).await
    }

    async fn get_sale(
        &self,
        request: Request<wire::GetSaleRequest>,
    ) -> Result<Response<wire::GetSaleResponse>, Status> {
        let get = |call: Call<_>| shop_window::get_sale(&self.shop, call.message);
        self.for_everybody(request, get).await
    }

    async fn watch_item(
        &self,
        request: Request<wire::WatchItemRequest>,
    ) -> Result<Response<Self::WatchItemStream>, Status> {
        let watch = |call| shop_window::watch_item(&self.shop, self.stopper.clone(), call);
        self.for_everybody(request, watch).await
    }

    async fn issue_ticket(
        &self,
        request: Request<wire::IssueTicketRequest>,
    ) -> Result<Response<wire::IssueTicketResponse>, Status> {
        let shop = Arc::clone(&self.shop);
        let issue = move |call| wish::issue_ticket(Arc::clone(&shop), call);
        self.for_buyer(Class::Ticket, request, issue).await
    }

    async fn purchase(
        &self,
        request: Request<wire::PurchaseRequest>,
    ) -> Result<Response<wire::PurchaseResponse>, Status> {
        self.shop.answer(buy::purchase(&self.stack, &self.shop.instruments, request).await)
    }

    async fn get_order(
        &self,
        request: Request<wire::GetOrderRequest>,
    ) -> Result<Response<wire::GetOrderResponse>, Status> {
        let shop = Arc::clone(&self.shop);
        let get = move |call| look_up::get_order(Arc::clone(&shop), call);
        self.for_buyer(Class::Status, request, get).await
    }

    async fn list_orders(
        &self,
        request: Request<wire::ListOrdersRequest>,
    ) -> Result<Response<wire::ListOrdersResponse>, Status> {
        let shop = Arc::clone(&self.shop);
        let list = move |call| look_up::list_orders(Arc::clone(&shop), call);
        self.for_buyer(Class::Status, request, list).await
    }

    async fn watch_order(
        &self,
        request: Request<wire::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let (shop, stopper) = (Arc::clone(&self.shop), self.stopper.clone());
        let watch = move |call| look_up::watch_order(Arc::clone(&shop), stopper.clone(), call);
        self.for_buyer(Class::Status, request, watch).await
    }
}
