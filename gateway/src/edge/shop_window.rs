//! ListSales, GetSale and WatchItem: for everybody, without a token.

use std::{sync::Arc, time::Duration};

use chassis::Stopper;
use futures::stream::BoxStream;
use proto::gateway::v1 as wire;
use tonic::Status;

use super::{Shop, input, no_result, status::timestamp, streams};
use crate::{
    call::Call,
    domain::{
        item::{Money, Window},
        refusal::Refusal,
    },
    items::KnownItem,
    rates::Network,
    upstream::inventory::Sale,
    watch::items::{Key, Left},
};

type Stream = BoxStream<'static, Result<wire::WatchItemResponse, Status>>;

pub(super) async fn list_sales(
    shop: &Shop,
    request: wire::ListSalesRequest,
) -> Result<wire::ListSalesResponse, Refusal> {
    let (size, token) = input::page(request.page_size, request.page_token)?;
    let token = input::place(token)?;
    let page = shop.sales.page(size, token).await.map_err(|error| no_result(error, "page"))?;
    Ok(wire::ListSalesResponse {
        sales: page.sales.iter().map(|sale| wire_sale(sale, Vec::new())).collect(),
        next_page_token: page.next_token.clone(),
    })
}

pub(super) async fn get_sale(
    shop: &Shop,
    request: wire::GetSaleRequest,
) -> Result<wire::GetSaleResponse, Refusal> {
    let id = input::id("sale_id", &request.sale_id)?;
    let view = shop.sales.sale(id).await.map_err(|error| no_result(error, "sale"))?;
    let items = view.items.iter().map(|item| wire_item(shop, item)).collect();
    Ok(wire::GetSaleResponse { sale: Some(wire_sale(&view.sale, items)) })
}

pub(super) async fn watch_item(
    shop: &Arc<Shop>,
    stopper: Stopper,
    call: Call<wire::WatchItemRequest>,
) -> Result<Stream, Refusal> {
    let id = input::id("item_id", &call.message.item_id)?;
    let item = shop.items.get(id).await.map_err(|error| no_result(error, "item"))?;
    let now_ms = shop.time_of(&item).await?;
    let open_ms = item.facts.window.closes_ms.saturating_sub(now_ms);
    if open_ms == 0 {
        // An answer of no event would make clients come back for more, for ever.
        return Err(Refusal::Closed);
    }
    let key = Key::of(item);
    let left = key.left(shop.clock.now(), shop.config.stock.fresh());
    let network = call.caller.address().map(Network::from);
    let watching = shop.item_watchers.watch(key, network, left);
    let watching = watching.map_err(|full| streams::refusal(full, "network"))?;
    let limit = shop.config.watch.stream_limit().min(Duration::from_millis(open_ms));
    Ok(streams::stream(watching, streams::end(stopper, limit), |Left(units_left)| {
        let (availability, units_left) = wire_left(*units_left);
        wire::WatchItemResponse { availability: availability.into(), units_left }
    }))
}

/// How the stock is told.
fn wire_left(units_left: Option<u32>) -> (wire::Availability, u32) {
    match units_left {
        None => (wire::Availability::Unknown, 0),
        Some(0) => (wire::Availability::SoldOut, 0),
        Some(units) => (wire::Availability::Available, units),
    }
}

fn wire_sale(sale: &Sale, items: Vec<wire::Item>) -> wire::Sale {
    let Window { tickets_from_ms, opens_ms, closes_ms } = sale.window;
    wire::Sale {
        sale_id: sale.id.to_string(),
        title: sale.title.clone(),
        opens_at: Some(timestamp(opens_ms)),
        closes_at: Some(timestamp(closes_ms)),
        tickets_from: Some(timestamp(tickets_from_ms)),
        items,
    }
}

fn wire_item(shop: &Shop, item: &KnownItem) -> wire::Item {
    let units_left = item.units_left(shop.clock.now(), shop.config.stock.fresh());
    let (availability, units_left) = wire_left(units_left);
    let facts = &item.facts;
    wire::Item {
        item_id: facts.id.to_string(),
        sku: facts.sku.clone(),
        title: facts.title.clone(),
        price: Some(wire_money(&facts.price)),
        total_units: facts.total_units,
        limit_per_user: facts.limit_per_user,
        availability: availability.into(),
        units_left,
    }
}

pub(super) fn wire_money(money: &Money) -> wire::Money {
    wire::Money { currency: money.currency.clone(), minor_units: money.minor_units }
}
