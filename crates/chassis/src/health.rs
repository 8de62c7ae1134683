//! Health over `grpc.health.v1`, for one App.
//!
//! The service named "" is readiness: the App's own stores answer, and it is neither leaving nor
//! stopping. It says nothing about other roles, or they would wait for each other. So is each
//! service that is served at the same door, by its full name, since balancers ask for the one they
//! call. The service named "liveness" is SERVING as long as the process turns. Any other name is
//! NOT_FOUND to a check and SERVICE_UNKNOWN to a watch, as the protocol wants. A watch ends when
//! its server is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{Mutex, watch};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_check_response::ServingStatus as Told;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use crate::job::Beat;
use crate::stop::Stopper;

/// The name of the service that tells readiness.
const READINESS: &str = "";

/// The name of the service that tells liveness.
pub const LIVENESS: &str = "liveness";

/// What is said of a service that isn't served here. [`crate::malformed`] adds the details.
pub(crate) const UNKNOWN: &str = "there is no such service here";

/// Says whether an App is ready. Clones speak for the same App.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    is_ready: Arc<watch::Sender<bool>>,
    /// Whether it has left. Locked while something is said, or two could say it in either order.
    has_left: Arc<Mutex<bool>>,
}

impl Health {
    /// Not ready until [`Health::set_ready`] says so.
    #[expect(clippy::new_without_default, reason = "an App's health is no matter of course")]
    pub fn new() -> Self {
        let reporter = HealthReporter::new();
        for (service, status) in
            [(READINESS, ServingStatus::NotServing), (LIVENESS, ServingStatus::Serving)]
        {
            let set = reporter.set_service_status(service, status).now_or_never();
            set.expect("it waits for a lock that nobody else knows yet");
        }
        Self { reporter, is_ready: Arc::default(), has_left: Arc::default() }
    }

    /// What answers at a door that serves these services, given by their full names. Clone it for
    /// each core.
    pub fn service(&self, served: &'static [&'static str]) -> HealthServer<impl HealthApi + use<>> {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        HealthServer::new(AtDoor { served, service })
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
        self.reporter.set_service_status(READINESS, status).await;
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

/// The API as one door has it. Its watches end with its server: tonic's own never end, and each
/// would hold up the stop until the drain's time is over.
struct AtDoor {
    served: &'static [&'static str],
    service: HealthService,
}

impl AtDoor {
    /// Whose health is meant, if it is known here.
    fn meant(&self, asked: &str) -> Option<&'static str> {
        match asked {
            LIVENESS => Some(LIVENESS),
            _ if asked == READINESS || self.served.contains(&asked) => Some(READINESS),
            _ => None,
        }
    }
}

type News = Result<HealthCheckResponse, Status>;

#[tonic::async_trait]
impl HealthApi for AtDoor {
    async fn check(
        &self,
        mut request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let meant = self.meant(&request.get_ref().service);
        let meant = meant.ok_or_else(|| Status::not_found(UNKNOWN))?;
        meant.clone_into(&mut request.get_mut().service);
        self.service.check(request).await
    }

    type WatchStream = BoxStream<'static, News>;

    async fn watch(
        &self,
        mut request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stopped = Stopper::of(request.extensions()).into_stopped();
        let Some(meant) = self.meant(&request.get_ref().service) else {
            // It may be served one day, for all that the protocol knows; here it never is.
            let unknown = HealthCheckResponse { status: Told::ServiceUnknown.into() };
            let news = stream::iter([Ok(unknown)]).chain(stream::pending());
            return Ok(Response::new(news.take_until(stopped).boxed()));
        };
        meant.clone_into(&mut request.get_mut().service);
        let news = self.service.watch(request).await?;
        Ok(news.map(|news| news.take_until(stopped).boxed()))
    }
}

#[cfg(test)]
mod tests;
