//! Requests that are taken whole before anything is done for them.
//!
//! A call that is worked on takes a place: of a bound on calls in flight, of a limit that learns
//! from how long calls take. Whoever sends a head and then dawdles must not hold one. So where
//! requests are small, all of it has to be here first: within the bounds of [`super::body`] and of
//! the deadline, and of a size that is refused before it is read, if its head admits to it. Those
//! that are awaited are bounded, too: in a crowd of them the one that dawdles longest is refused.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt as _};
use http::{Request, Response, request};
use http_body::Body as _;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::job::jittered;
use crate::malformed::Words;
use crate::metrics::Counter;
use crate::reflection::is_reflection;
use crate::server::crowd::Crowd;
use crate::server::flowing::Flowing;
use crate::server::settings::ServerSettings;
use crate::status::Refusal;

/// By then the crowd has dawdled for as long as a body may.
const CROWDED_WAIT: Duration = Duration::from_secs(1);

/// All requests of a stream together: far more questions than a tool has.
const STREAM_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct WholeLayer {
    /// Absent: bodies flow while they are worked on.
    bytes_max: Option<usize>,
    /// How long a stream of requests may last.
    stream_lasts_max: Duration,
    room: Arc<Room>,
}

/// Where requests of one core wait for the rest of themselves.
#[derive(Debug)]
struct Room {
    crowd: Crowd,
    words: Words,
    crowded_out: Counter,
}

impl WholeLayer {
    /// For one core. Who is refused since too many dawdle is told so in `words`, and counted.
    pub(super) fn new(settings: &ServerSettings, words: Words, crowded_out: Counter) -> Self {
        let crowd = Crowd::new(settings.requests_awaited_per_core_max);
        let room = Arc::new(Room { crowd, words, crowded_out });
        let stream_lasts_max = settings.max_deadline();
        Self { bytes_max: settings.request_bytes_max, stream_lasts_max, room }
    }
}

impl WholeLayer {
    fn flowing(&self, body: Body) -> Flowing {
        Flowing::new(body, STREAM_BYTES_MAX, self.stream_lasts_max, self.room.crowd.enter())
    }
}

impl<S> Layer<S> for WholeLayer {
    type Service = Whole<S>;

    fn layer(&self, inner: S) -> Whole<S> {
        Whole { inner, layer: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Whole<S> {
    inner: S,
    layer: WholeLayer,
}

impl<S> Service<Request<Body>> for Whole<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = WholeFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> WholeFuture<S> {
        let Some(bytes_max) = self.layer.bytes_max.filter(|_| !request.body().is_end_stream())
        else {
            return WholeFuture::Called { answer: self.inner.call(request) };
        };
        if is_reflection(request.uri().path()) {
            let flowing = request.map(|body| Body::new(self.layer.flowing(body)));
            return WholeFuture::Called { answer: self.inner.call(flowing) };
        }
        let (head, body) = request.into_parts();
        // What is called later has to be the one that was asked whether it is ready.
        let later = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, later);
        let come = Come { first: Bytes::new(), all: BytesMut::new(), len_max: bytes_max };
        let room = Arc::clone(&self.layer.room);
        WholeFuture::Coming {
            coming: Some(Coming { inner, head, body, come, room, unwanted: None }),
        }
    }
}

pin_project! {
    /// Collects, and then calls.
    #[project = Step]
    pub(super) enum WholeFuture<S: Service<Request<Body>>> {
        Coming { coming: Option<Coming<S>> },
        Called { #[pin] answer: S::Future },
    }
}

pub(super) struct Coming<S> {
    inner: S,
    head: request::Parts,
    body: Body,
    come: Come,
    room: Arc<Room>,
    /// Absent while nothing had to be awaited: most bodies are here with their heads.
    unwanted: Option<BoxFuture<'static, ()>>,
}

impl<S> Coming<S> {
    /// Ready when all of it is here, or when it won't be awaited any longer.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if let Poll::Ready(whole) = self.come.poll_whole(&mut self.body, cx) {
            return Poll::Ready(whole);
        }
        let room = &self.room;
        let unwanted = self.unwanted.get_or_insert_with(|| {
            let presence = room.crowd.enter();
            async move { presence.unwanted().await }.boxed()
        });
        ready!(unwanted.poll_unpin(cx));
        Poll::Ready(Err(room.crowded()))
    }
}

impl Room {
    fn crowded(&self) -> Status {
        self.crowded_out.inc();
        let Words { domain, overloaded, .. } = self.words;
        let message = "too many requests are not all here yet, and this one has kept us waiting";
        let refusal = Refusal::new(Code::Unavailable, overloaded, domain, message);
        refusal.retry_after(jittered(CROWDED_WAIT)).into_status()
    }
}

impl<S> Future for WholeFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let coming = match self.as_mut().project() {
                Step::Called { answer } => return answer.poll(cx),
                Step::Coming { coming } => coming,
            };
            let waiting = coming.as_mut().expect("it is taken only when it is over");
            let whole = ready!(waiting.poll_whole(cx));
            let Coming { mut inner, head, come, .. } = coming.take().expect("as before");
            if let Err(status) = whole {
                return Poll::Ready(Ok(status.into_http()));
            }
            let request = Request::from_parts(head, Body::new(Full::new(come.into_bytes())));
            self.set(Self::Called { answer: inner.call(request) });
        }
    }
}

/// What there is of a body. Most are one frame, which isn't copied.
struct Come {
    first: Bytes,
    /// The first and all others, once there are others.
    all: BytesMut,
    len_max: usize,
}

impl Come {
    fn poll_whole(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        loop {
            // With what it says is still to come; a body of unknown length says 0.
            let so_far = self.first.len().max(self.all.len()) as u64;
            let len = so_far.saturating_add(body.size_hint().lower());
            if len > self.len_max as u64 {
                return Poll::Ready(Err(too_long(len, self.len_max)));
            }
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)?) else {
                return Poll::Ready(Ok(()));
            };
            // Trailers of a request mean nothing to anybody here.
            if let Ok(data) = frame.into_data() {
                self.push(data);
            }
        }
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// As tonic says it of a message, so that it is explained alike ([`crate::malformed`]).
fn too_long(found: u64, limit: usize) -> Status {
    Status::out_of_range(format!(
        "Error, decoded message length too large: found {found} bytes, the limit is: {limit} bytes"
    ))
}

#[cfg(test)]
mod tests;
