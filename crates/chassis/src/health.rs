//! Health over `grpc.health.v1`, for one App.
//!
//! The service named "" is readiness: the App's own stores answer, and it is neither leaving nor
//! stopping. It says nothing about other roles, or they would wait for each other. The service
//! named "liveness" is SERVING as long as the process turns. A watch ends when its server is asked
//! to stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::{Mutex, watch};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use crate::job::Beat;
use crate::stop::Stopper;

/// The name of the service that tells liveness.
pub const LIVENESS: &str = "liveness";

/// Says whether an App is ready. Clones speak for the same App.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    is_ready: Arc<watch::Sender<bool>>,
    /// Whether it has left. Locked while something is said, or two could say it in either order.
    has_left: Arc<Mutex<bool>>,
}

impl Health {
    /// What reports, and the service that answers (clone it for each core). Not ready until
    /// [`Health::set_ready`] says so.
    pub fn new() -> (Self, HealthServer<impl HealthApi>) {
        let reporter = HealthReporter::new();
        for (service, status) in
            [("", ServingStatus::NotServing), (LIVENESS, ServingStatus::Serving)]
        {
            let set = reporter.set_service_status(service, status).now_or_never();
            set.expect("it waits for a lock that nobody else knows yet");
        }
        let service = HealthService::from_health_reporter(reporter.clone());
        let service = HealthServer::new(EndingHealth { service });
        (Self { reporter, is_ready: Arc::default(), has_left: Arc::default() }, service)
    }

    /// From now on the App is ready, unless it has left; or isn't. Watchers are told.
    pub async fn set_ready(&self, ready: bool) {
        let has_left = self.has_left.lock().await;
        self.tell(ready && !*has_left).await;
    }

    /// The App isn't ready any more, whatever is said of it later.
    pub async fn leave(&self) {
        let mut has_left = self.has_left.lock().await;
        *has_left = true;
        self.tell(false).await;
    }

    async fn tell(&self, ready: bool) {
        self.is_ready.send_replace(ready);
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", status).await;
    }

    /// What was said last.
    pub fn is_ready(&self) -> bool {
        *self.is_ready.borrow()
    }

    /// Returns once the App isn't ready: for streams, which end then, so that their clients go to
    /// an instance that is.
    pub fn unready(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut said = self.is_ready.subscribe();
        async move {
            // Nobody says so any more: it has ended.
            let _ = said.wait_for(|ready| !ready).await;
        }
    }

    /// Asks `check` every `interval` whether the App's own stores answer, and is not ready once
    /// `stopper` has stopped. `check` bounds its own time.
    pub async fn watch<F>(
        &self,
        interval: Duration,
        stopper: &Stopper,
        mut check: impl FnMut() -> F,
    ) where
        F: Future<Output = bool>,
    {
        let mut beat = Beat::new(interval, stopper);
        while beat.next().await {
            let ready = check().await;
            self.set_ready(ready && !stopper.is_stopped()).await;
        }
        self.set_ready(false).await;
    }
}

/// The API whose watches end with their server. tonic's own never end, and each would hold up the
/// stop until the drain's time is over.
struct EndingHealth {
    service: HealthService,
}

#[tonic::async_trait]
impl HealthApi for EndingHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.service.check(request).await
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stopped = Stopper::of(request.extensions()).into_stopped();
        let news = self.service.watch(request).await?;
        Ok(news.map(|news| news.take_until(stopped).boxed()))
    }
}

#[cfg(test)]
mod tests;
