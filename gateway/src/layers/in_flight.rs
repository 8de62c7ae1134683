//! Bounds the calls that one serving core works on: beyond it they are refused at once, in constant
//! time, and never wait. A stream counts until it begins; what flows then has bounds of its own.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::Either;
use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{body::Body, server::NamedService};
use tower::{Layer, Service};

use super::held::Held;
use crate::{domain::refusal::Refusal, edge::status::status};

/// Puts services behind one bound on all of their calls.
#[derive(Debug, Clone)]
pub(crate) struct InFlightLayer {
    room: Arc<Semaphore>,
}

impl InFlightLayer {
    /// For so many calls.
    pub(crate) fn new(calls_max: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, room: Arc::clone(&self.room) }
    }
}

/// A service with a bound on its calls.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl<S: NamedService> NamedService for InFlight<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for InFlight<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        Either<Held<S::Future, OwnedSemaphorePermit>, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(seat) => Either::Left(Held::new(self.inner.call(request), seat)),
            Err(_full) => Either::Right(ready(Ok(status(Refusal::FULL).into_http()))),
        }
    }
}
