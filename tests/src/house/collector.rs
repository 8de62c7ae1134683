//! A collector of spans in this process, and of the log lines that all of it writes.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use chassis::{Cores, Listeners, ServerSettings, Stopper, TaskOwner, Telemetry, Words, logs};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use tonic::{Request, Response, Status, service::Routes};
use tracing_subscriber::EnvFilter;

/// Everything that our own crates say, and the statements that a driver shows.
const EVERYTHING: &str = "info,gateway=trace,inventory_svc=trace,order_svc=trace,user_svc=trace,\
                          chassis=trace,journal=trace,store=trace,tonic=debug,sqlx=debug";

/// A span as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace_id: String,
    /// Name and value of each attribute.
    pub(crate) told: Vec<(String, String)>,
    /// The traces that it is linked to.
    pub(crate) links: Vec<String>,
    /// All of it, for those who look for what must not be there.
    pub(crate) text: String,
}

/// See the module.
pub(crate) struct Collector {
    spans: Spans,
    addr: SocketAddr,
    _serving: TaskOwner,
    _cores: Cores,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Recorded>>>);

impl Collector {
    pub(crate) fn open() -> Self {
        let cores = Cores::start(1).expect("threads can be had");
        let inside = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(inside, 1).expect("the loopback has free ports");
        let addr = listeners.addr();
        let serving = TaskOwner::new("collector", Stopper::new());
        let words = Words {
            domain: "tests",
            invalid_input: "NONE",
            overloaded: "NONE",
            unimplemented: "NONE",
            not_found: "NONE",
        };
        let spans = Spans::default();
        let (settings, unseen) = (ServerSettings::default(), Telemetry::off("collector"));
        chassis::serve(&serving.tasks(), &cores, listeners, &settings, words, &unseen, |_| {
            Routes::new(TraceServiceServer::new(spans.clone()))
        });
        Self { spans, addr, _serving: serving, _cores: cores }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All that has arrived.
    pub(crate) fn spans(&self) -> Vec<Recorded> {
        self.spans.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of_service in request.into_inner().resource_spans {
            let resource = of_service.resource.unwrap_or_default();
            let named = told(&resource.attributes).into_iter();
            let mut named = named.filter(|(name, _)| name == "service.name");
            let service = named.next().map_or_else(String::new, |(_, name)| name);
            for span in of_service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Recorded {
                    service: service.clone(),
                    text: format!("{span:?}"),
                    trace_id: hex(&span.trace_id),
                    told: told(&span.attributes),
                    links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
                    name: span.name,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn told(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref())
    {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|told| (told.key.clone(), text(told))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The log of this process, from the first call on: JSON, with whatever stories run beside.
pub(crate) fn log() -> String {
    static LOG: OnceLock<Lines> = OnceLock::new();
    let lines = LOG.get_or_init(|| {
        let lines = Lines::default();
        let destination = lines.clone();
        let subscriber = logs::json(EnvFilter::new(EVERYTHING), move || destination.clone());
        tracing::subscriber::set_global_default(subscriber).expect("nobody else captures logs");
        lines
    });
    let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
