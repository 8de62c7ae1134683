//! Spans on their way to a collector that is there, and to one that isn't.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::ResourceSpans,
};
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    Cores, ServerSettings, TaskOwner, TelemetryOwner, TelemetrySettings,
    server::bakery,
    telemetry::{SpanKind, TraceContext},
};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ResourceSpans>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        self.received.lock().expect("no panic").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn open(&self, cores: &Cores) -> (TaskOwner, SocketAddr) {
        bakery::open(cores, &ServerSettings::default(), |_core| {
            Routes::new(TraceServiceServer::new(self.clone()))
        })
    }

    /// Each span as `service: name`.
    fn told(&self) -> Vec<String> {
        let received = self.received.lock().expect("no panic");
        let mut told = Vec::new();
        for of_service in received.iter() {
            let attributes = of_service.resource.iter().flat_map(|resource| &resource.attributes);
            let name = attributes.filter(|told| told.key == "service.name");
            let name = format!("{:?}", name.map(|told| &told.value).next());
            let service = ["bakery", "mill"].into_iter().find(|service| name.contains(service));
            let spans = of_service.scope_spans.iter().flat_map(|scope| &scope.spans);
            told.extend(
                spans.map(|span| format!("{}: {}", service.unwrap_or("nobody"), span.name)),
            );
        }
        told.sort();
        told
    }
}

fn owner(addr: SocketAddr, cores: &Cores) -> TelemetryOwner {
    let settings = TelemetrySettings {
        otlp_endpoint: format!("http://{addr}"),
        ..TelemetrySettings::default()
    };
    TelemetryOwner::start(&settings, cores, "1.2.3").expect("a good address")
}

#[tokio::test]
async fn what_is_left_is_sent_at_the_end_under_each_service_own_name() {
    let cores = Cores::start(1).expect("threads can be had");
    let collector = Collector::default();
    let (_serving, addr) = collector.open(&cores);
    let owner = owner(addr, &cores);
    let (bakery, mill) = (owner.of("bakery"), owner.of("mill"));
    let trace = TraceContext::begin(true);
    let bread = bakery.tracer().span(SpanKind::Internal, "bake", trace);
    drop(mill.tracer().span(SpanKind::Internal, "grind", bread.context()));
    drop(bread);
    drop(mill.tracer().span(SpanKind::Internal, "unseen", trace.sampled(false)));
    owner.drain(PATIENCE).await;
    assert_eq!(collector.told(), ["bakery: bake", "mill: grind"]);
}

#[tokio::test]
async fn a_collector_that_is_gone_holds_nothing_up_and_its_losses_are_counted() {
    let cores = Cores::start(1).expect("threads can be had");
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let owner = owner(nobody, &cores);
    let metrics = owner.metrics().clone();
    let bakery = owner.of("bakery");
    for _ in 0..super::QUEUE_LEN_MAX + 100 {
        drop(bakery.tracer().span(SpanKind::Internal, "bake", TraceContext::begin(true)));
    }
    owner.drain(PATIENCE).await;
    let lost = "telemetry_spans_total{service=\"bakery\",outcome=\"lost\"} ";
    let text = metrics.text();
    let lost = text.lines().find_map(|line| line.strip_prefix(lost)).expect("a line");
    assert!(lost.parse::<u64>().expect("a number") >= 100, "{lost}");
}

#[test]
fn an_endpoint_that_is_none_is_named() {
    let cores = Cores::start(1).expect("threads can be had");
    for endpoint in ["collector", "https://collector:4317"] {
        let settings = TelemetrySettings {
            otlp_endpoint: endpoint.to_owned(),
            ..TelemetrySettings::default()
        };
        let refused = TelemetryOwner::start(&settings, &cores, "1.2.3");
        let sentence = refused.expect_err("it is none").to_string();
        assert!(sentence.contains("telemetry.otlp_endpoint"), "{sentence}");
    }
}
