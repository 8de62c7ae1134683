//! The layer that sees every call of a server: its place in a trace, its span, how long it took and
//! how it ended.
//!
//! A call that isn't recorded costs its ids, its method's name and one observation. One that fails
//! is recorded even if its trace isn't: its span is made when the failure is known, with the id
//! that callees have seen, so what they record of the same failure fits under it. Refusals are no
//! failures. A stream is seen up to its headers.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Request, Response, Uri, header::CONTENT_TYPE};
use opentelemetry_semantic_conventions::attribute as names;
use pin_project_lite::pin_project;
use tonic::{Code, body::Body};
use tower::{Layer, Service};

use super::{
    Telemetry,
    context::TraceContext,
    span::{Span, wall_time},
    tracer::Tracer,
};
use crate::{
    clock::boot_time,
    metrics::{Gauge, Histogram, Histograms},
};

/// What has never been answered well is called this, or callers could invent thousands of methods.
const UNKNOWN: &str = "unknown";
/// More than all services have.
const KNOWN_MAX: usize = 256;

/// Of a call over plain HTTP: the pattern that its path matched, such as `/v1/orders/{order_id}`.
/// Whoever routes it leaves it in the extensions of the answer.
#[derive(Clone, Debug)]
pub struct Route(pub String);

/// There are so many codes of gRPC.
const CODES: usize = 17;

/// See the module. [`crate::serve`] puts it on every server.
#[derive(Clone, Debug)]
pub(crate) struct SightLayer {
    eye: Arc<Eye>,
}

/// What sees the calls of one core. A core has its own, so that finding a call's histogram writes
/// to nothing that another core writes to. The histogram itself and the gauge are of all cores.
#[derive(Debug)]
struct Eye {
    service: &'static str,
    tracer: Tracer,
    took: Histograms<3>,
    in_flight: Gauge,
    /// Methods of gRPC that there are: each has been answered with OK, on some core.
    known: Arc<RwLock<HashSet<String>>>,
    found: Mutex<Found>,
}

/// The histograms of known methods by code, since looking them up costs as much as many a refusal.
type Found = HashMap<String, [Option<Histogram>; CODES]>;

impl SightLayer {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let (service, metrics) = (telemetry.service(), telemetry.metrics());
        let took = metrics.latencies(
            "rpc_server_duration_seconds",
            "Time to the answer's headers, by service, method and status",
            ["service", "method", "code"],
        );
        let in_flight = metrics
            .gauges("rpc_server_in_flight", "Calls that have no answer yet", ["service"])
            .with([service]);
        let tracer = telemetry.tracer().clone();
        let (known, found) = (Arc::default(), Mutex::default());
        Self { eye: Arc::new(Eye { service, tracer, took, in_flight, known, found }) }
    }

    /// The same, to be used on another core.
    pub(crate) fn for_another_core(&self) -> Self {
        let Eye { service, tracer, took, in_flight, known, found: _ } = &*self.eye;
        let eye = Eye {
            service,
            tracer: tracer.clone(),
            took: took.clone(),
            in_flight: in_flight.clone(),
            known: Arc::clone(known),
            found: Mutex::default(),
        };
        Self { eye: Arc::new(eye) }
    }
}

impl Eye {
    fn knows(&self, path: &str, code: Code) -> bool {
        let is_known = |known: &HashSet<String>| known.contains(path);
        if is_known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return true;
        }
        if code != Code::Ok {
            return false;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN_MAX {
            known.insert(path.to_owned());
        }
        is_known(&known)
    }

    /// Where a call of gRPC is counted.
    fn histogram(&self, path: &str, code: Code) -> Histogram {
        // Only this core comes here, so nobody waits.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let at = code as usize;
        if let Some(histogram) = found.get(path).and_then(|codes| codes[at].as_ref()) {
            return histogram.clone();
        }
        if !self.knows(path, code) {
            return self.named(UNKNOWN, code_name(code));
        }
        let histogram = self.named(path, code_name(code));
        found.entry(path.to_owned()).or_default()[at] = Some(histogram.clone());
        histogram
    }

    fn named(&self, method: &str, code: &'static str) -> Histogram {
        let labels: [Cow<'static, str>; 3] =
            [self.service.into(), method.to_owned().into(), code.into()];
        self.took.with(labels)
    }
}

impl<S> Layer<S> for SightLayer {
    type Service = Sight<S>;

    fn layer(&self, inner: S) -> Sight<S> {
        Sight { inner, layer: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sight<S> {
    inner: S,
    layer: SightLayer,
}

impl<S> Service<Request<Body>> for Sight<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Seen<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call::begin(&self.layer, &request);
        let context = call.context;
        let handler = context.enter(|| self.inner.call(request));
        Seen { handler, call }
    }
}

pin_project! {
    /// A call that is looked at.
    pub(crate) struct Seen<F> {
        #[pin]
        handler: F,
        call: Call,
    }
}

impl<F, E> Future for Seen<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.call.context.enter(|| this.handler.poll(cx)));
        if let Ok(answer) = &answer {
            this.call.ended(answer);
        }
        Poll::Ready(answer)
    }
}

/// What is known of a call. Dropped without an answer, it was cut short.
struct Call {
    eye: Arc<Eye>,
    uri: Uri,
    http_method: Option<http::Method>,
    caller: Option<TraceContext>,
    context: TraceContext,
    span: Span,
    began: Duration,
    began_wall: SystemTime,
    is_over: bool,
}

impl Call {
    fn begin(layer: &SightLayer, request: &Request<Body>) -> Self {
        let eye = Arc::clone(&layer.eye);
        let caller = caller(request.headers());
        let context = eye.tracer.admit(caller);
        let uri = request.uri().clone();
        let http_method = (!is_grpc(request.headers())).then(|| request.method().clone());
        eye.in_flight.inc();
        // Of plain HTTP the path holds ids; its span is named when the route is known.
        let name = if http_method.is_none() { rpc_method(&uri) } else { "HTTP" };
        Self {
            span: eye.tracer.call(name, context, caller),
            eye,
            uri,
            http_method,
            caller,
            context,
            began: boot_time(),
            began_wall: wall_time(),
            is_over: false,
        }
    }

    fn ended(&mut self, answer: &Response<Body>) {
        let code = code(answer);
        let route = answer.extensions().get::<Route>().map(|route| route.0.as_str());
        self.count(route, code);
        if self.span.is_recorded() || is_failure(code) {
            self.record(answer, route, code);
        }
        self.finish();
    }

    fn count(&self, route: Option<&str>, code: Code) {
        let histogram = match self.http_method {
            None => self.eye.histogram(rpc_method(&self.uri), code),
            Some(_) => self.eye.named(&self.method(route, code), code_name(code)),
        };
        histogram.observe_time_at(self.took(), self.context);
    }

    fn record(&mut self, answer: &Response<Body>, route: Option<&str>, code: Code) {
        let method = self.method(route, code);
        if !self.span.is_recorded() {
            let Call { context, caller, began_wall, .. } = *self;
            let failed = self.eye.tracer.failed_call(&method, context, caller, began_wall);
            self.span = failed.unwrap_or_else(|| Span::unseen(context));
        }
        describe(&mut self.span, self.http_method.as_ref(), route, &method, answer);
        self.span.set(names::RPC_RESPONSE_STATUS_CODE, code_name(code));
        if is_failure(code) {
            self.span.fail(code_name(code));
        }
    }

    /// What it is called in metrics and spans: never by what only callers know.
    fn method(&self, route: Option<&str>, code: Code) -> String {
        let path = rpc_method(&self.uri);
        match (&self.http_method, route) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            (Some(_), None) => UNKNOWN.to_owned(),
            (None, _) if self.eye.knows(path, code) => path.to_owned(),
            (None, _) => UNKNOWN.to_owned(),
        }
    }

    fn took(&self) -> Duration {
        boot_time().saturating_sub(self.began)
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.eye.in_flight.dec();
        // Sends it now: a stream's body may flow for long.
        self.span = Span::unseen(self.context);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            // Its method is as its caller says, and may be none.
            let cut = self.eye.named(UNKNOWN, code_name(Code::Cancelled));
            cut.observe_time_at(self.took(), self.context);
            self.span.fail(code_name(Code::Cancelled));
            self.finish();
        }
    }
}

/// A method of gRPC in full: the path without its first slash.
fn rpc_method(uri: &Uri) -> &str {
    uri.path().trim_start_matches('/')
}

fn describe(
    span: &mut Span,
    http_method: Option<&http::Method>,
    route: Option<&str>,
    method: &str,
    answer: &Response<Body>,
) {
    match http_method {
        None => {
            span.set(names::RPC_SYSTEM_NAME, "grpc");
            span.set(names::RPC_METHOD, method.to_owned());
        }
        Some(http_method) => {
            span.rename(method.to_owned());
            span.set(names::HTTP_REQUEST_METHOD, http_method.to_string());
            span.set(names::HTTP_RESPONSE_STATUS_CODE, i64::from(answer.status().as_u16()));
            if let Some(route) = route {
                span.set(names::HTTP_ROUTE, route.to_owned());
            }
        }
    }
}

fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get("traceparent")?.to_str().ok().and_then(TraceContext::parse)
}

/// gRPC and gRPC-web name their method by the path; plain HTTP does by a route.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// The status of an answer, as far as its headers say: what fails later, fails in its trailers.
fn code(answer: &Response<Body>) -> Code {
    // The number alone: reading the whole status would decode its details for every refusal.
    if let Some(code) = answer.headers().get("grpc-status") {
        return Code::from_bytes(code.as_bytes());
    }
    match answer.status().as_u16() {
        404 | 405 | 501 => Code::Unimplemented,
        400..500 => Code::InvalidArgument,
        500..600 => Code::Internal,
        _ => Code::Ok,
    }
}

/// What OpenTelemetry's conventions call an error of a server. UNAVAILABLE isn't one here: by it
/// the shop says "not now" (loading, paused, overloaded), and whoever couldn't reach a store has
/// logged that.
fn is_failure(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::DataLoss)
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
