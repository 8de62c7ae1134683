//! One connection, from its first byte to its end.
//!
//! Its task belongs to the server's [`crate::TaskOwner`], and so do the tasks of its calls: both
//! are dropped at their next await when the owner is. A stop, or its age, makes a connection finish
//! what it has begun: GOAWAY on HTTP/2, the answer in progress on HTTP/1. Who hasn't even said
//! hello then is cut.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::job::jittered;
use crate::server::calls::{Calls, Peer, Stack};
use crate::server::crowd::{Crowd, Presence};
use crate::server::hello::{Greeted, Version};
use crate::server::http1::Http1;
use crate::server::seats::Seat;
use crate::server::settings::ServerSettings;
use crate::server::tally::{Cut, Tally};
use crate::stop::Stopper;
use crate::tasks::Tasks;

/// An idle connection has nothing to finish but a call that comes just then.
const UNWANTED_GRACE: Duration = Duration::from_secs(1);

/// What all connections of one core have in common.
pub(super) struct Connections<S> {
    stack: S,
    hello_within: Duration,
    http1: Option<Http1>,
    settings: ServerSettings,
    body_idle_max: Duration,
    crowd: Crowd,
    age_max: Option<Duration>,
    age_grace: Duration,
    tasks: Tasks,
    tally: Tally,
    /// This core's own children of the owner's tokens: their locks are shared with no other core.
    stopper: Stopper,
    abort: Arc<CancellationToken>,
}

impl<S: Stack> Connections<S> {
    pub(super) fn new(stack: S, settings: &ServerSettings, tasks: &Tasks, tally: Tally) -> Self {
        let abort = tasks.abort_token();
        Self {
            stack,
            hello_within: settings.hello_within(),
            http1: settings.http1.then(|| Http1::new(settings)),
            settings: settings.clone(),
            crowd: Crowd::new(settings.connections_idle_per_core_max),
            body_idle_max: settings.body_idle(),
            age_max: settings.connection_age_max(),
            age_grace: settings.connection_age_grace(),
            tasks: tasks.clone(),
            tally,
            stopper: tasks.stopper().child(),
            abort: Arc::new(abort),
        }
    }

    /// Returns once no more connections are wanted. Cancel safe.
    pub(super) async fn stopped(&self) {
        self.stopper.stopped().await;
    }

    /// Spawns the connection on this core.
    pub(super) fn open(self: &Arc<Self>, io: TcpStream, peer: SocketAddr, seat: Seat) {
        let this = Arc::clone(self);
        let open = this.tally.open();
        let life = async move {
            tokio::select! {
                biased;
                () = this.abort.cancelled() => {}
                () = this.live(io, Peer(peer)) => {}
            }
            drop((seat, open));
        };
        #[expect(clippy::disallowed_methods, reason = "tracked: a drain waits for it")]
        tokio::spawn(self.tasks.tracked(life));
    }

    async fn live(&self, io: TcpStream, peer: Peer) {
        let presence = self.crowd.enter();
        let greeted = tokio::select! {
            biased;
            () = self.stopper.stopped() => return,
            () = presence.unwanted() => return self.tally.cut(Cut::Crowded),
            greeted = timeout(self.hello_within, Greeted::by(io)) => greeted,
        };
        // Who has said nothing in time, or has left, is owed no answer.
        let greeted = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(_left)) => return,
            Err(_late) => return self.tally.cut(Cut::HelloLate),
        };
        let calls = Calls {
            stack: self.stack.clone(),
            peer,
            body_idle_max: self.body_idle_max,
            presence: Arc::clone(&presence),
        };
        match (greeted.version, &self.http1) {
            (Version::Http2, _) => {
                let executor = OnThisCore { abort: Arc::clone(&self.abort) };
                let io = TokioIo::new(greeted.into_io());
                let connection = http2(&self.settings, executor).serve_connection(io, calls);
                self.until_its_end(connection, &presence).await;
            }
            (Version::Http1, Some(http1)) => {
                let (builder, read) = http1.connection(greeted.read);
                let io = TokioIo::new(tokio::io::join(read, greeted.write));
                let connection = builder.serve_connection(io, calls);
                self.until_its_end(connection, &presence).await;
            }
            (Version::Http1, None) => {}
        }
    }

    async fn until_its_end(&self, connection: impl Finish, presence: &Presence) {
        let mut connection = pin!(connection);
        let finishing = async {
            tokio::select! {
                () = self.stopper.stopped() => Ending::Stopped,
                () = aged(self.age_max) => Ending::Aged,
                () = presence.unwanted() => Ending::Unwanted,
            }
        };
        let ending = tokio::select! {
            biased;
            // An error is the peer's own doing, or its leaving: nobody is there to be told.
            ended = connection.as_mut() => {
                if let Some(reason) = ended.err().as_ref().and_then(Cut::by) {
                    self.tally.cut(reason);
                }
                return;
            }
            ending = finishing => ending,
        };
        connection.as_mut().finish();
        match ending {
            // The drain says how long this may take.
            Ending::Stopped => drop(connection.await),
            Ending::Aged => drop(timeout(self.age_grace, connection).await),
            Ending::Unwanted => {
                self.tally.cut(Cut::Crowded);
                // It is told in any case; a call that comes just then is lost to the crowd.
                let grace = if self.crowd.is_packed() { Duration::ZERO } else { UNWANTED_GRACE };
                drop(timeout(grace, connection).await);
            }
        }
    }
}

/// Why a connection has to come to an end.
enum Ending {
    Stopped,
    Aged,
    Unwanted,
}

/// Spread by a tenth, or all who came at the opening would come back at once.
async fn aged(age_max: Option<Duration>) {
    match age_max {
        Some(age_max) => sleep(jittered(age_max)).await,
        None => std::future::pending().await,
    }
}

fn http2(settings: &ServerSettings, executor: OnThisCore) -> http2::Builder<OnThisCore> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_concurrent_streams)
        .keep_alive_interval(settings.keepalive_interval())
        .keep_alive_timeout(settings.keepalive_timeout())
        .max_header_list_size(settings.header_list_bytes_max)
        .max_local_error_reset_streams(settings.local_error_resets_max)
        // h2's own bounds stand: on streams that are reset before we saw them, on empty and on
        // tiny frames.
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes);
    builder
}

/// A connection that can be asked to finish what it has begun, and no more.
trait Finish: Future<Output = Result<(), hyper::Error>> {
    fn finish(self: Pin<&mut Self>);
}

type Io<R, W> = TokioIo<tokio::io::Join<R, W>>;

impl<R, W, S> Finish for http1::Connection<Io<R, W>, Calls<S>>
where
    S: Stack,
    Io<R, W>: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<R, W, S> Finish for http2::Connection<Io<R, W>, Calls<S>, OnThisCore>
where
    S: Stack,
    Io<R, W>: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Spawns the calls of HTTP/2 connections on the runtime that their connection is on.
#[derive(Clone, Debug)]
struct OnThisCore {
    abort: Arc<CancellationToken>,
}

impl<F> Executor<F> for OnThisCore
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
        tokio::spawn(UnlessAborted { abort: Arc::clone(&self.abort), call });
    }
}

pin_project! {
    // A call that isn't polled once its owner is gone. What wakes it then is the end of its
    // connection, so that nothing has to be registered for each call.
    struct UnlessAborted<F> {
        abort: Arc<CancellationToken>,
        #[pin]
        call: F,
    }
}

impl<F: Future<Output = ()>> Future for UnlessAborted<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.abort.is_cancelled() { Poll::Ready(()) } else { this.call.poll(cx) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn call_of_a_dead_owner_is_not_polled_again() {
        let abort = Arc::new(CancellationToken::new());
        let mut polls = 0;
        let call = std::future::poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        let mut call = Box::pin(UnlessAborted { abort: Arc::clone(&abort), call });
        assert!(call.as_mut().now_or_never().is_none());
        abort.cancel();
        assert!(call.as_mut().now_or_never().is_some());
        drop(call);
        assert_eq!(polls, 1);
    }
}
