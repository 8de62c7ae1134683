//! What a service is seen by: its instruments, its traces, and whether it is ready.
//!
//! A process has one [`TelemetryOwner`], each of its services a [`Telemetry`] of that owner, with
//! traces under its own name. Nothing here changes what a service answers: telemetry that can't be
//! had is done without.

mod context;
mod export;
mod members;
mod serving;
mod span;
mod tracer;

/// The names that things have in spans, as OpenTelemetry's conventions say.
pub use opentelemetry_semantic_conventions::attribute as names;

pub use context::{InTrace, TraceContext, Traced};
pub use export::BadEndpoint;
pub use members::Members;
pub use serving::Route;
pub use span::{Span, SpanKind, wall_time};
pub use tracer::Tracer;

pub(crate) use serving::SightLayer;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::runtime::Handle;
use tonic::transport::Channel;

use crate::{
    config::ConfigError,
    cores::Cores,
    health::Health,
    metrics::{Metrics, MetricsPort, PortError},
    stop::Stopper,
    tasks::TaskOwner,
};

/// How a process is seen: the table `[telemetry]` of each role's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// Where `/metrics`, `/livez` and `/readyz` are served. Absent (`""`): nowhere.
    #[serde(deserialize_with = "crate::config::address_or_empty")]
    pub listen: Option<SocketAddr>,
    /// Where spans are sent, as OTLP over gRPC. Empty: nowhere.
    pub otlp_endpoint: String,
    /// The share of calls that are recorded, of those whose caller hasn't decided it. 0 to 1.
    pub sample_ratio: f64,
}

impl TelemetrySettings {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// If the ratio is none.
    pub fn check(&self) -> Result<(), ConfigError> {
        if (0.0..=1.0).contains(&self.sample_ratio) {
            return Ok(());
        }
        Err(ConfigError::new("telemetry.sample_ratio must be from 0 to 1"))
    }
}

/// What a service is seen by. Clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry {
    service: &'static str,
    metrics: Metrics,
    tracer: Tracer,
    readiness: Readiness,
}

impl Telemetry {
    /// For a service that nobody looks at: instruments work, and are read by who asks for them.
    pub fn off(service: &'static str) -> Self {
        Self {
            service,
            metrics: Metrics::new(),
            tracer: Tracer::default(),
            readiness: Readiness::default(),
        }
    }

    /// The name of the service, as traces and readiness show it.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Where it registers its instruments.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What makes its spans.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// The same for a port of the public, whose callers don't decide what is recorded.
    pub fn at_the_edge(&self) -> Self {
        Self { tracer: self.tracer.at_the_edge(), ..self.clone() }
    }

    /// From now on the process is ready if this is.
    pub fn show(&self, health: &Health) {
        self.readiness.add(self.service, health.clone());
    }

    /// What was shown of this service.
    pub(crate) fn shown(&self) -> Vec<Health> {
        self.readiness.of(self.service)
    }
}

/// The telemetry of a process. Its tasks drain when it does: the last spans are sent then.
#[derive(Debug)]
pub struct TelemetryOwner {
    tasks: TaskOwner,
    background: Handle,
    metrics: Metrics,
    readiness: Readiness,
    collector: Option<Channel>,
    ratio: f64,
    version: &'static str,
    port: Option<SocketAddr>,
}

/// Why a process can't be looked at as its settings say.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The metrics' port can't be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There can be no collector there.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
}

impl TelemetryOwner {
    /// Serves metrics and sends spans as the settings say, for a program of `version`. The
    /// collector needn't be there.
    ///
    /// # Errors
    /// If a setting can't be followed.
    pub fn start(
        settings: &TelemetrySettings,
        cores: &Cores,
        version: &'static str,
    ) -> Result<Self, TelemetryError> {
        let background = cores.background().clone();
        let collector = match settings.otlp_endpoint.as_str() {
            "" => None,
            endpoint => Some(export::collector(endpoint, &background)?),
        };
        let mut owner = Self {
            tasks: TaskOwner::new("telemetry", Stopper::new()),
            background,
            metrics: Metrics::new(),
            readiness: Readiness::default(),
            collector,
            ratio: settings.sample_ratio,
            version,
            port: None,
        };
        owner.metrics.of_process(cores, version);
        if let Some(listen) = settings.listen {
            let port = MetricsPort::bind(listen)?;
            owner.port = Some(port.addr());
            let (metrics, readiness) = (owner.metrics.clone(), owner.readiness.clone());
            port.serve(&owner.tasks.tasks(), cores, metrics, readiness);
        }
        Ok(owner)
    }

    /// What a service of that name is given.
    pub fn of(&self, service: &'static str) -> Telemetry {
        let (metrics, readiness) = (self.metrics.clone(), self.readiness.clone());
        readiness.expect(service);
        let outlet = self.collector.clone().and_then(|collector| {
            let tasks = self.tasks.tasks();
            export::outlet(service, self.version, collector, &tasks, &self.background, &metrics)
        });
        Telemetry { service, metrics, tracer: Tracer::new(outlet, self.ratio), readiness }
    }

    /// Where metrics are served, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.port
    }

    /// The instruments of all services.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends the last spans and ends, at most `within`. After the services: they still tell.
    pub async fn drain(self, within: Duration) {
        self.tasks.drain(within).await;
    }
}

/// The name of a service, and its health once that is shown.
type Shown = (&'static str, Option<Health>);

/// Whether all services of a process are ready. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// One that has no health yet is still starting: it may wait for its stores.
    shown: Arc<Mutex<Vec<Shown>>>,
}

impl Readiness {
    fn lock(&self) -> MutexGuard<'_, Vec<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the process isn't ready until a health of `service` is added.
    fn expect(&self, service: &'static str) {
        self.lock().push((service, None));
    }

    fn add(&self, service: &'static str, health: Health) {
        let mut shown = self.lock();
        let expected = shown.iter_mut().find(|one| one.0 == service && one.1.is_none());
        match expected {
            Some(expected) => expected.1 = Some(health),
            None => shown.push((service, Some(health))),
        }
    }

    fn of(&self, service: &'static str) -> Vec<Health> {
        let shown = self.lock();
        let of_it = shown.iter().filter(|(name, _)| *name == service);
        of_it.filter_map(|(_, health)| health.clone()).collect()
    }

    /// The name of a service that isn't ready; of the process, as long as nothing is known of any.
    pub fn first_unready(&self) -> Option<&'static str> {
        let shown = self.lock();
        let is_unready = |health: &Option<Health>| !health.as_ref().is_some_and(Health::is_ready);
        match shown.iter().find(|(_, health)| is_unready(health)) {
            Some((service, _)) => Some(*service),
            None if shown.is_empty() => Some("the process"),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
