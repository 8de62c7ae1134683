//! A real server for tests: a bakery that answers through the health API, the one service at hand.
//!
//! Which answer it gives is asked by the name of the service: see [`Bakery::check`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use futures::stream::{BoxStream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::*;
use crate::channel::{Balanced, ChannelSettings, connect_lazy};
use crate::deadline::Deadline;
use crate::stop::Stopper;
use crate::tasks::TaskOwner;
use crate::telemetry::Telemetry;

pub(crate) const WORDS: Words = Words {
    domain: "bakery.test",
    invalid_input: "NO_ORDER",
    overloaded: "FULL",
    unimplemented: "NOT_BAKED_HERE",
    not_found: "SOLD",
};

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What all handlers of one bakery see.
#[derive(Clone, Debug)]
pub(crate) struct Bakery {
    /// Customers inside: handlers and streams that have begun and haven't ended.
    pub(crate) inside: watch::Sender<usize>,
    /// Those who hold go on once there is bread for them.
    pub(crate) bread: Arc<Semaphore>,
    /// The budget that the last "deadline" call had.
    pub(crate) budget: Arc<Mutex<Option<Duration>>>,
    core: usize,
    /// How often each core has answered.
    pub(crate) answers: Arc<Mutex<Vec<usize>>>,
}

struct Inside(watch::Sender<usize>);

impl Inside {
    fn enter(inside: &watch::Sender<usize>) -> Self {
        inside.send_modify(|inside| *inside += 1);
        Self(inside.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.send_modify(|inside| *inside -= 1);
    }
}

impl Bakery {
    pub(crate) fn new() -> Self {
        Self {
            inside: watch::Sender::new(0),
            bread: Arc::new(Semaphore::new(0)),
            budget: Arc::default(),
            core: 0,
            answers: Arc::new(Mutex::new(vec![0; 8])),
        }
    }

    /// Opens on `cores`, all listening on one free port.
    pub(crate) fn open(&self, cores: &Cores, settings: &ServerSettings) -> (TaskOwner, SocketAddr) {
        self.open_seen(cores, settings, &Telemetry::off("bakery"))
    }

    /// The same, seen by `telemetry`.
    pub(crate) fn open_seen(
        &self,
        cores: &Cores,
        settings: &ServerSettings,
        telemetry: &Telemetry,
    ) -> (TaskOwner, SocketAddr) {
        open_seen(cores, settings, telemetry, |core| {
            let health = HealthServer::new(Self { core, ..self.clone() });
            Routes::new(health)
                .into_axum_router()
                .route("/shop", get(shop_window))
                .route("/flour", get(flour))
                .route("/shop", post(deliver).with_state(self.inside.clone()))
                .into()
        })
    }

    /// Returns once so many are inside.
    pub(crate) async fn until_inside(&self, customers: usize) {
        let mut inside = self.inside.subscribe();
        let waited = inside.wait_for(|inside| *inside == customers);
        tokio::time::timeout(PATIENCE, waited).await.expect("in time").expect("we hold the sender");
    }
}

/// A server of `routes` on all of `cores`, on one free port.
pub(crate) fn open(
    cores: &Cores,
    settings: &ServerSettings,
    routes: impl Fn(usize) -> Routes,
) -> (TaskOwner, SocketAddr) {
    open_seen(cores, settings, &Telemetry::off("bakery"), routes)
}

fn open_seen(
    cores: &Cores,
    settings: &ServerSettings,
    telemetry: &Telemetry,
    routes: impl Fn(usize) -> Routes,
) -> (TaskOwner, SocketAddr) {
    let owner = TaskOwner::new("bakery", Stopper::new());
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::bind(addr, cores.serving().len()).expect("a free port");
    let addr = listeners.addr();
    serve(&owner.tasks(), cores, listeners, settings, WORDS, telemetry, routes);
    (owner, addr)
}

/// What HTTP/1 customers see: their own address.
async fn shop_window(request: http::Request<axum::body::Body>) -> String {
    let peer = request.extensions().get::<Peer>().expect("everybody has one");
    format!("bread for {}", peer.0)
}

/// More than two sockets hold.
async fn flour() -> Vec<u8> {
    vec![b'.'; 64 * 1024 * 1024]
}

/// Takes what is delivered, and says how much it was.
async fn deliver(
    State(inside): State<watch::Sender<usize>>,
    flour: http::Request<axum::body::Body>,
) -> String {
    let _inside = Inside::enter(&inside);
    match axum::body::to_bytes(flour.into_body(), 1024).await {
        Ok(flour) => format!("{} bytes", flour.len()),
        Err(_) => "spilt".to_owned(),
    }
}

#[tonic::async_trait]
impl Health for Bakery {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let _inside = Inside::enter(&self.inside);
        self.answers.lock().expect("no panic")[self.core] += 1;
        match request.get_ref().service.as_str() {
            "quick" => {}
            "hold" => self.bread.acquire().await.expect("never closed").forget(),
            "deadline" => {
                let deadline = Deadline::of(request.extensions());
                let budget = deadline.map(|deadline| deadline.remaining());
                *self.budget.lock().expect("no panic") = budget;
            }
            "panic" => panic!("burnt"),
            other => return Err(Status::invalid_argument(format!("no such wish: {other}"))),
        }
        Ok(Response::new(serving()))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// One message, and then none for ever.
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let inside = Inside::enter(&self.inside);
        let first = futures::stream::once(async { Ok(serving()) });
        let rest = futures::stream::pending().map(move |never| {
            let _inside = &inside;
            never
        });
        Ok(Response::new(first.chain(rest).boxed()))
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving.into() }
}

/// A customer with a connection of its own, made with the first call.
pub(crate) fn customer(runtime: &Handle, addr: SocketAddr) -> HealthClient<Balanced> {
    let settings = ChannelSettings::default();
    let channel = connect_lazy(runtime, &format!("http://{addr}"), &settings).expect("a URL");
    HealthClient::new(channel)
}

pub(crate) fn wish(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}
