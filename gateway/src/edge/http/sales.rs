//! The shop window.

use axum::extract::State;
use http::{HeaderValue, header::CACHE_CONTROL};
use proto::gateway::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Id, Page},
    errors::{Refused, RpcStatus},
};

/// What everybody sees may be kept as long as the gateway itself keeps it. A cache in front so
/// takes the crowd.
const FOR_ALL: HeaderValue = HeaderValue::from_static("public, max-age=1");

type Shown<T> = ([(http::HeaderName, HeaderValue); 1], axum::Json<T>);

#[derive(Serialize, ToSchema)]
pub(super) struct Sales {
    /// The newest first, without their items.
    sales: Vec<Sale>,
    /// Empty at the end.
    next_page_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sale {
    #[schema(format = "uuid")]
    sale_id: String,
    title: String,
    /// The window is `[opens_at, closes_at)`.
    #[schema(format = DateTime)]
    opens_at: String,
    #[schema(format = DateTime)]
    closes_at: String,
    /// Tickets are issued from here on.
    #[schema(format = DateTime)]
    tickets_from: String,
    /// Absent in a list of sales.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Item {
    #[schema(format = "uuid")]
    item_id: String,
    sku: String,
    title: String,
    price: Money,
    total_units: u32,
    limit_per_user: u32,
    availability: Availability,
    /// As last heard. Absent while availability is UNKNOWN.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    units_left: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Money {
    /// ISO 4217, three capital letters.
    #[schema(example = "EUR")]
    currency: String,
    /// In the currency's smallest unit. A JSON number: prices that a double can't hold exactly, of
    /// 2^53 and more, are none.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    minor_units: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Availability {
    /// Not heard of the stock lately: loading, or before warm-up.
    Unknown,
    Available,
    SoldOut,
}

/// Sales, the newest first. Up to a second old.
#[utoipa::path(get, path = "/v1/sales",
    operation_id = "listSales", tag = "sales", params(Page), responses(
    (status = 200, body = Sales, description = "A page of them"),
    (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
    (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
))]
pub(super) async fn list(
    State(mut counter): State<Counter>,
    call: Call,
    page: Page,
) -> Result<Shown<Sales>, Refused> {
    let message = wire::ListSalesRequest {
        page_size: page.page_size.unwrap_or_default(),
        page_token: page.page_token.unwrap_or_default(),
    };
    let page = counter.gateway.list_sales(call.with(message)).await?.into_inner();
    let sales = page.sales.into_iter().map(Sale::without_items).collect();
    let sales = Sales { sales, next_page_token: page.next_page_token };
    Ok(([(CACHE_CONTROL, FOR_ALL)], axum::Json(sales)))
}

/// One sale with its items and what is left of them. Up to a second old.
#[utoipa::path(get, path = "/v1/sales/{sale_id}", operation_id = "getSale", tag = "sales",
    params(("sale_id" = String, Path, format = "uuid")),
    responses(
        (status = 200, body = Sale, description = "The sale"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 404, body = RpcStatus, description = "NOT_FOUND"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn get(
    State(mut counter): State<Counter>,
    call: Call,
    Id(sale_id): Id,
) -> Result<Shown<Sale>, Refused> {
    let message = wire::GetSaleRequest { sale_id };
    let answer = counter.gateway.get_sale(call.with(message)).await?.into_inner();
    let sale = answer.sale.unwrap_or_default();
    Ok(([(CACHE_CONTROL, FOR_ALL)], axum::Json(Sale::with_items(sale))))
}

impl Sale {
    fn without_items(sale: wire::Sale) -> Self {
        Self {
            sale_id: sale.sale_id,
            title: sale.title,
            opens_at: sale.opens_at.map(time).unwrap_or_default(),
            closes_at: sale.closes_at.map(time).unwrap_or_default(),
            tickets_from: sale.tickets_from.map(time).unwrap_or_default(),
            items: None,
        }
    }

    fn with_items(mut sale: wire::Sale) -> Self {
        let items = std::mem::take(&mut sale.items).into_iter().map(Item::from).collect();
        Self { items: Some(items), ..Self::without_items(sale) }
    }
}

impl From<wire::Item> for Item {
    fn from(item: wire::Item) -> Self {
        let (availability, units_left) = left(item.availability(), item.units_left);
        Self {
            item_id: item.item_id,
            sku: item.sku,
            title: item.title,
            price: item.price.unwrap_or_default().into(),
            total_units: item.total_units,
            limit_per_user: item.limit_per_user,
            availability,
            units_left,
        }
    }
}

/// How the stock is told.
pub(super) fn left(
    availability: wire::Availability,
    units_left: u32,
) -> (Availability, Option<u32>) {
    match availability {
        wire::Availability::Available => (Availability::Available, Some(units_left)),
        wire::Availability::SoldOut => (Availability::SoldOut, Some(0)),
        wire::Availability::Unknown | wire::Availability::Unspecified => {
            (Availability::Unknown, None)
        }
    }
}

impl From<wire::Money> for Money {
    fn from(money: wire::Money) -> Self {
        Self { currency: money.currency, minor_units: money.minor_units }
    }
}

/// RFC 3339, in UTC.
pub(super) fn time(time: prost_types::Timestamp) -> String {
    time.to_string()
}
