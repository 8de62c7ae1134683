//! Each form of no: whoever says it, it is a `google.rpc.Status` under a fitting status of HTTP.

use std::sync::atomic::Ordering;

use serde_json::json;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::{
    buying::{buy, wish},
    client::{Answer, Ask},
};
use crate::stage::{Plan, Stage};

fn invalid(status: u16) -> (u16, String, bool) {
    (status, "INVALID_INPUT".into(), false)
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_by_field() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let item = stage.item.to_string();
    let table = [
        (String::new(), "body must be one JSON object"),
        ("[1]".into(), "body must be one JSON object"),
        ("{\"item_id\":".into(), "body must be one JSON object"),
        (json!({ "item_id": item, "quantity": 1 }).to_string(), "request_id must be given"),
        (
            json!({ "item_id": item, "quantity": "1", "request_id": "x" }).to_string(),
            "quantity must be a whole number of 0 to 4294967295",
        ),
        (
            json!({ "item_id": item, "quantity": 1, "request_id": "x", "price": 1 }).to_string(),
            "body has a field that isn't known; there is one of \
             `item_id`, `quantity`, `request_id`",
        ),
        // What the handler behind says comes in the same form, and in the same names.
        (
            json!({ "item_id": item, "quantity": 6, "request_id": "x" }).to_string(),
            "quantity must be 1 to 5, the item's limit per user",
        ),
        (
            json!({ "item_id": "canary", "quantity": 1, "request_id": "x" }).to_string(),
            "item_id must be a UUID such as 0190b2c4-6f1e-7cc3-98c4-dc0c0c07398f",
        ),
    ];
    for (body, expected) in table {
        let ask = Ask::new("POST", "/v1/tickets").body("application/json; charset=utf-8", &*body);
        let refused = ask.by(&buyer).send(&stage).await;
        assert_eq!((refused.refused(), &*refused.bad_field()), (invalid(400), expected), "{body}");
        assert!(!String::from_utf8_lossy(&refused.body).contains("canary"));
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_length_is_refused_before_it_is_read() {
    let stage = Stage::open().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let ask = Ask::new("POST", "/v1/purchases").body(content_type, "{}");
        let refused = ask.send(&stage).await;
        assert_eq!(refused.refused(), invalid(415));
        assert_eq!(refused.bad_field(), "content-type must be application/json");
    }
    let none = Ask::new("POST", "/v1/purchases").send(&stage).await;
    assert_eq!(none.refused(), invalid(415));
    let long = json!({ "ticket": "x".repeat(4096), "attempt": 1 });
    let refused = Ask::post("/v1/purchases", &long).send(&stage).await;
    assert_eq!(refused.refused(), invalid(413));
    assert_eq!(refused.bad_field(), "body must have at most 4096 bytes");
    // So long that the server reads none of it.
    for len in [17_000, 1_000_000] {
        let longer = json!({ "ticket": "x".repeat(len), "attempt": 1 });
        let refused = Ask::post("/v1/purchases", &longer).send(&stage).await;
        assert_eq!(refused.refused(), invalid(413), "{len}");
    }
}

#[tokio::test]
async fn bad_paths_queries_and_headers_are_named() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ask = async |path: &str| Ask::get(path).by(&buyer).send(&stage).await;
    let query = "query may have page_size (a whole number) and page_token";
    let table = [
        (
            "/v1/sales/nonsense",
            "sale_id must be a UUID such as 0190b2c4-6f1e-7cc3-98c4-dc0c0c07398f",
        ),
        ("/v1/sales/%ff", "path must be UTF-8 where it is percent-encoded"),
        ("/v1/sales?page_size=many", query),
        ("/v1/sales?size=1", query),
        ("/v1/orders?page_size=-1", query),
        ("/v1/sales?page_size=201", "page_size must be 0 to 200"),
        ("/v1/sales?page_token=x", "page_token must be empty or from an answer before"),
        (
            "/v1/orders/nonsense",
            "order_id must be a UUID such as 0190b2c4-6f1e-7cc3-98c4-dc0c0c07398f",
        ),
    ];
    for (path, expected) in table {
        let refused = ask(path).await;
        assert_eq!((refused.refused(), &*refused.bad_field()), (invalid(400), expected), "{path}");
    }
    let order = ids::OrderId::mint(ids::ShardNo::new(3).unwrap(), [7; 12]);
    let path = format!("/v1/orders/{order}");
    let binary = Ask::get(&path).by(&buyer).header("seckill-ticket", "tïcket").send(&stage).await;
    assert_eq!(binary.bad_field(), "seckill-ticket must be a ticket");
    let forged = Ask::get(&path).by(&buyer).header("seckill-ticket", "forged").send(&stage).await;
    assert_eq!(forged.refused(), (400, "TICKET_INVALID".into(), false));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_same_form() {
    let stage = Stage::open().await;
    for path in ["/", "/v1", "/v1/sale", "/v1/sales/", "/V1/sales", "/favicon.ico"] {
        let refused = Ask::get(path).send_unchecked(&stage).await;
        assert_eq!(refused.refused(), (404, "NOT_FOUND".into(), false), "{path}");
        assert_eq!(refused.header("content-type"), Some("application/json"));
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/sales", "GET,HEAD"),
        ("GET", "/v1/purchases", "POST"),
        ("PUT", "/v1/orders", "GET,HEAD"),
    ] {
        let refused = Ask::new(method, path).send_unchecked(&stage).await;
        assert_eq!(refused.refused(), invalid(405));
        assert_eq!(refused.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn who_shows_no_good_token_is_told_how() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let bare = Ask::get("/v1/orders").send(&stage).await;
    let forged = Ask::get("/v1/orders").header("authorization", format!("Bearer {}x", buyer.token));
    let forged = forged.send(&stage).await;
    let cookie = Ask::get("/v1/orders").header("cookie", format!("token={}", buyer.token));
    let cookie = cookie.send(&stage).await;
    for refused in [bare, forged, cookie] {
        assert_eq!(refused.refused(), (401, "UNAUTHENTICATED".into(), false));
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let in_url = format!("/v1/orders?access_token={}", buyer.token);
    assert_eq!(Ask::get(in_url).send(&stage).await.status, 400, "not even looked at");
}

#[tokio::test]
async fn what_passes_says_when_to_come_back() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = wish(&stage, &buyer).await;
    stage.world.refuse_shard_with(proto::inventory::v1::ShardRefusal::Loading);
    let loading = buy(&stage, &buyer, &ticket, 1).await;
    assert_eq!(loading.refused(), (503, "LOADING".into(), true));
    assert_eq!(loading.header("retry-after"), Some("1"), "rounded up");
    stage.world.is_order_down.store(true, Ordering::SeqCst);
    let down = Ask::get("/v1/orders").by(&buyer).send(&stage).await;
    assert_eq!(down.refused(), (503, "UPSTREAM_UNAVAILABLE".into(), true));
}

#[tokio::test]
async fn layers_refuse_in_the_same_form() {
    let none = |config: &mut gateway::Config| config.calls_per_core_max = 1;
    let stage = Stage::with(Plan { config: Box::new(none), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = wish(&stage, &buyer).await;
    let pause = stage.pause.arm("gateway.after_reserve");
    let first = buy(&stage, &buyer, &ticket, 1);
    let full = async {
        pause.hit(1).await;
        let mut refused = Vec::new();
        // Connections spread over two cores, and one of them is full.
        while refused.is_empty() {
            let answer = Ask::get("/v1/sales").send(&stage).await;
            refused.extend((answer.status != 200).then_some(answer));
        }
        pause.release();
        refused.remove(0)
    };
    let (first, refused): (Answer, Answer) = tokio::join!(first, full);
    assert_eq!(first.status, 201);
    assert_eq!(refused.refused(), (503, "OVERLOADED".into(), true));
}

#[tokio::test]
async fn who_calls_too_often_is_told_whose_allowance_it_was() {
    let scarce = |config: &mut gateway::Config| {
        config.rates.network = gateway::Allowance { per_s: 1, burst: 2 };
    };
    let stage = Stage::with(Plan { config: Box::new(scarce), ..Plan::default() }).await;
    let mut refused = Vec::new();
    while refused.is_empty() {
        let answer = Ask::get("/v1/sales").send(&stage).await;
        refused.extend((answer.status != 200).then_some(answer));
    }
    assert_eq!(refused[0].refused(), (429, "RATE_LIMITED".into(), true));
    let body = refused[0].json();
    let details = body["details"].as_array().unwrap();
    assert!(details.iter().any(|detail| detail["violations"][0]["subject"] == "network"), "{body}");
    // What costs nothing isn't counted: the document, and what isn't there.
    assert_eq!(Ask::get("/openapi.json").send_unchecked(&stage).await.status, 200);
    assert_eq!(Ask::get("/nothing").send_unchecked(&stage).await.status, 404);
}

#[tokio::test]
async fn a_deadline_that_passes_is_a_gateway_timeout() {
    let allow = |config: &mut gateway::Config| {
        config.cors.allowed_origins = vec!["https://shop.example".into()];
    };
    let stage = Stage::with(Plan { config: Box::new(allow), ..Plan::default() }).await;
    let ask = |timeout: &str| {
        let ask = Ask::get("/v1/sales").header("origin", "https://shop.example");
        ask.header("grpc-timeout", timeout)
    };
    for timeout in ["0m", "1n", "5m"] {
        let late = ask(timeout).send(&stage).await;
        assert_eq!((late.status, late.json()["code"].as_i64()), (504, Some(4)), "{timeout}");
        assert!(late.header("access-control-allow-origin").is_some(), "{timeout}: for pages, too");
    }
    let malformed = ask("soon").send(&stage).await;
    assert_eq!(malformed.refused(), invalid(400));
    assert!(malformed.header("access-control-allow-origin").is_some());
    assert!(malformed.bad_field().starts_with("grpc-timeout "), "{malformed:?}");
}

#[tokio::test]
async fn http2_without_grpc_is_told_the_same() {
    let stage = Stage::open().await;
    let ask = async |path: &'static str| {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let answer = stage.channel().await.oneshot(request).await.unwrap();
        (answer.status().as_u16(), answer.headers()["content-type"].clone())
    };
    assert_eq!(ask("/v1/sales").await, (200, "application/json".parse().unwrap()));
    assert_eq!(ask("/v1/nothing").await, (404, "application/json".parse().unwrap()));
    assert_eq!(ask("/v1/orders").await, (401, "application/json".parse().unwrap()));
}

#[tokio::test]
async fn paths_of_grpc_are_told_apart_from_those_of_json() {
    let stage = Stage::open().await;
    let path = "/seckill.gateway.v1.GatewayService/ListSales";
    let json = Ask::post(path, &json!({})).send_unchecked(&stage).await;
    assert_eq!(json.refused(), invalid(415));
    let native = Ask::new("POST", path).body("application/grpc", "\0\0\0\0\0");
    let native = native.send_unchecked(&stage).await;
    assert_eq!(native.header("grpc-status"), Some("3"), "gRPC needs HTTP/2: {native:?}");
    // A method that isn't there is what gRPC calls it.
    let request = http::Request::post("/seckill.gateway.v1.Nothing/At");
    let request = request.header("content-type", "application/grpc").body(Body::empty()).unwrap();
    let answer = stage.channel().await.oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "12");
}
