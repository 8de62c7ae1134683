//! The outermost layer of a server: a handler ends with its owner, can hear of the stop, and its
//! panic is an answer.
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

use crate::stop::Stopper;
use crate::tasks::panic_text;

#[derive(Clone, Debug)]
pub(super) struct GuardLayer {
    abort: CancellationToken,
    stopper: Stopper,
}

impl GuardLayer {
    pub(super) fn new(abort: CancellationToken, stopper: Stopper) -> Self {
        Self { abort, stopper }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Guard<S> {
    inner: S,
    layer: GuardLayer,
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let GuardLayer { abort, stopper } = self.layer.clone();
        request.extensions_mut().insert(stopper);
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn code(answer: Result<Response<Body>, Infallible>) -> Code {
        let Ok(answer) = answer;
        Status::from_header_map(answer.headers()).expect("a status").code()
    }

    #[tokio::test]
    async fn handler_is_dropped_with_its_owner_though_its_connection_is_not() {
        let (owner, dough) = (CancellationToken::new(), Arc::new(()));
        let held = Arc::clone(&dough);
        let handler = service_fn(move |_| {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let request = Request::new(Body::empty());
        let mut call = Box::pin(
            GuardLayer::new(owner.clone(), Stopper::new()).layer(handler).oneshot(request),
        );
        assert!((&mut call).now_or_never().is_none());
        let before = Arc::strong_count(&dough);
        owner.cancel();
        assert_eq!(code(call.now_or_never().expect("it has ended")), Code::Unavailable);
        assert!(Arc::strong_count(&dough) < before, "what the handler held is free");
    }

    #[tokio::test]
    async fn panic_becomes_an_internal_error() {
        let handler = service_fn(|_| async { panic!("burnt") });
        let layer = GuardLayer::new(CancellationToken::new(), Stopper::new());
        let answer = layer.layer(handler).oneshot(Request::new(Body::empty())).await;
        assert_eq!(code(answer), Code::Internal);
    }
}
