//! The outermost layer of a server: a handler ends with its owner, and its panic is an answer.
//!
//! hyper spawns a task for every call, which no [`crate::TaskOwner`] knows. This layer is what
//! makes "dropped at the next await" true for handlers, however long their connection takes to go.

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::tasks::panic_text;

#[derive(Clone, Debug)]
pub(super) struct GuardLayer {
    abort: CancellationToken,
}

impl GuardLayer {
    pub(super) fn new(abort: CancellationToken) -> Self {
        Self { abort }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            abort: self.abort.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Guard<S> {
    inner: S,
    abort: CancellationToken,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let abort = self.abort.clone();
        let path = request.uri().path().to_owned();
        let handler = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            tokio::select! {
                biased;
                // Nobody reads this: the connection is severed by the same token.
                () = abort.cancelled() => Ok(Status::unavailable("the server is gone").into_http()),
                answer = handler => answer.unwrap_or_else(|panic| {
                    tracing::error!(path, panic = panic_text(panic.as_ref()), "a handler panicked");
                    Ok(Status::internal("an internal error occurred").into_http())
                }),
            }
        })
    }
}
