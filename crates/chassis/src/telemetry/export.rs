//! The way of spans out of the process: a bounded queue and one task a service, which sends batches
//! over OTLP. It never makes anybody wait. What doesn't fit, or can't be delivered in time, is lost
//! and counted; that the collector is gone is logged once, and once that it is back.

use std::{sync::Arc, time::Duration};

use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{runtime::Handle, sync::mpsc};
use tonic::transport::{Channel, Endpoint};

use crate::{
    metrics::{Counter, Metrics},
    stop::Stopper,
    tasks::{Kind, Tasks},
};

/// Spans that wait. About 2 MiB, and some seconds of a busy gateway at the default ratio.
const QUEUE_LEN_MAX: usize = 4096;
/// Spans of one message: 512 is what collectors are tuned for.
const BATCH_LEN_MAX: usize = 512;
/// How long a span waits for others. 1 s: who looks for a trace looks later than that.
const GATHER: Duration = Duration::from_secs(1);
/// A collector that takes longer loses the batch. 5 s: the queue holds as much meanwhile.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);
/// Far longer than a connection takes inside one network.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A collector's address that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "telemetry.otlp_endpoint is {0:?}: it must be empty or a URL such as http://127.0.0.1:4317"
)]
pub struct BadEndpoint(String);

/// Where a service's spans go. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    queue: mpsc::Sender<SpanData>,
    lost: Counter,
}

impl Outlet {
    /// An outlet into the hands of a test.
    #[cfg(test)]
    pub(super) fn for_tests() -> (Self, mpsc::Receiver<SpanData>) {
        let (queue, spans) = mpsc::channel(QUEUE_LEN_MAX);
        (Self { queue, lost: Counter::default() }, spans)
    }

    /// Takes it, or loses it if the queue is full.
    pub(super) fn take(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.lost.inc();
        }
    }
}

/// A channel to a collector, which connects when there is something to send.
pub(super) fn collector(endpoint: &str, runtime: &Handle) -> Result<Channel, BadEndpoint> {
    let wrong = || BadEndpoint(endpoint.to_owned());
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| wrong())?;
    if endpoint.uri().scheme_str() != Some("http") {
        return Err(wrong());
    }
    // The channel's worker is spawned where the channel is made.
    let _on = runtime.enter();
    Ok(endpoint.connect_timeout(CONNECT_WITHIN).connect_lazy())
}

/// An outlet for the spans of `service`, and the Drained task that empties it. `None` if there can
/// be none: the environment has variables of OpenTelemetry's own that contradict us.
pub(super) fn outlet(
    service: &'static str,
    version: &'static str,
    collector: Channel,
    tasks: &Tasks,
    runtime: &Handle,
    metrics: &Metrics,
) -> Option<Outlet> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(collector)
        .with_timeout(EXPORT_WITHIN)
        // The next batch is the next try; a queue behind a retry would only grow.
        .with_retry_policy(RetryPolicy::disabled())
        .build();
    let mut exporter = match exporter {
        Ok(exporter) => exporter,
        Err(error) => {
            tracing::warn!(service, %error, "no spans will be exported");
            return None;
        }
    };
    let resource = Resource::builder_empty()
        .with_service_name(service)
        .with_attribute(opentelemetry::KeyValue::new("service.version", version))
        .build();
    exporter.set_resource(&resource);

    let counts = metrics.counters(
        "telemetry_spans",
        "Spans that were exported, or lost for want of room or of a collector",
        ["service", "outcome"],
    );
    let (queue, spans) = mpsc::channel(QUEUE_LEN_MAX);
    let lost = counts.with([service, "lost"]);
    let way = Way {
        service,
        exporter: Arc::new(exporter),
        spans,
        exported: counts.with([service, "exported"]),
        lost: lost.clone(),
        is_failing: false,
    };
    tasks.spawn_on(runtime, Kind::Drained, "spans", way.follow(tasks.stopper().clone()));
    Some(Outlet { queue, lost })
}

struct Way {
    service: &'static str,
    exporter: Arc<SpanExporter>,
    spans: mpsc::Receiver<SpanData>,
    exported: Counter,
    lost: Counter,
    is_failing: bool,
}

impl Way {
    /// Exports until a stop, and then what is left. A collector that is gone doesn't hold it up:
    /// the first failure after the stop is the end.
    async fn follow(mut self, stopper: Stopper) {
        let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
        while !stopper.is_stopped() {
            tokio::select! {
                biased;
                () = stopper.stopped() => break,
                _ = self.spans.recv_many(&mut batch, BATCH_LEN_MAX) => {}
            }
            if batch.is_empty() {
                // Nobody can send any more.
                return;
            }
            tokio::select! {
                biased;
                () = stopper.stopped() => {}
                () = self.fill(&mut batch) => {}
            }
            self.export(&mut batch).await;
        }
        self.spans.close();
        loop {
            while batch.len() < BATCH_LEN_MAX
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() || !self.export(&mut batch).await {
                return;
            }
        }
    }

    async fn fill(&mut self, batch: &mut Vec<SpanData>) {
        let gathering = tokio::time::sleep(GATHER);
        tokio::pin!(gathering);
        while batch.len() < BATCH_LEN_MAX {
            let room = BATCH_LEN_MAX - batch.len();
            tokio::select! {
                () = &mut gathering => return,
                count = self.spans.recv_many(batch, room) => if count == 0 { return },
            }
        }
    }

    /// Whether it was delivered. The batch is empty afterwards in any case.
    async fn export(&mut self, batch: &mut Vec<SpanData>) -> bool {
        let count = batch.len() as u64;
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH_LEN_MAX));
        let sent = tokio::time::timeout(EXPORT_WITHIN, self.exporter.export(spans)).await;
        let failure = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let service = self.service;
        match (&failure, self.is_failing) {
            (Some(error), false) => {
                tracing::warn!(service, error, "spans can't be exported; they are lost until then");
            }
            (None, true) => tracing::info!(service, "spans are exported again"),
            (Some(_), true) | (None, false) => {}
        }
        self.is_failing = failure.is_some();
        if self.is_failing { &self.lost } else { &self.exported }.inc_by(count);
        !self.is_failing
    }
}

#[cfg(test)]
mod tests;
