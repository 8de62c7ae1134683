//! gRPC-web beside gRPC, at the same paths. A native call passes untouched, at the cost of one look
//! at its head.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either};
use http::{Request, Response, StatusCode, Version, header::CONTENT_TYPE};
use tonic::{body::Body, server::NamedService};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service, ServiceExt as _, util::BoxCloneSyncService};

use super::status;

/// A service that is reached by gRPC and by gRPC-web.
#[derive(Debug, Clone)]
pub(crate) struct Web<S> {
    grpc: S,
    web: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
}

impl<S> Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    /// Both, of a service that speaks gRPC.
    pub(crate) fn new(grpc: S) -> Self {
        let web = BoxCloneSyncService::new(GrpcWebLayer::new().layer(grpc.clone()));
        Self { grpc, web }
    }
}

impl<S: NamedService> NamedService for Web<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Either<BoxFuture<'static, Answer>, Ready<Answer>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match Spoken::of(&request) {
            Spoken::Grpc => Either::Left(self.grpc.call(request)),
            Spoken::Web => Either::Right(Either::Left(Box::pin(self.web.clone().oneshot(request)))),
            Spoken::Neither(says) => {
                let mut refused = status::invalid("content-type", says).into_http::<Body>();
                *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Either::Right(Either::Right(ready(Ok(refused))))
            }
        }
    }
}

/// What a caller speaks.
enum Spoken {
    Grpc,
    Web,
    /// And what it should.
    Neither(&'static str),
}

impl Spoken {
    fn of(request: &Request<Body>) -> Self {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], http::HeaderValue::as_bytes);
        match content_type.strip_prefix(b"application/grpc") {
            Some(rest) if rest.starts_with(b"-web") => Self::Web,
            Some(_) if request.version() == Version::HTTP_2 => Self::Grpc,
            Some(_) => {
                Self::Neither("must be application/grpc-web over HTTP/1.1: gRPC needs HTTP/2")
            }
            None => Self::Neither("must be application/grpc or application/grpc-web here"),
        }
    }
}
