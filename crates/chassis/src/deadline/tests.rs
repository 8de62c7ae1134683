//! The header, the layer alone, and the layer inside a real server beside tonic's own timer.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::{join_all, pending};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request as Call};
use tonic_health::pb::HealthCheckRequest;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::cores::Cores;
use crate::server::ServerSettings;
use crate::server::bakery::{Bakery, PATIENCE, customer, wish};

#[test]
fn time_outs_are_read_as_specified() {
    let table = [
        ("1H", Duration::from_secs(3600)),
        ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("00000004m", Duration::from_millis(4)),
        ("5u", Duration::from_micros(5)),
        ("6n", Duration::from_nanos(6)),
        ("0n", Duration::ZERO),
    ];
    for (text, time) in table {
        assert_eq!(asked(&header(text)), Ok(Some(time)), "{text}");
    }
    assert_eq!(asked(&HeaderMap::new()), Ok(None));
    for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789S", "1SS", "é"] {
        assert_eq!(asked(&header(text)), Err(Malformed), "{text:?}");
    }
}

fn header(text: &str) -> HeaderMap {
    let value = http::HeaderValue::from_bytes(text.as_bytes()).expect("a header's value");
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)])
}

/// The status of a call with this `grpc-timeout` to a handler that never ends, and how often the
/// handler was called.
async fn ask_layer(grpc_timeout: Option<&str>) -> (Code, usize) {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let before = CALLS.load(Ordering::SeqCst);
    let never = service_fn(|_: Request<Body>| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        pending::<Result<Response<Body>, std::convert::Infallible>>()
    });
    let layer = DeadlineLayer::new(Duration::from_millis(5), Duration::from_millis(10));
    let mut request = Request::new(Body::empty());
    if let Some(text) = grpc_timeout {
        *request.headers_mut() = header(text);
    }
    let answer = timeout(PATIENCE, layer.layer(never).oneshot(request)).await.expect("in time");
    let status = Status::from_header_map(answer.expect("an answer").headers()).expect("a status");
    (status.code(), CALLS.load(Ordering::SeqCst) - before)
}

#[tokio::test]
async fn layer_refuses_caps_and_defaults() {
    assert_eq!(ask_layer(Some("0m")).await, (Code::DeadlineExceeded, 0), "already past");
    assert_eq!(ask_layer(Some("soon")).await, (Code::InvalidArgument, 0), "malformed");
    assert_eq!(ask_layer(Some("1m")).await, (Code::DeadlineExceeded, 1), "asked for");
    assert_eq!(ask_layer(Some("1H")).await, (Code::DeadlineExceeded, 1), "capped");
    assert_eq!(ask_layer(None).await, (Code::DeadlineExceeded, 1), "by default");
}

fn with_timeout(service: &str, grpc_timeout: &'static str) -> Call<HealthCheckRequest> {
    let mut call = Call::new(wish(service));
    call.metadata_mut().insert("grpc-timeout", MetadataValue::from_static(grpc_timeout));
    call
}

/// tonic's client has a timer as well, which would answer CANCELLED before the server's answer is
/// here. So the calls are not polled from when all are inside until the answers have come: hyper
/// works on another runtime, and what is ready when a call is polled again comes before its timer.
/// That runtime has one thread, so that it passes answers on in the order in which they came.
#[tokio::test]
async fn server_answers_deadline_exceeded_not_cancelled() {
    const CALLS: usize = 50;
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let clients = Cores::start(1).expect("a core");
    let (_owner, addr) = bakery.open(&cores, &ServerSettings::default());
    let client = customer(&clients.serving()[0], addr);
    let mut calls: FuturesUnordered<_> = (0..CALLS)
        .map(|_| {
            let mut client = client.clone();
            async move { client.check(with_timeout("hold", "1000m")).await }
        })
        .collect();
    tokio::select! {
        early = calls.next() => panic!("answered before the deadline: {early:?}"),
        () = bakery.until_inside(CALLS) => {}
    }
    bakery.until_inside(0).await;
    // Its answer follows the others on their connection.
    client.clone().check(wish("quick")).await.expect("an answer");
    let codes: Vec<Code> = calls
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .map(|answer| answer.expect_err("no bread").code())
        .collect();
    assert_eq!(codes, [Code::DeadlineExceeded; CALLS]);
}

#[tokio::test]
async fn server_caps_what_a_client_asks_for() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { max_deadline_ms: 30, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let client = customer(cores.background(), addr);
    let calls = ["1H", "60S"].map(|grpc_timeout| {
        let mut client = client.clone();
        async move { client.check(with_timeout("hold", grpc_timeout)).await }
    });
    for answer in timeout(PATIENCE, join_all(calls)).await.expect("in time") {
        assert_eq!(answer.expect_err("no bread").code(), Code::DeadlineExceeded);
    }
    bakery.until_inside(0).await;
}

#[tokio::test]
async fn handler_reads_what_is_left_of_the_budget() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { default_deadline_ms: 9000, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut client = customer(cores.background(), addr);
    for (call, seconds) in [(Call::new(wish("deadline")), 9), (with_timeout("deadline", "5S"), 5)] {
        client.check(call).await.expect("an answer");
        let budget = bakery.budget.lock().expect("no panic").expect("a deadline");
        let most = Duration::from_secs(seconds);
        assert!(budget <= most && budget > most - Duration::from_secs(2), "{budget:?}");
    }
}

#[tokio::test]
async fn stream_flows_on_after_the_deadline_of_its_headers() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { default_deadline_ms: 20, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut client = customer(cores.background(), addr);
    let mut stream = client.clone().watch(wish("any")).await.expect("a stream").into_inner();
    stream.message().await.expect("flows").expect("the first message");
    // A call that is held passes its own deadline, later than the stream's.
    client.check(wish("hold")).await.expect_err("no bread");
    assert!(stream.message().now_or_never().is_none(), "it is still open");
    assert_eq!(*bakery.inside.borrow(), 1);
}

#[test]
fn deadline_that_is_past_leaves_nothing() {
    let deadline = Deadline::within(Duration::from_secs(60));
    assert!(deadline.remaining() > Duration::from_secs(30));
    assert_eq!(Deadline::within(Duration::ZERO).remaining(), Duration::ZERO);
}
