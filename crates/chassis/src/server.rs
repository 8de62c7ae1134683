//! gRPC servers, one per serving core, all on one port.
//!
//! Each core has a listener of its own (`SO_REUSEPORT`: the kernel spreads connections) and shares
//! nothing with the others. A stop ends the accepting at once, says GOAWAY and lets calls finish;
//! a stream that has no end of its own ends by [`Stopper::of`] its request, or it would hold it up.
//! A dropped [`crate::TaskOwner`] severs connections and drops handlers at their next await.
//! Every call has a deadline ([`crate::deadline`]), a handler's panic is an INTERNAL answer, and a
//! request that can't be read is told so with details (`malformed.rs`), in JSON if its caller speaks
//! plain HTTP ([`crate::plain_http`]).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

use crate::cores::Cores;
use crate::deadline::DeadlineLayer;
use crate::malformed::{Words, explained};
use crate::plain_http::PlainHttpLayer;
use crate::server::guard::GuardLayer;
use crate::server::tether::Tethered;
use crate::stop::Stopper;
use crate::tasks::{Kind, Tasks};

mod guard;
mod settings;
mod tether;

pub use settings::{ServerSettings, Tls};

/// Connections that the kernel has accepted and we haven't: enough for a crowd at the door between
/// two polls. The system's own bound (`net.core.somaxconn`) may be lower.
const BACKLOG_MAX: i32 = 4096;

/// After a failed accept (out of file descriptors, say) the next one waits, or the core would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound listeners that all share one port. Connections queue up from now on.
#[derive(Debug)]
pub struct Listeners {
    addr: SocketAddr,
    listeners: Vec<TcpListener>,
}

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {addr}: {source}")]
pub struct BindError {
    addr: SocketAddr,
    source: io::Error,
}

impl Listeners {
    /// Binds `count` listeners (at least one) to `addr`. Port 0 takes a free one, the same for all.
    ///
    /// # Errors
    /// If the address is taken, not ours, or not permitted.
    pub fn bind(addr: SocketAddr, count: usize) -> Result<Self, BindError> {
        let refused = |source| BindError { addr, source };
        if addr.port() != 0 {
            refuse_taken(addr).map_err(refused)?;
        }
        let first = listen(addr).map_err(refused)?;
        let bound = first.local_addr().map_err(refused)?;
        let mut listeners = vec![first];
        for _ in 1..count {
            listeners.push(listen(bound).map_err(refused)?);
        }
        Ok(Self { addr: bound, listeners })
    }

    /// The address that clients of this machine connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Listeners of one user that all set `SO_REUSEPORT` share a port, and two processes would take
/// each other's connections. A socket without it is refused while anybody listens there. (Two
/// processes that ask at the same instant may both be let in.)
fn refuse_taken(addr: SocketAddr) -> io::Result<()> {
    socket(addr)?.bind(&addr.into())
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(addr)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG_MAX)?;
    Ok(socket.into())
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Spawns an Essential task for each listener on the serving cores, in turn. `routes` is called on
/// the caller's thread, once for each listener, with the number of its core. Malformed requests are
/// refused in `words`.
pub fn serve(
    tasks: &Tasks,
    cores: &Cores,
    listeners: Listeners,
    settings: &ServerSettings,
    words: Words,
    routes: impl Fn(usize) -> Routes,
) {
    let handles = cores.serving();
    for (number, listener) in listeners.listeners.into_iter().enumerate() {
        let core = number % handles.len();
        let door = Door {
            listener,
            settings: settings.clone(),
            words,
            routes: routes(core),
            abort: tasks.abort_token(),
            stopper: tasks.stopper().clone(),
        };
        tasks.spawn_on(&handles[core], Kind::Essential, "server", async move {
            if let Err(error) = door.serve().await {
                tracing::error!(%error, core, "the server ended");
            }
        });
    }
}

/// What one core needs to serve.
struct Door {
    listener: TcpListener,
    settings: ServerSettings,
    words: Words,
    routes: Routes,
    abort: CancellationToken,
    stopper: Stopper,
}

impl Door {
    async fn serve(self) -> Result<(), ServeError> {
        let Self { listener, settings, words, routes, abort, stopper } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = accept(listener, &settings, abort.clone());
        builder(&settings)
            .layer(PlainHttpLayer)
            .layer(GuardLayer::new(abort, stopper.clone()))
            .layer(MapResponseLayer::new(move |answer| explained(words, answer)))
            .layer(DeadlineLayer::new(settings.default_deadline(), settings.max_deadline()))
            .add_routes(routes)
            .serve_with_incoming_shutdown(connections, stopper.stopped())
            .await?;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the listener can't be used: {0}")]
    Listener(#[from] io::Error),
    #[error("the transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

fn builder(settings: &ServerSettings) -> Server {
    let builder = Server::builder()
        .max_concurrent_streams(settings.max_concurrent_streams)
        .http2_keepalive_interval(Some(settings.keepalive_interval()))
        .http2_keepalive_timeout(Some(settings.keepalive_timeout()))
        .http2_max_header_list_size(settings.header_list_bytes_max)
        .http2_max_local_error_reset_streams(Some(settings.local_error_resets_max))
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes)
        // It would override the windows above, and pings more than it gains on small messages.
        .http2_adaptive_window(Some(false))
        // h2's own bound on streams that are reset before we saw them stands.
        .http2_max_pending_accept_reset_streams(None);
    match settings.connection_age_max() {
        // No grace: with one, tonic 0.14 never says GOAWAY and cuts calls in the middle.
        Some(age) => builder.max_connection_age(age),
        None => builder,
    }
}

fn accept(
    listener: tokio::net::TcpListener,
    settings: &ServerSettings,
    abort: CancellationToken,
) -> impl Stream<Item = io::Result<Tethered>> {
    let free = Arc::new(Semaphore::new(settings.connections_per_core_max));
    let preface_within = settings.preface_within();
    futures::stream::unfold((listener, free, abort), move |(listener, free, abort)| async move {
        let seat = Arc::clone(&free).acquire_owned().await.ok()?;
        let io = accept_one(&listener).await;
        let io = Tethered::new(io, seat, preface_within, abort.clone());
        Some((Ok(io), (listener, free, abort)))
    })
}

async fn accept_one(listener: &tokio::net::TcpListener) -> tokio::net::TcpStream {
    loop {
        let accepted = listener.accept().await.and_then(|(io, _peer)| {
            // Answers are small: waiting to fill a segment only adds latency.
            io.set_nodelay(true)?;
            Ok(io)
        });
        match accepted {
            Ok(io) => return io,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod bakery;
#[cfg(test)]
mod tests;
