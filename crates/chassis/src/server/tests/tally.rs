//! What is counted of connections: those that are open, turned away and cut.

use super::*;
use crate::tasks::TaskOwner;

/// A bakery of one core that is looked at.
struct Seen {
    telemetry: Telemetry,
    addr: SocketAddr,
    _owner: TaskOwner,
    _cores: Cores,
}

impl Seen {
    fn open(settings: ServerSettings) -> Self {
        let (cores, telemetry) = (Cores::start(1).expect("a core"), Telemetry::off("bakery"));
        let (owner, addr) = Bakery::new().open_seen(&cores, &settings, &telemetry);
        Self { telemetry, addr, _owner: owner, _cores: cores }
    }

    /// Waits until a figure of this listener is `count`. `more` are further labels.
    async fn shows(&self, name: &str, more: &str, count: u64) {
        let addr = self.addr;
        let begin = format!("{name}{{service=\"bakery\",listener=\"{addr}\"{more}}} ");
        let until = async {
            loop {
                let text = self.telemetry.metrics().text();
                let line = text.lines().find_map(|line| line.strip_prefix(&begin));
                let value: f64 = line.unwrap_or_else(|| panic!("no {begin}")).parse().expect("one");
                if value == count as f64 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, until).await.unwrap_or_else(|_| panic!("{begin}{count}"));
    }

    async fn cut(&self, reason: &str, count: u64) {
        let reason = format!(",reason=\"{reason}\"");
        self.shows("server_connections_cut_total", &reason, count).await;
    }
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open_and_the_peers_leaving_is_no_cut() {
    let seen = Seen::open(ServerSettings { http1: true, ..ServerSettings::default() });
    let connections = [greeted(seen.addr).await, greeted(seen.addr).await];
    seen.shows("server_connections_open", "", 2).await;
    drop(connections);
    let mut unfinished = TcpStream::connect(seen.addr).await.expect("connected");
    unfinished.write_all(b"GET /shop HTTP/1.1\r\nho").await.expect("sent");
    seen.shows("server_connections_open", "", 1).await;
    drop(unfinished);
    seen.shows("server_connections_open", "", 0).await;
    for reason in ["hello_late", "crowded", "silent", "flood", "malformed"] {
        seen.cut(reason, 0).await;
    }
}

#[tokio::test]
async fn who_is_turned_away_is_counted_by_what_was_full() {
    let settings = ServerSettings {
        connections_per_core_max: 2,
        connections_per_address_max: Some(1),
        connections_uncapped_from: Vec::new(),
        ..ServerSettings::default()
    };
    let seen = Seen::open(settings);
    let _first = greeted(seen.addr).await;
    // These may be closed before they know that they are connected.
    let _ = TcpStream::connect(seen.addr).await;
    let away = "server_connections_turned_away_total";
    seen.shows(away, ",full=\"address\"", 1).await;
    seen.shows(away, ",full=\"core\"", 0).await;
    let _other = limits::connect_from(9, seen.addr).await.expect("another address has its own");
    seen.shows("server_connections_open", "", 2).await;
    let _ = limits::connect_from(10, seen.addr).await;
    seen.shows(away, ",full=\"core\"", 1).await;
}

#[tokio::test]
async fn cuts_are_counted_by_their_reason() {
    let settings = ServerSettings {
        http1: true,
        hello_within_ms: 50,
        header_read_ms: 50,
        connections_idle_per_core_max: 1,
        ..ServerSettings::default()
    };
    let seen = Seen::open(settings);
    let say = async |what: &[u8]| {
        let mut io = TcpStream::connect(seen.addr).await.expect("connected");
        io.write_all(what).await.expect("sent");
        io
    };
    until_closed(say(&HELLO[..9]).await).await;
    seen.cut("hello_late", 1).await;
    until_closed(say(b"GET /shop HTTP/1.1\r\nho").await).await;
    seen.cut("silent", 1).await;
    until_closed(say(b"bread, please\r\n\r\n").await).await;
    seen.cut("malformed", 1).await;

    // A frame of a kind that doesn't belong to the stream it names.
    let mut nonsense = HELLO.to_vec();
    nonsense.extend(b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x");
    until_closed(say(&nonsense).await).await;
    seen.cut("malformed", 2).await;

    let mut flood = HELLO.to_vec();
    for stream in (1_u32..2_000).step_by(2) {
        // `:method GET`, `:scheme http`, `:path /`, and taken back at once.
        flood.extend(b"\x00\x00\x03\x01\x05");
        flood.extend(stream.to_be_bytes());
        flood.extend(b"\x82\x86\x84\x00\x00\x04\x03\x00");
        flood.extend(stream.to_be_bytes());
        flood.extend(8_u32.to_be_bytes());
    }
    let mut io = TcpStream::connect(seen.addr).await.expect("connected");
    // It may be cut before it has said all.
    let _ = io.write_all(&flood).await;
    until_closed(io).await;
    seen.cut("flood", 1).await;

    let _idle = greeted(seen.addr).await;
    seen.cut("crowded", 0).await;
    let _newcomer = greeted(seen.addr).await;
    seen.cut("crowded", 1).await;
}

#[tokio::test]
async fn a_stream_keeps_no_connection_in_a_crowd_and_who_waits_for_an_answer_stays() {
    let settings = ServerSettings { connections_idle_per_core_max: 2, ..ServerSettings::default() };
    let bakery = Bakery::new();
    let cores = Cores::start(1).expect("a core");
    let (_owner, addr) = bakery.open(&cores, &settings);
    let mut waits = customer(&Handle::current(), addr);
    let mut watches = customer(&Handle::current(), addr);
    let answer = waits.check(wish("hold"));
    let crowd = async {
        bakery.until_inside(1).await;
        let mut stream = watches.watch(wish("any")).await.expect("a stream").into_inner();
        stream.message().await.expect("flows").expect("the first message");
        let mut crowd = Vec::new();
        let grows = async {
            while crowd.len() < 100 {
                crowd.push(greeted(addr).await);
            }
        };
        let ended = tokio::select! {
            ended = timeout(PATIENCE, stream.message()) => ended.expect("it is told to go"),
            () = grows => panic!("a hundred had no seat, and it kept one"),
        };
        assert!(ended.is_err() || ended.is_ok_and(|message| message.is_none()));
        bakery.bread.add_permits(1);
    };
    let (answer, ()) = tokio::join!(answer, crowd);
    answer.expect("who waits for an answer is never told");
}
