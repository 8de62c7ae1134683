//! Purchases: 201 is a promise, 202 is unknown yet.

use axum::{extract::State, response::IntoResponse};
use http::{StatusCode, header::LOCATION};
use proto::gateway::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Json},
    errors::{Refused, RpcStatus},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Purchase {
    ticket: String,
    /// 1 for the first try with this ticket, then 2, 3, … Absent counts as a retry.
    #[schema(example = 1)]
    attempt: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Purchased {
    state: PurchaseState,
    #[schema(format = "uuid")]
    order_id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PurchaseState {
    /// A promise: the order will be in the books.
    Accepted,
    /// Unknown yet. Ask for the order with the ticket, or send the ticket again.
    Processing,
}

/// Tries to buy with a ticket. However often it is sent, there is one order; with each retry,
/// `attempt` grows. No answer, and 504, mean unknown: ask for the order with the ticket.
#[utoipa::path(post, path = "/v1/purchases",
    operation_id = "purchase", tag = "buying", request_body = Purchase,
    security(("token" = [])),
    responses(
        (status = 201, body = Purchased, description = "ACCEPTED, a promise",
            headers(("location" = String, description = "The order"))),
        (status = 202, body = Purchased, description = "PROCESSING, unknown yet",
            headers(("location" = String, description = "Where to ask, with the ticket"))),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT, TICKET_INVALID"),
        (status = 401, body = RpcStatus, description = "UNAUTHENTICATED"),
        (status = 409, body = RpcStatus, description = "NOT_OPEN, CLOSED, TICKET_EXPIRED, \
            LIMIT_REACHED, SOLD_OUT, REJECTED"),
        (status = 503, body = RpcStatus, description = "LOADING, PAUSED, OVERLOADED, \
            UPSTREAM_UNAVAILABLE"),
    ))]
pub(super) async fn purchase(
    State(mut counter): State<Counter>,
    call: Call,
    Json(purchase): Json<Purchase>,
) -> Result<impl IntoResponse, Refused> {
    let Purchase { ticket, attempt } = purchase;
    let message = wire::PurchaseRequest { ticket, attempt: attempt.unwrap_or_default() };
    let answer = counter.gateway.purchase(call.with(message)).await?.into_inner();
    let (http, state) = match answer.state() {
        wire::PurchaseState::Accepted => (StatusCode::CREATED, PurchaseState::Accepted),
        // What can't be told apart is unknown.
        wire::PurchaseState::Processing | wire::PurchaseState::Unspecified => {
            (StatusCode::ACCEPTED, PurchaseState::Processing)
        }
    };
    let location = format!("/v1/orders/{}", answer.order_id);
    let purchased = Purchased { state, order_id: answer.order_id };
    Ok((http, [(LOCATION, location)], axum::Json(purchased)))
}
