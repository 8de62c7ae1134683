//! How a server ends, by a stop and by a crash, and what it does with hostile connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::Code;

use super::bakery::{Bakery, PATIENCE, customer, wish};
use super::*;
use crate::tasks::Drained;

/// What opens an HTTP/2 connection: the preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A connection on which both sides have said hello.
async fn greeted(addr: SocketAddr) -> TcpStream {
    let mut io = TcpStream::connect(addr).await.expect("connected");
    io.write_all(HELLO).await.expect("sent");
    let read = timeout(PATIENCE, io.read(&mut [0; 1024])).await.expect("in time");
    assert!(read.expect("read") > 0);
    io
}

/// Returns once a new connection is served.
async fn until_served(addr: SocketAddr) {
    let served = async {
        loop {
            let answer = customer(&Handle::current(), addr).check(wish("quick")).await;
            if answer.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, served).await.expect("a seat had to become free");
}

/// Returns once the peer has closed, in whatever way.
async fn until_closed(mut io: TcpStream) {
    let closed = async { while io.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
    timeout(PATIENCE, closed).await.expect("the connection had to be closed");
}

#[test]
fn all_listeners_share_the_port_they_found() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::bind(any, 3).expect("a free port");
    assert_ne!(listeners.addr().port(), 0);
    let ports = listeners.listeners.iter().map(|one| one.local_addr().expect("bound"));
    assert!(ports.eq([listeners.addr(); 3]));
}

#[test]
fn taken_address_is_refused_by_name() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let refused = Listeners::bind(addr, 2).expect_err("it isn't shared");
    assert!(refused.to_string().starts_with(&format!("can't listen on {addr}: ")), "{refused}");
}

#[test]
fn address_is_taken_while_its_listeners_live_and_free_after_them() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Listeners::bind(any, 2).expect("a free port");
    let addr = first.addr();
    let refused = Listeners::bind(addr, 2).expect_err("another server has it");
    assert_eq!(refused.source.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let second = Listeners::bind(addr, 1).expect("it is free again");
    // One connection of the second is still open, and another waits for its last segments.
    let connect = || std::net::TcpStream::connect(addr).expect("the kernel accepts");
    let accept = || second.listeners[0].accept().expect("it is connected").0;
    let (_open, closed, _accepted) = (connect(), connect(), accept());
    drop(accept());
    drop((closed, second));
    Listeners::bind(addr, 2).expect("connections are no listeners");
}

#[tokio::test]
async fn every_core_answers() {
    let (cores, bakery) = (Cores::start(2).expect("cores"), Bakery::new());
    let (_owner, addr) = bakery.open(&cores, &ServerSettings::default());
    let both = async {
        while bakery.answers.lock().expect("no panic")[..2].contains(&0) {
            let answer = customer(&Handle::current(), addr).check(wish("quick")).await;
            answer.expect("an answer");
        }
    };
    timeout(PATIENCE, both).await.expect("the kernel spreads connections");
}

#[tokio::test]
async fn dropped_owner_ends_handlers_streams_and_connections() {
    let cores = Cores::start(2).expect("cores");
    let (doomed, neighbour) = (Bakery::new(), Bakery::new());
    let (owner, addr) = doomed.open(&cores, &ServerSettings::default());
    let (_neighbours_owner, neighbours_addr) = neighbour.open(&cores, &ServerSettings::default());
    let tasks = owner.tasks();

    let mut client = customer(&Handle::current(), addr);
    let mut watcher = client.clone();
    let mut stream = watcher.watch(wish("any")).await.expect("a stream").into_inner();
    stream.message().await.expect("flows").expect("the first message");
    let call = tokio::task::unconstrained(client.check(wish("hold")));
    let idle = greeted(addr).await;
    let crash = async {
        doomed.until_inside(2).await;
        drop(owner);
        doomed.until_inside(0).await;
    };
    let (answer, ()) = tokio::join!(call, crash);

    let lost = answer.expect_err("nobody answers");
    assert_ne!(lost.message(), "the server is gone", "no answer may reach the wire");
    assert!(stream.message().await.is_err(), "the stream is cut, not ended");
    until_closed(idle).await;
    while !tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
    let answer = customer(&Handle::current(), neighbours_addr).check(wish("quick")).await;
    answer.expect("the neighbour on the same cores lives on");
}

#[tokio::test]
async fn stop_lets_calls_finish_and_accepts_no_more() {
    let (cores, bakery) = (Cores::start(2).expect("cores"), Bakery::new());
    let (owner, addr) = bakery.open(&cores, &ServerSettings::default());
    let mut client = customer(&Handle::current(), addr);
    let call = client.check(wish("hold"));
    let ending = async {
        bakery.until_inside(1).await;
        let draining = tokio::join!(owner.drain(PATIENCE), async {
            while TcpStream::connect(addr).await.is_ok() {
                tokio::task::yield_now().await;
            }
            bakery.bread.add_permits(1);
        });
        draining.0
    };
    let (answer, drained) =
        timeout(PATIENCE, async { tokio::join!(call, ending) }).await.expect("in time");
    answer.expect("the call was finished");
    assert_eq!(drained, Drained { left: 0 });
}

#[tokio::test]
async fn panic_of_a_handler_is_an_internal_error_of_that_call() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let (_owner, addr) = bakery.open(&cores, &ServerSettings::default());
    let mut client = customer(&Handle::current(), addr);
    let refused = client.check(wish("panic")).await.expect_err("it panics");
    assert_eq!(refused.code(), Code::Internal);
    assert!(!refused.message().contains("burnt"), "what went wrong inside is not told");
    client.check(wish("quick")).await.expect("the connection lives on");
    assert_eq!(*bakery.inside.borrow(), 0);
}

#[tokio::test]
async fn connection_without_a_whole_preface_is_closed_and_a_greeted_one_is_not() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { hello_within_ms: 20, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut spoken = greeted(addr).await;
    for said in [0, 1, 23] {
        let mut io = TcpStream::connect(addr).await.expect("connected");
        io.write_all(&HELLO[..said]).await.expect("sent");
        until_closed(io).await;
    }
    // It had less time left than the others.
    spoken.write_all(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00sourpong").await.expect("sent");
    let mut heard = Vec::new();
    while !heard.ends_with(b"sourpong") {
        let read = timeout(PATIENCE, spoken.read_buf(&mut heard)).await.expect("in time");
        assert!(read.expect("read") > 0, "it was closed");
    }
}

#[tokio::test]
async fn connection_beyond_the_bound_is_closed_at_once_and_the_next_one_after_a_leave_is_not() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { connections_per_core_max: 1, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let first = greeted(addr).await;
    // It may be closed before it knows that it is connected.
    if let Ok(second) = TcpStream::connect(addr).await {
        until_closed(second).await;
    }
    drop(first);
    until_served(addr).await;
}

mod http1;
mod limits;
mod tally;
