//! What attackers do, each for a few seconds, from addresses of their own. An attack that is
//! refused or cut goes on with a new connection; only that is its business, never what it is told.

use std::{io, net::SocketAddr, time::Duration};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    ATTACK_LASTS, forged,
    ground::Places,
    wire::{
        DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Wire, connect, frame, head, hideout,
    },
};

const PURCHASE: &str = "/seckill.gateway.v1.GatewayService/Purchase";
pub(super) const LIST_SALES: &str = "/seckill.gateway.v1.GatewayService/ListSales";

const IDLE_CONNECTIONS: usize = 5_000;
/// A hundred each, which is what a connection may have: 16,000 streams.
const STREAM_CONNECTIONS: usize = 160;
pub(super) const STREAMS: usize = 100;
const SLOW_CONNECTIONS: usize = 600;
const ATTACKERS: usize = 8;
/// Of each attacker's connections, which end with GOAWAY or worse: 160 a second in all.
const ROUND: Duration = Duration::from_millis(50);

/// What goes on, and how operators see it.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) goes_on: BoxFuture<'static, ()>,
    /// A counter of the public port, one of its labels, and by how much it goes up at least.
    pub(super) counted: Option<(&'static str, &'static str, f64)>,
    /// How much memory it adds at most, where the design says so.
    pub(super) adds_bytes_max: f64,
}

/// All of them, in the order in which they come.
pub(super) fn all(at: Places) -> Vec<Attack> {
    let to = at.public;
    let attack = |name, goes_on: BoxFuture<'static, ()>, counted| {
        let adds_bytes_max = f64::INFINITY;
        Attack { name, goes_on, counted, adds_bytes_max }
    };
    let forged = |name, goes_on| {
        let adds_bytes_max = 20e6;
        Attack { name, goes_on, counted: None, adds_bytes_max }
    };
    let cut = |label, by| Some(("server_connections_cut_total", label, by));
    let crowded_out = Some(("server_requests_crowded_out_total", "", 10_000.0));
    vec![
        attack(
            "idle connections",
            idle_connections(to).boxed(),
            cut("reason=\"crowded\"", 2_000.0),
        ),
        attack("streams that dawdle", dawdling_streams(to).boxed(), crowded_out),
        attack("no hello", no_hello(to).boxed(), cut("reason=\"hello_late\"", 500.0)),
        attack("slow heads", slow_heads(to).boxed(), cut("reason=\"silent\"", 200.0)),
        attack("oversized heads and bodies", repeated(to, oversized).boxed(), None),
        attack("resets", repeated(to, resets).boxed(), cut("reason=\"flood\"", 10.0)),
        attack("empty frames", repeated(to, empty_frames).boxed(), cut("reason=\"flood\"", 10.0)),
        forged("forged addresses", forged::by_strangers(at).boxed()),
        forged("forged addresses, by a proxy", forged::through_a_proxy(at).boxed()),
    ]
}

async fn idle_connections(to: SocketAddr) {
    let mut idle = Vec::new();
    for number in 0..IDLE_CONNECTIONS {
        let mut wire = Wire::open(hideout(number / 100), to).await.expect("there is room");
        wire.io.read_u8().await.expect("it is greeted");
        idle.push(wire);
    }
    tokio::time::sleep(ATTACK_LASTS).await;
}

/// Each stream has begun a message, and leaves it at that.
async fn dawdling_streams(to: SocketAddr) {
    let mut wires = Vec::new();
    // All are open before the first is given up.
    let mut comes = interval(ATTACK_LASTS / u32::try_from(STREAM_CONNECTIONS).expect("few"));
    for number in 0..STREAM_CONNECTIONS {
        comes.tick().await;
        let mut wire = Wire::open(hideout(number / 40), to).await.expect("there is room");
        let mut frames = Vec::new();
        for _ in 0..STREAMS {
            let stream = wire.next_stream();
            frames.extend(head(stream, 0, PURCHASE, &[]));
            frames.extend(frame(DATA, 0, stream, &[0, 0, 0, 0, 200]));
        }
        wire.io.write_all(&frames).await.expect("they are read");
        wires.push(wire);
    }
    tokio::time::sleep(ATTACK_LASTS).await;
}

/// They connect, and say nothing.
async fn no_hello(to: SocketAddr) {
    let silent = (0..SLOW_CONNECTIONS).map(async |number| {
        let mut io = connect(hideout(number / 100), to).await?;
        io.read_u8().await
    });
    let _over: Result<Vec<io::Result<u8>>, _> = timeout(ATTACK_LASTS * 2, join_all(silent)).await;
}

/// A byte now and then, in HTTP/1 and within a frame of HTTP/2.
async fn slow_heads(to: SocketAddr) {
    let slow = (0..SLOW_CONNECTIONS).map(async |number| {
        let mut io = connect(hideout(number / 100), to).await?;
        if number % 2 == 0 {
            io.write_all(b"GET /v1/sales HTTP/1.1\r\nhost: shop\r\nx: ").await?;
        } else {
            io = Wire::open(hideout(number / 100), to).await?.io.into_inner();
            let whole = frame(HEADERS, END_HEADERS, 1, &[0; 1_000]);
            io.write_all(&whole[..20]).await?;
        }
        let mut drops = interval(Duration::from_millis(500));
        loop {
            drops.tick().await;
            io.write_all(b"x").await?;
        }
    });
    let _over: Result<Vec<io::Result<()>>, _> = timeout(ATTACK_LASTS * 2, join_all(slow)).await;
}

/// A few attackers who do the same again and again, each at a pace: they share the machine with
/// whom they attack, and it isn't their own use of processors that is measured.
async fn repeated<F>(to: SocketAddr, attack: impl Fn(Wire) -> F)
where
    F: Future<Output = io::Result<()>>,
{
    let attackers = (0..ATTACKERS).map(async |number| {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            if let Ok(wire) = Wire::open(hideout(number), to).await {
                let _cut = attack(wire).await;
            }
        }
    });
    let _over: Result<Vec<()>, _> = timeout(ATTACK_LASTS, join_all(attackers)).await;
}

/// A head of 64 KiB, and a body of a megabyte.
async fn oversized(mut wire: Wire) -> io::Result<()> {
    let long = "x".repeat(64 * 1024);
    let stream = wire.next_stream();
    wire.io.write_all(&head(stream, END_STREAM, PURCHASE, &[("x-long", &long)])).await?;
    let stream = wire.next_stream();
    wire.io.write_all(&head(stream, 0, PURCHASE, &[])).await?;
    for _ in 0..64 {
        wire.io.write_all(&frame(DATA, 0, stream, &[0; 16_384])).await?;
    }
    timeout(ATTACK_LASTS, wire.until_ended(2)).await?.map(drop)
}

/// Calls that are taken back as soon as they are made (rapid reset).
async fn resets(mut wire: Wire) -> io::Result<()> {
    loop {
        let mut frames = Vec::new();
        for _ in 0..100 {
            let stream = wire.next_stream();
            frames.extend(head(stream, END_STREAM, PURCHASE, &[]));
            frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        wire.io.write_all(&frames).await?;
    }
}

/// A body of nothing, without end.
async fn empty_frames(mut wire: Wire) -> io::Result<()> {
    let stream = wire.next_stream();
    wire.io.write_all(&head(stream, 0, PURCHASE, &[])).await?;
    let nothing = frame(DATA, 0, stream, &[]).repeat(1_000);
    loop {
        wire.io.write_all(&nothing).await?;
    }
}
