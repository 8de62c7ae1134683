//! Streams of server-sent events. Each event is the whole state, as the GET shows it, and a stream
//! begins with the state now: who comes back needs nothing replayed, so ids only number, and
//! `last-event-id` isn't looked at. A stream that can't begin is an ordinary refusal.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, KeepAliveStream, Sse},
};
use chassis::status::retry_after_of;
use futures::{
    StreamExt as _,
    stream::{BoxStream, iter, once},
};
use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};
use proto::gateway::v1 as wire;
use rand::RngExt as _;
use serde::Serialize;
use tonic::{Status, Streaming};
use utoipa::ToSchema;

use super::{
    Counter,
    call::{Call, Id},
    errors::{Refused, RpcStatus},
    orders::Order,
    sales::{Availability, left},
};

/// Silence after which a comment is sent, so that nobody on the way takes the stream for dead: half
/// of the shortest idle time-out that proxies have by default.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a browser waits before it opens the next stream, at least; at most twice as long. Those
/// whose streams ended together shall not come back together.
const COME_BACK_MS_MIN: u64 = 1000;

/// nginx waits for a full buffer before it passes anything on, unless the answer says otherwise;
/// what transforms an answer on its way (compresses it, say) waits likewise.
const AT_ONCE: [(HeaderName, HeaderValue); 2] = [
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
];

type Stream = KeepAliveStream<BoxStream<'static, Result<Event, Infallible>>>;
type Events = ([(HeaderName, HeaderValue); 2], Sse<Stream>);

/// What is left of an item.
#[derive(Serialize, ToSchema)]
pub(super) struct Stock {
    #[schema(format = "uuid")]
    item_id: String,
    availability: Availability,
    /// As last heard. Absent while availability is UNKNOWN.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    units_left: Option<u32>,
}

/// Events `stock`: what is left of an item, then each change, at most some ten a second. The stream
/// ends with the sale, or after some minutes; open another. An event `refusal` says why it ends
/// otherwise, as a `google.rpc.Status`: STOPPING, when its server stops.
#[utoipa::path(get, path = "/v1/items/{item_id}/events", operation_id = "watchItem", tag = "sales",
    params(("item_id" = String, Path, format = "uuid")),
    responses(
        (status = 200, body = Stock, content_type = "text/event-stream",
            description = "The data of each event"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT"),
        (status = 404, body = RpcStatus, description = "NOT_FOUND"),
        (status = 409, body = RpcStatus, description = "CLOSED"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn of_item(
    State(mut counter): State<Counter>,
    call: Call,
    Id(item_id): Id,
) -> Result<Events, Refused> {
    let message = wire::WatchItemRequest { item_id: item_id.clone() };
    let stream = counter.gateway.watch_item(call.with(message)).await?.into_inner();
    Ok(events("stock", stream, move |told: wire::WatchItemResponse| {
        let (availability, units_left) = left(told.availability(), told.units_left);
        Stock { item_id: item_id.clone(), availability, units_left }
    }))
}

/// Events `order`: the order's state, then each change, to the final one: PAID, CANCELLED, EXPIRED
/// or REJECTED. An event `refusal` says why it ends otherwise, as a `google.rpc.Status`: STOPPING,
/// when its server stops. A browser's `EventSource` can't send a token; there, read the body of a
/// `fetch` as a stream. Tokens aren't taken from the URL, which stands in logs and histories.
#[utoipa::path(get, path = "/v1/orders/{order_id}/events",
    operation_id = "watchOrder", tag = "orders",
    security(("token" = [])),
    params(
        ("order_id" = String, Path, format = "uuid"),
        ("seckill-ticket" = Option<String>, Header, description = "The order's ticket; without \
            it, only an order in the books is told of"),
    ),
    responses(
        (status = 200, body = Order, content_type = "text/event-stream",
            description = "The data of each event"),
        (status = 400, body = RpcStatus, description = "INVALID_INPUT, TICKET_INVALID"),
        (status = 401, body = RpcStatus, description = "UNAUTHENTICATED"),
        (status = 404, body = RpcStatus, description = "NOT_FOUND"),
        (status = 503, body = RpcStatus, description = "UPSTREAM_UNAVAILABLE, OVERLOADED"),
    ))]
pub(super) async fn of_order(
    State(mut counter): State<Counter>,
    mut call: Call,
    Id(order_id): Id,
) -> Result<Events, Refused> {
    let message = wire::WatchOrderRequest { order_id, ticket: call.take_ticket() };
    let stream = counter.gateway.watch_order(call.with(message)).await?.into_inner();
    Ok(events("order", stream, |told: wire::WatchOrderResponse| {
        Order::from(told.order.unwrap_or_default())
    }))
}

/// Each message of `stream` as an event of this name.
fn events<M, T>(
    name: &'static str,
    stream: Streaming<M>,
    show: impl Fn(M) -> T + Send + 'static,
) -> Events
where
    M: Send + 'static,
    T: Serialize + 'static,
{
    let retry_ms = rand::rng().random_range(COME_BACK_MS_MIN..2 * COME_BACK_MS_MIN);
    // What comes at once tells a client that the stream has begun, however long nothing is told.
    let begin = Event::default().comment("begun").retry(Duration::from_millis(retry_ms));
    let begin = once(async move { begin });
    let told = stream.zip(iter(1_u64..)).map(move |(message, id)| match message {
        Ok(message) => {
            let data = serde_json::to_string(&show(message)).expect("texts and numbers");
            Event::default().event(name).id(id.to_string()).data(data)
        }
        Err(status) => refusal(&status),
    });
    let events = begin.chain(told).map(Ok).boxed();
    (AT_ONCE, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Why a stream ends before its time. Not `error`: that is what a browser calls its own.
fn refusal(status: &Status) -> Event {
    let told = Event::default().event("refusal").data(chassis::plain_http::json(status));
    match retry_after_of(status) {
        Some(delay) => told.retry(delay),
        None => told,
    }
}
