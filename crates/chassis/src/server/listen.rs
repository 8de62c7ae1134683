//! Sockets that share one port, one for each serving core (`SO_REUSEPORT`: the kernel spreads
//! connections over them).
//!
//! A port that anybody else listens on is refused: it is never shared with another process.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel has accepted and we haven't: enough for a crowd at the door between
/// two polls. The system's own bound (`net.core.somaxconn`) may be lower.
const BACKLOG_MAX: i32 = 4096;

/// Bound listeners that all share one port. Connections queue up from now on.
#[derive(Debug)]
pub struct Listeners {
    addr: SocketAddr,
    pub(super) listeners: Vec<TcpListener>,
}

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {addr}: {source}")]
pub struct BindError {
    addr: SocketAddr,
    pub(super) source: io::Error,
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
