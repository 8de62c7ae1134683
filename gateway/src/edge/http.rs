//! The same door for plain HTTP: JSON, and events as a stream. A request becomes the gRPC call of
//! the same meaning and goes through the very layers and handlers that gRPC's calls go through, in
//! this process; its limits and its answers are theirs. Nothing is decided here.
//!
//! Fields have the names of the contract, since refusals name them; times are RFC 3339; what isn't
//! known is refused. Refusals leave in gRPC's shape: [`chassis::plain_http`] makes JSON of them, as
//! of those of the layers.

pub(super) mod call;
mod errors;
mod events;
mod openapi;
mod orders;
mod people;
mod purchases;
mod sales;
mod tickets;

use std::time::Duration;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    handler::Handler,
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use chassis::{Deadline, telemetry};
use http::{HeaderValue, Method, StatusCode, header::CACHE_CONTROL};
use proto::{
    gateway::v1::gateway_service_client::GatewayServiceClient,
    user::v1::user_service_client::UserServiceClient,
};
use tonic::{Status, service::Routes};

use errors::Refused;

/// The gRPC services, as JSON's handlers reach them.
#[derive(Debug, Clone)]
struct Counter {
    gateway: GatewayServiceClient<Routes>,
    users: UserServiceClient<Routes>,
}

/// Adds plain HTTP to `grpc`, which has both public services behind their layers. A call is given
/// up `margin` before its deadline.
pub(crate) fn routes(grpc: Routes, margin: Duration) -> Routes {
    let counter = Counter {
        gateway: GatewayServiceClient::new(grpc.clone()),
        users: UserServiceClient::new(grpc.clone()),
    };
    let mut plain = Router::new();
    for Route { path, handler, .. } in table() {
        plain = plain.route(path, handler);
    }
    let plain = plain
        .method_not_allowed_fallback(errors::wrong_method)
        .with_state(counter)
        .layer(map_response(keep_out_of_caches))
        .layer(from_fn_with_state(margin, in_time))
        .layer(from_fn(named));
    let all = grpc.into_axum_router().merge(plain).fallback(errors::unknown_path);
    Routes::from(all).prepare()
}

/// One way to ask.
struct Route {
    /// Of the document, which tests hold against this table.
    #[cfg_attr(not(test), expect(dead_code, reason = "the handler has it inside"))]
    method: Method,
    path: &'static str,
    handler: MethodRouter<Counter>,
}

/// All ways to ask.
fn table() -> Vec<Route> {
    use Method as M;
    vec![
        route(M::GET, "/openapi.json", openapi::get),
        route(M::GET, "/v1/sales", sales::list),
        route(M::GET, "/v1/sales/{sale_id}", sales::get),
        route(M::GET, "/v1/items/{item_id}/events", events::of_item),
        route(M::POST, "/v1/accounts", people::register),
        route(M::POST, "/v1/sessions", people::sign_in),
        route(M::POST, "/v1/sessions/refresh", people::refresh),
        route(M::POST, "/v1/sessions/end", people::sign_out),
        route(M::POST, "/v1/tickets", tickets::issue),
        route(M::POST, "/v1/purchases", purchases::purchase),
        route(M::GET, "/v1/orders", orders::list),
        route(M::GET, "/v1/orders/{order_id}", orders::get),
        route(M::GET, "/v1/orders/{order_id}/events", events::of_order),
    ]
}

fn route<H, T>(method: Method, path: &'static str, handler: H) -> Route
where
    H: Handler<T, Counter>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("a method that routers know");
    Route { method, path, handler: on(filter, handler) }
}

/// Leaves the pattern of the path for the server's metrics and spans: paths hold ids. A method that
/// a caller has made up is no name either.
async fn named(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut answer = next.run(request).await;
    if let Some(path) = path
        && answer.status() != StatusCode::METHOD_NOT_ALLOWED
    {
        answer.extensions_mut().insert(telemetry::Route(path.as_str().to_owned()));
    }
    answer
}

/// The deadline's own layer is outside of the routes, and metrics couldn't say which of them was
/// too slow: so calls end a moment before.
async fn in_time(
    State(margin): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let Some(deadline) = Deadline::of(request.extensions()) else {
        return Ok(next.run(request).await);
    };
    let exceeded = || Status::deadline_exceeded("the deadline of the call has passed").into();
    let patience = deadline.remaining().saturating_sub(margin);
    if patience.is_zero() {
        return Err(exceeded());
    }
    tokio::time::timeout(patience, next.run(request)).await.map_err(|_| exceeded())
}

/// What is told to one buyer is nobody else's, and a refusal is of this moment.
async fn keep_out_of_caches(mut answer: Response) -> Response {
    answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
