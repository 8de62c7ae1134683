//! What became of orders.

use axum::extract::State;
use proto::gateway::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Id, Page},
    errors::{Refused, RpcStatus},
    sales::{Money, time},
};

#[derive(Serialize, ToSchema)]
pub(super) struct Orders {
    /// The newest first.
    orders: Vec<Order>,
    /// Empty at the end.
    next_page_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Order {
    #[schema(format = "uuid")]
    order_id: String,
    state: OrderState,
    /// This and what follows is there once the books have the order.
    #[schema(format = "uuid", nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sale_id: Option<String>,
    #[schema(format = "uuid", nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u32>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<Money>,
    #[schema(format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<String>,
    #[schema(format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_by: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OrderState {
    /// A hold may exist; the books have no row yet.
    Processing,
    /// Neither a hold nor an order: the same ticket may be tried again.
    NotPlaced,
    Placed,
    Paid,
    Cancelled,
    Expired,
    Rejected,
}

/// The caller's orders, the newest first.
#[utoipa::path(get, path = "/v1/orders",
    operation_id = "listOrders", tag = "orders", params(Page), security(("token" = [])),
    responses(
        (status = 200, body = Orders, description = "A page of them"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 401, body = RpcStatus, description = "UNAUTHENTICATED"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn list(
    State(mut counter): State<Counter>,
    call: Call,
    page: Page,
) -> Result<axum::Json<Orders>, Refused> {
    let message = wire::ListOrdersRequest {
        page_size: page.page_size.unwrap_or_default(),
        page_token: page.page_token.unwrap_or_default(),
    };
    let page = counter.gateway.list_orders(call.with(message)).await?.into_inner();
    let orders = page.orders.into_iter().map(Order::from).collect();
    Ok(axum::Json(Orders { orders, next_page_token: page.next_page_token }))
}

/// What became of an order. Without its ticket, only an order in the books is told of.
#[utoipa::path(get, path = "/v1/orders/{order_id}",
    operation_id = "getOrder", tag = "orders", security(("token" = [])),
    params(
        ("order_id" = String, Path, format = "uuid"),
        ("seckill-ticket" = Option<String>, Header, description = "The order's ticket. A header, \
            since URLs stand in logs and histories, and a ticket is a secret"),
    ),
    responses(
        (status = 200, body = Order, description = "The order"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT, TICKET_INVALID"),
        (status = 401, body = RpcStatus, description = "UNAUTHENTICATED"),
        (status = 404, body = RpcStatus, description = "NOT_FOUND"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn get(
    State(mut counter): State<Counter>,
    mut call: Call,
    Id(order_id): Id,
) -> Result<axum::Json<Order>, Refused> {
    let message = wire::GetOrderRequest { order_id, ticket: call.take_ticket() };
    let answer = counter.gateway.get_order(call.with(message)).await?.into_inner();
    Ok(axum::Json(answer.order.unwrap_or_default().into()))
}

impl From<wire::Order> for Order {
    fn from(order: wire::Order) -> Self {
        let state = match order.state() {
            wire::OrderState::NotPlaced => OrderState::NotPlaced,
            wire::OrderState::Placed => OrderState::Placed,
            wire::OrderState::Paid => OrderState::Paid,
            wire::OrderState::Cancelled => OrderState::Cancelled,
            wire::OrderState::Expired => OrderState::Expired,
            wire::OrderState::Rejected => OrderState::Rejected,
            // What can't be told apart is unknown.
            wire::OrderState::Processing | wire::OrderState::Unspecified => OrderState::Processing,
        };
        let given = |text: String| (!text.is_empty()).then_some(text);
        Self {
            order_id: order.order_id,
            state,
            sale_id: given(order.sale_id),
            item_id: given(order.item_id),
            quantity: (order.quantity > 0).then_some(order.quantity),
            unit_price: order.unit_price.map(Money::from),
            placed_at: order.placed_at.map(time),
            pay_by: order.pay_by.map(time),
        }
    }
}
