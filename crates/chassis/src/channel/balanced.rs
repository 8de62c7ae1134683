//! One client over several instances of a service. A call goes to the instance that works on the
//! fewest calls of this client, among those that say they are ready; with none that does, to any.
//!
//! Readiness is heard from each instance over `grpc.health.v1` as long as the client lives, so an
//! instance gets no more calls once it has said that it isn't ready, and one that died none until
//! it is back. What is sent before the news arrives may fail. A call that fails is the caller's to
//! judge: it is never sent twice from here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::{runtime::Handle, task::JoinSet};
use tonic::{Code, Status, body::Body, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::{Service, ServiceExt as _};

use crate::{job::Backoff, telemetry::TraceContext};

/// Where the caller is in a trace: the callee goes on from there.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Waits between tries to hear from an instance that doesn't answer.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(50);
/// A restarted instance is in use again within this time.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(1);

/// See the module. Clones share the instances.
#[derive(Clone, Debug)]
pub struct Balanced {
    instances: Arc<Instances>,
}

#[derive(Debug)]
struct Instances {
    all: Vec<Instance>,
    /// Where the next search begins, so that idle instances take turns.
    turn: AtomicUsize,
    /// Ends with the last clone.
    _watches: JoinSet<()>,
}

#[derive(Debug)]
struct Instance {
    channel: Channel,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_down: AtomicBool,
    in_flight: AtomicUsize,
}

impl Balanced {
    /// Over one channel for each address. Nothing is watched where there is no choice.
    pub(super) fn over(
        runtime: &Handle,
        channels: Vec<(String, Channel)>,
        connect_timeout: Duration,
    ) -> Self {
        let mut watches = JoinSet::new();
        let is_choice = channels.len() > 1;
        let all = channels.into_iter().map(|(address, channel)| {
            let state = Arc::<State>::default();
            if is_choice {
                let watch = watch(address, channel.clone(), Arc::clone(&state), connect_timeout);
                watches.spawn_on(watch, runtime);
            }
            Instance { channel, state }
        });
        let all = all.collect();
        let turn = AtomicUsize::new(rand::random_range(0..usize::from(u16::MAX)));
        Self { instances: Arc::new(Instances { all, turn, _watches: watches }) }
    }
}

impl Instances {
    fn pick(&self) -> &Instance {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let in_turn = || self.all[turn..].iter().chain(&self.all[..turn]);
        let ready = in_turn().filter(|instance| !instance.state.is_down.load(Ordering::Relaxed));
        // The first of equals.
        let idlest = ready.min_by_key(|instance| instance.state.in_flight.load(Ordering::Relaxed));
        idlest.unwrap_or(&self.all[turn])
    }
}

/// A call that an instance works on, until it has answered or nobody waits for it any more.
struct InFlight(Arc<State>);

impl InFlight {
    fn new(state: &Arc<State>) -> Self {
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service<Request<Body>> for Balanced {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    /// Always: which instance it will be is decided by the call.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(context) = TraceContext::current() {
            // Digits and dashes make a value.
            let value = HeaderValue::try_from(context.to_string());
            request.headers_mut().extend(value.ok().map(|value| (TRACEPARENT, value)));
        }
        let instance = self.instances.pick();
        let in_flight = InFlight::new(&instance.state);
        let mut channel = instance.channel.clone();
        Box::pin(async move {
            let _in_flight = in_flight;
            channel.ready().await?.call(request).await
        })
    }
}

/// Follows what an instance says of itself, for as long as somebody may want to call it.
async fn watch(address: String, channel: Channel, state: Arc<State>, within: Duration) {
    let mut backoff = Backoff::new(ASK_AGAIN_FIRST, ASK_AGAIN_MAX);
    loop {
        if let Err(status) = follow(&address, &channel, &state, within, &mut backoff).await
            && status.code() == Code::Unimplemented
        {
            // It doesn't say, and so is as good as any.
            state.is_down.store(false, Ordering::Relaxed);
            return;
        }
        set_down(&address, &state, true);
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Returns when the instance has nothing more to say.
async fn follow(
    address: &str,
    channel: &Channel,
    state: &State,
    within: Duration,
    backoff: &mut Backoff,
) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    // Only the beginning has a limit: the stream lives as long as the connection, whose keep-alive
    // notices a peer that is gone.
    let stream = client.watch(HealthCheckRequest { service: String::new() });
    let stream = tokio::time::timeout(within, stream).await;
    let mut stream = stream.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
    while let Some(news) = stream.message().await? {
        set_down(address, state, news.status() != ServingStatus::Serving);
        backoff.reset();
    }
    Ok(())
}

fn set_down(address: &str, state: &State, is_down: bool) {
    if state.is_down.swap(is_down, Ordering::Relaxed) != is_down {
        tracing::info!(address, is_down, "an instance of another service has changed");
    }
}
