//! HTTP/1.1 beside HTTP/2 on one port, and what it has time for.

use super::*;

fn with_http1() -> ServerSettings {
    ServerSettings { http1: true, ..ServerSettings::default() }
}

/// A connection that has said `words`.
async fn said(addr: SocketAddr, words: &str) -> TcpStream {
    let mut io = TcpStream::connect(addr).await.expect("connected");
    io.write_all(words.as_bytes()).await.expect("sent");
    io
}

/// Reads until `end` has come.
async fn heard(io: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        let read = timeout(PATIENCE, io.read_buf(&mut heard)).await.expect("in time");
        let so_far = String::from_utf8_lossy(&heard);
        assert!(read.expect("read") > 0, "it was closed after {so_far:?}");
    }
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn one_port_speaks_both_and_each_call_knows_its_peer() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let (_owner, addr) = bakery.open(&cores, &with_http1());
    let mut io = said(addr, "GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await;
    let own = io.local_addr().expect("connected");
    let answer = heard(&mut io, &format!("bread for {own}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    io.write_all(b"GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await.expect("sent");
    heard(&mut io, &format!("bread for {own}")).await;
    customer(&Handle::current(), addr).check(wish("quick")).await.expect("gRPC as before");
}

#[tokio::test]
async fn http1_is_not_spoken_unasked() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let (_owner, addr) = bakery.open(&cores, &ServerSettings::default());
    let mut io = said(addr, "GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await;
    let mut heard = Vec::new();
    let _reset_or_end = timeout(PATIENCE, io.read_to_end(&mut heard)).await.expect("in time");
    assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
}

#[tokio::test]
async fn head_that_is_not_finished_in_time_ends_the_connection() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { header_read_ms: 20, ..with_http1() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let slow = "GET /shop HTTP/1.1\r\nhost: bak";
    until_closed(said(addr, slow).await).await;

    // The same on a connection that has been served, whose pause may be long.
    let mut io = said(addr, "GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await;
    let own = io.local_addr().expect("connected");
    heard(&mut io, &format!("bread for {own}")).await;
    let early = timeout(Duration::from_millis(100), io.read(&mut [0; 64])).await;
    assert!(early.is_err(), "it waits for the next request");
    io.write_all(slow.as_bytes()).await.expect("sent");
    until_closed(io).await;
}

#[tokio::test]
async fn connection_that_pauses_for_too_long_is_closed() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let settings = ServerSettings { http1_idle_ms: 20, ..with_http1() };
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut io = said(addr, "GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await;
    let own = io.local_addr().expect("connected");
    heard(&mut io, &format!("bread for {own}")).await;
    until_closed(io).await;
}

#[tokio::test]
async fn stop_closes_idle_connections_and_lets_an_answer_finish() {
    let (cores, bakery) = (Cores::start(1).expect("a core"), Bakery::new());
    let (owner, addr) = bakery.open(&cores, &with_http1());
    let mut idle = said(addr, "GET /shop HTTP/1.1\r\nhost: bakery\r\n\r\n").await;
    let own = idle.local_addr().expect("connected");
    heard(&mut idle, &format!("bread for {own}")).await;
    let silent = said(addr, "").await;
    let delivery = "POST /shop HTTP/1.1\r\nhost: bakery\r\ncontent-length: 5\r\n\r\nfl";
    let mut busy = said(addr, delivery).await;
    bakery.until_inside(1).await;
    let finished = async {
        until_closed(idle).await;
        until_closed(silent).await;
        busy.write_all(b"our").await.expect("sent");
        let answer = heard(&mut busy, "5 bytes").await;
        assert!(answer.contains("connection: close"), "{answer}");
    };
    let (drained, ()) = tokio::join!(owner.drain(PATIENCE), finished);
    assert_eq!(drained, Drained { left: 0 });
}
