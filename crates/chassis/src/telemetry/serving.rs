//! The layer that sees every call of a server: its place in a trace, its span, how long it took and
//! how it ended.
//!
//! A call that isn't recorded costs its ids, its method's name and one observation. One that fails
//! is recorded even if its trace isn't: its span is made when the failure is known, with the id
//! that callees have seen, so what they record of the same failure fits under it. Refusals are no
//! failures. A stream is seen up to its headers.

use std::{
    borrow::Cow,
    collections::HashSet,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
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
    metrics::{Gauge, Histograms},
};

/// What has never been answered well is called this, or callers could invent thousands of methods.
const UNKNOWN: &str = "unknown";
/// More than all services have.
const KNOWN_MAX: usize = 256;

/// Of a call over plain HTTP: the pattern that its path matched, such as `/v1/orders/{order_id}`.
/// Whoever routes it leaves it in the extensions of the answer.
#[derive(Clone, Debug)]
pub struct Route(pub String);

/// See the module. [`crate::serve`] puts it on every server.
#[derive(Clone, Debug)]
pub(crate) struct SightLayer {
    service: &'static str,
    tracer: Tracer,
    took: Histograms<3>,
    in_flight: Gauge,
    /// Methods of gRPC that there are: each has been answered with OK.
    known: Arc<RwLock<HashSet<String>>>,
}

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
        Self { service, tracer, took, in_flight, known: Arc::default() }
    }

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
    layer: SightLayer,
    /// The path without its first slash: of gRPC, the method in full.
    path: String,
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
        let caller = caller(request.headers());
        let context = layer.tracer.admit(caller);
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let http_method = (!is_grpc(request.headers())).then(|| request.method().clone());
        layer.in_flight.inc();
        Self {
            // Of plain HTTP the path holds ids; its span is named when the route is known.
            span: layer.tracer.call(
                if http_method.is_none() { &path } else { "HTTP" },
                context,
                caller,
            ),
            layer: layer.clone(),
            path,
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
        let method = self.method(route, code);
        self.tell(&method, code_name(code));
        if !self.span.is_recorded() && is_failure(code) {
            let Call { context, caller, began_wall, .. } = *self;
            let failed = self.layer.tracer.failed_call(&method, context, caller, began_wall);
            self.span = failed.unwrap_or_else(|| Span::unseen(context));
        }
        if self.span.is_recorded() {
            describe(&mut self.span, self.http_method.as_ref(), route, &method, answer);
            self.span.set(names::RPC_RESPONSE_STATUS_CODE, code_name(code));
            if is_failure(code) {
                self.span.fail(code_name(code));
            }
        }
        self.finish();
    }

    /// What it is called in metrics and spans: never by what only callers know.
    fn method(&self, route: Option<&str>, code: Code) -> String {
        match (&self.http_method, route) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            (Some(_), None) => UNKNOWN.to_owned(),
            (None, _) if self.layer.knows(&self.path, code) => self.path.clone(),
            (None, _) => UNKNOWN.to_owned(),
        }
    }

    fn tell(&self, method: &str, code: &'static str) {
        let took = boot_time().saturating_sub(self.began);
        let labels: [Cow<'static, str>; 3] =
            [self.layer.service.into(), method.to_owned().into(), code.into()];
        self.layer.took.with(labels).observe_time_at(took, self.context);
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.layer.in_flight.dec();
        // Sends it now: a stream's body may flow for long.
        self.span = Span::unseen(self.context);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            // Its method is as its caller says, and may be none.
            self.tell(UNKNOWN, "CANCELLED");
            self.span.fail("CANCELLED");
            self.finish();
        }
    }
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
