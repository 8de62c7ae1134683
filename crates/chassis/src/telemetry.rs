//! What a service is seen by: its instruments, and whether it is ready.
//!
//! A process has one [`TelemetryOwner`], each of its services a [`Telemetry`] of that owner.
//! Nothing here changes what a service answers: telemetry that can't be had is done without.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, de};

use crate::{
    cores::Cores,
    health::Health,
    metrics::{Metrics, MetricsPort, PortError},
    tasks::Tasks,
};

/// How a process is seen: the table `[telemetry]` of each role's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// Where `/metrics`, `/livez` and `/readyz` are served. Absent (`""`): nowhere.
    #[serde(deserialize_with = "address_or_empty")]
    pub listen: Option<SocketAddr>,
}

fn address_or_empty<'de, D: Deserializer<'de>>(text: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(text)?;
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse();
    address.map(Some).map_err(|_| {
        de::Error::custom(format!(
            "{text:?} is neither empty nor an address such as 127.0.0.1:9464"
        ))
    })
}

/// What a service is seen by. Clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry {
    service: &'static str,
    metrics: Metrics,
    readiness: Readiness,
}

impl Telemetry {
    /// For a service that nobody looks at: instruments work, and are read by who asks for them.
    pub fn off(service: &'static str) -> Self {
        TelemetryOwner::default().of(service)
    }

    /// The name of the service, as traces and readiness show it.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Where it registers its instruments.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on the process is ready only if this is.
    pub fn show(&self, health: &Health) {
        self.readiness.add(self.service, health.clone());
    }
}

/// The telemetry of a process.
#[derive(Debug, Default)]
pub struct TelemetryOwner {
    metrics: Metrics,
    readiness: Readiness,
}

impl TelemetryOwner {
    /// Telemetry that nobody reads yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the service of that name is given.
    pub fn of(&self, service: &'static str) -> Telemetry {
        let (metrics, readiness) = (self.metrics.clone(), self.readiness.clone());
        Telemetry { service, metrics, readiness }
    }

    /// Serves `/metrics`, `/livez` and `/readyz` where the settings say. Answers with the address,
    /// `None` if nowhere.
    ///
    /// # Errors
    /// If the address can't be listened on.
    pub fn serve(
        &self,
        settings: &TelemetrySettings,
        tasks: &Tasks,
        cores: &Cores,
        version: &'static str,
    ) -> Result<Option<SocketAddr>, PortError> {
        let Some(listen) = settings.listen else {
            return Ok(None);
        };
        let port = MetricsPort::bind(listen)?;
        let addr = port.addr();
        self.metrics.of_process(cores, version);
        port.serve(tasks, cores, self.metrics.clone(), self.readiness.clone());
        Ok(Some(addr))
    }
}

/// Whether all services of a process are ready. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shown: Arc<Mutex<Vec<(&'static str, Health)>>>,
}

impl Readiness {
    fn add(&self, service: &'static str, health: Health) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push((service, health));
    }

    /// The name of a service that isn't ready.
    pub fn first_unready(&self) -> Option<&'static str> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().find(|(_, health)| !health.is_ready()).map(|(service, _)| *service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        telemetry: TelemetrySettings,
    }

    fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
        let json = serde_json::json!({ "telemetry": { "listen": text } });
        let table = serde_json::from_value::<Table>(json).map_err(|error| error.to_string())?;
        Ok(table.telemetry.listen)
    }

    #[test]
    fn an_empty_address_is_none_and_a_bad_one_is_named() {
        assert_eq!(listen(""), Ok(None));
        assert_eq!(listen("127.0.0.1:9464"), Ok(Some(([127, 0, 0, 1], 9464).into())));
        let refused = listen("localhost").expect_err("it has no port");
        assert!(refused.contains("\"localhost\""), "{refused}");
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_of_its_services_are() {
        let owner = TelemetryOwner::new();
        let readiness = owner.readiness.clone();
        assert_eq!(readiness.first_unready(), None);
        let (bakery, _service) = Health::new();
        let (mill, _service) = Health::new();
        owner.of("bakery").show(&bakery);
        owner.of("mill").show(&mill);
        bakery.set_ready(true).await;
        assert_eq!(readiness.first_unready(), Some("mill"));
        mill.set_ready(true).await;
        assert_eq!(readiness.first_unready(), None);
    }
}
