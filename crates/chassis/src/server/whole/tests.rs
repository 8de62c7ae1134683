//! What of a request has to be there before it is a call.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::channel::mpsc;
use futures::stream::{Stream, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::malformed::explained;
use crate::server::bakery::WORDS;

fn request(parts: impl Stream<Item = &'static [u8]> + Send + 'static) -> Request<Body> {
    let parts = parts.map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from_static(part))));
    Request::new(Body::new(StreamBody::new(parts)))
}

fn whole(bytes_max: Option<usize>, awaited_max: usize) -> (WholeLayer, Counter) {
    let settings = ServerSettings {
        request_bytes_max: bytes_max,
        requests_awaited_per_core_max: awaited_max,
        default_deadline_ms: 50,
        max_deadline_ms: 50,
        ..ServerSettings::default()
    };
    let crowded_out = Counter::default();
    (WholeLayer::new(&settings, WORDS, crowded_out.clone()), crowded_out)
}

/// Answers with the request's body, and counts the calls.
fn echo(
    calls: &Arc<AtomicUsize>,
) -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Body>, Infallible>>,
> + Clone {
    let calls = Arc::clone(calls);
    service_fn(move |request: Request<Body>| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Response::new(request.into_body())) }
    })
}

#[tokio::test]
async fn call_begins_when_all_of_the_request_is_there() {
    let calls = Arc::default();
    let (parts, body) = mpsc::unbounded::<&'static [u8]>();
    let answer = whole(Some(8), 1).0.layer(echo(&calls)).oneshot(request(body));
    let mut answer = Box::pin(answer);
    for part in [b"a" as &[u8], b"bc", b"", b"defgh"] {
        assert!((&mut answer).now_or_never().is_none());
        parts.unbounded_send(part).unwrap();
    }
    assert!((&mut answer).now_or_never().is_none());
    assert_eq!(calls.load(Ordering::SeqCst), 0, "it isn't over yet");
    drop(parts);
    let answer = answer.now_or_never().expect("it is over").unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "abcdefgh");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn request_that_is_too_long_is_refused_and_told_the_bound() {
    let calls = Arc::default();
    let whole = whole(Some(8), 1).0.layer(echo(&calls));
    let endless = request(futures::stream::repeat(b"abc" as &[u8]));
    let admitted = Request::new(Body::new(Full::new(Bytes::from_static(b"123456789"))));
    for request in [endless, admitted] {
        let Ok(answer) = whole.clone().oneshot(request).await;
        let told = Status::from_header_map(explained(WORDS, answer).headers()).unwrap();
        assert_eq!(told.code(), tonic::Code::InvalidArgument);
        let message = told.message();
        assert!(message.ends_with("must have at most 8 bytes, not 9"), "{message}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn in_a_crowd_of_requests_that_dawdle_the_longest_awaited_is_refused() {
    let calls = Arc::default();
    let (layer, crowded_out) = whole(Some(8), 2);
    let server = layer.layer(echo(&calls));
    let dawdles = || Box::pin(server.clone().oneshot(request(futures::stream::pending())));
    let (mut first, mut second, mut third) = (dawdles(), dawdles(), dawdles());
    for call in [&mut first, &mut second] {
        assert!(call.now_or_never().is_none());
    }
    // Who comes with all of it needs no place among them.
    let here = request(futures::stream::iter([b"abc" as &[u8]]));
    server.clone().oneshot(here).now_or_never().expect("at once").unwrap();
    assert!((&mut first).now_or_never().is_none(), "nobody had to make room");
    assert!((&mut third).now_or_never().is_none());
    let Ok(answer) = first.now_or_never().expect("it has made room");
    let told = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(told.code(), Code::Unavailable);
    assert_eq!(crate::status::reason_of(&told).as_deref(), Some(WORDS.overloaded));
    assert!(crate::status::retry_after_of(&told).is_some());
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    assert_eq!((calls.load(Ordering::SeqCst), crowded_out.get()), (1, 1));
    // Who gives up leaves room.
    drop(second);
    assert!(dawdles().now_or_never().is_none() && (&mut third).now_or_never().is_none());
}

#[tokio::test]
async fn bodies_flow_where_no_bound_is_set_and_empty_ones_always() {
    for (bytes_max, body) in
        [(None, request(futures::stream::pending())), (Some(8), Request::new(Body::empty()))]
    {
        let calls = Arc::default();
        let answer = whole(bytes_max, 1).0.layer(echo(&calls)).oneshot(body);
        answer.now_or_never().expect("at once").unwrap();
    }
}

/// A call that streams its requests.
fn streams(parts: impl Stream<Item = &'static [u8]> + Send + 'static) -> Request<Body> {
    let mut request = request(parts);
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    *request.uri_mut() = http::Uri::from_static(path);
    request
}

/// How a body ends that is read until then.
async fn end(answer: Response<Body>) -> Result<usize, Code> {
    let all = answer.into_body().collect().await;
    all.map(|all| all.to_bytes().len()).map_err(|status| status.code())
}

#[tokio::test]
async fn a_stream_flows_within_bounds_of_bytes_time_and_number() {
    let calls = Arc::default();
    let server = whole(Some(4), 1).0.layer(echo(&calls));
    let open = async |parts| {
        let Ok(answer) = server.clone().oneshot(parts).await;
        answer
    };
    static PART: [u8; STREAM_BYTES_MAX / 16] = [7; STREAM_BYTES_MAX / 16];
    let some = open(streams(futures::stream::iter([&PART as &[u8]; 16]))).await;
    assert_eq!(end(some).await, Ok(STREAM_BYTES_MAX));
    let endless = open(streams(futures::stream::repeat(&PART as &[u8]))).await;
    assert_eq!(end(endless).await, Err(Code::ResourceExhausted));
    let idle = open(streams(futures::stream::pending())).await;
    let another = open(streams(futures::stream::pending())).await;
    assert_eq!(end(idle).await, Err(Code::Unavailable), "it made room");
    assert_eq!(end(another).await, Err(Code::DeadlineExceeded), "it has lasted for long");
}
