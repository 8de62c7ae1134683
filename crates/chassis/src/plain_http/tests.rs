//! What each kind of caller sees of a refusal.

use std::convert::Infallible;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::status::Refusal;

/// The answer to a caller of this content type.
async fn told(content_type: &str, inner: Response<Body>) -> (http::response::Parts, String) {
    let inner = std::sync::Mutex::new(Some(inner));
    let handler = service_fn(move |_| {
        let answer = inner.lock().expect("no panic").take().expect("one call");
        async { Ok::<_, Infallible>(answer) }
    });
    let mut request = Request::new(Body::empty());
    if !content_type.is_empty() {
        let value = content_type.parse().expect("a header");
        request.headers_mut().insert(CONTENT_TYPE, value);
    }
    let Ok(answer) = PlainHttpLayer.layer(handler).oneshot(request).await;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (parts, String::from_utf8(body.into()).expect("text"))
}

fn burnt() -> Response<Body> {
    Refusal::new(Code::Unavailable, "OVEN_COLD", "bakery.test", "wait for \"it\"")
        .meta("oven", "2")
        .retry_after(Duration::from_millis(1200))
        .field("loaf.weight_g", "must be above 0")
        .quota("baker:7", "ten loaves an hour")
        .into_status()
        .into_http()
}

#[tokio::test]
async fn plain_callers_get_a_status_of_http_and_json() {
    for content_type in ["", "application/json", "text/html; x=application/grpc"] {
        let (parts, body) = told(content_type, burnt()).await;
        assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(parts.headers[CONTENT_TYPE], "application/json");
        assert_eq!(parts.headers[CACHE_CONTROL], "no-store");
        assert_eq!(parts.headers[RETRY_AFTER], "2", "rounded up");
        assert!(OF_GRPC.iter().all(|name| !parts.headers.contains_key(name)));
        let expected = json!({
            "code": 14,
            "message": "wait for \"it\"",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "OVEN_COLD", "domain": "bakery.test", "metadata": { "oven": "2" },
                },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.200s" },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        { "field": "loaf.weight_g", "description": "must be above 0" },
                    ],
                },
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [
                        { "subject": "baker:7", "description": "ten loaves an hour" },
                    ],
                },
            ],
        });
        assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), expected);
    }
}

#[tokio::test]
async fn callers_of_grpc_get_what_was_said() {
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let (parts, body) = told(content_type, burnt()).await;
        assert_eq!((parts.status, body.as_str()), (StatusCode::OK, ""));
        assert_eq!(parts.headers[CONTENT_TYPE], "application/grpc");
        assert_eq!(parts.headers[Status::GRPC_STATUS], "14");
    }
}

#[tokio::test]
async fn callers_of_grpc_web_get_it_under_their_content_type() {
    let (parts, _) = told("application/grpc-web+proto", burnt()).await;
    assert_eq!(parts.headers[CONTENT_TYPE], "application/grpc-web+proto");
    assert_eq!(parts.headers[Status::GRPC_STATUS], "14");
    let mut own = burnt();
    let text = HeaderValue::from_static("application/grpc-web-text+proto");
    own.headers_mut().insert(CONTENT_TYPE, text.clone());
    let (parts, _) = told("application/grpc-web-text", own).await;
    assert_eq!(parts.headers[CONTENT_TYPE], text, "its own layer has said it");
}

#[tokio::test]
async fn what_is_no_refusal_passes() {
    let bread = Response::builder().status(StatusCode::CREATED).body(Body::new("bread".to_owned()));
    let (parts, body) = told("", bread.expect("an answer")).await;
    assert_eq!((parts.status, body.as_str()), (StatusCode::CREATED, "bread"));
    assert!(parts.headers.is_empty());
}

#[tokio::test]
async fn a_status_that_says_more_and_other_headers_are_kept() {
    let mut answer = burnt();
    *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    answer.headers_mut().insert("vary", HeaderValue::from_static("origin"));
    let (parts, _) = told("", answer).await;
    assert_eq!(parts.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(parts.headers["vary"], "origin");
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_be() {
    let unknown = || Status::unauthenticated("who?").into_http();
    let (parts, body) = told("", unknown()).await;
    assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
    assert_eq!(parts.headers[WWW_AUTHENTICATE], "Bearer");
    let bare = json!({ "code": 16, "message": "who?", "details": [] });
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), bare);
}

#[test]
fn codes_have_a_status_of_http() {
    let table = [
        (Code::InvalidArgument, 400),
        (Code::Unauthenticated, 401),
        (Code::PermissionDenied, 403),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::FailedPrecondition, 409),
        (Code::ResourceExhausted, 429),
        (Code::Internal, 500),
        (Code::Unimplemented, 501),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
    ];
    for (code, expected) in table {
        assert_eq!(http_status(code).as_u16(), expected, "{code:?}");
    }
}

#[test]
fn durations_are_written_as_proto3_does() {
    let table = [
        (Duration::from_secs(3), "3s"),
        (Duration::from_millis(300), "0.300s"),
        (Duration::from_micros(1_000_001), "1.000001s"),
        (Duration::from_nanos(1), "0.000000001s"),
    ];
    for (delay, expected) in table {
        assert_eq!(duration(delay), expected);
    }
}
