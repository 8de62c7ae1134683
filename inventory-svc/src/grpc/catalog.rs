//! Sales and their items over gRPC. Reads are open inside the house; each writing call proves first
//! which operator asks, and that this one may run sales.

use std::sync::Arc;

use chassis::{Clock, token::bearer};
use ids::{ItemId, SaleId, ShardNo};
use proto::{
    inventory::v1::{
        self as v1, CreateSaleRequest, CreateSaleResponse, GetItemRequest, GetItemResponse,
        GetSaleRequest, GetSaleResponse, ListSalesRequest, ListSalesResponse, PauseItemRequest,
        PauseItemResponse, ResumeItemRequest, ResumeItemResponse, ScheduleSaleRequest,
        ScheduleSaleResponse,
        catalog_service_server::{CatalogService, CatalogServiceServer},
        get_item_request::By,
    },
    user::v1::OperatorRight,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::status;
use crate::{
    catalog::{Catalog, ItemKey, Page},
    commands::sales::{self, Pause},
    domain::sale::{
        Item, ItemDraft, Phase, Sale, SaleDraft, Schedule, ScheduleDraft, Shard, State, Violation,
    },
    lease::LeaseView,
    loading::Foreign,
    upstream::{
        books::Books,
        operators::{Operator, Operators},
    },
};

/// A hundred items with the longest titles in four-byte characters stay below this.
const REQUEST_LEN_MAX: usize = 256 * 1024;

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 200;

/// The service, ready to be routed.
pub(crate) fn service(handlers: Handlers) -> CatalogServiceServer<impl CatalogService> {
    CatalogServiceServer::new(handlers).max_decoding_message_size(REQUEST_LEN_MAX)
}

/// What the calls work with.
pub(crate) struct Handlers {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) books: Books,
    pub(crate) operators: Arc<Operators>,
    pub(crate) leases: LeaseView,
    pub(crate) foreign: Foreign,
    pub(crate) clock: Clock,
}

impl Handlers {
    /// Whoever changes something needs the right to run sales.
    async fn operator(&self, metadata: &MetadataMap) -> Result<Operator, Status> {
        let token = bearer(metadata).unwrap_or_default();
        let proven = self.operators.authenticate(token, OperatorRight::RunSales).await;
        proven.map_err(|why| status::not_an_operator(&why))
    }

    async fn pause(
        &self,
        metadata: &MetadataMap,
        item_id: &str,
        pause: Pause,
    ) -> Result<v1::Item, Status> {
        let operator = self.operator(metadata).await?;
        let item = item_id.parse::<ItemId>();
        let item = item.map_err(|error| status::invalid_field("item_id", error))?;
        let item = sales::pause(&*self.catalog, &self.leases, &operator, item, pause).await;
        item.map(|item| item_message(item, &self.foreign)).map_err(status::of_sale)
    }
}

#[tonic::async_trait]
impl CatalogService for Handlers {
    async fn create_sale(
        &self,
        request: Request<CreateSaleRequest>,
    ) -> Result<Response<CreateSaleResponse>, Status> {
        let operator = self.operator(request.metadata()).await?;
        let draft = sale_draft(request.into_inner());
        let now_ms = self.clock.wall_ms();
        let sale = sales::create(&*self.catalog, &self.books, &operator, draft, now_ms)
            .await
            .map_err(status::of_sale)?;
        Ok(Response::new(CreateSaleResponse { sale: Some(sale_message(sale, &self.foreign)) }))
    }

    async fn schedule_sale(
        &self,
        request: Request<ScheduleSaleRequest>,
    ) -> Result<Response<ScheduleSaleResponse>, Status> {
        let operator = self.operator(request.metadata()).await?;
        let ScheduleSaleRequest { sale_id, opens_at, closes_at, warm_up_seconds } =
            request.into_inner();
        let draft = ScheduleDraft {
            opens_ms: opens_at.as_ref().and_then(millis),
            closes_ms: closes_at.as_ref().and_then(millis),
            warm_up_s: warm_up_seconds,
        };
        let sale = match sale_id.parse::<SaleId>() {
            Ok(sale) => sale,
            // All that is wrong is told at once.
            Err(error) => {
                let says = error.to_string();
                let mut wrong = vec![Violation { field: "sale_id".to_owned(), says }];
                wrong.extend(draft.check().err().unwrap_or_default());
                return Err(status::invalid(wrong));
            }
        };
        let sale = sales::schedule(&*self.catalog, &operator, sale, draft)
            .await
            .map_err(status::of_sale)?;
        Ok(Response::new(ScheduleSaleResponse { sale: Some(sale_message(sale, &self.foreign)) }))
    }

    async fn pause_item(
        &self,
        request: Request<PauseItemRequest>,
    ) -> Result<Response<PauseItemResponse>, Status> {
        let item_id = &request.get_ref().item_id;
        let item = self.pause(request.metadata(), item_id, Pause::Begins).await?;
        Ok(Response::new(PauseItemResponse { item: Some(item) }))
    }

    async fn resume_item(
        &self,
        request: Request<ResumeItemRequest>,
    ) -> Result<Response<ResumeItemResponse>, Status> {
        let item_id = &request.get_ref().item_id;
        let item = self.pause(request.metadata(), item_id, Pause::Ends).await?;
        Ok(Response::new(ResumeItemResponse { item: Some(item) }))
    }

    async fn list_sales(
        &self,
        request: Request<ListSalesRequest>,
    ) -> Result<Response<ListSalesResponse>, Status> {
        let (before, count) = page(&request.into_inner()).map_err(status::invalid)?;
        // One more than asked for tells whether there is a next page.
        let found = self.catalog.sales(before, count + 1).await;
        let mut found = found.map_err(|error| status::of_catalog(&error))?;
        let kept = usize::try_from(count).unwrap_or(usize::MAX);
        let has_more = found.len() > kept;
        found.truncate(kept);
        let last = found.last().filter(|_| has_more);
        let next_page_token = last.map(|(page, _)| page.0.to_string()).unwrap_or_default();
        let sales = found.into_iter().map(|(_, sale)| sale_message(sale, &self.foreign)).collect();
        Ok(Response::new(ListSalesResponse { sales, next_page_token }))
    }

    async fn get_sale(
        &self,
        request: Request<GetSaleRequest>,
    ) -> Result<Response<GetSaleResponse>, Status> {
        let sale = request.into_inner().sale_id.parse::<SaleId>();
        let sale = sale.map_err(|error| status::invalid_field("sale_id", error))?;
        let found = self.catalog.sale(sale).await;
        let sale = found
            .map_err(|error| status::of_catalog(&error))?
            .ok_or_else(|| status::not_found("sale"))?;
        Ok(Response::new(GetSaleResponse { sale: Some(sale_message(sale, &self.foreign)) }))
    }

    async fn get_item(
        &self,
        request: Request<GetItemRequest>,
    ) -> Result<Response<GetItemResponse>, Status> {
        let by = item_key(request.into_inner().by)?;
        let found = self.catalog.item(by).await;
        let (item, state) = found
            .map_err(|error| status::of_catalog(&error))?
            .ok_or_else(|| status::not_found("item"))?;
        let (sale_state, schedule) = state_message(state);
        Ok(Response::new(GetItemResponse {
            item: Some(item_message(item, &self.foreign)),
            sale_state: sale_state.into(),
            opens_at: schedule.map(|schedule| timestamp(schedule.opens_ms)),
            closes_at: schedule.map(|schedule| timestamp(schedule.closes_ms)),
            warm_up_seconds: schedule.map_or(0, |schedule| schedule.warm_up_s),
        }))
    }
}

fn page(request: &ListSalesRequest) -> Result<(Option<Page>, u32), Vec<Violation>> {
    let mut wrong = Vec::new();
    let mut add = |field: &str, says: String| {
        wrong.push(Violation { field: field.to_owned(), says });
    };
    let count = match request.page_size {
        0 => PAGE_SIZE_DEFAULT,
        size @ 1..=PAGE_SIZE_MAX => size,
        _ => {
            add("page_size", format!("must be at most {PAGE_SIZE_MAX}"));
            PAGE_SIZE_MAX
        }
    };
    let before = match request.page_token.as_str() {
        "" => None,
        token => {
            let place = token.parse().ok().filter(|place| *place > 0);
            if place.is_none() {
                add("page_token", "must be a next_page_token of an answer before".to_owned());
            }
            place.map(Page)
        }
    };
    if wrong.is_empty() { Ok((before, count)) } else { Err(wrong) }
}

fn item_key(by: Option<By>) -> Result<ItemKey, Status> {
    match by {
        None => Err(status::invalid_field("by", "item_id or shard_no is required")),
        Some(By::ItemId(text)) => text
            .parse::<ItemId>()
            .map(ItemKey::Id)
            .map_err(|error| status::invalid_field("item_id", error)),
        Some(By::ShardNo(number)) => ShardNo::new(number)
            .map(ItemKey::Shard)
            .map_err(|error| status::invalid_field("shard_no", error)),
    }
}

fn sale_draft(request: CreateSaleRequest) -> SaleDraft {
    let CreateSaleRequest { request_id, title, items } = request;
    let items = items
        .into_iter()
        .map(|item| ItemDraft {
            sku: item.sku,
            title: item.title,
            price: item.price.map(|price| (price.currency, price.minor_units)),
            total_units: item.total_units,
            limit_per_user: item.limit_per_user,
            pay_within_s: item.pay_within_seconds,
            lease_ms: item.lease_ms,
        })
        .collect();
    SaleDraft { request_id, title, items }
}

fn sale_message(sale: Sale, foreign: &Foreign) -> v1::Sale {
    let (state, schedule) = state_message(sale.state);
    v1::Sale {
        sale_id: sale.id.to_string(),
        title: sale.title,
        state: state.into(),
        opens_at: schedule.map(|schedule| timestamp(schedule.opens_ms)),
        closes_at: schedule.map(|schedule| timestamp(schedule.closes_ms)),
        warm_up_seconds: schedule.map_or(0, |schedule| schedule.warm_up_s),
        items: sale.items.into_iter().map(|item| item_message(item, foreign)).collect(),
        created_at: Some(timestamp(sale.created_at_ms)),
    }
}

fn state_message(state: State) -> (v1::SaleState, Option<Schedule>) {
    match state {
        State::Draft => (v1::SaleState::Draft, None),
        State::Scheduled(schedule) => (v1::SaleState::Scheduled, Some(schedule)),
    }
}

fn item_message(item: Item, foreign: &Foreign) -> v1::Item {
    let message = |shard: &Shard| shard_message(shard, foreign.owner(shard.no, item.id));
    let shards = item.shards.iter().map(message).collect();
    v1::Item {
        item_id: item.id.to_string(),
        sale_id: item.sale.to_string(),
        sku: item.sku,
        title: item.title,
        price: Some(v1::Money { currency: item.currency, minor_units: item.unit_price }),
        total_units: item.total_units,
        limit_per_user: item.limit_per_user,
        pay_within_seconds: item.pay_within_s,
        shards,
    }
}

/// `owner` is the item in whose place it stands, if it isn't its own.
fn shard_message(shard: &Shard, owner: Option<ItemId>) -> v1::Shard {
    v1::Shard {
        shard_no: shard.no.get(),
        partition: shard.partition,
        total_units: shard.total_units,
        lease_ms: u32::try_from(shard.lease.as_millis()).unwrap_or(u32::MAX),
        phase: phase_message(shard.phase).into(),
        paused: shard.paused,
        foreign_item_id: owner.map(|owner| owner.to_string()).unwrap_or_default(),
    }
}

fn phase_message(phase: Phase) -> v1::ShardPhase {
    match phase {
        Phase::New => v1::ShardPhase::New,
        Phase::Loading => v1::ShardPhase::Loading,
        Phase::Open => v1::ShardPhase::Open,
        Phase::Retired => v1::ShardPhase::Retired,
    }
}

/// None for what isn't a time after 1970; parts of a millisecond are dropped.
fn millis(time: &prost_types::Timestamp) -> Option<u64> {
    let seconds = u64::try_from(time.seconds).ok()?;
    let nanos = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    // What a Timestamp may say at most: the end of the year 9999.
    let is_timestamp = seconds <= 253_402_300_799;
    is_timestamp.then(|| seconds * 1_000 + nanos / 1_000_000)
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1_000 * 1_000_000).expect("below a second"),
    }
}
