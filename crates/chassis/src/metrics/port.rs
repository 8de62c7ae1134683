//! The operators' port of a process: `/metrics`, `/livez` and `/readyz` over plain HTTP/1.1.
//!
//! It is a port of its own, so that it is never open to the public by mistake and answers while the
//! edge is full. It is bounded as any other: few connections, short headers, no bodies.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{Metrics, plain_text::of_open_metrics};
use crate::{
    cores::Cores,
    tasks::{Kind, Tasks},
    telemetry::Readiness,
};

/// Two scrapers, a probe and a person with curl fit many times.
const CONNECTIONS_MAX: usize = 16;
/// Between a connection or an answer and the next request's headers. 75 s: scrapers come once a
/// minute and keep their connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
/// A request to this port is a line and a few headers.
const HEADERS_BYTES_MAX: usize = 8 * 1024;
/// After a failed accept (out of file descriptors, say) the next one waits, or it would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The bound port; connections queue up until it is served.
#[derive(Debug)]
pub struct MetricsPort {
    addr: SocketAddr,
    listener: std::net::TcpListener,
}

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {addr} (telemetry.listen): {source}")]
pub struct PortError {
    addr: SocketAddr,
    source: io::Error,
}

impl MetricsPort {
    /// Binds `addr`. Port 0 takes a free one.
    ///
    /// # Errors
    /// If the address is taken, not ours, or not permitted.
    pub fn bind(addr: SocketAddr) -> Result<Self, PortError> {
        let bound = || {
            let listener = std::net::TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            Ok(Self { addr: listener.local_addr()?, listener })
        };
        bound().map_err(|source| PortError { addr, source })
    }

    /// Where it is reached.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves on the background runtime until the owner of `tasks` stops.
    pub fn serve(self, tasks: &Tasks, cores: &Cores, metrics: Metrics, readiness: Readiness) {
        let spawner = tasks.clone();
        let background = cores.background().clone();
        tasks.spawn_on(&cores.background().clone(), Kind::Disposable, "metrics", async move {
            let listener = match TcpListener::from_std(self.listener) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%error, "the metrics' port can't be used");
                    return;
                }
            };
            let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            while let Ok(seat) = Arc::clone(&free).acquire_owned().await {
                let io = match listener.accept().await {
                    Ok((io, _peer)) => io,
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the metrics was not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let (metrics, readiness) = (metrics.clone(), readiness.clone());
                spawner.spawn_on(&background, Kind::Disposable, "metrics reader", async move {
                    let _seat = seat;
                    converse(io, metrics, readiness).await;
                });
            }
        });
    }
}

/// Answers on one connection until its end.
async fn converse(io: TcpStream, metrics: Metrics, readiness: Readiness) {
    let answers = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &metrics, &readiness);
        async move { Ok::<_, Infallible>(answer) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(io), answers);
    if let Err(error) = conversation.await {
        // The other side's business: it has left, or spoke no HTTP.
        tracing::debug!(%error, "a connection to the metrics ended early");
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, readiness: &Readiness) -> Response<String> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return said(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n");
    }
    match request.uri().path() {
        "/metrics" if wants_open_metrics(request.headers()) => {
            said(StatusCode::OK, OPEN_METRICS, metrics.text())
        }
        "/metrics" => said(StatusCode::OK, PROMETHEUS, of_open_metrics(&metrics.text())),
        "/livez" => said(StatusCode::OK, PLAIN, "the process turns\n"),
        "/readyz" => match readiness.first_unready() {
            None => said(StatusCode::OK, PLAIN, "ready\n"),
            Some(service) => {
                said(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{service} is not ready\n"))
            }
        },
        _ => said(StatusCode::NOT_FOUND, PLAIN, "there are /metrics, /livez and /readyz\n"),
    }
}

/// Whoever can read exemplars asks for them by name; Prometheus does.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let wanted = headers.get_all(header::ACCEPT).iter();
    let mut wanted = wanted.filter_map(|value| value.to_str().ok());
    wanted.any(|kinds| kinds.contains("application/openmetrics-text"))
}

fn said(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Response<String> {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests;
