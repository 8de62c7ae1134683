//! Asks the services for sales and counts. A ledger that can't be counted now is an answer; a
//! service that isn't there ends the command.

use std::time::Duration;

use ids::{ItemId, SaleId};
use proto::{
    inventory::v1::{
        self as inventory, Item, Sale, Shard, ShardPhase,
        catalog_service_client::CatalogServiceClient,
        inventory_service_client::InventoryServiceClient,
    },
    order::v1::{self as order, order_service_client::OrderServiceClient},
};
use tonic::{Code, Request, Status, transport::Channel};

use super::{
    judge::{Books, Ledger, NoLedger, Phase, ShardCount, Terms},
    terms::{Booked, Planned},
};
use crate::{
    failure::Failure,
    target::{Target, connect},
};

/// Counting goes row by row; a large shard takes its time.
const COUNT_WITHIN: Duration = Duration::from_secs(60);
const READ_WITHIN: Duration = Duration::from_secs(10);
const PAGE_SIZE: u32 = 200;
/// More sales than this are audited one by one, with `--sale`.
const SALES_MAX: usize = 2_000;

/// The stores, asked through the services that own them.
pub(crate) struct Stores {
    pub(super) catalog: CatalogServiceClient<Channel>,
    pub(super) ledger: InventoryServiceClient<Channel>,
    pub(super) books: OrderServiceClient<Channel>,
}

impl Stores {
    /// Connects to inventory-svc and order-svc.
    pub(crate) async fn connect(target: &Target) -> Result<Self, Failure> {
        let inventory = connect(&target.inventory()?).await?;
        let order = connect(&target.order()?).await?;
        Ok(Self {
            catalog: CatalogServiceClient::new(inventory.clone()),
            ledger: InventoryServiceClient::new(inventory),
            books: OrderServiceClient::new(order),
        })
    }

    /// All sales with their items, the newest first.
    pub(crate) async fn sales(&mut self) -> Result<Vec<Sale>, Failure> {
        let mut sales = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = inventory::ListSalesRequest { page_size: PAGE_SIZE, page_token };
            let page = self.catalog.list_sales(within(request, READ_WITHIN)).await;
            let page = page.map_err(|status| unanswered("inventory-svc", &status))?.into_inner();
            for sale in page.sales {
                sales.push(self.sale(&sale.sale_id).await?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(sales);
            }
            if sales.len() >= SALES_MAX {
                return Err(Failure::Usage(format!(
                    "there are more than {SALES_MAX} sales: name one with --sale ID"
                )));
            }
        }
    }

    /// One sale with its items.
    pub(crate) async fn sale(&mut self, id: &str) -> Result<Sale, Failure> {
        let request = inventory::GetSaleRequest { sale_id: id.to_owned() };
        match self.catalog.get_sale(within(request, READ_WITHIN)).await {
            Ok(answer) => answer
                .into_inner()
                .sale
                .ok_or_else(|| Failure::Unavailable(format!("inventory-svc gave no sale {id}"))),
            Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => {
                Err(Failure::Usage(format!("sale {id}: {}", status.message())))
            }
            Err(status) => Err(unanswered("inventory-svc", &status)),
        }
    }

    /// A shard of a sale as the catalog shows it now.
    pub(crate) async fn shard(&mut self, sale: &Sale, before: Shard) -> Result<Shard, Failure> {
        let now = self.sale(&sale.sale_id).await?;
        let mut shards = now.items.into_iter().flat_map(|item| item.shards);
        Ok(shards.find(|shard| shard.shard_no == before.shard_no).unwrap_or(before))
    }

    /// Counts one shard: the books, the ledger, the books again.
    pub(crate) async fn count(
        &mut self,
        sale: &Sale,
        item: &Item,
        shard: &Shard,
    ) -> Result<ShardCount, Failure> {
        let before = self.books(shard.shard_no).await?.map(|counted| books(&counted));
        let ledger = self.ledger(shard.shard_no).await?;
        let compared = match &ledger {
            Ok(ledger) => self.compared(shard.shard_no, ledger.epoch).await?,
            Err(_) => Err("there is no ledger to compare with".into()),
        };
        let counted = self.books(shard.shard_no).await?;
        let after = counted.as_ref().map(books);
        let terms = Terms {
            planned: planned(sale, item)?,
            booked: counted.map(booked).unwrap_or_default(),
            ledger_limit: compared.as_ref().ok().map(|(_, limit)| *limit),
        };
        Ok(ShardCount {
            sale: sale.title.clone(),
            item: item.sku.clone(),
            shard_no: shard.shard_no,
            planned: shard.total_units.into(),
            phase: phase(shard.phase()),
            before,
            ledger,
            after,
            terms,
            compared: compared.map(|(compared, _)| compared),
        })
    }

    async fn books(&mut self, shard_no: u32) -> Result<Option<order::CountShardResponse>, Failure> {
        let request = order::CountShardRequest { shard_no };
        match self.books.count_shard(within(request, COUNT_WITHIN)).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(unanswered("order-svc", &status)),
        }
    }

    async fn ledger(&mut self, shard_no: u32) -> Result<Result<Ledger, NoLedger>, Failure> {
        let request = inventory::CountShardRequest { shard_no };
        match self.ledger.count_shard(within(request, COUNT_WITHIN)).await {
            Ok(answer) => Ok(Ok(ledger(&answer.into_inner()))),
            Err(status) if status.code() == Code::NotFound => Ok(Err(NoLedger::NotThere)),
            Err(status) if status.code() == Code::Unavailable => {
                Ok(Err(NoLedger::NotNow(status.message().to_owned())))
            }
            Err(status) => Err(unanswered("inventory-svc", &status)),
        }
    }
}

pub(super) fn within<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

pub(super) fn unanswered(who: &str, status: &Status) -> Failure {
    Failure::Unavailable(format!("{who} did not answer: {}: {}", status.code(), status.message()))
}

fn phase(phase: ShardPhase) -> Phase {
    match phase {
        ShardPhase::Unspecified | ShardPhase::New => Phase::New,
        ShardPhase::Loading => Phase::Loading,
        ShardPhase::Open => Phase::Open,
        ShardPhase::Retired => Phase::Retired,
    }
}

fn planned(sale: &Sale, item: &Item) -> Result<Planned, Failure> {
    let wrong = |_| Failure::Unavailable("inventory-svc answered what can't be understood".into());
    let sale: SaleId = sale.sale_id.parse().map_err(wrong)?;
    let id: ItemId = item.item_id.parse().map_err(wrong)?;
    let price = item.price.clone().unwrap_or_default();
    Ok(Planned {
        sale: *sale.as_bytes(),
        item: *id.as_bytes(),
        limit_per_user: item.limit_per_user,
        currency: price.currency,
        unit_price: price.minor_units,
    })
}

fn booked(counted: order::CountShardResponse) -> Booked {
    Booked {
        sale: counted.sale_id.to_vec(),
        item: counted.item_id.to_vec(),
        limit_per_user: counted.limit_per_user,
        currency: counted.currency,
        foreign_orders: counted.foreign_orders,
        unit_prices: counted.unit_price_min.zip(counted.unit_price_max),
        quantity_max: counted.quantity_max.unwrap_or(0),
    }
}

fn books(counted: &order::CountShardResponse) -> Books {
    Books {
        open_epoch: counted.open_epoch,
        total: counted.total,
        sold: counted.sold,
        limit_per_user: counted.limit_per_user,
        live_orders: counted.live_orders,
        live_units: counted.live_units,
        rejected_orders: counted.rejected_orders,
        duplicate_orders: counted.duplicate_orders,
        user_units_max: counted.user_units_max,
        movement_watermark: counted.movement_watermark,
        dead_letters: counted.dead_letters,
    }
}

fn ledger(counted: &inventory::CountShardResponse) -> Ledger {
    Ledger {
        epoch: counted.epoch,
        stock: counted.stock,
        open_holds: counted.open_holds,
        open_units: counted.open_units,
        oldest_open_ms: counted.oldest_open_ms,
        placed_orders: counted.placed_orders,
        placed_units: counted.placed_units,
        user_units: counted.user_units,
        user_units_max: counted.user_units_max,
        movement_watermark: counted.movement_watermark,
    }
}
