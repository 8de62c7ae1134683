//! What the service answers, asked without a network; and how a watch ends, over one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tonic::service::Routes;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Answer;

use super::*;
use crate::cores::Cores;
use crate::server::ServerSettings;
use crate::server::bakery::{customer, open};
use crate::tasks::{Drained, Kind, TaskOwner};

const PATIENCE: Duration = Duration::from_secs(5);

/// As a door that serves bread answers.
fn door(health: &Health) -> AtDoor {
    let service = HealthService::from_health_reporter(health.reporter.clone());
    AtDoor { served: &["bakery.v1.Bread"], service }
}

async fn ask(health: &Health, service: &str) -> Result<Answer, Code> {
    let api = door(health);
    let request = Request::new(HealthCheckRequest { service: service.to_owned() });
    let answer = api.check(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().status())
}

#[tokio::test]
async fn new_app_is_alive_and_not_ready() {
    let health = Health::new();
    assert_eq!(ask(&health, LIVENESS).await, Ok(Answer::Serving));
    assert_eq!(ask(&health, "").await, Ok(Answer::NotServing));
}

#[tokio::test]
async fn a_service_is_as_ready_as_the_app_and_one_that_is_not_served_is_unknown() {
    let health = Health::new();
    assert_eq!(ask(&health, "bakery.v1.Bread").await, Ok(Answer::NotServing));
    health.set_ready(true).await;
    assert_eq!(ask(&health, "bakery.v1.Bread").await, Ok(Answer::Serving));
    assert_eq!(ask(&health, "bakery.v1.Cake").await, Err(Code::NotFound));

    let watch = async |service: &str| {
        let mut request = Request::new(HealthCheckRequest { service: service.to_owned() });
        request.extensions_mut().insert(Stopper::new());
        let news = door(&health).watch(request).await.expect("a stream");
        news.into_inner().map(|news| news.expect("news").status())
    };
    let (mut bread, mut cake) = (watch("bakery.v1.Bread").await, watch("bakery.v1.Cake").await);
    assert_eq!(bread.next().await, Some(Answer::Serving));
    health.set_ready(false).await;
    assert_eq!(bread.next().await, Some(Answer::NotServing));
    assert_eq!(cake.next().await, Some(Answer::ServiceUnknown));
    assert!(cake.next().now_or_never().is_none(), "the stream stays open");
}

#[tokio::test]
async fn readiness_is_what_was_set_last() {
    let health = Health::new();
    health.set_ready(true).await;
    assert_eq!(ask(&health, "").await, Ok(Answer::Serving));
    health.set_ready(false).await;
    assert_eq!(ask(&health, "").await, Ok(Answer::NotServing));
    assert_eq!(ask(&health, LIVENESS).await, Ok(Answer::Serving));
}

#[tokio::test]
async fn who_has_left_is_never_ready_again() {
    let health = Health::new();
    health.set_ready(true).await;
    health.leave().await;
    assert_eq!(ask(&health, "").await, Ok(Answer::NotServing));
    health.set_ready(true).await;
    assert_eq!(ask(&health, "").await, Ok(Answer::NotServing));
    assert!(!health.is_ready());
}

#[tokio::test]
async fn watching_follows_the_stores_and_ends_not_ready() {
    static ANSWERS: AtomicBool = AtomicBool::new(true);
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let owner = TaskOwner::new("bakery", Stopper::new());
    let health = Health::new();
    let (watched, stopper) = (health.clone(), owner.tasks().stopper().clone());
    owner.tasks().spawn(Kind::Essential, "readiness", async move {
        let store = async || {
            ASKED.fetch_add(1, Ordering::SeqCst);
            ANSWERS.load(Ordering::SeqCst)
        };
        watched.watch(Duration::from_millis(1), &stopper, store).await;
    });
    let until = async |answer: Answer| {
        while ask(&health, "").await != Ok(answer) {
            tokio::task::yield_now().await;
        }
    };
    let story = async {
        until(Answer::Serving).await;
        ANSWERS.store(false, Ordering::SeqCst);
        until(Answer::NotServing).await;
        ANSWERS.store(true, Ordering::SeqCst);
        until(Answer::Serving).await;
        assert!(ASKED.load(Ordering::SeqCst) >= 3);
        owner.drain(PATIENCE).await;
        assert_eq!(ask(&health, "").await, Ok(Answer::NotServing));
    };
    tokio::time::timeout(PATIENCE, story).await.expect("in time");
}

#[tokio::test]
async fn open_watch_ends_with_the_stop_and_does_not_hold_it_up() {
    let cores = Cores::start(1).expect("a core");
    let service = Health::new().service(&[]);
    let routes = |_core| Routes::new(service.clone());
    let (owner, addr) = open(&cores, &ServerSettings::default(), routes);
    let mut client = customer(cores.background(), addr);
    let request = HealthCheckRequest { service: LIVENESS.to_owned() };
    let mut news = client.watch(request).await.expect("a stream").into_inner();
    assert_eq!(news.message().await.expect("flows").expect("news").status(), Answer::Serving);
    assert_eq!(owner.drain(PATIENCE).await, Drained { left: 0 });
    assert_eq!(news.message().await.expect("it ends in order"), None);
}
