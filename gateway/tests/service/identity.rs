//! Who is let in: tokens that hold in every claim, with the keys of a user-svc that may be down.

use std::sync::atomic::Ordering;

use ids::UserId;
use proto::gateway::v1::ListOrdersRequest;
use tonic::{Code, Status};

use crate::{
    stage::{Buyer, KEY_TWO, Plan, Stage, Token, key, reason, said},
    stubs::lock,
};

async fn visit(stage: &Stage, token: &str) -> Result<(), Status> {
    let buyer = stage.buyer().await;
    enter(&Buyer { token: token.into(), ..buyer }).await
}

async fn enter(buyer: &Buyer) -> Result<(), Status> {
    let request = buyer.request(ListOrdersRequest::default());
    buyer.client.clone().list_orders(request).await.map(drop)
}

#[tokio::test]
async fn every_claim_counts() {
    let stage = Stage::open().await;
    let good = Token::of(UserId::random(), &stage.clock);
    let now_s = stage.clock.wall_ms() / 1000;
    visit(&stage, &good.signed()).await.unwrap();
    type Spoil = fn(&mut Token, u64);
    let table: [(&str, Spoil); 9] = [
        ("another issuer", |token, _| token.claims["iss"] = "elsewhere".into()),
        ("an operator's audience", |token, _| token.claims["aud"] = "seckill-operator".into()),
        ("no audience", |token, _| drop(token.claims.as_object_mut().unwrap().remove("aud"))),
        ("expired", |token, now_s| token.claims["exp"] = (now_s - 10).into()),
        ("not yet", |token, now_s| token.claims["nbf"] = (now_s + 30).into()),
        ("no expiry", |token, _| drop(token.claims.as_object_mut().unwrap().remove("exp"))),
        ("a subject that is no buyer", |token, _| token.claims["sub"] = "Ann".into()),
        ("signed by another key", |token, _| token.seed = KEY_TWO.0),
        ("an unknown key", |token, _| token.key_id = "nine"),
    ];
    for (what, spoil) in table {
        let mut bad = good.clone();
        spoil(&mut bad, now_s);
        let refused = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned(), false);
        assert_eq!(said(visit(&stage, &bad.signed()).await), refused, "{what}");
    }
    for nonsense in ["", "nonsense", "a.b.c"] {
        assert_eq!(reason(visit(&stage, nonsense).await), "UNAUTHENTICATED", "{nonsense}");
    }
}

#[tokio::test]
async fn the_scheme_of_a_token_has_no_case() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let mut request = buyer.request(ListOrdersRequest::default());
    let header = format!("bearer {}", buyer.token);
    request.metadata_mut().insert("authorization", header.parse().unwrap());
    buyer.client.clone().list_orders(request).await.unwrap();
}

#[tokio::test]
async fn every_call_of_a_buyer_needs_a_token() {
    use proto::gateway::v1 as wire;
    let stage = Stage::open().await;
    let mut client = stage.client().await;
    let refused = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned(), false);
    assert_eq!(said(client.issue_ticket(wire::IssueTicketRequest::default()).await), refused);
    // A ticket is looked at first, since that costs less.
    let ticket = stage.buyer().await.ticket(1, "mine").await.text;
    let purchase = wire::PurchaseRequest { ticket, attempt: 1 };
    assert_eq!(said(client.purchase(purchase).await), refused);
    assert_eq!(reason(client.purchase(wire::PurchaseRequest::default()).await), "TICKET_INVALID");
    assert_eq!(said(client.get_order(wire::GetOrderRequest::default()).await), refused);
    assert_eq!(said(client.list_orders(ListOrdersRequest::default()).await), refused);
    let watched = client.watch_order(wire::WatchOrderRequest::default()).await;
    assert_eq!(said(watched.map(drop)), refused);
    let mut request = tonic::Request::new(ListOrdersRequest::default());
    request.metadata_mut().insert("authorization", "Basic QW5u".parse().unwrap());
    assert_eq!(said(client.list_orders(request).await), refused);
}

#[tokio::test]
async fn a_token_that_was_known_expires_all_the_same() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    enter(&buyer).await.unwrap();
    // Two seconds more than it has, since clocks may differ by that.
    stage.shift.jump(std::time::Duration::from_secs(36_003));
    assert_eq!(reason(enter(&buyer).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn rehearsals_are_for_those_who_asked_for_them() {
    for is_allowed in [false, true] {
        let config = move |config: &mut gateway::Config| {
            config.identity.rehearsal_allowed = is_allowed;
        };
        let stage = Stage::with(Plan { config: Box::new(config), ..Plan::default() }).await;
        let mut token = Token::of(UserId::random(), &stage.clock);
        token.claims["rehearsal"] = true.into();
        // The second time it is a known token.
        for _ in 0..2 {
            let answer = visit(&stage, &token.signed()).await;
            if is_allowed {
                answer.unwrap();
            } else {
                let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned(), false);
                assert_eq!(said(answer), denied);
            }
        }
    }
}

#[tokio::test]
async fn a_new_key_is_learnt_when_it_is_first_used() {
    let eager = |config: &mut gateway::Config| config.identity.unknown_key_pause_ms = 0;
    let stage = Stage::with(Plan { config: Box::new(eager), ..Plan::default() }).await;
    let mut token = Token::of(UserId::random(), &stage.clock);
    (token.key_id, token.seed) = ("two", KEY_TWO.0);
    assert_eq!(reason(visit(&stage, &token.signed()).await), "UNAUTHENTICATED");
    lock(&stage.world.keys).push(key("two", &KEY_TWO));
    visit(&stage, &token.signed()).await.unwrap();
}

#[tokio::test]
async fn a_known_token_of_a_withdrawn_key_is_refused() {
    let often = |config: &mut gateway::Config| config.identity.keys_interval_ms = 10;
    let stage = Stage::with(Plan { config: Box::new(often), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    enter(&buyer).await.unwrap();
    *lock(&stage.world.keys) = vec![key("two", &KEY_TWO)];
    stage.until("the key is gone", async || enter(&buyer).await.is_err()).await;
    assert_eq!(reason(enter(&buyer).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn forged_key_ids_cost_user_svc_little() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    enter(&buyer).await.unwrap();
    let before = stage.world.key_reads.load(Ordering::SeqCst);
    let mut token = Token::of(buyer.user, &stage.clock);
    for key_id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        token.key_id = key_id;
        let forged = Buyer { token: token.signed(), ..buyer.clone() };
        assert_eq!(reason(enter(&forged).await), "UNAUTHENTICATED");
    }
    let reads = stage.world.key_reads.load(Ordering::SeqCst) - before;
    assert!(reads <= 2, "{reads} reads");
}

#[tokio::test]
async fn the_gateway_outlives_user_svc() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    enter(&buyer).await.unwrap();
    stage.world.is_user_down.store(true, Ordering::SeqCst);
    enter(&buyer).await.unwrap();
    visit(&stage, &Token::of(UserId::random(), &stage.clock).signed()).await.unwrap();
}

#[tokio::test]
async fn without_any_key_nobody_is_told_that_the_token_is_bad() {
    let stage = Stage::with(Plan { is_user_down: true, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let unavailable = (Code::Unavailable, "UPSTREAM_UNAVAILABLE".to_owned(), true);
    assert_eq!(said(enter(&buyer).await), unavailable);
    stage.world.is_user_down.store(false, Ordering::SeqCst);
    stage.until("keys are fetched", async || enter(&buyer).await.is_ok()).await;
}

#[tokio::test]
async fn a_token_that_must_be_checked_is_paid_by_its_network_and_a_good_one_once() {
    let few = |config: &mut gateway::Config| {
        config.rates.network = gateway::Allowance { per_s: 1, burst: 3 };
    };
    let stage = Stage::with(Plan { config: Box::new(few), ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    enter(&buyer).await.expect("checked and paid for");
    enter(&buyer).await.expect("known, and paid for as any call");
    let mut forged = Token::of(UserId::random(), &stage.clock);
    forged.seed = KEY_TWO.0;
    let forged = Buyer { token: forged.signed(), ..buyer.clone() };
    assert_eq!(reason(enter(&forged).await), "UNAUTHENTICATED");
    let limited = (Code::ResourceExhausted, "RATE_LIMITED".to_owned(), true);
    assert_eq!(said(enter(&forged).await), limited, "the same one again isn't free");
    stage.shift.jump(std::time::Duration::from_secs(3));
    for _ in 0..3 {
        enter(&buyer).await.unwrap();
    }
    assert_eq!(said(enter(&buyer).await), limited);
}
