//! The loop that takes connections from the kernel.
//!
//! It never waits for anything but the kernel: who finds no seat is turned away at once. A queue
//! would only hide from clients and balancers that there is no room, and a crowd of idle
//! connections would keep everybody else in it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::server::seats::{Seat, Seats};
use crate::server::tally::Tally;

/// After a failed accept (out of file descriptors, say) the next one waits, or the core would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What those who come to one core meet first.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) seats: Seats,
    pub(super) tally: Tally,
    /// See [`crate::ServerSettings::send_idle_ms`].
    pub(super) send_idle_max: Duration,
}

/// Hands every connection that finds a seat to `open`.
pub(super) async fn accept(
    listener: TcpListener,
    door: Door,
    open: impl Fn(TcpStream, SocketAddr, Seat),
) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((io, peer)) => match door.seats.take(peer.ip()) {
                Ok(seat) => {
                    // These fail on a connection that is gone already, as its first read will say.
                    let _ = prepare(&io, door.send_idle_max);
                    open(io, peer, seat);
                }
                Err(full) => {
                    door.tally.turned_away(full);
                    turn_away(&io);
                }
            },
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn prepare(io: &TcpStream, send_idle_max: Duration) -> io::Result<()> {
    // Answers are small: waiting to fill a segment only adds latency.
    io.set_nodelay(true)?;
    SockRef::from(io).set_tcp_user_timeout(Some(send_idle_max))
}

/// Closes by a reset: the client knows at once, and the kernel keeps nothing.
fn turn_away(io: &TcpStream) {
    let _ = io.set_zero_linger();
}

/// Whether the connection died before it was accepted, which says nothing about the next one.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
