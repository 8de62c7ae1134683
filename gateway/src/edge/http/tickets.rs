//! Tickets: the signed right to try to buy.

use axum::extract::State;
use proto::gateway::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Json},
    errors::{Refused, RpcStatus},
    sales::{Money, time},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[schema(format = "uuid")]
    item_id: String,
    /// Up to the item's limit per user.
    #[schema(minimum = 1, example = 1)]
    quantity: u32,
    /// Chosen by the buyer's client: one for each thing that the buyer wants.
    #[schema(min_length = 1, max_length = 64, example = "first")]
    request_id: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    /// A secret of the buyer's.
    ticket: String,
    /// Known before anything is bought.
    #[schema(format = "uuid")]
    order_id: String,
    #[schema(format = DateTime)]
    not_before: String,
    #[schema(format = DateTime)]
    expires_at: String,
    unit_price: Money,
}

/// Signs the right to try to buy. Nothing is kept: asked again in the same words, it is a ticket
/// for the same order.
#[utoipa::path(post, path = "/v1/tickets",
    operation_id = "issueTicket", tag = "buying", request_body = Wish,
    security(("token" = [])),
    responses(
        (status = 200, body = Ticket, description = "The ticket"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 401, body = RpcStatus, description = "UNAUTHENTICATED"),
        (status = 404, body = RpcStatus, description = "NOT_FOUND"),
        (status = 409, body = RpcStatus, description = "NOT_OPEN (before warm-up), CLOSED"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn issue(
    State(mut counter): State<Counter>,
    call: Call,
    Json(wish): Json<Wish>,
) -> Result<axum::Json<Ticket>, Refused> {
    let Wish { item_id, quantity, request_id } = wish;
    let message = wire::IssueTicketRequest { item_id, quantity, request_id };
    let issued = counter.gateway.issue_ticket(call.with(message)).await?.into_inner();
    Ok(axum::Json(Ticket {
        ticket: issued.ticket,
        order_id: issued.order_id,
        not_before: issued.not_before.map(time).unwrap_or_default(),
        expires_at: issued.expires_at.map(time).unwrap_or_default(),
        unit_price: issued.unit_price.unwrap_or_default().into(),
    }))
}
