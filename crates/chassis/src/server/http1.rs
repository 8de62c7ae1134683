//! HTTP/1.1: one request after the other, and a time-out for what hyper has none.
//!
//! hyper has one timer for both the pause between two requests and the reading of a head. A pause
//! may be long (balancers keep connections for a minute), a head may not. So its timer is ours: it
//! runs for the pause, until the first byte of a head is heard; from then on for the head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1::Builder;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, ReadBuf};

use crate::server::settings::ServerSettings;

/// Whether the peer has said anything since the last head was awaited.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<AtomicBool>);

/// How the connections of a server are read.
#[derive(Clone, Debug)]
pub(super) struct Http1 {
    builder: Builder,
    head_within: Duration,
}

impl Http1 {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let mut builder = Builder::new();
        builder
            .header_read_timeout(settings.http1_idle())
            // As much as on HTTP/2. hyper's own bound on their number (100) stands: another one
            // would cost an allocation a request.
            .max_header_size(settings.header_list_bytes_max as usize);
        Self { builder, head_within: settings.header_read() }
    }

    /// A builder for one connection, and its reading half as it has to be read.
    pub(super) fn connection<R>(&self, read: R) -> (Builder, Hearing<R>) {
        let heard = Heard::default();
        let mut builder = self.builder.clone();
        builder.timer(Patience { heard: heard.clone(), head_within: self.head_within });
        (builder, Hearing { read, heard })
    }
}

pin_project! {
    /// Notes that something was read.
    #[derive(Debug)]
    pub(super) struct Hearing<R> {
        #[pin]
        read: R,
        heard: Heard,
    }
}

impl<R: AsyncRead> AsyncRead for Hearing<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let read = this.read.poll_read(cx, buffer);
        if read.is_ready() {
            this.heard.0.store(true, Ordering::Relaxed);
        }
        read
    }
}

/// The clock by which hyper waits for heads.
struct Patience {
    heard: Heard,
    head_within: Duration,
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    /// hyper asks for this when it begins to wait for a head.
    fn sleep_until(&self, pause_ends: Instant) -> Pin<Box<dyn Sleep>> {
        self.heard.0.store(false, Ordering::Relaxed);
        Box::pin(Awaiting {
            until: tokio::time::sleep_until(pause_ends.into()),
            pause: Some(Pause { heard: self.heard.clone(), head_within: self.head_within }),
        })
    }
}

pin_project! {
    /// Ready when the peer has kept us waiting for too long.
    struct Awaiting {
        #[pin]
        until: tokio::time::Sleep,
        pause: Option<Pause>,
    }
}

/// Before the first byte of a head.
struct Pause {
    heard: Heard,
    head_within: Duration,
}

impl Future for Awaiting {
    type Output = ();

    /// hyper polls this after every read that didn't end the head.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(pause) = this.pause.take_if(|pause| pause.heard.0.load(Ordering::Relaxed)) {
            this.until.set(tokio::time::sleep(pause.head_within));
        }
        this.until.poll(cx)
    }
}

impl Sleep for Awaiting {}
