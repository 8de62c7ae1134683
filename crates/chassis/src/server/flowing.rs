//! A body that flows while it is worked on, where all others are taken whole.
//!
//! A stream of questions has no end of its own: its client may keep it for as long as it runs. So
//! it is bounded in bytes and in time, and is one of the crowd of those that dawdle: whoever has
//! been there longest makes room. Past a bound nothing more is read of it; its handler says how
//! that ends.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::server::crowd::Presence;

/// Bounds a body until the first of them is reached.
pub(super) struct Flowing {
    body: Body,
    bytes_left: usize,
    /// Its time is over, or it has to make room.
    over: BoxFuture<'static, Over>,
}

enum Over {
    Late,
    Unwanted,
}

impl Flowing {
    pub(super) fn new(
        body: Body,
        bytes_max: usize,
        lasts_max: Duration,
        presence: Arc<Presence>,
    ) -> Self {
        let over = async move {
            let mut unwanted = pin!(presence.unwanted());
            match tokio::time::timeout(lasts_max, unwanted.as_mut()).await {
                Ok(()) => Over::Unwanted,
                Err(_) => Over::Late,
            }
        };
        Self { body, bytes_left: bytes_max, over: over.boxed() }
    }
}

impl HttpBody for Flowing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            let len = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            return Poll::Ready(match this.bytes_left.checked_sub(len) {
                Some(left) => {
                    this.bytes_left = left;
                    frame
                }
                None => Some(Err(Status::resource_exhausted("the stream asks too much"))),
            });
        }
        this.over.poll_unpin(cx).map(|over| {
            Some(Err(match over {
                Over::Late => Status::deadline_exceeded("the stream has lasted too long"),
                Over::Unwanted => Status::unavailable("too many streams, and this is the longest"),
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
