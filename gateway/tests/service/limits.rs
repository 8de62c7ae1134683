//! Each layer that says no: whom, in which words, and that nothing was done for it.

use std::{pin::pin, sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use gateway::{Allowance, Config};
use ids::{ItemId, SaleId};
use proto::{
    gateway::v1::{ListOrdersRequest, ListSalesRequest, PurchaseState::Accepted},
    inventory::v1::EntryRefusal,
    inventory::v1::entry_answer::Answer,
    user::v1::{SignInRequest, user_service_client::UserServiceClient},
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    stage::{Buyer, Plan, Stage, reason, said, sale_of},
    stubs::lock,
};

async fn with(config: impl FnOnce(&mut Config) + 'static) -> Stage {
    Stage::with(Plan { config: Box::new(config), ..Plan::default() }).await
}

/// A call that costs nothing but its place in somebody's allowance.
async fn list(buyer: &Buyer, forwarded_for: Option<&str>) -> Result<(), Status> {
    let mut request = buyer.request(ListOrdersRequest::default());
    if let Some(address) = forwarded_for {
        request.metadata_mut().insert("x-forwarded-for", address.parse().unwrap());
    }
    buyer.client.clone().list_orders(request).await.map(drop)
}

/// RATE_LIMITED, for this, with a wait of about a second.
fn is_limited<T: std::fmt::Debug>(answer: Result<T, Status>, whose: &str) {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.get_details_quota_failure().unwrap().violations[0].subject, whose);
    let wait = chassis::status::retry_after_of(&status).unwrap();
    assert!(wait > Duration::from_millis(500) && wait < Duration::from_secs(2), "{wait:?}");
    let limited = (Code::ResourceExhausted, "RATE_LIMITED".to_owned(), true);
    assert_eq!(said::<()>(Err(status)), limited);
}

#[tokio::test]
async fn a_buyer_who_asks_too_often_is_told_when_to_come_back() {
    let stage = with(|config| config.rates.user = Allowance { per_s: 1, burst: 3 }).await;
    let (buyer, other) = (stage.buyer().await, stage.buyer().await);
    let ticket = buyer.ticket(1, "mine").await;
    list(&buyer, None).await.unwrap();
    list(&buyer, None).await.unwrap();
    is_limited(buyer.buy(&ticket, 2).await, "user");
    assert_eq!(stage.world.batches(), [0; 0]);
    list(&other, None).await.unwrap();
    stage.shift.jump(Duration::from_secs(1));
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
}

#[tokio::test]
async fn a_network_has_one_allowance_whatever_its_callers_claim() {
    let few = |config: &mut Config| config.rates.network = Allowance { per_s: 1, burst: 3 };
    let stage = with(few).await;
    for place in 0..3 {
        list(&stage.buyer().await, Some(&format!("203.0.113.{place}"))).await.unwrap();
    }
    is_limited(list(&stage.buyer().await, Some("198.51.100.7")).await, "network");
    is_limited(stage.client().await.list_sales(ListSalesRequest::default()).await, "network");
}

#[tokio::test]
async fn behind_our_own_proxy_each_network_has_its_own() {
    let stage = with(|config| {
        config.rates.network = Allowance { per_s: 1, burst: 2 };
        config.clients.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let buyer = stage.buyer().await;
    for third in 0..20 {
        // What stands further left was written by the client.
        let seen = format!("203.0.113.9, 198.51.{third}.7");
        list(&buyer, Some(&seen)).await.unwrap();
    }
    list(&buyer, Some("198.51.0.8")).await.unwrap();
    is_limited(list(&buyer, Some("203.0.113.10, 198.51.0.9")).await, "network");
}

#[tokio::test]
async fn a_sale_has_an_allowance_of_purchases() {
    let stage = with(|config| config.rates.sale = Allowance { per_s: 1, burst: 2 }).await;
    let buyer = stage.buyer().await;
    for name in ["a", "b"] {
        let ticket = buyer.ticket(1, name).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted);
    }
    let ticket = buyer.ticket(1, "c").await;
    is_limited(buyer.buy(&ticket, 1).await, "sale");
    assert_eq!(stage.world.batches().iter().sum::<usize>(), 2);
}

fn places(count: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        let of = &mut config.concurrency;
        (of.places_first, of.places_min, of.places_max) = (count, count, count);
    }
}

/// While `count` purchases of a core with ten places are under way: whether it is full for
/// purchases, tickets, the shop window, and signing in.
async fn full_with(count: usize) -> [bool; 4] {
    let stage = with(places(10)).await;
    let buyer = stage.buyer().await;
    let names = (0..=count).map(|number| number.to_string());
    let mut tickets = Vec::new();
    for name in names {
        tickets.push(buyer.ticket(1, &name).await);
    }
    let (next, first) = tickets.split_last().unwrap();
    let point = stage.pause.arm("gateway.after_reserve");
    let is_overloaded = |answer: Result<(), Status>| match answer {
        Ok(()) => false,
        Err(status) => {
            let overloaded = (Code::Unavailable, "OVERLOADED".to_owned(), true);
            assert_eq!(said::<()>(Err(status)), overloaded);
            true
        }
    };
    let ask = async {
        let under_way =
            async || stage.measured("seckill_gateway_purchases_under_way") == count as f64;
        stage.until("all are under way", under_way).await;
        list(&buyer, None).await.expect("who asks for orders is never kept out by purchases");
        // All over the buyer's connection, and so on the buyer's core.
        let mut people = UserServiceClient::new(buyer.channel.clone());
        let full = [
            is_overloaded(buyer.wish(1, "another").await.map(drop)),
            is_overloaded(
                buyer.client.clone().list_sales(ListSalesRequest::default()).await.map(drop),
            ),
            is_overloaded(people.sign_in(SignInRequest::default()).await.map(drop)),
        ];
        // The last, since it waits if it gets in.
        let last = async { is_overloaded(buyer.buy(next, 1).await.map(drop)) };
        let mut last = pin!(last);
        let is_in =
            async || stage.measured("seckill_gateway_purchases_under_way") == count as f64 + 1.0;
        let refused = tokio::select! {
            is_refused = &mut last => Some(is_refused),
            () = stage.until("the last one is in, or refused", is_in) => None,
        };
        point.release();
        let last = match refused {
            Some(is_refused) => is_refused,
            None => last.await,
        };
        let [tickets, browse, sign_in] = full;
        [last, tickets, browse, sign_in]
    };
    let (bought, full) = futures::join!(join_all(first.iter().map(|it| buyer.buy(it, 1))), ask);
    assert!(bought.into_iter().all(|answer| answer.unwrap() == Accepted));
    full
}

#[tokio::test]
async fn under_load_the_least_important_is_refused_first() {
    for (count, full) in [
        (4, [false, false, false, false]),
        (5, [false, false, false, true]),
        (7, [false, false, true, true]),
        (9, [false, true, true, true]),
        (10, [true, true, true, true]),
    ] {
        assert_eq!(full_with(count).await, full, "with {count} purchases under way");
    }
}

#[tokio::test]
async fn one_sale_leaves_another_its_part() {
    let stage = with(places(24)).await;
    let (other_sale, other_item) = (SaleId::random(), ItemId::random());
    let another = sale_of(other_sale, other_item, &stage.clock, &Plan::default());
    lock(&stage.world.sales).push(another);
    let buyer = stage.buyer().await;
    let beside = Buyer { item: other_item, ..buyer.clone() };
    let mut tickets = Vec::new();
    for number in 0..26 {
        tickets.push(buyer.ticket(1, &number.to_string()).await);
    }
    let other = beside.ticket(1, "mine").await;
    // It is known to want something.
    assert_eq!(beside.buy(&other, 2).await.unwrap(), Accepted);

    let point = stage.pause.arm("gateway.after_reserve");
    let rush = join_all(tickets.iter().map(|ticket| buyer.buy(ticket, 1)));
    let beside_it = async {
        let is_full = async || stage.measured("seckill_gateway_purchases_under_way") >= 20.0;
        stage.until("the rush has what it may have", is_full).await;
        // Not refused: it waits, as the others do.
        let buying = beside.buy(&other, 2);
        let release = async {
            let is_in = async || stage.measured("seckill_gateway_purchases_under_way") >= 21.0;
            stage.until("the other sale's purchase is under way", is_in).await;
            point.release();
        };
        futures::join!(buying, release).0
    };
    let (rush, beside) = futures::join!(rush, beside_it);
    assert_eq!(beside.unwrap(), Accepted);
    let refused = rush.into_iter().filter(|answer| answer.is_err()).count();
    assert!((5..=6).contains(&refused), "{refused}: the other's 1, half of it, and 2 are kept");
}

fn quick(config: &mut Config) {
    (config.breakers.calls_min, config.breakers.open_ms) = (3, 60_000);
    config.breakers.open_ms_max = 60_000;
}

/// Buys with new tickets until one is refused as `UPSTREAM_UNAVAILABLE`.
async fn until_open(stage: &Stage, buyer: &Buyer) {
    let refused = async || {
        let ticket = buyer.ticket(1, &stage.clock.now().as_nanos().to_string()).await;
        buyer.buy(&ticket, 1).await.is_err_and(|status| reason::<()>(Err(status)).starts_with("UP"))
    };
    stage.until("the breaker is open", refused).await;
}

#[tokio::test]
async fn an_inventory_that_does_not_answer_is_not_asked_until_it_does() {
    let stage = with(quick).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.world.reserve_with(|_| Err(Status::unavailable("down")));
    until_open(&stage, &buyer).await;
    let asked = stage.world.batches().len();
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    for attempt in 1..10 {
        assert_eq!(said(buyer.buy(&ticket, attempt).await), unavailable);
    }
    assert_eq!(stage.world.batches().len(), asked, "nobody is asked");
    assert!(stage.measured("seckill_gateway_breakers_open") >= 1.0);
    *lock(&stage.world.reserve) = None;
    stage.shift.jump(Duration::from_secs(60));
    assert_eq!(buyer.buy(&ticket, 10).await.unwrap(), Accepted, "a probe");
    assert_eq!(stage.measured("seckill_gateway_breakers_open"), 0.0);
}

#[tokio::test]
async fn a_journal_that_does_not_answer_takes_no_more_holds() {
    let journal = journal::Settings { message_timeout_ms: 300, ..Default::default() };
    let plan = Plan { config: Box::new(quick), journal, ..Plan::default() };
    let stage = Stage::with(plan).await;
    let buyer = stage.buyer().await;
    stage.broker.faults().go_silent();
    until_open(&stage, &buyer).await;
    let (stock, asked) = (lock(&stage.world.ledger).stock, stage.world.batches().len());
    let ticket = buyer.ticket(1, "mine").await;
    assert_eq!(reason(buyer.buy(&ticket, 1).await), "UPSTREAM_UNAVAILABLE");
    assert_eq!(lock(&stage.world.ledger).stock, stock, "no hold was taken");
    assert_eq!(stage.world.batches().len(), asked);
    stage.broker.faults().heal();
    stage.shift.jump(Duration::from_secs(60));
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
}

#[tokio::test]
async fn a_silent_journal_is_noticed_with_the_settings_as_shipped() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    stage.broker.faults().go_silent();
    // One after the other, each until its lease or the journal's time-out is over.
    until_open(&stage, &buyer).await;
    let asked = stage.world.batches().len();
    assert!(asked <= 3, "{asked} batches took holds that nobody could record");
}

#[tokio::test]
async fn refusals_of_the_ledger_open_nothing() {
    let stage = with(quick).await;
    let buyer = stage.buyer().await;
    stage.world.answer_all_with(Answer::Refusal(EntryRefusal::SoldOut.into()));
    for number in 0..20 {
        let ticket = buyer.ticket(1, &number.to_string()).await;
        assert_eq!(reason(buyer.buy(&ticket, 1).await), "SOLD_OUT");
    }
    assert_eq!(stage.measured("seckill_gateway_breakers_open"), 0.0);
}

#[tokio::test]
async fn people_who_sign_in_are_limited_by_their_network() {
    let few = |config: &mut Config| config.rates.network = Allowance { per_s: 1, burst: 2 };
    let stage = with(few).await;
    let mut people = UserServiceClient::new(stage.channel().await);
    for _ in 0..2 {
        people.sign_in(SignInRequest::default()).await.unwrap();
    }
    stage.world.is_user_down.store(true, Ordering::SeqCst);
    is_limited(people.sign_in(Request::new(SignInRequest::default())).await, "network");
}
