//! What every call passes between its connection and the routes, from the outside in.
//!
//! Nothing here refuses a call for what it asks: that is the business of the routes' own layers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tonic::Extensions;
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::{MapResponseLayer, Oneshot};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::deadline::DeadlineLayer;
use crate::malformed::{Words, explained};
use crate::plain_http::PlainHttpLayer;
use crate::server::body::Patient;
use crate::server::crowd::{Busy, Presence};
use crate::server::guard::GuardLayer;
use crate::server::settings::ServerSettings;
use crate::server::whole::WholeLayer;
use crate::stop::Stopper;
use crate::telemetry::SightLayer;

/// Whoever is at the other end of the connection that a call came by: a client, or the last of the
/// proxies in front of us. In the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Peer {
    /// The peer of a call, from the extensions of its request. `None` if no [`crate::serve`] is in
    /// front.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }
}

/// A server's layers and routes.
pub(super) trait Stack:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Stack for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// The layers of a server, around its routes.
pub(super) fn stack(
    routes: Routes,
    settings: &ServerSettings,
    words: Words,
    sight: SightLayer,
    whole: WholeLayer,
    stopper: Stopper,
) -> impl Stack + use<> {
    ServiceBuilder::new()
        // A page reads every answer that it may read, also those of the layers further in.
        .option_layer(settings.pages.as_deref().cloned())
        // Whatever refuses further in says so as gRPC does; who speaks plain HTTP is told in JSON.
        .layer(PlainHttpLayer)
        // All that happens further in happens at the call's place in its trace.
        .layer(sight)
        // A panic of anything further in is an answer.
        .layer(GuardLayer::new(stopper))
        // What can't be read is said in our words, whoever found out.
        .layer(MapResponseLayer::new(move |answer| explained(words, answer)))
        // Work that is too late is neither begun nor finished.
        .layer(DeadlineLayer::new(settings.default_deadline(), settings.max_deadline()))
        // A request that isn't all here yet takes no place of those that are worked on.
        .layer(whole)
        .service(routes.prepare())
}

/// The stack as one connection sees it.
#[derive(Clone, Debug)]
pub(super) struct Calls<S> {
    pub(super) stack: S,
    pub(super) peer: Peer,
    pub(super) body_idle_max: Duration,
    /// The connection's.
    pub(super) presence: Arc<Presence>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Calls<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<Oneshot<S, Request<Body>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(|body| Body::new(Patient::new(body, self.body_idle_max)));
        request.extensions_mut().insert(self.peer);
        let answer = self.stack.clone().oneshot(request);
        Answering { answer, _busy: self.presence.call() }
    }
}

pin_project! {
    /// A call that is under way until its answer begins: hyper then drops this. What flows of the
    /// answer is as slow as its reader wants it to be.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        _busy: Busy,
    }
}

impl<F: Future> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().answer.poll(cx)
    }
}
