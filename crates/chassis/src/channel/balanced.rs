//! One client over several instances of a service. A call goes to the instance that works on the
//! fewest calls of this client, among those that say they are ready; with none that does, to any.
//!
//! Readiness is heard from each instance over `grpc.health.v1` as long as the client lives. Who is
//! ready and yet answers nobody, says of itself that it can't ([`unable`]), or is far slower than
//! others, loses its turn for a while (`standing.rs`), but never more than half of those that are
//! ready. A call that fails is the caller's to judge: it is never sent twice from here.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::{runtime::Handle, task::JoinSet};
use tonic::{
    Code, Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
    transport::Channel,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::{Service, ServiceExt as _};

use super::standing::{Fared, Standing};
use crate::{clock::boot_time, job::Backoff, telemetry::TraceContext};

/// Where the caller is in a trace: the callee goes on from there.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// In the head of an answer: see [`unable`].
const UNABLE: &str = "instance-unable";

/// Waits between tries to hear from an instance that doesn't answer.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(50);
/// A restarted instance is in use again within this time.
const ASK_AGAIN_MAX: Duration = Duration::from_secs(1);

/// Notes in the head of an answer that this instance can't do what it is asked, for a reason of its
/// own, while another may: its callers leave it alone for a while. Never for what a caller has
/// chosen, nor for what is as true everywhere else.
pub fn unable(head: &mut MetadataMap) {
    head.insert(UNABLE, MetadataValue::from_static("1"));
}

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
    address: String,
    is_down: AtomicBool,
    in_flight: AtomicUsize,
    /// When it last answered a call, in nanoseconds.
    answered_at: AtomicU64,
    standing: Mutex<Standing>,
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
            let state = Arc::new(State { address, ..State::default() });
            if is_choice {
                let watch = watch(channel.clone(), Arc::clone(&state), connect_timeout);
                watches.spawn_on(watch, runtime);
            }
            Instance { channel, state }
        });
        let all = all.collect();
        let turn = AtomicUsize::new(rand::random_range(0..usize::from(u16::MAX)));
        Self { instances: Arc::new(Instances { all, turn, _watches: watches }) }
    }

    /// Whether there is an instance that is ready and has its turn: for who has just heard of
    /// another that it is unable.
    pub fn has_an_able_one(&self) -> bool {
        self.instances.all.len() > 1 && self.instances.able(boot_time()).next().is_some()
    }
}

impl Instances {
    fn ready(&self) -> impl Iterator<Item = &Instance> {
        self.all.iter().filter(|instance| !instance.state.is_down())
    }

    fn able(&self, now: Duration) -> impl Iterator<Item = &Instance> {
        self.ready().filter(move |instance| instance.state.standing().is_in_turn(now))
    }

    /// The place of who gets the next call.
    fn pick(&self, now: Duration) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len();
        if self.all.len() == 1 {
            return turn;
        }
        // When most are out of turn it isn't them: their load would only bury the others.
        let heeds_turns = self.able(now).count() * 2 >= self.ready().count();
        let places = (turn..self.all.len()).chain(0..turn);
        let may = places.filter(|place| {
            let state = &self.all[*place].state;
            !state.is_down() && (!heeds_turns || state.standing().is_in_turn(now))
        });
        // The first of equals.
        may.min_by_key(|place| self.all[*place].state.in_flight.load(Ordering::Relaxed))
            .unwrap_or(turn)
    }

    /// A call to the one at `place` ended.
    fn saw(&self, place: usize, fared: Fared) {
        if self.all.len() == 1 {
            return;
        }
        let others = self.all.iter().enumerate().filter(|(other, _)| *other != place);
        let others = others.filter(|(_, instance)| !instance.state.is_down());
        let elsewhere = others.filter_map(|(_, instance)| instance.state.standing().usual()).min();
        let state = &self.all[place].state;
        if state.standing().saw(fared, elsewhere, boot_time()) {
            let address = &*state.address;
            tracing::info!(address, ?fared, "an instance of another service loses its turn");
        }
    }
}

impl State {
    fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    // Held for a few instructions.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_down(&self, is_down: bool) {
        if self.is_down.swap(is_down, Ordering::Relaxed) == is_down {
            return;
        }
        if !is_down {
            self.standing().look_again(boot_time());
        }
        let address = &*self.address;
        tracing::info!(address, is_down, "an instance of another service has changed");
    }
}

/// A call that an instance works on, until it has answered or nobody waits for it any more.
struct InFlight {
    instances: Arc<Instances>,
    place: usize,
    since: Duration,
    is_ended: bool,
}

impl InFlight {
    fn begin(instances: &Arc<Instances>) -> Self {
        let since = boot_time();
        let place = instances.pick(since);
        let state = &instances.all[place].state;
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        state.standing().called(since);
        Self { instances: Arc::clone(instances), place, since, is_ended: false }
    }

    fn ended<E>(mut self, answer: &Result<Response<Body>, E>) {
        self.is_ended = true;
        let now = boot_time();
        let fared = match answer {
            Err(_) => Fared::Failed,
            Ok(answer) => {
                let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
                self.state().answered_at.store(nanos, Ordering::Relaxed);
                self.read(answer.headers(), now)
            }
        };
        self.instances.saw(self.place, fared);
    }

    fn read(&self, head: &HeaderMap, now: Duration) -> Fared {
        let status = Status::from_header_map(head);
        // Who refuses with a reason is well, and the reason may be the caller's doing.
        let is_failure = status.is_some_and(|status| {
            status.code() == Code::Unavailable && status.details().is_empty()
        });
        if head.contains_key(UNABLE) {
            Fared::Unable
        } else if is_failure {
            Fared::Failed
        } else {
            Fared::Answered(now.saturating_sub(self.since))
        }
    }

    fn state(&self) -> &State {
        &self.instances.all[self.place].state
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state().in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_ended {
            return;
        }
        let waited = boot_time().saturating_sub(self.since);
        let answered_at = Duration::from_nanos(self.state().answered_at.load(Ordering::Relaxed));
        let is_silent = answered_at < self.since;
        let fared = if is_silent { Fared::Silent(waited) } else { Fared::Left(waited) };
        self.instances.saw(self.place, fared);
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
        let in_flight = InFlight::begin(&self.instances);
        let mut channel = self.instances.all[in_flight.place].channel.clone();
        Box::pin(async move {
            let answer = async { channel.ready().await?.call(request).await }.await;
            in_flight.ended(&answer);
            answer
        })
    }
}

/// Follows what an instance says of itself, for as long as somebody may want to call it.
async fn watch(channel: Channel, state: Arc<State>, within: Duration) {
    let mut backoff = Backoff::new(ASK_AGAIN_FIRST, ASK_AGAIN_MAX);
    loop {
        if let Err(status) = follow(&channel, &state, within, &mut backoff).await
            && status.code() == Code::Unimplemented
        {
            // It doesn't say, and so is as good as any.
            state.is_down.store(false, Ordering::Relaxed);
            return;
        }
        state.set_down(true);
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Returns when the instance has nothing more to say.
async fn follow(
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
        state.set_down(news.status() != ServingStatus::Serving);
        backoff.reset();
    }
    Ok(())
}
