//! Every call has a deadline, and one that passed is DEADLINE_EXCEEDED.
//!
//! The layer reads `grpc-timeout`, caps it, refuses work that is already past it, drops the handler
//! when it passes, and leaves a [`Deadline`] for the handler, who gives the rest of the budget to
//! the next hop. It bounds the time to the answer's headers; a stream that flows after them is
//! bounded by its client and by the connection's keep-alive.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::Either;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Extensions, Status};
use tower::{Layer, Service};

use crate::clock::boot_time;

/// The moment until which a client waits for the answer of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// On the machine's own monotonic time, see [`Deadline::remaining`].
    at: Duration,
}

impl Deadline {
    /// A deadline `budget` from now.
    pub fn within(budget: Duration) -> Self {
        Self { at: boot_time().saturating_add(budget) }
    }

    /// The deadline of a call, from the extensions of its request. `None` if no
    /// [`DeadlineLayer`] is in front of the handler.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// What is left of the budget: zero once it is past. This is the time-out of the next hop.
    ///
    /// A [`crate::ClockShift`] doesn't move deadlines: they are the patience of a client, and the
    /// client's time didn't jump.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_sub(boot_time())
    }

    fn is_past(&self) -> bool {
        self.at <= boot_time()
    }
}

/// Gives every call a deadline. [`crate::serve`] puts it on every server.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    default: Duration,
    max: Duration,
}

impl DeadlineLayer {
    /// `default` is for calls that name no time-out; none gets more than `max`.
    pub fn new(default: Duration, max: Duration) -> Self {
        Self { default, max }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> DeadlineService<S> {
        DeadlineService { inner, layer: *self }
    }
}

/// A service behind a [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, E> Service<Request<Body>> for DeadlineService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = E>,
{
    type Response = Response<Body>;
    type Error = E;
    type Future = Either<InTime<S::Future>, Ready<Result<Response<Body>, E>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let budget = match asked(request.headers()) {
            Ok(asked) => asked.unwrap_or(self.layer.default).min(self.layer.max),
            Err(Malformed) => return answer(Status::invalid_argument(MALFORMED)),
        };
        if budget.is_zero() {
            return answer(exceeded());
        }
        let deadline = Deadline::within(budget);
        request.extensions_mut().insert(deadline);
        let timer = tokio::time::sleep(budget);
        Either::Left(InTime { handler: self.inner.call(request), timer, deadline })
    }
}

fn answer<F, E>(status: Status) -> Either<F, Ready<Result<Response<Body>, E>>> {
    Either::Right(ready(Ok(status.into_http())))
}

pin_project! {
    /// A call that ends at its deadline.
    #[derive(Debug)]
    pub struct InTime<F> {
        #[pin]
        handler: F,
        // Only wakes; whether the deadline has passed, the clock says.
        #[pin]
        timer: Sleep,
        deadline: Deadline,
    }
}

impl<F, E> Future for InTime<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.handler.poll(cx) {
            return Poll::Ready(answer);
        }
        let has_fired = this.timer.poll(cx).is_ready();
        if has_fired || this.deadline.is_past() {
            return Poll::Ready(Ok(exceeded().into_http()));
        }
        Poll::Pending
    }
}

fn exceeded() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

/// What is said to a `grpc-timeout` that isn't one. [`crate::malformed`] adds the details.
pub(crate) const MALFORMED: &str = "grpc-timeout is malformed";

#[derive(Debug, PartialEq, Eq)]
struct Malformed;

/// The time-out that the client asks for, as the specification of gRPC over HTTP/2 writes it.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| Malformed)?;
    let (last, _) = value.char_indices().next_back().ok_or(Malformed)?;
    let (digits, unit) = value.split_at(last);
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    let amount: u64 = digits.parse().map_err(|_| Malformed)?;
    match unit {
        "H" => Ok(Some(Duration::from_secs(amount * 3600))),
        "M" => Ok(Some(Duration::from_secs(amount * 60))),
        "S" => Ok(Some(Duration::from_secs(amount))),
        "m" => Ok(Some(Duration::from_millis(amount))),
        "u" => Ok(Some(Duration::from_micros(amount))),
        "n" => Ok(Some(Duration::from_nanos(amount))),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;
