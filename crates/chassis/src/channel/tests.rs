//! What is an address, and where calls go: real servers on the loopback, each with its health.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{extract::Request, middleware, middleware::Next, response::Response};
use tokio::runtime::Handle;
use tonic::{Code, Status, service::Routes};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{
    Clock, Cores, Health, Listeners, ServerSettings, Stopper, TaskOwner, Telemetry, serve,
    server::bakery::WORDS, status::Refusal,
};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn only_http_urls_with_a_host_are_addresses() {
    let connect =
        |address| connect_lazy(&Handle::current(), address, &ChannelSettings::default()).is_ok();
    for address in
        ["http://127.0.0.1:7001", "http://[::1]:7001", "http://bakery", "http://a:1, http://b:2"]
    {
        assert!(connect(address), "{address}");
        check(address).unwrap();
    }
    let wrong = [
        "",
        "127.0.0.1:7001",
        "bakery",
        "https://bakery",
        "http://",
        "a b",
        "/x",
        "http://a,",
        ",",
    ];
    for address in wrong {
        assert!(!connect(address), "{address}");
        check(address).unwrap_err();
    }
}

/// How an instance does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Well,
    Refuses,
    /// As who is asked for too much.
    RefusesWithAReason,
    /// Says that it is the one that can't.
    IsUnable,
    IsSlow(Duration),
    Nothing,
}

/// An instance of a service that offers its health and nothing else, and counts what it is asked.
/// Dropped, it is dead, and its connections with it.
struct Instance {
    health: Health,
    addr: SocketAddr,
    asked: Arc<AtomicUsize>,
    does: Arc<Mutex<Does>>,
    _owner: TaskOwner,
    _cores: Cores,
}

impl Instance {
    async fn start(at: SocketAddr) -> Self {
        let health = Health::new();
        health.set_ready(true).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let does = Arc::new(Mutex::new(Does::Well));
        let (count, how) = (Arc::clone(&asked), Arc::clone(&does));
        let work = move |request: Request, next: Next| {
            let does = *how.lock().unwrap();
            let is_asked = request.uri().path().ends_with("/Check");
            count.fetch_add(usize::from(is_asked), Ordering::SeqCst);
            let does = if is_asked { does } else { Does::Well };
            async move { answer(does, request, next).await }
        };
        let routes =
            Routes::new(health.service(&[])).into_axum_router().layer(middleware::from_fn(work));
        let routes = Routes::from(routes);
        let (cores, owner) = (Cores::start(1).unwrap(), TaskOwner::new("test", Stopper::new()));
        let listeners = Listeners::bind(at, 1).unwrap();
        let (addr, settings) = (listeners.addr(), ServerSettings::default());
        let tasks = owner.tasks();
        serve(&tasks, &cores, listeners, &settings, WORDS, &Telemetry::off("bakery"), |_core| {
            routes.clone()
        });
        Self { health, addr, asked, does, _owner: owner, _cores: cores }
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(does: Does, request: Request, next: Next) -> Response {
    let mut refusal = Status::unavailable("no bread");
    match does {
        Does::Well => return next.run(request).await,
        Does::Refuses => {}
        Does::RefusesWithAReason => {
            refusal = Refusal::new(Code::Unavailable, "FULL", "bakery.test", "too many").into();
        }
        Does::IsUnable => unable(refusal.metadata_mut()),
        Does::IsSlow(by) => {
            let never = std::future::pending::<()>();
            let _ = tokio::time::timeout(by, never).await;
            return next.run(request).await;
        }
        Does::Nothing => std::future::pending().await,
    }
    refusal.into_http()
}

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn client(addresses: &[SocketAddr]) -> HealthClient<Balanced> {
    let addresses: Vec<_> = addresses.iter().map(|addr| format!("http://{addr}")).collect();
    let settings = ChannelSettings::default();
    HealthClient::new(connect_lazy(&Handle::current(), &addresses.join(","), &settings).unwrap())
}

/// Ten calls, all of which must be answered; how many each of the instances got.
async fn spread(client: &mut HealthClient<Balanced>, instances: &[&Instance]) -> Vec<usize> {
    let before: Vec<_> = instances.iter().map(|instance| instance.asked()).collect();
    for _ in 0..10 {
        let request = HealthCheckRequest { service: String::new() };
        client.check(request).await.unwrap();
    }
    instances.iter().zip(before).map(|(instance, before)| instance.asked() - before).collect()
}

/// Looks again and again until calls are spread as wanted.
async fn eventually(
    client: &mut HealthClient<Balanced>,
    instances: &[&Instance],
    wanted: impl Fn(&[usize]) -> bool,
) {
    let clock = Clock::system();
    let until = clock.now() + PATIENCE;
    loop {
        let got = spread(client, instances).await;
        if wanted(&got) {
            return;
        }
        assert!(clock.now() < until, "the calls went to {got:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn instances_take_turns_and_one_that_drains_is_left_alone() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    let both = [&first, &second];
    eventually(&mut client, &both, |got| got == [5, 5]).await;
    first.health.set_ready(false).await;
    eventually(&mut client, &both, |got| got == [0, 10]).await;
    first.health.set_ready(true).await;
    eventually(&mut client, &both, |got| got == [5, 5]).await;
}

#[tokio::test]
async fn an_instance_that_died_is_asked_again_when_it_is_back() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let addr = first.addr;
    let mut client = client(&[addr, second.addr]);
    eventually(&mut client, &[&first, &second], |got| got == [5, 5]).await;
    drop(first);
    // Until the death is noticed, calls may still go there and fail.
    let clock = Clock::system();
    let until = clock.now() + PATIENCE;
    let request = || HealthCheckRequest { service: String::new() };
    let mut answered = 0;
    while answered < 10 {
        answered = if client.check(request()).await.is_ok() { answered + 1 } else { 0 };
        assert!(clock.now() < until, "calls keep going to a dead instance");
    }
    let first = Instance::start(addr).await;
    eventually(&mut client, &[&first, &second], |got| got == [5, 5]).await;
}

#[tokio::test]
async fn with_no_instance_ready_any_is_asked() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    let both = [&first, &second];
    first.health.set_ready(false).await;
    second.health.set_ready(false).await;
    eventually(&mut client, &both, |got| got == [5, 5]).await;
}

/// Calls one after the other; how many weren't answered well, and how many each instance got.
async fn calls(
    count: usize,
    client: &mut HealthClient<Balanced>,
    instances: &[&Instance],
) -> (usize, Vec<usize>) {
    let before: Vec<_> = instances.iter().map(|instance| instance.asked()).collect();
    let mut bad = 0;
    for _ in 0..count {
        let call = client.check(HealthCheckRequest { service: String::new() });
        // Longer than who says nothing may take before that counts.
        let answer = tokio::time::timeout(Duration::from_millis(1_100), call).await;
        bad += usize::from(!answer.is_ok_and(|answer| answer.is_ok()));
    }
    let got = instances.iter().zip(before).map(|(instance, before)| instance.asked() - before);
    (bad, got.collect())
}

#[tokio::test]
async fn who_fails_fast_does_not_look_best_and_is_used_again_when_it_is_well() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    let both = [&first, &second];
    eventually(&mut client, &both, |got| got == [5, 5]).await;
    // How many calls that takes: those of a row of failures, one, and a probe or two.
    for (does, bad_max) in [(Does::Refuses, 8), (Does::IsUnable, 3)] {
        first.does(does);
        let (bad, got) = calls(100, &mut client, &both).await;
        assert!(bad <= bad_max, "{does:?}: {bad} calls failed, {got:?}");
        first.does(Does::Well);
        eventually(&mut client, &both, |got| got == [5, 5]).await;
    }
}

#[tokio::test]
async fn who_is_slow_or_silent_loses_its_turn() {
    for does in [Does::IsSlow(Duration::from_secs(1)), Does::Nothing] {
        let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
        let mut client = client(&[first.addr, second.addr]);
        let both = [&first, &second];
        eventually(&mut client, &both, |got| got == [5, 5]).await;
        first.does(does);
        let (_, got) = calls(100, &mut client, &both).await;
        assert!(got[0] <= 10, "{does:?}: {got:?}");
        first.does(Does::Well);
        eventually(&mut client, &both, |got| got == [5, 5]).await;
    }
}

#[tokio::test]
async fn when_all_are_unable_all_are_asked() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    eventually(&mut client, &[&first, &second], |got| got == [5, 5]).await;
    for instance in [&first, &second] {
        instance.does(Does::IsUnable);
    }
    let (bad, got) = calls(100, &mut client, &[&first, &second]).await;
    assert_eq!(bad, 100);
    assert!(got.iter().all(|got| *got >= 10), "{got:?}");
}

#[tokio::test]
async fn a_refusal_with_a_reason_costs_nobody_the_turn() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    let both = [&first, &second];
    eventually(&mut client, &both, |got| got == [5, 5]).await;
    first.does(Does::RefusesWithAReason);
    let (bad, got) = calls(100, &mut client, &both).await;
    assert_eq!(bad, got[0]);
    // Half of them, on a machine that never stands still.
    assert!(got[0] >= 40, "{got:?}");
}

/// What a caller chooses says nothing of the instance.
#[tokio::test]
async fn impatient_callers_take_nobodys_turn() {
    let (first, second) = (Instance::start(ANYWHERE).await, Instance::start(ANYWHERE).await);
    let mut client = client(&[first.addr, second.addr]);
    let both = [&first, &second];
    eventually(&mut client, &both, |got| got == [5, 5]).await;
    for instance in both {
        instance.does(Does::IsSlow(Duration::from_millis(100)));
    }
    for _ in 0..100 {
        let call = client.check(HealthCheckRequest { service: String::new() });
        let _ = tokio::time::timeout(Duration::from_millis(2), call).await;
    }
    for instance in both {
        instance.does(Does::Well);
    }
    let (_, got) = calls(10, &mut client, &both).await;
    assert!(got.iter().all(|got| *got >= 3), "{got:?}");
}
