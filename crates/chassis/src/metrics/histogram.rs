//! Distributions, each bucket with the last sampled trace that fell into it (an exemplar): from a
//! slow bucket one goes to a purchase that was slow.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, exemplar::HistogramWithExemplars},
};

use crate::telemetry::{TraceContext, wall_time};

/// In seconds. Close together around 10 ms, which is the promise at the edge.
const LATENCIES: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.007_5, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// Up to the largest batch of a Reserve or Settle call.
const SIZES: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

type TraceLabel = [(&'static str, String); 1];

/// How values are spread. Clones count together.
#[derive(Clone, Debug)]
pub struct Histogram(HistogramWithExemplars<TraceLabel>);

impl Histogram {
    pub(super) fn latency() -> Self {
        Self(HistogramWithExemplars::new(LATENCIES.into_iter()))
    }

    pub(super) fn sizes() -> Self {
        Self(HistogramWithExemplars::new(SIZES.into_iter()))
    }

    /// One more value, seen where the current task works.
    pub fn observe(&self, value: f64) {
        self.observe_at(value, TraceContext::current());
    }

    /// One more time, in seconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// One more time, in seconds, seen at `context`.
    pub fn observe_time_at(&self, time: Duration, context: TraceContext) {
        self.observe_at(time.as_secs_f64(), Some(context));
    }

    fn observe_at(&self, value: f64, context: Option<TraceContext>) {
        // Only what somebody can look up is an example.
        let sampled = context.filter(TraceContext::is_sampled);
        let label = sampled.map(|context| [("trace_id", context.trace_id().to_string())]);
        let now = label.is_some().then(wall_time);
        self.0.observe(value, label, now);
    }

    /// One more size.
    #[expect(clippy::cast_precision_loss, reason = "no batch has 2^52 members")]
    pub fn observe_size(&self, size: usize) {
        self.observe(size as f64);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}
