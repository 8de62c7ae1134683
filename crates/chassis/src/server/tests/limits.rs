//! What a peer may keep us waiting for, and how many of it there may be.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2::{Connection, SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;
use tonic::body::Body;

use super::*;

type Sender = SendRequest<Body>;
type Driver = Connection<TokioIo<TcpStream>, Body, TokioExecutor>;

/// An HTTP/2 connection that knows nothing of gRPC. Nothing moves unless the second is polled.
async fn http2(addr: SocketAddr) -> (Sender, Driver) {
    let io = TcpStream::connect(addr).await.expect("connected");
    handshake(TokioExecutor::new(), TokioIo::new(io)).await.expect("greeted")
}

fn post(path: &str, body: impl Stream<Item = Bytes> + Send + 'static) -> Request<Body> {
    let body = StreamBody::new(body.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))));
    let request = Request::post(format!("http://bakery{path}"));
    let request = match path {
        "/shop" => request,
        _ => request.header("content-type", "application/grpc"),
    };
    request.body(Body::new(body)).expect("a request")
}

/// A call that begins, and of which no more comes.
fn stalls(path: &str) -> Request<Body> {
    let begun = futures::stream::iter([Bytes::from_static(b"\0\0\0\0\x07")]);
    post(path, begun.chain(futures::stream::pending()))
}

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The message of a call that asks for "hold".
fn hold() -> Request<Body> {
    post(CHECK, futures::stream::iter([Bytes::from_static(b"\0\0\0\0\x06\x0a\x04hold")]))
}

#[tokio::test]
async fn body_that_stalls_is_given_up_and_the_connection_lives_on() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { body_idle_ms: 20, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let (mut sender, driver) = http2(addr).await;
    let calls = async {
        let answer = sender.send_request(stalls("/shop")).await.expect("an answer");
        let told = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(told, "spilt");
        let answer = sender.send_request(stalls(CHECK)).await.expect("an answer");
        assert_eq!(answer.headers()["grpc-status"], "4", "{:?}", answer.headers());
        let quick = Bytes::from_static(b"\0\0\0\0\x07\x0a\x05quick");
        let answer = sender.send_request(post(CHECK, futures::stream::iter([quick]))).await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    };
    tokio::select! {
        ended = driver => panic!("the connection ended: {ended:?}"),
        done = timeout(PATIENCE, calls) => done.expect("in time"),
    }
}

#[tokio::test]
async fn body_that_drips_is_bounded_by_the_deadline() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings {
        body_idle_ms: 1_000,
        default_deadline_ms: 50,
        ..ServerSettings::default()
    };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let (mut sender, driver) = http2(addr).await;
    let drops = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Bytes::from_static(b"."), ()))
    });
    tokio::select! {
        ended = driver => panic!("the connection ended: {ended:?}"),
        answer = timeout(PATIENCE, sender.send_request(post("/shop", drops))) => {
            let answer = answer.expect("in time").expect("an answer");
            assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        }
    }
    bakery.until_inside(0).await;
}

#[tokio::test]
async fn body_of_http1_that_stalls_ends_the_connection() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { http1: true, body_idle_ms: 20, ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut io = TcpStream::connect(addr).await.expect("connected");
    let begun = b"POST /shop HTTP/1.1\r\nhost: bakery\r\ncontent-length: 9\r\n\r\nfl";
    io.write_all(begun).await.expect("sent");
    let mut heard = String::new();
    timeout(PATIENCE, io.read_to_string(&mut heard)).await.expect("in time").expect("text");
    assert!(heard.ends_with("spilt"), "{heard}");
}

/// A connection from an address of this machine.
pub(super) async fn connect_from(last: u8, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, last)), 0).into())?;
    socket.connect(addr).await
}

#[tokio::test]
async fn address_has_its_share_of_connections_over_all_cores() {
    let (cores, bakery) = (Cores::start(2).expect("cores"), Bakery::new());
    let settings = ServerSettings {
        connections_per_address_max: Some(1),
        connections_uncapped_from: Vec::new(),
        ..ServerSettings::default()
    };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let greeted_from = async |last| -> io::Result<TcpStream> {
        let mut io = connect_from(last, addr).await?;
        io.write_all(HELLO).await?;
        timeout(PATIENCE, io.read_u8()).await.expect("in time")?;
        Ok(io)
    };
    let first = greeted_from(2).await.expect("a seat");
    for _ in 0..8 {
        greeted_from(2).await.expect_err("the address has its share");
    }
    greeted_from(3).await.expect("another address has its own");
    drop(first);
    let again = async { while greeted_from(2).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the seat had to become free");
}

#[tokio::test]
async fn connection_of_age_is_told_to_go_and_its_call_finishes() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { connection_age_max_ms: Some(50), ..ServerSettings::default() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let (mut sender, driver) = http2(addr).await;
    let call = sender.send_request(hold());
    let told_to_go = async {
        bakery.until_inside(1).await;
        while !sender.is_closed() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*bakery.inside.borrow(), 1, "nobody is thrown out");
        bakery.bread.add_permits(1);
    };
    let all = async { tokio::join!(call, told_to_go, driver) };
    let (answer, (), ended) = timeout(PATIENCE, all).await.expect("in time");
    assert_eq!(answer.expect("an answer").headers().get("grpc-status"), None, "it went well");
    ended.expect("the connection ends in order");
}

#[tokio::test]
async fn call_that_outlasts_the_grace_of_its_connection_is_cut() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings {
        connection_age_max_ms: Some(20),
        connection_age_grace_ms: 20,
        ..ServerSettings::default()
    };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let (mut sender, driver) = http2(addr).await;
    let all = async { tokio::join!(sender.send_request(hold()), driver) };
    let (answer, _ended) = timeout(PATIENCE, all).await.expect("in time");
    answer.expect_err("nobody answers");
    bakery.until_inside(0).await;
}

#[tokio::test]
async fn peer_that_takes_nothing_of_what_it_asked_for_is_cut() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings {
        http1: true,
        connections_per_core_max: 1,
        send_idle_ms: 100,
        ..ServerSettings::default()
    };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut io = TcpStream::connect(addr).await.expect("connected");
    io.write_all(b"GET /flour HTTP/1.1\r\nhost: bakery\r\n\r\n").await.expect("sent");
    io.read_u8().await.expect("the answer has begun");
    // It holds the only seat.
    until_served(addr).await;
}
