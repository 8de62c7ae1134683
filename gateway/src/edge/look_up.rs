//! GetOrder, ListOrders and WatchOrder. To who doesn't show the ticket, an order without a row of
//! theirs is NOT_FOUND, whether it is someone else's, under way, or nothing.

use std::sync::Arc;

use chassis::Stopper;
use futures::stream::BoxStream;
use ids::{OrderId, UserId};
use law::OrderState;
use proto::gateway::v1 as wire;
use tonic::Status;

use super::{Shop, input, no_result, shop_window::wire_money, status::timestamp, streams};
use crate::{
    call::Known,
    domain::{
        order::{Became, Row},
        refusal::Refusal,
    },
    identity::Authenticated,
    upstream::Until,
};

type Stream = BoxStream<'static, Result<wire::WatchOrderResponse, Status>>;

pub(super) async fn get_order(
    shop: Arc<Shop>,
    call: Known<wire::GetOrderRequest>,
) -> Result<wire::GetOrderResponse, Refusal> {
    let (buyer, until) = (call.buyer, shop.until(call.caller.extensions()));
    let wire::GetOrderRequest { order_id, ticket } = &call.message;
    let asked = asked(&shop, buyer, order_id, ticket)?;
    let became = became(&shop, &asked, buyer.user(), until).await?;
    Ok(wire::GetOrderResponse { order: Some(wire_order(asked.order, &became)) })
}

pub(super) async fn list_orders(
    shop: Arc<Shop>,
    call: Known<wire::ListOrdersRequest>,
) -> Result<wire::ListOrdersResponse, Refusal> {
    let (buyer, until) = (call.buyer, shop.until(call.caller.extensions()));
    let wire::ListOrdersRequest { page_size, page_token } = call.message;
    let (size, token) = input::page(page_size, page_token)?;
    let page = shop.inquiry.books.list(buyer.user(), size, token, until).await;
    let (rows, next_page_token) = page.map_err(|error| no_result(error, "page"))?;
    let orders = rows.into_iter().map(|row| wire_order(row.order, &Became::Recorded(row)));
    Ok(wire::ListOrdersResponse { orders: orders.collect(), next_page_token })
}

pub(super) async fn watch_order(
    shop: Arc<Shop>,
    stopper: Stopper,
    call: Known<wire::WatchOrderRequest>,
) -> Result<Stream, Refusal> {
    let (buyer, until) = (call.buyer, shop.until(call.caller.extensions()));
    let wire::WatchOrderRequest { order_id, ticket } = &call.message;
    let asked = asked(&shop, buyer, order_id, ticket)?;
    let became = became(&shop, &asked, buyer.user(), until).await?;
    let user = buyer.user();
    let watching = shop.order_watchers.watch((asked.order, user), user, became);
    let watching = watching.map_err(|full| streams::refusal(full, "user"))?;
    let end = streams::end(stopper, shop.config.watch.stream_limit());
    let order = asked.order;
    Ok(streams::stream(watching, end, move |became| wire::WatchOrderResponse {
        order: Some(wire_order(order, became)),
    }))
}

/// Which order, and whether its ticket was shown.
struct Asked {
    order: OrderId,
    has_ticket: bool,
}

fn asked(
    shop: &Shop,
    buyer: Authenticated,
    order_id: &str,
    ticket: &str,
) -> Result<Asked, Refusal> {
    let by_id = match order_id {
        "" => None,
        text => Some(input::id("order_id", text)?),
    };
    if ticket.is_empty() {
        let missing = || Refusal::field("order_id", "must be given if ticket isn't");
        return Ok(Asked { order: by_id.ok_or_else(missing)?, has_ticket: false });
    }
    let ticket = shop.tickets.open(ticket, buyer.user()).map_err(|_| Refusal::TicketInvalid)?;
    let order = ticket.terms().order;
    if by_id.is_some_and(|by_id| by_id != order) {
        return Err(Refusal::field("order_id", "must name the order of the ticket"));
    }
    Ok(Asked { order, has_ticket: true })
}

async fn became(shop: &Shop, asked: &Asked, user: UserId, until: Until) -> Result<Became, Refusal> {
    if asked.has_ticket {
        return Ok(shop.inquiry.became(asked.order, user, until).await);
    }
    let row = shop.inquiry.row(asked.order, user, until).await;
    let row = row.map_err(|error| no_result(error, "order"))?;
    row.map(Became::Recorded).ok_or(Refusal::NotFound("order"))
}

fn wire_order(order: OrderId, became: &Became) -> wire::Order {
    let bare = |state: wire::OrderState| wire::Order {
        order_id: order.to_string(),
        state: state.into(),
        ..Default::default()
    };
    match became {
        Became::Processing => bare(wire::OrderState::Processing),
        Became::NotPlaced => bare(wire::OrderState::NotPlaced),
        Became::Recorded(row) => wire_row(row),
    }
}

fn wire_row(row: &Row) -> wire::Order {
    let state = match row.state {
        OrderState::Placed => wire::OrderState::Placed,
        OrderState::Paid => wire::OrderState::Paid,
        OrderState::Cancelled => wire::OrderState::Cancelled,
        OrderState::Expired => wire::OrderState::Expired,
        OrderState::Rejected => wire::OrderState::Rejected,
    };
    wire::Order {
        order_id: row.order.to_string(),
        state: state.into(),
        sale_id: row.sale.to_string(),
        item_id: row.item.to_string(),
        quantity: row.quantity,
        unit_price: Some(wire_money(&row.unit_price)),
        placed_at: row.placed_at_ms.map(timestamp),
        pay_by: row.pay_by_ms.map(timestamp),
    }
}
