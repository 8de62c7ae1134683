//! The network between a client and its store, to be broken on purpose: a TCP proxy on loopback.
//!
//! It promises that a fault holds for all that is sent after the call that asked for it, on open
//! connections and on new ones, and that no client ever takes an old answer for that to a later
//! question. It knows bytes, and no protocol.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};

/// How long a store may take to accept a connection. 5 s: on loopback it does at once or never.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// What may be under way on a slow line: a megabyte or more, then it holds up who sends.
const UNDER_WAY_MAX: usize = 1_024;

/// Passes connections on to a store. Dropped, it ends them all.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    _acceptor: JoinSet<()>,
}

/// What there is between the two sides.
#[derive(Debug, Clone)]
struct Line {
    target: String,
    fault: Fault,
    /// Counts the changes of `fault`, so that a connection notices one that was undone before it
    /// looked.
    turn: u64,
    /// The turn of the last cut.
    cut_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    BlackHole,
    RepliesDropped,
    /// Each reply comes so much later.
    Slow(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Reply,
}

impl Proxy {
    /// A proxy to `target`, which is `HOST:PORT` and needn't listen yet.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("loopback has a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let line = Line { target: target.to_owned(), fault: Fault::None, turn: 0, cut_at: 0 };
        let (line, seen) = watch::channel(line);
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, seen));
        Self { port, line, _acceptor: acceptor }
    }

    /// `127.0.0.1:PORT`.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections, and each new one at once.
    pub fn cut(&self) {
        self.turn_to(Fault::Cut);
    }

    /// Passes nothing in either way. Connections stay open and new ones are accepted, but nobody
    /// hears of them. What was sent meanwhile arrives after [`Proxy::heal`], as TCP would have it.
    pub fn black_hole(&self) {
        self.turn_to(Fault::BlackHole);
    }

    /// Passes requests, and throws away what the store says: it happens, and nobody hears of it.
    /// A connection that has lost a reply ends with [`Proxy::heal`].
    pub fn drop_replies(&self) {
        self.turn_to(Fault::RepliesDropped);
    }

    /// Passes everything, what the store says only after so long.
    pub fn slow(&self, by: Duration) {
        self.turn_to(Fault::Slow(by));
    }

    /// Passes everything again.
    pub fn heal(&self) {
        self.turn_to(Fault::None);
    }

    /// Sends new connections to `target`. Open ones stay where they are: [`Proxy::cut`] and
    /// [`Proxy::heal`] end them, if the old store is to be left.
    pub fn point_to(&self, target: &str) {
        self.line.send_modify(|line| target.clone_into(&mut line.target));
    }

    fn turn_to(&self, fault: Fault) {
        self.line.send_modify(|line| {
            line.fault = fault;
            line.turn += 1;
            if fault == Fault::Cut {
                line.cut_at = line.turn;
            }
        });
    }
}

/// Accepts until it is dropped, and with it all connections.
async fn accept(listener: TcpListener, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(carry(client, line.clone()));
    }
}

/// One connection, from its acceptance to the first end of either side.
async fn carry(mut client: TcpStream, mut line: watch::Receiver<Line>) {
    let Line { target, fault, turn: born_at, .. } = line.borrow().clone();
    if fault == Fault::Cut {
        return;
    }
    let Ok(Ok(mut store)) = timeout(CONNECT_PATIENCE, TcpStream::connect(target)).await else {
        return;
    };
    // Small requests and replies go at once, as they came.
    let _ = client.set_nodelay(true);
    let _ = store.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_store, to_store) = store.split();
    tokio::select! {
        () = pass(Way::Request, from_client, to_store, line.clone()) => {}
        () = pass(Way::Reply, from_store, to_client, line.clone()) => {}
        _ = line.wait_for(|line| line.cut_at > born_at) => {}
    }
}

/// Bytes that are under way, and when they arrive, if not at once: no timer is as short as that.
type UnderWay = (Option<Sleep>, Vec<u8>);

/// Passes one way, until it ends or has lost something.
async fn pass(
    way: Way,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    line: watch::Receiver<Line>,
) {
    let (sender, receiver) = mpsc::channel(UNDER_WAY_MAX);
    // What was taken is delivered, even if nothing more will be.
    tokio::join!(take(way, from, sender, line), deliver(receiver, to));
}

/// In the order in which it was sent, each when it is due.
async fn deliver(mut under_way: mpsc::Receiver<UnderWay>, mut to: impl AsyncWrite + Unpin) {
    while let Some((due, bytes)) = under_way.recv().await {
        if let Some(due) = due {
            due.await;
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn take(
    way: Way,
    mut from: impl AsyncRead + Unpin,
    to: mpsc::Sender<UnderWay>,
    mut line: watch::Receiver<Line>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut bytes).await {
        // Looked at after the read: what comes after a fault has begun meets it.
        let held = line.wait_for(|line| line.fault != Fault::BlackHole).await;
        let Ok((fault, turn)) = held.map(|line| (line.fault, line.turn)) else { return };
        let due = match (fault, way) {
            (Fault::None, _) | (Fault::RepliesDropped | Fault::Slow(_), Way::Request) => None,
            (Fault::Slow(by), Way::Reply) => Some(sleep(by)),
            (Fault::RepliesDropped, Way::Reply) => {
                // The client would take the next reply for the one that was lost, so there is none.
                let mut nobody = sink();
                tokio::select! {
                    _ = copy(&mut from, &mut nobody) => {}
                    _ = line.wait_for(|line| line.turn != turn) => {}
                }
                return;
            }
            (Fault::Cut | Fault::BlackHole, _) => return,
        };
        if to.send((due, bytes[..len].to_vec())).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
