//! A handler can hear of the stop, and its panic is an answer.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::CatchUnwind;
use http::{Request, Response, Uri};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::stop::Stopper;
use crate::tasks::panic_text;

#[derive(Clone, Debug)]
pub(super) struct GuardLayer {
    stopper: Stopper,
}

impl GuardLayer {
    pub(super) fn new(stopper: Stopper) -> Self {
        Self { stopper }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, stopper: self.stopper.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Guard<S> {
    inner: S,
    stopper: Stopper,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.stopper.clone());
        let uri = request.uri().clone();
        let handler = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Caught { handler, uri }
    }
}

pin_project! {
    /// A call whose panic is an answer.
    pub(super) struct Caught<F> {
        #[pin]
        handler: CatchUnwind<AssertUnwindSafe<F>>,
        uri: Uri,
    }
}

impl<F, E> Future for Caught<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.handler.poll(cx));
        Poll::Ready(answer.unwrap_or_else(|panic| {
            let (path, panic) = (this.uri.path(), panic_text(panic.as_ref()));
            tracing::error!(path, panic, "a handler panicked");
            Ok(Status::internal("an internal error occurred").into_http())
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn panic_becomes_an_internal_error() {
        let handler = service_fn(|_| async { panic!("burnt") });
        let layer = GuardLayer::new(Stopper::new());
        let answer: Result<_, Infallible> =
            layer.layer(handler).oneshot(Request::new(Body::empty())).await;
        let Ok(answer) = answer;
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!(status.code(), Code::Internal);
    }
}
