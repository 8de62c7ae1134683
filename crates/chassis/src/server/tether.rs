//! A connection that is tied to its owner.
//!
//! hyper runs connections in tasks of its own. Their only way to learn that the owner is gone is
//! their IO, so reads and writes fail from then on, and a waiting read is woken. A connection that
//! doesn't finish its HTTP/2 preface in time is closed as well: hyper alone would keep it for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// What every HTTP/2 client says first. From then on hyper's own pings watch over the connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) struct Tethered {
    io: TcpStream,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    greeting: Option<Greeting>,
    /// One of the core's seats, free again when the connection is gone.
    _seat: OwnedSemaphorePermit,
}

/// What is waited for until the whole preface has come.
struct Greeting {
    missing: usize,
    too_late: Pin<Box<Sleep>>,
}

impl Tethered {
    pub(super) fn new(
        io: TcpStream,
        seat: OwnedSemaphorePermit,
        preface_within: Duration,
        abort: CancellationToken,
    ) -> Self {
        Self {
            io,
            severed: Box::pin(abort.cancelled_owned()),
            greeting: Some(Greeting {
                missing: PREFACE.len(),
                too_late: Box::pin(tokio::time::sleep(preface_within)),
            }),
            _seat: seat,
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.severed.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl AsyncRead for Tethered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if let Some(greeting) = &mut self.greeting {
            let came = buffer.filled().len() - before;
            greeting.missing = greeting.missing.saturating_sub(came);
            if greeting.missing == 0 {
                self.greeting = None;
            } else if read.is_pending() && greeting.too_late.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Tethered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Connected for Tethered {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}
