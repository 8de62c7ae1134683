//! Calls through the layer, and what is seen of them.

use std::convert::Infallible;

use opentelemetry::trace::Status as SpanStatus;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;
use tonic::Status;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::{metrics::Metrics, telemetry::Readiness, telemetry::export::Outlet};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const QUIET_CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

struct Scene {
    telemetry: Telemetry,
    spans: mpsc::Receiver<SpanData>,
}

impl Scene {
    fn new(ratio: f64) -> Self {
        let (outlet, spans) = Outlet::for_tests();
        let telemetry = Telemetry {
            service: "bakery",
            metrics: Metrics::new(),
            tracer: Tracer::new(Some(outlet), ratio),
            readiness: Readiness::default(),
        };
        Self { telemetry, spans }
    }

    fn at_the_edge(mut self) -> Self {
        self.telemetry = self.telemetry.at_the_edge();
        self
    }

    /// A call that is answered with `code`; the place that its handler saw.
    async fn call(&self, path: &str, traceparent: &str, code: Code) -> TraceContext {
        let seen = Arc::new(std::sync::Mutex::new(None));
        let place = Arc::clone(&seen);
        let handler = service_fn(move |_: Request<Body>| {
            let place = Arc::clone(&place);
            async move {
                tokio::task::yield_now().await;
                *place.lock().expect("no panic") = TraceContext::current();
                Ok::<_, Infallible>(Status::new(code, "said").into_http())
            }
        });
        let layer = SightLayer::new(&self.telemetry);
        let answer = layer.layer(handler).oneshot(request(path, traceparent)).await;
        assert!(answer.is_ok());
        assert_eq!(TraceContext::current(), None, "the place stays with the call");
        seen.lock().expect("no panic").expect("a handler is always in a trace")
    }

    fn recorded(&mut self) -> Vec<SpanData> {
        std::iter::from_fn(|| self.spans.try_recv().ok()).collect()
    }
}

fn request(path: &str, traceparent: &str) -> Request<Body> {
    let request = Request::builder().uri(format!("/{path}"));
    let request = request.header("content-type", "application/grpc");
    request.header("traceparent", traceparent).body(Body::empty()).expect("a good request")
}

#[tokio::test]
async fn a_call_of_a_recorded_trace_is_a_span_under_its_caller() {
    let mut scene = Scene::new(0.0);
    let place = scene.call("bread.Oven/Bake", CALLER, Code::Ok).await;
    let spans = scene.recorded();
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(span.name, "bread.Oven/Bake");
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.span_context.span_id().to_string(), place.span_id().to_string());
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(span.status, SpanStatus::Unset);
    let told: Vec<_> =
        span.attributes.iter().map(|told| format!("{}={}", told.key, told.value)).collect();
    let expected =
        ["rpc.system.name=grpc", "rpc.method=bread.Oven/Bake", "rpc.response.status_code=OK"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_call_of_another_trace_is_counted_only() {
    let mut scene = Scene::new(1.0);
    let place = scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Ok).await;
    assert_eq!(place.trace_id().to_string(), TRACE);
    assert!(scene.recorded().is_empty());
    let text = scene.telemetry.metrics().text();
    let line = "rpc_server_duration_seconds_count{service=\"bakery\",method=\"bread.Oven/Bake\",\
                code=\"OK\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("rpc_server_in_flight{service=\"bakery\"} 0.0"), "{text}");
}

#[tokio::test]
async fn a_slow_bucket_names_a_recorded_trace() {
    let scene = Scene::new(0.0);
    scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Ok).await;
    assert!(!scene.telemetry.metrics().text().contains(TRACE));
    scene.call("bread.Oven/Bake", CALLER, Code::Ok).await;
    assert!(scene.telemetry.metrics().text().contains(&format!("# {{trace_id=\"{TRACE}\"}}")));
}

#[tokio::test]
async fn the_public_does_not_decide_what_is_recorded() {
    let mut scene = Scene::new(0.0).at_the_edge();
    let place = scene.call("bread.Oven/Bake", CALLER, Code::Ok).await;
    assert!(scene.recorded().is_empty());
    assert!(!place.is_sampled());

    let mut scene = Scene::new(1.0).at_the_edge();
    let place = scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Ok).await;
    let spans = scene.recorded();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_context.trace_id().to_string(), TRACE, "but its id is taken");
    assert!(place.is_sampled());
}

#[tokio::test]
async fn a_failure_is_recorded_in_any_case_and_a_refusal_is_not() {
    let mut scene = Scene::new(0.0);
    scene.call("bread.Oven/Bake", QUIET_CALLER, Code::FailedPrecondition).await;
    scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Unavailable).await;
    assert!(scene.recorded().is_empty());
    let place = scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Internal).await;
    let spans = scene.recorded();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_context.span_id().to_string(), place.span_id().to_string());
    assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(spans[0].status, SpanStatus::error("INTERNAL"));
}

#[tokio::test]
async fn failures_are_recorded_up_to_a_number_a_second() {
    let mut scene = Scene::new(0.0);
    for _ in 0..500 {
        scene.call("bread.Oven/Bake", QUIET_CALLER, Code::Internal).await;
    }
    let count = scene.recorded().len();
    // 500 calls are over within a second, or two at a slow moment.
    assert!((1..=60).contains(&count), "{count}");
}

#[tokio::test]
async fn what_callers_invent_gets_one_name() {
    let scene = Scene::new(0.0);
    for number in 0..50 {
        scene.call(&format!("bread.Oven/Burn{number}"), QUIET_CALLER, Code::Unimplemented).await;
    }
    let text = scene.telemetry.metrics().text();
    assert!(!text.contains("Burn"), "{text}");
    assert!(text.contains("method=\"unknown\",code=\"UNIMPLEMENTED\"} 50"), "{text}");
}

#[tokio::test]
async fn a_call_that_is_cut_short_is_seen_too() {
    let mut scene = Scene::new(0.0);
    let handler =
        service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let layer = SightLayer::new(&scene.telemetry);
    let mut call = Box::pin(layer.layer(handler).oneshot(request("bread.Oven/Bake", CALLER)));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    let spans = scene.recorded();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].status, SpanStatus::error("CANCELLED"));
    let text = scene.telemetry.metrics().text();
    assert!(text.contains("rpc_server_in_flight{service=\"bakery\"} 0.0"), "{text}");
}
