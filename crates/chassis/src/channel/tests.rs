//! What is an address, and where calls go: real servers on the loopback, each with its health.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;
use tonic::service::{Routes, interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{
    Clock, Cores, Health, Listeners, ServerSettings, Stopper, TaskOwner, Telemetry, serve,
    server::bakery::WORDS,
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

/// An instance of a service that offers its health and nothing else, and counts what it is asked.
/// Dropped, it is dead, and its connections with it.
struct Instance {
    health: Health,
    addr: SocketAddr,
    asked: Arc<AtomicUsize>,
    _owner: TaskOwner,
    _cores: Cores,
}

impl Instance {
    async fn start(at: SocketAddr) -> Self {
        let (health, service) = Health::new();
        health.set_ready(true).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let counted = InterceptedService::new(service, move |request: tonic::Request<()>| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(request)
        });
        let routes = Routes::new(counted);
        let (cores, owner) = (Cores::start(1).unwrap(), TaskOwner::new("test", Stopper::new()));
        let listeners = Listeners::bind(at, 1).unwrap();
        let (addr, settings) = (listeners.addr(), ServerSettings::default());
        let tasks = owner.tasks();
        serve(&tasks, &cores, listeners, &settings, WORDS, &Telemetry::off("bakery"), |_core| {
            routes.clone()
        });
        Self { health, addr, asked, _owner: owner, _cores: cores }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
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
