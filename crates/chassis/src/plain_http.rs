//! Refusals for callers who don't speak gRPC.
//!
//! Handlers and layers refuse in gRPC's shape, whoever asks: headers with a status and no body. To
//! a caller of plain HTTP that is an empty 200. [`PlainHttpLayer`], outside of all that refuse,
//! gives them a status of HTTP and a `google.rpc.Status` as JSON, so that no layer below has to
//! know who asks. An answer whose HTTP status says more than its code can (405, 413, 415) keeps it.
//!
//! Which paths plain HTTP has is not known here.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use serde::Serialize;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use crate::status::retry_after_of;

/// What a caller of plain HTTP is told in place of what the code says. In the extensions of a
/// refusal that is made where it isn't known who asks.
#[derive(Clone, Copy, Debug)]
pub struct HttpStatus(pub StatusCode);

/// The headers in which gRPC puts a status.
const OF_GRPC: [HeaderName; 3] =
    [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS];

/// The status of HTTP for a code.
///
/// As `google.rpc.Code` says, but for FAILED_PRECONDITION: 409, not 400. The request is well-formed
/// and would be good at another moment; what refuses it is the state of the thing. A 400 would send
/// people looking for a mistake in their request, 412 is about `If-Match`, and 410 may be cached.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        // Nobody reads it: the caller has gone.
        Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Code::Internal | Code::Unknown | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A status as the JSON of `google.rpc.Status`, as proto3 writes it.
pub fn json(status: &Status) -> String {
    let told =
        Told { code: status.code().into(), message: status.message(), details: details(status) };
    serde_json::to_string(&told).expect("texts, numbers and lists of them")
}

#[derive(Serialize)]
struct Told<'a> {
    code: i32,
    message: &'a str,
    details: Vec<Detail>,
}

/// The details that [`crate::status::Refusal`] can have.
#[derive(Serialize)]
#[serde(tag = "@type", rename_all_fields = "camelCase")]
enum Detail {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: String, domain: String, metadata: BTreeMap<String, String> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo { retry_delay: String },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    BadRequest { field_violations: Vec<Field> },
    #[serde(rename = "type.googleapis.com/google.rpc.QuotaFailure")]
    QuotaFailure { violations: Vec<Quota> },
}

#[derive(Serialize)]
struct Field {
    field: String,
    description: String,
}

#[derive(Serialize)]
struct Quota {
    subject: String,
    description: String,
}

fn details(status: &Status) -> Vec<Detail> {
    let mut told = Vec::new();
    if let Some(info) = status.get_details_error_info() {
        let metadata = info.metadata.into_iter().collect();
        told.push(Detail::ErrorInfo { reason: info.reason, domain: info.domain, metadata });
    }
    if let Some(delay) = retry_after_of(status) {
        told.push(Detail::RetryInfo { retry_delay: duration(delay) });
    }
    if let Some(bad) = status.get_details_bad_request() {
        let fields = bad.field_violations.into_iter();
        let fields = fields.map(|one| Field { field: one.field, description: one.description });
        told.push(Detail::BadRequest { field_violations: fields.collect() });
    }
    if let Some(quota) = status.get_details_quota_failure() {
        let quotas = quota.violations.into_iter();
        let quotas = quotas.map(|one| Quota { subject: one.subject, description: one.description });
        told.push(Detail::QuotaFailure { violations: quotas.collect() });
    }
    told
}

/// As proto3 writes a duration: seconds with 0, 3, 6 or 9 digits behind the point.
fn duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if nanos == 0 {
        format!("{seconds}s")
    } else if nanos.is_multiple_of(1_000_000) {
        format!("{seconds}.{:03}s", nanos / 1_000_000)
    } else if nanos.is_multiple_of(1_000) {
        format!("{seconds}.{:06}s", nanos / 1_000)
    } else {
        format!("{seconds}.{nanos:09}s")
    }
}

/// Who asks, by the content type of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Grpc,
    GrpcWeb,
    Plain,
}

impl Caller {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        match content_type.strip_prefix(b"application/grpc") {
            Some(rest) if rest.starts_with(b"-web") => Self::GrpcWeb,
            Some(_) => Self::Grpc,
            None => Self::Plain,
        }
    }
}

/// Explains refusals to callers of plain HTTP. [`crate::serve`] puts it on every server.
#[derive(Clone, Copy, Debug)]
pub struct PlainHttpLayer;

impl<S> Layer<S> for PlainHttpLayer {
    type Service = PlainHttp<S>;

    fn layer(&self, inner: S) -> PlainHttp<S> {
        PlainHttp { inner }
    }
}

/// A service behind a [`PlainHttpLayer`].
#[derive(Clone, Debug)]
pub struct PlainHttp<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for PlainHttp<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Explained<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = Caller::of(request.headers());
        Explained { answer: self.inner.call(request), caller }
    }
}

pin_project! {
    /// An answer that its caller will understand.
    #[derive(Debug)]
    pub struct Explained<F> {
        #[pin]
        answer: F,
        caller: Caller,
    }
}

impl<F, E> Future for Explained<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        Poll::Ready(match this.caller {
            Caller::Grpc => answer,
            Caller::GrpcWeb => answer.map(for_grpc_web),
            Caller::Plain => answer.map(for_plain_http),
        })
    }
}

/// A refusal that came from outside of gRPC-web's own layer differs in its content type alone.
fn for_grpc_web(mut answer: Response<Body>) -> Response<Body> {
    if Caller::of(answer.headers()) == Caller::Grpc {
        let web = HeaderValue::from_static("application/grpc-web+proto");
        answer.headers_mut().insert(CONTENT_TYPE, web);
    }
    answer
}

fn for_plain_http(answer: Response<Body>) -> Response<Body> {
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    let (mut parts, _) = answer.into_parts();
    if parts.status == StatusCode::OK {
        let named = parts.extensions.get().map(|HttpStatus(named)| *named);
        parts.status = named.unwrap_or_else(|| http_status(status.code()));
    }
    let headers = &mut parts.headers;
    for name in OF_GRPC {
        headers.remove(name);
    }
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if parts.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(delay) = retry_after_of(&status) {
        // Whole seconds are all that it can say; nobody shall come too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, Body::new(json(&status)))
}

#[cfg(test)]
mod tests;
