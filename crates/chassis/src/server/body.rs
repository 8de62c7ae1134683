//! The body of a request, which must keep coming.
//!
//! A peer that stalls fails the body, and with it the call that reads it. One that drips is bounded
//! by the deadline of its call. Empty DATA frames are no progress: h2 counts them and shows none.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::Status;

pin_project! {
    pub(super) struct Patient<B = Incoming> {
        #[pin]
        body: B,
        idle_max: Duration,
        // Set while a frame is awaited: most bodies are there with their head, and need no timer.
        #[pin]
        too_late: Option<Sleep>,
    }
}

impl<B> Patient<B> {
    pub(super) fn new(body: B, idle_max: Duration) -> Self {
        Self { body, idle_max, too_late: None }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes, Error = hyper::Error>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            this.too_late.set(None);
            return Poll::Ready(frame.map(|frame| frame.map_err(|e| Status::from_error(e.into()))));
        }
        if this.too_late.is_none() {
            this.too_late.set(Some(tokio::time::sleep(*this.idle_max)));
        }
        if let Some(too_late) = this.too_late.as_pin_mut() {
            ready!(too_late.poll(cx));
        }
        Poll::Ready(Some(Err(Status::deadline_exceeded("the body of the request stalled"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
