//! The port, asked over TCP as a scraper would.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    health::Health,
    telemetry::{TelemetryOwner, TelemetrySettings},
};

struct Observed {
    telemetry: TelemetryOwner,
    addr: SocketAddr,
    _cores: Cores,
}

fn observed() -> Observed {
    let cores = Cores::start(1).expect("threads can be had");
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = TelemetrySettings { listen: Some(free), ..TelemetrySettings::default() };
    let telemetry = TelemetryOwner::start(&settings, &cores, "1.2.3").expect("a free port");
    let addr = telemetry.metrics_addr().expect("it was asked for");
    Observed { telemetry, addr, _cores: cores }
}

/// The whole answer to one request on a connection of its own.
async fn ask(addr: SocketAddr, request: &str) -> String {
    ask_with(addr, request, "x-nothing: else").await
}

async fn ask_with(addr: SocketAddr, request: &str, header: &str) -> String {
    let mut io = TcpStream::connect(addr).await.expect("it listens");
    let head = "host: x\r\nconnection: close";
    let request = format!("{request} HTTP/1.1\r\n{head}\r\n{header}\r\n\r\n");
    io.write_all(request.as_bytes()).await.expect("it is read");
    let mut answer = String::new();
    let reading = io.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("in time").expect("text");
    answer
}

#[tokio::test]
async fn metrics_and_probes_are_answered() {
    let Observed { telemetry, addr, .. } = &observed();
    let bakery = telemetry.of("bakery");
    bakery.metrics().counter("bakery_loaves", "Loaves").inc();
    let health = Health::new();
    bakery.show(&health);

    let open_metrics =
        ask_with(*addr, "GET /metrics", "accept: application/openmetrics-text").await;
    assert!(open_metrics.contains(OPEN_METRICS), "{open_metrics}");
    assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");
    let answer = ask(*addr, "GET /metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(PROMETHEUS) && !answer.contains("# EOF"), "{answer}");
    assert!(answer.contains("\nbakery_loaves_total 1\n"), "{answer}");
    assert!(answer.contains("\nprocess_open_fds "), "{answer}");

    assert!(ask(*addr, "GET /livez").await.starts_with("HTTP/1.1 200"));
    let answer = ask(*addr, "GET /readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("bakery is not ready\n"), "{answer}");
    health.set_ready(true).await;
    assert!(ask(*addr, "GET /readyz").await.starts_with("HTTP/1.1 200"));

    assert!(ask(*addr, "GET /").await.starts_with("HTTP/1.1 404"));
    assert!(ask(*addr, "POST /metrics").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_crowd_waits_and_a_stop_ends_it() {
    let Observed { addr, telemetry, _cores } = observed();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut io = TcpStream::connect(addr).await.expect("it listens");
        io.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is read");
        // It has a seat once it is answered.
        io.read_u8().await.expect("an answer");
        idle.push(io);
    }
    let late = ask(addr, "GET /livez");
    tokio::pin!(late);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut late).await;
    assert!(early.is_err(), "there was a seat too many");
    idle.pop();
    assert!(late.await.starts_with("HTTP/1.1 200"));
    telemetry.drain(Duration::from_secs(10)).await;
    let gone = async { idle[0].read_to_end(&mut Vec::new()).await };
    let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
    assert!(gone.is_ok(), "a connection has outlived its owner");
}
